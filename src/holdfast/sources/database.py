"""A database that is read from: its connections, what they are asked for again, and what its faults mean."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from holdfast.errors import UsageError
from holdfast.sources.again import persistently
from holdfast.sources.problems import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CONNECT_SECONDS = 10
"""How long a database may take to let us in."""

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}

_ALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_CONNECTING = {
    "postgresql": {
        "application_name": "holdfast",
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": 30_000,
        **_ALIVE,
    },
    "mysql": {"connect_timeout": CONNECT_SECONDS, "charset": "utf8mb4"},
}
_READING = {
    # SET LOCAL ends with the transaction, so a pool of connections between us and the server stays clean.
    "postgresql": (
        "SET TRANSACTION READ ONLY",
        "SET LOCAL timezone = 'UTC'",
        "SET LOCAL datestyle = 'ISO, YMD'",
        "SET LOCAL extra_float_digits = 1",
    ),
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION time_zone = '+00:00'"),
}
"""What is said before a table is read: change nothing; times are told in UTC and in one form."""

_ONE_MOMENT = {
    "postgresql": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",),
    "mysql": (
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    ),
}
"""What is said beside that where several questions are to be answered as of one moment."""

_PASSING_STATES = ("08", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03")
"""SQLSTATEs of PostgreSQL after which the same question may succeed."""

_PASSING_CODES = {1040, 1053, 1159, 1161, 1205, 1213, 1927, 2003, 2006, 2013, 2055}
"""Likewise the codes of MySQL."""

_PASSING_WORDS = (
    "connection refused",
    "connection reset",
    "broken pipe",
    "timed out",
    "timeout expired",
    "closed the connection unexpectedly",
    "terminating connection",
    "starting up",
    "shutting down",
    "too many clients",
    "temporary failure in name resolution",
    "consuming input failed",
    "could not receive data",
    "unexpected eof",
    "connection is lost",
)
"""Where PostgreSQL's client has no SQLSTATE: the line was down."""

_LASTING_WORDS = ("not known", "nodename nor servname", "certificate", "query (timed out)")
"""Faults that no second try mends."""

T = TypeVar("T")


class Database:
    """Where tables are read from, through a pool of connections. Connects to nothing yet.

    Args:
        url: ``postgresql://user:password@host/name`` or ``mysql://…``.
        retries: how often a question is asked again after a fault that passes.
        seconds: longest that it may take over a question, or over the next piece of its answer.
        one_moment: whether all that is read is of the moment of the first question, for as long as the
            connection lasts. Then one question is asked after the other.

    Raises:
        UsageError: the URL is none of these, or the driver is not installed.
    """

    def __init__(self, url: str, *, retries: int, seconds: float, one_moment: bool = False) -> None:
        self._url = _known(url)
        self._retries = retries
        self._seconds = seconds
        self._one_moment = one_moment
        self._held = ExitStack()
        self._connection: sa.Connection | None = None
        self.kind = "postgresql" if self._url.get_backend_name() == "postgresql" else "mysql"
        own = _CONNECTING[self.kind] | ({"read_timeout": seconds} if self.kind == "mysql" else {})
        own = {k: v for k, v in own.items() if k not in self._url.query}
        try:
            self.engine = sa.create_engine(
                self._url, connect_args=own, paramstyle="pyformat", pool_pre_ping=True
            )
        except ModuleNotFoundError as error:
            raise UsageError(
                f"Reading from {self._url.get_backend_name()} needs a driver that is not installed.",
                hint=f"Install it: pip install 'holdfast[{_EXTRAS[self._url.get_backend_name()]}]'",
            ) from error
        self._faults = (SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error)

    @property
    def place(self) -> str:
        """Which database this is, for people: the URL without password and options."""
        plain = self._url.set(drivername=self._url.get_backend_name(), password=None, query={})
        return plain.render_as_string()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, whose times are in UTC, and whose answers come in pieces."""
        if not self._one_moment:
            with self._reading() as connection:
                yield connection
            return
        if self._connection is None:
            self._connection = self._held.enter_context(self._reading(*_ONE_MOMENT[self.kind]))
        try:
            yield self._connection
        except BaseException:  # whatever it was, its transaction is of no use any more
            self._let_go()
            raise

    @contextmanager
    def _reading(self, *more: str) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            for statement in (*_READING[self.kind], *more):
                connection.exec_driver_sql(statement)
            if self.kind == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(1_000 * self._seconds)}")
            yield connection

    def _let_go(self) -> None:
        self._connection = None
        self._held.close()

    @contextmanager
    def streaming(self, connection: sa.Connection, asked: sa.ClauseElement) -> Iterator[Any]:
        """The driver's own cursor over an answer that comes in pieces: SQLAlchemy's rows take as long again.

        Hangs up if they are not read to their end: MySQL's driver would read on, even from a dead line.
        """
        compiled = asked.compile(dialect=self.engine.dialect)
        raw: Any = connection.connection.driver_connection
        if self.kind == "postgresql":
            cursor = raw.cursor("holdfast")
        else:
            from pymysql.cursors import SSCursor  # noqa: PLC0415 - an extra, which is there if the server is

            cursor = raw.cursor(SSCursor)
        try:
            cursor.execute(str(compiled), compiled.params)
            yield cursor
        except BaseException:
            connection.invalidate()
            if self.kind == "mysql":
                if cursor._result is not None:  # noqa: SLF001 - it has no other way to say so
                    cursor._result.unbuffered_active = False  # noqa: SLF001 - as above
                cursor.connection = None
            raise
        finally:
            cursor.close()

    def persistently(self, work: Callable[[], Iterable[T]], name: str) -> Iterator[T]:
        """What ``work`` gives; after a fault that passes, again from its start.

        Args:
            work: asks the database.
            name: of what is read, for errors.

        Raises:
            SourceError: a fault that lasts, or one that came back after the last try.
        """
        return persistently(
            work,
            retries=self._retries,
            faults=self._faults,
            passes=_passes,
            failed=lambda error, tries: self._failed(error, name, tries),
        )

    def close(self) -> None:
        """Let go of all connections."""
        self._let_go()
        self.engine.dispose()

    def _failed(self, error: Exception, name: str, tries: int) -> SourceError:
        cause = _cause(error)
        if self._url.password:
            cause = cause.replace(str(self._url.password), "***")
        hint = next((hint for sign, hint in _HINTS.items() if sign in cause.casefold()), None)
        often = f" after {tries} tries" if tries > 1 else ""
        return SourceError(f"The database failed{often}: {cause}.", where=name, hint=hint)


def _known(url: str) -> sa.URL:
    """The URL with the driver that we use."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UsageError("The database's URL cannot be read.", hint=_WRITE_A_URL) from error
    if parsed.drivername not in _DRIVERS:
        raise UsageError(f'Tables are not read from "{parsed.drivername}".', hint=_WRITE_A_URL)
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


