"""Opens the database and frames its transactions."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from json import dumps
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from holdfast.errors import HoldfastError
from holdfast.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 30.0
"""How long a writer waits for another before it gives up; a registration takes milliseconds."""

_WRITES = "holdfast_writes"


class StoreError(HoldfastError):
    """The database cannot be opened, is busy, full or damaged, or belongs to another Holdfast."""

    code = "store"


def database_file(home: Path) -> Path:
    """Where the default database of ``home`` lives."""
    return home / "holdfast.db"


def database_url(home: Path) -> str | None:
    """What the settings say; none for the SQLite file of ``home``."""
    found = load_settings(home=home).database_url
    return None if found is None else found.get_secret_value()


def open_store(home: Path, url: str | None = None) -> sa.Engine:
    """The database of this installation, created and brought up to date.

    Args:
        home: the home folder, whose SQLite file it is unless a setting or ``url`` names another.
        url: of the database, where it is not the one of the settings.

    Raises:
        StoreError: the folder or file cannot be used, or a newer Holdfast made it.
    """
    from holdfast.store.schema import upgrade  # noqa: PLC0415 - schema needs this module's transactions

    url = url or database_url(home)
    if url is not None:
        opened = engine(url)
        upgrade(opened)
        return opened
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"Cannot use the home folder: {error.strerror or error}.",
            where=str(home),
            hint="Choose another with --home or HOLDFAST_HOME.",
        ) from error
    opened = engine(f"sqlite:///{database_file(home).absolute()}")
    upgrade(opened)
    return opened


def engine(url: str) -> sa.Engine:
    """A SQLAlchemy engine with the settings that all of Holdfast relies on. Connects to nothing yet."""
    # NaN has no place in JSON, and PostgreSQL would refuse it: fail here, on both alike.
    to_json = partial(dumps, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    if sa.make_url(url).get_backend_name() != "sqlite":
        return sa.create_engine(url, json_serializer=to_json, pool_pre_ping=True)
    # Without a level of its own the driver leaves BEGIN to us, so that migrations are transactions too.
    settings = {"isolation_level": None, "timeout": BUSY_SECONDS}
    made = sa.create_engine(url, json_serializer=to_json, connect_args=settings)
    sa.event.listen(made, "connect", _prepare_sqlite)
    sa.event.listen(made, "begin", _begin_sqlite)
    return made


@contextmanager
def reading(opened: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads."""
    try:
        with opened.begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise _translated(error, opened) from error


@contextmanager
def writing(opened: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes: all or nothing, one at a time on SQLite, waiting up to `BUSY_SECONDS`."""
    try:
        with opened.execution_options(**{_WRITES: True}).begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise _translated(error, opened) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    for setting in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at once: two that had both read first could only deadlock."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _translated(error: SQLAlchemyError, opened: sa.Engine) -> StoreError:
    cause = str(getattr(error, "orig", None) or error)
    hints = {
        "locked": "Another process is writing; try again in a moment.",
        "not a database": "The file is damaged or is something else. Restore it, or choose another --home.",
        "malformed": "The database is damaged. Restore it from a backup, or choose another --home.",
        "full": "Free some disk space and try again; nothing was changed.",
        "readonly": "Holdfast needs to write there; check who owns the file and its folder.",
        "unable to open": "Check that the folder exists and that you may write to it.",
    }
    hint = next((hint for sign, hint in hints.items() if sign in cause), None)
    place = opened.url.database or opened.url.render_as_string(hide_password=True)
    return StoreError(f"The database failed: {cause}.", where=place, hint=hint)
