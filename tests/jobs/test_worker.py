from __future__ import annotations

import gzip
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from waiting import wait_until

from holdfast.disk import locked
from holdfast.jobs import State, files
from holdfast.jobs.worker import LOCK, MOST_STARTS, NICE, _Watch
from holdfast.model import Model
from holdfast.registry import Registry
from holdfast.scoring import score_file
from holdfast.store import reading, writing
from holdfast.store.tables import jobs


@pytest.fixture
def expected(settings, database, tmp_path):
    """The bytes that scoring a file at once gives."""

    def score(table, *, version="v1", reasons=0, ending="csv"):
        found = Registry(settings.home, engine=database).resolve(version)
        out = tmp_path / f"expected.{ending}"
        score_file(Model.load(found.path, version=version), table, out, reasons=reasons, overwrite=True)
        return out.read_bytes()

    return score


def ended(job):
    return job.state.ended


def niceness_of(pid):
    """Of each of a process's threads."""
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        yield int(thread.read_text().rsplit(")", 1)[1].split()[16])


def half_written(settings, job):
    """Whether its answers are being written."""
    return any((settings.home / "jobs" / job.id).glob(".scoring-*/answers"))


def test_files_are_scored_as_at_the_command_line_bit_for_bit(  # noqa: PLR0917 - pytest passes them by name
    book, submit, worker, until, expected, trained, tmp_path
):
    header, *lines = trained.table.read_text().splitlines()
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join([header, *lines, lines[0] + ",one,two"]) + "\n")
    columnar = tmp_path / "t.parquet"
    trained.customers.write_parquet(columnar)
    packed = gzip.compress(trained.table.read_bytes())
    sent = [
        submit(broken, reasons=2),
        submit(columnar, version="v2"),
        submit(columnar, format="csv"),
        submit(packed, format="parquet"),
    ]
    worker()
    first, second, third, fourth = (until(job, ended) for job in sent)
    assert [job.error for job in (first, second, third, fourth)] == [None] * 4

    assert book.results(first, actor="test").read_bytes() == expected(broken, reasons=2)
    assert pl.read_csv(book.rejects(first, actor="test"))["row"].to_list() == [len(lines) + 1]
    assert (first.summary["rows_in"], first.summary["scored"]) == (len(lines) + 1, len(lines))
    assert (first.done, first.seconds_left) == (1.0, None)
    assert first.summary.keys().isdisjoint({"source", "out", "rejects", "repair_examples"})
    assert book.results(second, actor="test").read_bytes() == expected(
        columnar, version="v2", ending="parquet"
    )
    assert book.results(third, actor="test").read_bytes() == expected(columnar)
    assert book.results(fourth, actor="test").read_bytes() == expected(trained.table, ending="parquet")


def test_what_is_wrong_with_a_file_is_told_without_our_paths(settings, submit, worker, until, trained):
    sent = {
        "picture": submit(b"\x89PNG\r\n\x1a\n" + bytes(100), file="mine.png"),
        "empty": submit(b"", file="nothing.csv"),
        "others": submit(b"a,b\n1,2\n", file="others.csv"),
        "rowless": submit(trained.table.read_bytes().split(b"\n")[0] + b"\n", file="rowless.csv"),
        "cut": submit(b"PAR1" + bytes(50), file="cut.parquet"),
        "versionless": submit(trained.table, version="v9"),
    }
    worker()
    found = {name: until(job, ended) for name, job in sent.items()}
    assert {job.state for job in found.values()} == {State.FAILED}
    assert found["picture"].error["code"] == "source"
    assert found["picture"].error["where"] == "mine.png"
    assert "picture" in found["picture"].error["message"]
    assert found["others"].error["code"] == found["rowless"].error["code"].replace("source", "columns")
    assert found["rowless"].error["where"] == "rowless.csv"
    assert found["versionless"].error["message"] == "The server failed."
    assert str(settings.home) not in str(found)
    assert "upload" not in str([job.error for job in found.values()])
    folder = settings.home / "jobs"
    until(sent["versionless"], lambda _: not any(path.is_dir() for path in folder.iterdir()))


