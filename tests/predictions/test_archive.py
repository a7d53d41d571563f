from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from pyarrow import parquet

from holdfast import audit
from holdfast.predictions import archive as module
from holdfast.predictions import listing
from holdfast.predictions.archive import ArchiveError, archive, keeping, retained_from
from holdfast.predictions.erasure import erase
from holdfast.predictions.exports import export_file
from holdfast.predictions.formats import SCHEMA
from holdfast.predictions.house import keep_house
from holdfast.predictions.listing import Wanted
from holdfast.settings import Settings
from holdfast.store import reading, writing
from holdfast.store.tables import predictions, replies

HOUR = timedelta(hours=1)


def archived(home):
    """The rows of each file of the archive."""
    found = {}
    for file in sorted((home / "archive").glob("*.parquet")):
        table = parquet.read_table(file)
        assert table.schema.equals(SCHEMA)
        found[file.name] = table.to_pylist()
    return found


def ids_in_log(engine):
    with reading(engine) as connection:
        return list(connection.scalars(sa.select(predictions.c.id).order_by(predictions.c.id)))


def ids_in_archive(home):
    return sorted(row["prediction_id"] for rows in archived(home).values() for row in rows)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def midnight(noon):
    return noon + 12 * HOUR


def test_whole_days_move_into_a_file_each(database, home, log_some, noon, *, midnight, monkeypatch):
    monkeypatch.setattr(listing, "BLOCK", 7)
    rows = log_some(database, 60, start=noon - 24 * HOUR, step=HOUR)
    done = archive(database, home, midnight, "cli:ana")
    assert done.days == ("2026-01-30", "2026-01-31")
    old = [row for row in rows if row["at"] < midnight]
    assert done.predictions == len(old) == 36
    found = archived(home)
    assert list(found) == ["predictions-2026-01-30.parquet", "predictions-2026-01-31.parquet"]
    assert [len(day) for day in found.values()] == [12, 24]
    first, was = found["predictions-2026-01-30.parquet"][0], rows[0]
    assert first == {name: was[column] for name, column in listing.NAMES.items()}
    assert ids_in_archive(home) == sorted(row["id"] for row in old)
    assert ids_in_log(database) == sorted(row["id"] for row in rows if row["at"] >= midnight)
    entries = [entry for entry in audit.entries(database) if entry.action == "predictions.archive"]
    assert [(entry.subject, entry.actor, entry.detail) for entry in reversed(entries)] == [
        (f"predictions-2026-01-{day}.parquet", "cli:ana", {"predictions": removed})
        for day, removed in ((30, 7), (30, 5), (31, 7), (31, 7), (31, 7), (31, 3))
    ]  # one with each part that leaves the log


def test_only_their_owner_reads_archives_and_exports(  # noqa: PLR0917 - pytest passes them by name
    database, home, log_some, noon, midnight, tmp_path
):
    log_some(database, 48, start=noon - 24 * HOUR, step=HOUR)
    loose = os.umask(0o022)
    try:
        made = [
            export_file(database, home, Wanted(), out, actor="me")
            for out in (None, tmp_path / "mine.parquet")
        ]
        archive(database, home, midnight, "cli:ana")
        made += (home / "archive").glob("*.parquet")
        assert [oct(file.stat().st_mode & 0o777) for file in made] == ["0o600"] * 4
        for file in made:
            file.chmod(0o644)
        done = erase(
            database, Settings(home=home), parquet.read_table(made[1]).to_pylist()[-1]["customer_id"], "me"
        )
    finally:
        os.umask(loose)
    assert done.removed["archived"]
    again = [file for file in made if file.parent.name in {"archive", "exports"}]
    assert "0o600" in {oct(file.stat().st_mode & 0o777) for file in again}


def test_a_second_run_changes_nothing_and_late_rows_join_their_day(database, home, log_some, noon, midnight):
    rows = log_some(database, 10, start=noon)
    archive(database, home, midnight, "test")
    before = {file.name: file.read_bytes() for file in (home / "archive").iterdir()}
    assert archive(database, home, midnight, "test").predictions == 0
    assert {file.name: file.read_bytes() for file in (home / "archive").iterdir()} == before
    late = log_some(database, 5, start=noon - HOUR, seed=9)
    with writing(database) as connection:  # some that stand in the file come back as after a restore
        connection.execute(sa.insert(predictions), rows[:3])
    assert archive(database, home, midnight, "test").predictions == 8
    assert ids_in_archive(home) == sorted(row["id"] for row in [*rows, *late])
    assert ids_in_log(database) == []


