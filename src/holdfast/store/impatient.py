"""A connection for a thread that writes all the time, and whose askers cannot wait long for a failure."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from holdfast.store.engine import _WRITES, StoreError, _translated, engine

if TYPE_CHECKING:
    from collections.abc import Iterator


class RefusedError(StoreError):
    """The database is well, but does not take these values."""

    code = "refused"


class SteadyWriter:
    """One connection that stays open from one transaction to the next. For one thread.

    Args:
        opened: an engine, such as `impatient` makes.
    """

    def __init__(self, opened: sa.Engine) -> None:
        self._engine = opened
        self._connection: sa.Connection | None = None

    @contextmanager
    def writing(self, *, one_statement: bool = False) -> Iterator[sa.Connection]:
        """A transaction that writes, as `holdfast.store.writing`.

        Args:
            one_statement: whether it will be no more than that. PostgreSQL makes one statement a transaction
                by itself, so that only one message goes there and back instead of three.

        Raises:
            RefusedError: a value cannot be stored; nothing was.
            StoreError: the database failed. If it did so at the end, all may be stored nevertheless.
        """
        try:
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(**{_WRITES: True})
            with _unframed(self._connection, one_statement), self._connection.begin():
                yield self._connection
        except (DataError, IntegrityError) as error:
            refused = _translated(error, self._engine)
            raise RefusedError(refused.message, where=refused.where) from error
        except (ValueError, TypeError, OverflowError) as error:  # what drivers say of a strange value
            raise RefusedError(f"A value cannot be stored: {type(error).__name__}.") from error
        except SQLAlchemyError as error:
            self.close()
            raise _translated(error, self._engine) from error

    def close(self) -> None:
        """Let go of the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()  # nobody else should be given what may be broken
            with suppress(SQLAlchemyError):
                connection.close()


@contextmanager
def _unframed(connection: sa.Connection, wanted: bool) -> Iterator[None]:  # noqa: FBT001 - the one fact it turns on
    """The driver sends no BEGIN and COMMIT of its own."""
    if not wanted or connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.autocommit = True
    try:
        yield
    finally:
        if not driver.closed:
            driver.autocommit = False


def impatient(opened: sa.Engine, seconds: float) -> sa.Engine:
    """Another engine for the same database, whose every step fails after ``seconds`` at the latest.

    On SQLite that holds for waiting until others have written; a disk that hangs cannot be left.
    """
    made = engine(opened.url.render_as_string(hide_password=False))
    postgres = made.dialect.name == "postgresql"

    def connect(_dialect: sa.Dialect, _record: Any, words: Any, settings: dict[str, Any]) -> Any:
        if not postgres:
            settings["timeout"] = seconds
            return None  # go on as usual
        settings["connect_timeout"] = max(2, int(seconds))  # the driver knows no less
        connection = _impatient_connection().connect(*words, **settings)
        connection.patience = seconds
        return connection

    sa.event.listen(made, "do_connect", connect)
    return made


@cache
def _impatient_connection() -> Any:
    """A class of psycopg connections that wait for the server so long and no longer.

    A server that is gone without a word, or a network that swallows all, would otherwise be waited for until
    TCP gives up; `statement_timeout` helps only as long as the server is there to observe it.
    """
    import psycopg  # noqa: PLC0415 - the extra may be missing where SQLite is used

    class Impatient(psycopg.Connection[Any]):
        patience: float | None = None

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, timeout or self.patience)
            except psycopg.OperationalError:
                # If time ran out, the server may yet answer a question that nobody waits for any more.
                self.pgconn.finish()
                raise

    return Impatient