def test_an_archive_of_one_endless_line_is_given_up_soon(settings, submit, worker, until, trained):
    header, first, *_ = trained.table.read_bytes().splitlines(keepends=True)
    bomb = gzip.compress(header + first) + 100 * gzip.compress(b"a" * 3_000_000)
    assert len(bomb) < 1_000_000
    job = submit(bomb, file="bomb.csv.gz")
    after = submit(trained.table)
    worker()
    found = until(job, ended)
    assert (found.state, found.error["code"]) == (State.FAILED, "source")
    assert found.error["where"].startswith("bomb.csv.gz")
    assert str(settings.home) not in str(found)
    assert until(after, ended).state == State.DONE


def test_scoring_stops_before_its_answers_fill_the_disk(book, submit, trained, monkeypatch):
    """What the disk has left is looked at while a file is scored: an archive may hold more than it has."""
    job = submit(trained.table)
    book.begin(job.id)
    monkeypatch.setattr("holdfast.jobs.worker.WRITE_SECONDS", 0.0)
    watch = _Watch(book, job.id, threading.Event())
    watch.start("scoring", 100.0)
    watch.advance(50.0)
    assert book.get(job.id).done == 0.5
    monkeypatch.setattr(files, "RESERVE", 1 << 62)
    with pytest.raises(files.NoRoomError):
        watch.advance(25.0)


def test_a_job_outlives_stops_and_kills_of_its_worker(  # noqa: PLR0917 - pytest passes them by name
    book, settings, submit, worker, until, expected, long_table, files_of
):
    job = submit(long_table)
    first = worker()
    until(job, lambda _: half_written(settings, job))
    if sys.platform == "linux":
        assert max(niceness_of(first.pid)) >= NICE  # predictions go first
    assert first.stop() == 0
    halted = book.get(job.id)
    assert halted.state == State.RUNNING
    assert "upload.csv" in files_of(job)

    second = worker()
    until(job, lambda found: found.started > halted.started and half_written(settings, job))
    started = book.get(job.id).started
    worker()  # stands by, for one home has one worker at a time
    os.kill(second.pid, signal.SIGKILL)

    finished = until(job, ended)
    assert (finished.state, finished.error) == (State.DONE, None)
    assert finished.started > started
    assert book.results(finished, actor="test").read_bytes() == expected(long_table)
    assert files_of(job) == ["answers.csv"]


def test_a_job_that_was_scored_but_not_written_down_is_not_scored_again(  # noqa: PLR0917 - pytest passes them by name
    book, database, submit, worker, until, trained
):
    """Killed between the two: DBOS has the outcome."""
    job = submit(trained.table)
    worker()
    done = until(job, ended)
    scored = book.results(done, actor="test").stat()
    with writing(database) as connection:
        undone = {"state": "running", "finished": None, "summary": None, "done": 0.2}
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(undone))
    again = until(job, ended)
    assert again.summary == done.summary
    assert book.results(again, actor="test").stat().st_mtime_ns == scored.st_mtime_ns


