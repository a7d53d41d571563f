from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from holdfast.audit import entries
from holdfast.jobs import QuotaError, State, UnknownJobError, WrongStateError
from holdfast.jobs.files import make_folder
from holdfast.predictions.archive import keeping
from holdfast.registry import Registry
from holdfast.store import reading, writing
from holdfast.store.tables import audit, jobs

TABLE = b"customerID,tenure\na,1\n"
SUMMARY = {"rows_in": 2, "scored": 1, "rejected": 1}


def done(book, job):
    """What a worker leaves behind when it has scored a file."""
    folder = book.home / "jobs" / job.id
    book.begin(job.id)
    (folder / "answers.csv").write_text("answers")
    (folder / "rejects.csv").write_text("rejects")
    book.settle(job.id, State.DONE, {"summary": SUMMARY, "done": 1.0})
    return book.get(job.id)


def test_what_is_accepted_waits_with_its_file_under_our_name(book, submit, files_of):
    job = submit(TABLE, file="../../etc/passwd", reasons=3)
    assert book.get(job.id) == job
    assert (job.state, job.file, job.kind, job.format, job.bytes) == (
        State.WAITING, "passwd", "csv", "csv", len(TABLE)
    )  # fmt: skip
    assert [path.name for path in (book.home / "jobs").iterdir()] == [job.id]
    assert files_of(job) == ["upload.csv"]
    assert (book.home / "jobs").stat().st_mode & 0o777 == (book.home / "jobs" / job.id).stat().st_mode & 0o777
    assert (book.home / "jobs").stat().st_mode & 0o777 == 0o700


def test_a_file_that_was_not_accepted_is_gone(book):
    with book.staging() as staged:
        staged.write_bytes(TABLE)
    assert list((book.home / "jobs").iterdir()) == []


def test_jobs_are_their_owners_alone(book, submit):
    mine, others = submit(TABLE, owner="key:a"), submit(TABLE, owner="key:b")
    assert [job.id for job in book.list()] == [others.id, mine.id]
    assert [job.id for job in book.list("key:a")] == [mine.id]
    for forbidden in (
        lambda: book.get(others.id, "key:a"),
        lambda: book.cancel(others.id, actor="key:a", owner="key:a"),
        lambda: book.delete(others.id, actor="key:a", owner="key:a"),
        lambda: book.get("no-such-job"),
    ):
        with pytest.raises(UnknownJobError):
            forbidden()
    assert book.get(others.id).state == State.WAITING


def test_no_owner_has_more_unfinished_jobs_than_the_quota_however_they_are_sent(book, submit):
    def one(_):
        try:
            return submit(TABLE, most=3)
        except QuotaError:
            return None

    with ThreadPoolExecutor(8) as pool:
        accepted = [job for job in pool.map(one, range(8)) if job]
    assert len(accepted) == 3
    submit(TABLE, owner="key:b", most=3)
    book.cancel(accepted[0].id, actor="key:a")
    with pytest.raises(QuotaError):
        book.check_quota("key:a", 3, more=1)
    submit(TABLE, most=3)
    assert len(list((book.home / "jobs").iterdir())) == 4  # of the refused and the cancelled nothing is left


def test_a_cancelled_job_is_over_and_stays_so(book, submit):
    job = submit(TABLE)
    assert book.cancel(job.id, actor="key:a").state == State.CANCELLED
    assert not (book.home / "jobs" / job.id).exists()
    assert book.begin(job.id) is None
    book.settle(job.id, State.DONE, {"summary": SUMMARY})
    assert book.get(job.id).state == State.CANCELLED
    with pytest.raises(WrongStateError, match="cancelled already"):
        book.cancel(job.id, actor="key:a")


def test_a_running_job_that_is_cancelled_gets_no_further(book, submit):
    job = submit(TABLE)
    book.begin(job.id)
    assert book.advance(job.id, 0.5)
    assert book.get(job.id).seconds_left is not None
    book.cancel(job.id, actor="key:a")
    assert not book.advance(job.id, 0.6)
    assert book.get(job.id).done == 0.5


def test_results_are_there_when_the_job_is_done_and_the_upload_is_gone(book, submit, files_of):
    job = submit(TABLE)
    for early in (book.results, book.rejects):
        with pytest.raises(WrongStateError, match="waiting"):
            early(job, actor="test")
    with pytest.raises(WrongStateError, match="waiting"):
        book.delete(job.id, actor="key:a")
    finished = done(book, job)
    assert book.results(finished, actor="test").read_text() == "answers"
    assert book.rejects(finished, actor="test").read_text() == "rejects"
    traces = entries(book.engine, action="jobs.download")
    assert [(one.actor, one.subject, one.detail) for one in traces] == [
        ("test", finished.id, {"file": "rejects", "bytes": 7}),
        ("test", finished.id, {"file": "answers", "bytes": 7}),
    ]
    assert files_of(job) == ["answers.csv", "rejects.csv"]
    book.delete(job.id, actor="key:a")
    assert not (book.home / "jobs" / job.id).exists()
    with pytest.raises(UnknownJobError):
        book.get(job.id)


def test_the_worker_gets_the_oldest_first(book, submit):
    first, second = submit(TABLE), submit(TABLE)
    assert book.next() == first
    done(book, first)
    assert book.next() == second
    book.cancel(second.id, actor="key:a")
    assert book.next() is None


def test_what_nobody_needs_any_more_is_swept(book, submit, database, files_of):
    old, young, waiting, cancelled = (submit(TABLE) for _ in range(4))
    done(book, old)
    done(book, young)
    book.cancel(cancelled.id, actor="key:a")
    with writing(database) as connection:
        before = book.get(old.id).finished - timedelta(days=8)
        connection.execute(sa.update(jobs).where(jobs.c.id == old.id).values(finished=before))
    place = book.home / "jobs"
    (place / cancelled.id).mkdir()
    (place / young.id / "upload.csv").write_bytes(TABLE)
    (place / "made-a-moment-ago").mkdir()
    book.sweep(timedelta(days=7))
    assert {path.name for path in place.iterdir()} == {young.id, waiting.id, "made-a-moment-ago"}
    assert files_of(young) == ["answers.csv", "rejects.csv"]
    assert files_of(waiting) == ["upload.csv"]
    assert {job.id for job in book.list()} == {young.id, waiting.id, cancelled.id}


def test_each_change_is_in_the_trail_and_no_name_of_a_file(book, submit, database):
    job = submit(TABLE, file="customers of Mrs Miller.csv")
    book.cancel(job.id, actor="user:ana")
    book.delete(job.id, actor="user:ana")
    with reading(database) as connection:
        trail = connection.execute(sa.select(audit).order_by(audit.c.number)).all()
    told = [(entry.actor, entry.action) for entry in trail if entry.subject == job.id]
    assert told == [("key:a", "jobs.submit"), ("user:ana", "jobs.cancel"), ("user:ana", "jobs.delete")]
    assert "Miller" not in str(trail)


def test_a_home_without_a_database_of_its_own_is_made_private_by_who_first_writes_there(tmp_path):
    loose = os.umask(0o022)
    try:
        make_folder(tmp_path / "jobs")
        with keeping(tmp_path / "archive"), Registry(tmp_path / "models").staging():
            pass
    finally:
        os.umask(loose)
    assert [oct(home.stat().st_mode & 0o777) for home in tmp_path.iterdir()] == ["0o700"] * 3
