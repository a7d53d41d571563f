"""Sees to it that what was deleted is gone from the disk too, as far as the database can."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PATIENCE_SECONDS = 10.0
"""For readers, who keep SQLite's write-ahead log from being emptied."""

# Another process looks: SQLite's locks end when the process that has them closes the file, whoever opened it.
_SEARCH = """
import mmap, sys
needles = [bytes.fromhex(line) for line in sys.stdin]
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
    sys.exit(3 * any(content.find(needle) >= 0 for needle in needles))
"""
_FOUND = 3


def scrub(opened: sa.Engine, tables: Sequence[sa.Table], texts: Iterable[str]) -> bool:
    """After rows were deleted for good: whether all was done that can be done about their bytes.

    SQLite overwrites what is deleted (`secure_delete`), but pages that were split in years of use may hold
    older copies. So its write-ahead log is emptied, and if its file still holds one of the texts, it is
    written anew (`VACUUM`), for which others wait. PostgreSQL's dead rows are vacuumed: nobody can query
    them, their space is free, and their bytes stay there and in the server's write-ahead log until they are
    overwritten.

    Args:
        opened: the database.
        tables: from which rows were deleted.
        texts: what must not be found any more.
    """
    try:
        if opened.dialect.name == "sqlite":
            return _scrub_file(opened, texts)
        with opened.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                name = connection.dialect.identifier_preparer.format_table(table)
                connection.execute(sa.text(f"VACUUM {name}"))
    except (SQLAlchemyError, sqlite3.Error):
        return False
    return True


def _scrub_file(opened: sa.Engine, texts: Iterable[str]) -> bool:
    # No transaction of SQLAlchemy's: it would itself be the reader that is in the way.
    connection = opened.raw_connection()
    try:
        cursor = connection.cursor()
        if not _empty_log(cursor):
            return False
        if _holds(str(opened.url.database), texts):
            cursor.execute("VACUUM")
            return _empty_log(cursor)
        return True
    finally:
        connection.close()


def _empty_log(cursor: sa.engine.interfaces.DBAPICursor) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        told = cursor.fetchone()  # whether somebody was in the way, and two counts
        if told is not None and not told[0]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def _holds(file: str, texts: Iterable[str]) -> bool:
    spellings = {s.encode().hex() for t in texts for s in (t, json.dumps(t)[1:-1])}
    command = [sys.executable, "-I", "-S", "-c", _SEARCH, file]
    # By standard input: other users of the machine see the arguments.
    done = subprocess.run(command, input="\n".join(spellings), text=True, check=False)  # noqa: S603 - our own interpreter and program
    return done.returncode == _FOUND