def test_a_job_that_is_cancelled_stops_and_leaves_nothing(  # noqa: PLR0917 - pytest passes them by name
    book, settings, submit, worker, until, long_table, trained
):
    job, next_one = submit(long_table), submit(trained.table)
    worker()
    until(job, lambda _: half_written(settings, job))
    book.cancel(job.id, actor="key:a")
    assert until(next_one, ended).state == State.DONE
    assert book.get(job.id).state == State.CANCELLED
    assert book.get(job.id).done < 1
    assert not (settings.home / "jobs" / job.id).exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_after_a_kill_a_job_goes_on_where_it_was(  # noqa: PLR0917 - pytest passes them by name
    book, settings, submit, worker, until, expected, long_table, files_of, ending
):
    job = submit(long_table, format=ending)
    parts = files.parts_of(settings.home, job)
    first = worker()
    until(job, lambda _: any(parts.glob("*.part")))
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    for part in parts.glob("*.part"):
        part.with_suffix(".half").unlink(missing_ok=True)
        part.with_suffix(".half").mkdir()  # where it would be written if it were scored again, which so fails
    worker()
    finished = until(job, ended)
    assert (finished.state, finished.error) == (State.DONE, None)
    assert book.results(finished, actor="test").read_bytes() == expected(long_table, ending=ending)
    assert files_of(job) == [f"answers.{ending}"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_brings_the_worker_down_again_and_again_is_given_up(
    settings, submit, worker, until, long_table
):
    job = submit(long_table)
    note = settings.home / "jobs" / job.id / ".starts"
    note.write_text(f"0 {MOST_STARTS}")
    worker()
    failed = until(job, ended)
    assert failed.state == State.FAILED
    assert "stopped 10 times" in failed.error["message"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_workers_that_are_told_to_stop_or_got_on_with_the_file_do_not_count(settings, submit, trained):
    job = submit(trained.table)
    starts = [files.count_start(settings.home, job) for _ in range(3)]
    files.forget_start(settings.home, job)
    starts += [files.count_start(settings.home, job) for _ in range(2)]
    (files.parts_of(settings.home, job)).mkdir()
    (files.parts_of(settings.home, job) / "0.part").touch()
    starts.append(files.count_start(settings.home, job))
    assert starts == [1, 2, 3, 1, 2, 1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_of_a_job_that_is_kept_no_longer_nothing_is_left(  # noqa: PLR0917 - pytest passes them by name
    book, settings, submit, worker, until, database
):
    old, young = (submit(b"a,b\n1,2\n").id for _ in range(2))
    first = worker()
    for job in (old, young):
        until(book.get(job), ended)
    first.stop()
    with writing(database) as connection:
        long_ago = datetime.now(UTC) - timedelta(days=8)
        connection.execute(sa.update(jobs).where(jobs.c.id == old).values(finished=long_ago))
    _in_dbos(settings, f"UPDATE workflow_status SET completed_at = 1 WHERE workflow_uuid = '{old}'")  # noqa: S608 - ours
    third = submit(b"a,b\n1,2\n")
    worker()
    until(third, ended)
    assert {job.id for job in book.list()} == {young, third.id}
    kept = _in_dbos(settings, "SELECT workflow_uuid FROM workflow_status")
    assert {one for (one,) in kept} == {young, third.id}


def _in_dbos(settings, statement):
    """Do something to the workflows behind the worker's back."""
    opened = sqlite3.connect(settings.home / "jobs.db")
    with closing(opened), opened:
        return opened.execute(statement).fetchall()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_ends_with_its_parent(settings):
    script = (
        "import sys, time\nfrom holdfast.jobs import start_worker\nfrom holdfast.settings import Settings\n"
        "print(start_worker(Settings(home=sys.argv[1])).pid, flush=True)\ntime.sleep(600)"
    )
    parent = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", script, str(settings.home)], stdout=subprocess.PIPE, text=True
    )
    worker = int(parent.stdout.readline())
    assert _alive(worker)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not _alive(worker), "it to end")


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_job_outlives_its_database(  # noqa: PLR0917 - pytest passes them by name
    book, settings, submit, worker, until, expected, long_table, postgres
):
    job = submit(long_table)
    worker()
    until(job, lambda _: half_written(settings, job))
    postgres.stop("immediate")
    postgres.start()
    finished = until(job, ended)
    assert (finished.state, finished.error) == (State.DONE, None)
    assert book.results(finished, actor="test").read_bytes() == expected(long_table)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_worker_whose_turn_comes_while_its_database_is_away_waits_for_it(  # noqa: PLR0917 - pytest passes them by name
    submit, settings, database, worker, until, trained, postgres, capfd
):
    job = submit(trained.table)
    with locked(files.make_folder(settings.home) / LOCK):
        before = connections_to(database)
        started = worker()
        wait_until(lambda: connections_to(database) > before, "it to stand by")
        postgres.stop()
    try:
        while "database unavailable" not in capfd.readouterr().err:
            assert started.poll() is None
            time.sleep(0.05)
    finally:
        postgres.start()
    assert until(job, ended).state == State.DONE


def connections_to(database):
    with reading(database) as connection:
        mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return connection.execute(sa.text(mine)).scalar()
