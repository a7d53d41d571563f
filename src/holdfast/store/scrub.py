"""Sees to it that what was deleted is gone from the disk too, as far as the database can."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from holdfast.store import slack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

PATIENCE_SECONDS = 10.0
"""For readers, who keep SQLite's write-ahead log from being emptied."""

STEP_MILLISECONDS = 100
"""So long at most others are kept from writing while readers are waited for; then they get their turn."""

PAGES = 1_000
"""So many pages are cleared before others may write again."""

LOOKS = 3
"""A page may be split between its being found and its being cleared, and move. Not each time the same one."""


class _BusyError(Exception):
    """Readers were in the way for too long."""


def scrub(opened: sa.Engine, tables: Sequence[sa.Table], texts: Iterable[str]) -> bool:
    """After rows were deleted for good: whether all was done that can be done about their bytes.

    SQLite overwrites what is deleted (`secure_delete`), but pages that were split in years of use may hold
    older copies in their unused parts. So its write-ahead log is emptied, its file is searched, and such
    parts are cleared, for which others wait a moment at a time. PostgreSQL's dead rows are vacuumed: nobody
    can query them, their space is free, and their bytes stay there and in the server's write-ahead log until
    they are overwritten.

    Args:
        opened: the database.
        tables: from which rows were deleted.
        texts: what must not be found any more.
    """
    try:
        if opened.dialect.name == "sqlite":
            _scrub_file(opened, texts)
            return True
        with opened.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                name = connection.dialect.identifier_preparer.format_table(table)
                connection.execute(sa.text(f"VACUUM {name}"))
    except (SQLAlchemyError, sqlite3.Error, subprocess.SubprocessError, OSError, _BusyError):
        return False
    return True


def _scrub_file(opened: sa.Engine, texts: Iterable[str]) -> None:
    spelled = {s for t in texts for s in (t, json.dumps(t)[1:-1], json.dumps(t, ensure_ascii=False)[1:-1])}
    needles = [text.encode().hex() for text in spelled]
    file = str(opened.url.database)
    # No transaction of SQLAlchemy's: it would itself be the reader that is in the way.
    connection = opened.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {STEP_MILLISECONDS}")
        for _look in range(LOOKS):
            with _alone(cursor, file):
                pass  # all that was written so far is in the file now
            pages = _run("find", file, needles)
            if not pages:
                break
            for first in range(0, len(pages), PAGES):
                with _alone(cursor, file):
                    _run("clear", file, pages[first : first + PAGES])
                    _outdate_caches(cursor)
    finally:
        connection.invalidate()  # its own cache would be the only one that still has the pages as they were


@contextmanager
def _alone(cursor: DBAPICursor, file: str) -> Iterator[None]:
    """A transaction that writes, at whose start the write-ahead log is empty: all pages are in the file."""
    log = Path(f"{file}-wal")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of it, while others write
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        told = cursor.fetchone()  # whether somebody was in the way, and two counts
        if told is not None and not told[0] and _begun(cursor):
            if not log.exists() or not log.stat().st_size:
                break
            cursor.execute("ROLLBACK")  # somebody was quicker
        if time.monotonic() > deadline:
            raise _BusyError
        time.sleep(STEP_MILLISECONDS / 1_000)
    try:
        yield
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


def _begun(cursor: DBAPICursor) -> bool:
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


def _outdate_caches(cursor: DBAPICursor) -> None:
    """Write something: then all others read their pages again, and nobody writes an older one."""
    cursor.execute("PRAGMA user_version")
    (version,) = cursor.fetchone() or (0,)
    cursor.execute(f"PRAGMA user_version = {version}")


def _run(action: str, file: str, lines: Sequence[str]) -> list[str]:
    command = [sys.executable, "-I", "-S", slack.__file__, action, file]
    # By standard input: other users of the machine see the arguments.
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        command, input="\n".join(lines), text=True, check=True, capture_output=True
    )
    return done.stdout.split()
