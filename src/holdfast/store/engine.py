"""Opens the database and frames its transactions."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from holdfast.disk import keep_private, make_private, make_private_folder
from holdfast.errors import HoldfastError, UsageError
from holdfast.settings import SECRET_FILE, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUSY_SECONDS = 30.0
"""How long a writer waits for another before it gives up; a registration takes milliseconds."""

CONNECT_SECONDS = 5
"""How long PostgreSQL may take to let us in."""

POSTGRES = {
    "application_name": "holdfast",
    "connect_timeout": CONNECT_SECONDS,
    # A server that is gone without a word is noticed within half a minute, not after hours.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": f"-c lock_timeout={BUSY_SECONDS:.0f}s -c timezone=UTC",
}
"""What a connection to PostgreSQL has, unless its URL says otherwise."""

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


def store_exists(home: Path) -> bool:
    """Whether this installation has a database, or the settings say where it is to be."""
    return database_url(home) is not None or database_file(home).exists()


def open_store(home: Path, url: str | None = None) -> sa.Engine:
    """The database of this installation. A SQLite file that is not there is made, with all tables.

    Args:
        home: the home folder, whose SQLite file it is unless a setting or ``url`` names another.
        url: of the database, where it is not the one of the settings.

    Raises:
        StoreError: the folder or database cannot be used, or its schema is not this Holdfast's; says which
            command mends that.
        UsageError: the URL is none that Holdfast knows.
    """
    from holdfast.store.schema import expect_current  # noqa: PLC0415 - schema needs this module's transactions

    opened = connect_store(home, url)
    try:
        expect_current(opened)
    except HoldfastError:
        opened.dispose()
        raise
    return opened


def connect_store(home: Path, url: str | None = None) -> sa.Engine:
    """As `open_store`, whatever the schema is, also none. Connects to nothing yet.

    Raises:
        StoreError: the home folder cannot be made.
        UsageError: the URL is none that Holdfast knows.
    """
    url = url or database_url(home)
    if url is None:
        try:
            make_private_folder(home)
        except OSError as error:
            raise StoreError(
                f"Cannot use the home folder: {error.strerror or error}.",
                where=str(home),
                hint="Choose another with --home or HOLDFAST_HOME.",
            ) from error
    if any((home / name).exists() for name in (database_file(home).name, SECRET_FILE)):
        keep_private(home)  # it is a home, not a folder that is about to become one
    return engine(url or f"sqlite:///{database_file(home).absolute()}")


def engine(url: str) -> sa.Engine:
    """A SQLAlchemy engine with the settings that all of Holdfast relies on. Connects to nothing yet.

    Raises:
        UsageError: the URL is none that Holdfast knows, or the driver for it is not installed.
    """
    known = _known(url)
    # NaN has no place in JSON, and PostgreSQL would refuse it: fail here, on both alike.
    to_json = partial(dumps, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    if known.get_backend_name() == "postgresql":
        own = {name: value for name, value in POSTGRES.items() if name not in known.query}
        try:
            return sa.create_engine(
                known,
                json_serializer=to_json,
                connect_args=own,
                pool_pre_ping=True,
                pool_timeout=BUSY_SECONDS,
            )
        except ModuleNotFoundError as error:
            raise UsageError(
                "PostgreSQL needs a driver that is not installed.",
                hint="Install it: pip install 'holdfast[postgres]'",
            ) from error
    # Without a level of its own the driver leaves BEGIN to us, so that migrations are transactions too.
    settings = {"isolation_level": None, "timeout": BUSY_SECONDS}
    made = sa.create_engine(known, json_serializer=to_json, connect_args=settings)
    sa.event.listen(made, "do_connect", _keep_file_private)
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


@contextmanager
def snapshot(opened: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads, and sees the database as it was at its start, however long it lasts."""
    try:
        if opened.dialect.name == "postgresql":
            opened = opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with opened.begin() as connection:  # SQLite's are so by themselves
            yield connection
    except SQLAlchemyError as error:
        raise _translated(error, opened) from error


def place_of(opened: sa.Engine) -> str:
    """Which database this is, for people: a file, or a URL without its password."""
    if opened.dialect.name == "sqlite":
        return opened.url.database or "memory"
    return opened.url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def _known(url: str) -> sa.URL:
    """The URL with the driver that we use."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UsageError("The database's URL cannot be read.", hint=_WRITE_A_URL) from error
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise UsageError(f'"{parsed.drivername}" is no database that Holdfast knows.', hint=_WRITE_A_URL)
    return parsed


def _keep_file_private(_dialect: Any, _record: Any, arguments: Sequence[Any], _named: Any) -> None:
    """Hashes of keys and customers are in the file. What SQLite makes beside it takes its mode."""
    name = str(arguments[0])
    if name.startswith((":memory:", "file:")):
        return
    with suppress(OSError):  # SQLite says what is wrong with the place
        make_private(Path(name))
    for ending in ("-wal", "-shm"):
        keep_private(Path(name + ending))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # What is deleted is overwritten: who is erased must not stay in the file's free space.
    settings = ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
    for setting in settings:
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at once: two that had both read first could only deadlock."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _translated(error: SQLAlchemyError, opened: sa.Engine) -> StoreError:
    cause = _cause(error)
    hint = next((hint for sign, hint in _HINTS.items() if sign in cause.casefold()), None)
    return StoreError(f"The database failed: {cause}.", where=place_of(opened), hint=hint)


def _cause(error: SQLAlchemyError) -> str:
    """What the driver says, without the rows that it may quote."""
    original = getattr(error, "orig", None)
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    said = str(primary or original or error).strip()
    return said.splitlines()[0].rstrip(".") if said else type(original or error).__name__


_WRITE_A_URL = (
    "Write postgresql://USER:PASSWORD@HOST:5432/NAME, or leave HOLDFAST_DATABASE_URL out for SQLite."
)

_HINTS = {
    "locked": "Another process is writing; try again in a moment.",
    "lock timeout": "Another process is writing; try again in a moment.",
    "not a database": "The file is damaged or is something else. Restore it, or choose another --home.",
    "malformed": "The database is damaged. Restore it from a backup, or choose another --home.",
    "full": "Free some disk space and try again; nothing was changed.",
    "no space left": "Free some disk space on the database server and try again; nothing was changed.",
    "readonly": "Holdfast needs to write there; check who owns the file and its folder.",
    "read-only": "Holdfast needs to write there; is this a replica?",
    "unable to open": "Check that the folder exists and that you may write to it.",
    "connection refused": "Is PostgreSQL running there? Check host and port in HOLDFAST_DATABASE_URL.",
    "timeout expired": "PostgreSQL does not answer. Check the host and port in HOLDFAST_DATABASE_URL.",
    "resolve host": "Check the host's name in HOLDFAST_DATABASE_URL.",
    "translate host name": "Check the host's name in HOLDFAST_DATABASE_URL.",
    "authentication failed": "Check user and password in HOLDFAST_DATABASE_URL.",
    "no password supplied": "Write the password into HOLDFAST_DATABASE_URL, or into a file of secrets.",
    "permission denied": "The user in HOLDFAST_DATABASE_URL needs to own the database.",
    "too many clients": "Raise max_connections of PostgreSQL, or lower the number of workers.",
    "does not exist": "Check the database's name in HOLDFAST_DATABASE_URL; CREATE DATABASE makes it.",
}
"""What to do, by words of the driver's. The first that fits holds."""
