from __future__ import annotations

import io
import random
import sqlite3

import pytest

from holdfast.store import engine, slack
from holdfast.store.scrub import scrub

GONE = "gone-4711"


@pytest.fixture(params=[512, 1_024, 4_096])
def used(request, tmp_path):
    """A file in which pages were split over and over; of all that has `GONE` only one row is left."""
    file = tmp_path / "used.db"
    chance = random.Random(5)  # noqa: S311 - no secret, a repeatable test
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript(
        f"PRAGMA page_size = {request.param}; PRAGMA secure_delete = ON;"
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, more TEXT); CREATE INDEX i ON t(name); BEGIN"
    )
    for number in range(6_000):
        name = GONE if number % 10 == 0 else "o" * chance.randrange(1, 200)
        row = (chance.randrange(10**6), f"{chance.randrange(10**6)}-{name}", "m" * chance.randrange(600))
        connection.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", row)
        if number % 3 == 0:
            connection.execute("DELETE FROM t WHERE id BETWEEN ? AND ? + 150", [chance.randrange(10**6)] * 2)
    connection.execute("DELETE FROM t WHERE name LIKE ?", (f"%{GONE}",))
    connection.execute("INSERT INTO t VALUES (-1, ?, '')", (f"{GONE}0",))
    connection.execute("COMMIT")
    yield file, connection
    connection.close()


def test_what_lies_between_rows_is_found_and_cleared_and_the_rows_stay(used):
    file, connection = used
    before = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    assert file.read_bytes().count(GONE.encode()) > 2, "no copies were left behind: the test is too small"
    with file.open("r+b") as opened:
        pages = slack.find(opened, [b"nowhere", GONE.encode()])
        assert pages
        slack.clear(opened, pages)
        assert slack.find(opened, [GONE.encode()]) == []
    # The row that lives has it in the table and in the index; nothing else has.
    assert file.read_bytes().count(GONE.encode()) == 2
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with sqlite3.connect(file) as another:
        assert another.execute("SELECT * FROM t ORDER BY id").fetchall() == before
    another.close()


def test_what_another_connection_remembers_of_a_page_does_not_come_back(used):
    """It would, if that were not told to read the page again before it changes it."""
    file, other = used
    other.executescript("PRAGMA journal_mode = WAL; PRAGMA cache_size = 20000")
    before = other.execute("SELECT id, name, length(more) FROM t ORDER BY id").fetchall()
    other.execute("SELECT name FROM t ORDER BY name").fetchall()
    opened = engine(f"sqlite:///{file}")
    assert scrub(opened, [], [GONE])
    opened.dispose()
    other.execute("UPDATE t SET more = replace(more, 'm', 'n')")  # in place
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert file.read_bytes().count(GONE.encode()) == 2
    assert other.execute("SELECT id, name, length(more) FROM t ORDER BY id").fetchall() == before


@pytest.mark.parametrize("pragma", ["auto_vacuum = FULL", "auto_vacuum = INCREMENTAL"])
def test_a_file_with_pages_of_another_kind_is_left_alone(tmp_path, pragma):
    file = tmp_path / "other.db"
    connection = sqlite3.connect(file)
    connection.executescript(f"PRAGMA {pragma}; CREATE TABLE t(id)")
    connection.close()
    with file.open("r+b") as opened, pytest.raises(ValueError, match="as Holdfast makes"):
        slack.find(opened, [b"x"])
    with pytest.raises((ValueError, OSError)):
        slack.clear(io.BytesIO(b"no database" * 100), [0])