@pytest.mark.parametrize("point", ["before the rename", "after the rename", "amid the removal"])
def test_a_failure_at_any_point_is_made_good(database, home, log_some, *, midnight, monkeypatch, point):
    monkeypatch.setattr(listing, "BLOCK", 4)
    rows = log_some(database, 20)

    class Killed(BaseException):
        pass

    def die(*_args, **_kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        if point == "before the rename":
            patch.setattr(module, "sync", die)
        elif point == "after the rename":
            patch.setattr(module, "_remove_from_log", die)
        else:
            patch.setattr(module.audit, "record", die)
        with pytest.raises(Killed):
            archive(database, home, midnight, "test")
    left = set(ids_in_log(database)) | set(ids_in_archive(home))
    assert left == {row["id"] for row in rows}
    archive(database, home, midnight, "test")
    assert ids_in_archive(home) == sorted(row["id"] for row in rows)
    assert ids_in_log(database) == []
    assert [file.name for file in (home / "archive").iterdir()] == ["predictions-2026-01-31.parquet"]


PROGRAM = """
import sys
from datetime import datetime
from pathlib import Path
from holdfast.predictions import listing
from holdfast.predictions.archive import archive, keeping
from holdfast.store import engine

listing.BLOCK = 20
opened, home, before = engine(sys.argv[1]), Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
opened.connect().close()
print("ready", flush=True)
with keeping(home):
    archive(opened, home, before, "test")
print("done", flush=True)
"""


def test_killed_at_random_moments_it_neither_loses_nor_doubles(database, home, log_some, midnight, noon):
    moments = random.Random(3)  # noqa: S311 - no secret, a repeatable test
    rows = log_some(database, 3_000, start=noon - 72 * HOUR, step=timedelta(seconds=85))
    expected = sorted(row["id"] for row in rows)
    url = database.url.render_as_string(hide_password=False)
    killed = 0
    for _ in range(5):
        before = len(ids_in_log(database))
        command = [sys.executable, "-c", PROGRAM, url, str(home), midnight.isoformat()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own program
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0.0, 0.25))
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        log, kept = ids_in_log(database), ids_in_archive(home)
        assert len(log) <= before
        assert sorted(set(log) | set(kept)) == expected
        assert len(set(kept)) == len(kept)
    with keeping(home):
        archive(database, home, midnight, "test")
    assert killed
    assert ids_in_archive(home) == expected
    assert ids_in_log(database) == []
    assert audit.verify(database).sound
    assert all(file.suffix == ".parquet" for file in (home / "archive").iterdir())


def test_the_house_is_kept_by_one_and_by_the_settings(database, home, log_some):
    settings = Settings(home=home, retention_days=30, idempotency_hours=48)
    now = datetime.now(UTC)
    log_some(database, 4, start=now - timedelta(days=32))
    log_some(database, 3, start=now - timedelta(days=29), seed=2)
    reply = {"body_digest": "", "request": "r", "body": b"{}"}
    with writing(database) as connection:
        connection.execute(
            sa.insert(replies),
            [reply | {"scope": f"{age}h", "at": now - timedelta(hours=age)} for age in (1, 47, 49, 500)],
        )
    with keeping(home):
        assert keep_house(database, settings) is None
    assert len(ids_in_log(database)) == 7
    done = keep_house(database, settings)
    assert done.predictions == 4
    assert len(ids_in_log(database)) == 3
    with reading(database) as connection:
        assert sorted(connection.scalars(sa.select(replies.c.scope))) == ["1h", "47h"]
    assert retained_from(30).time().isoformat() == "00:00:00"


def test_a_damaged_file_is_one_clear_error_and_the_log_stays(database, home, log_some, midnight):
    log_some(database, 5)
    (home / "archive").mkdir(parents=True)
    (home / "archive" / "predictions-2026-01-31.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(ArchiveError, match="archive"):
        archive(database, home, midnight, "test")
    assert len(ids_in_log(database)) == 5