def _passes(error: Exception) -> bool:
    """Whether the same question may succeed in a moment: no wrong password, table or syntax."""
    original = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None)
    if state:
        return str(state).startswith(_PASSING_STATES)
    said = str(original).casefold()
    if any(word in said for word in _LASTING_WORDS):
        return False
    code = original.args[0] if original.args else None
    if isinstance(code, int):
        return code in _PASSING_CODES
    return any(word in said for word in _PASSING_WORDS)


def _cause(error: Exception) -> str:
    """What the driver says, in one line."""
    original = getattr(error, "orig", None) or error
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    if primary is None and len(original.args) > 1 and isinstance(original.args[0], int):
        primary = original.args[1]  # MySQL: a code and a sentence
    said = str(primary or original).strip()
    return said.splitlines()[0].rstrip(".") if said else type(original).__name__


_WRITE_A_URL = "Set HOLDFAST_SOURCE_URL to postgresql://USER:PASSWORD@HOST:5432/NAME or mysql://USER:PASSWORD@HOST:3306/NAME."

_HINTS = {
    "connection refused": "Is it running there? Check host and port in HOLDFAST_SOURCE_URL.",
    "can't connect": "Is it running there? Check host and port in HOLDFAST_SOURCE_URL.",
    "statement timeout": "Raise HOLDFAST_SOURCE_SECONDS, or make a table of what it computes for so long.",
    "query (timed out)": "Raise HOLDFAST_SOURCE_SECONDS, or make a table of what it computes for so long.",
    "timeout expired": "It does not answer. Check host and port in HOLDFAST_SOURCE_URL.",
    "resolve host": "Check the host's name in HOLDFAST_SOURCE_URL.",
    "translate host name": "Check the host's name in HOLDFAST_SOURCE_URL.",
    "authentication failed": "Check user and password in HOLDFAST_SOURCE_URL.",
    "access denied": "Check user, password and rights of the user in HOLDFAST_SOURCE_URL.",
    "no password supplied": "Write the password into HOLDFAST_SOURCE_URL, or into a file of secrets.",
    "permission denied": "Let the user in HOLDFAST_SOURCE_URL read this table: GRANT SELECT ON … TO …",
    "command denied": "Let the user in HOLDFAST_SOURCE_URL read this table: GRANT SELECT ON … TO …",
    "function ": "Write the query with functions that PostgreSQL has, too, or take --engine duckdb.",
    "does not exist": "Check the names in HOLDFAST_SOURCE_URL.",
    "unknown database": "Check the database's name in HOLDFAST_SOURCE_URL.",
    "connection": "Nothing was kept of what had come. Try again when the database is back.",
}
"""What to do, by words of the driver's. The first that fits holds."""
