"""The indexes by which PostgreSQL finds one customer's rows at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.history.engines.columns import level
from holdfast.history.engines.postgres import PLAIN, Postgres, held_tables
from holdfast.history.feature import named
from holdfast.history.settle import literal, quoted
from holdfast.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from holdfast.contract.history import History
    from holdfast.history.engines.columns import Held
    from holdfast.progress import Progress
    from holdfast.settings import Settings


@dataclass(frozen=True)
class Index:
    """An index that live features need.

    Attributes:
        name: of the index.
        table: the contract's name of the table.
        sql: the statement that makes it, without holding up anybody who writes.
        there: whether the database has it, ready to be used.
    """

    name: str
    table: str
    sql: str
    there: bool


def propose_indexes(history: History, settings: Settings) -> list[Index]:
    """The indexes for a history's tables: on the customer, and on the id where rows are versions.

    They are of the text that ids are compared as, so that ``"17 "`` in one table is ``17`` in another. A view
    is left out: what it reads may have indexes of its own.

    Raises:
        UsageError: the tables are not in PostgreSQL.
        SourceError: the database failed.
    """
    with Postgres(history, settings) as postgres:
        database = postgres.database

        def ask() -> Iterator[list[Index]]:
            with database.reading() as connection:
                held = held_tables(history, database, connection)
                yield [
                    index for name in history.tables for index in _of(history, name, held[name], connection)
                ]

        [found] = database.persistently(ask, f"the tables of {database.place}")
        return found


def make_indexes(
    history: History, settings: Settings, found: list[Index], progress: Progress | None = None
) -> list[Index]:
    """Make those that are not there, one after the other, while the tables are in use; says which were made.

    One that an earlier try left unfinished is made anew. Afterwards the planner looks at the tables again.

    Raises:
        SourceError: the database failed, or its user may not do so; what was made before stays.
    """
    shown = progress or NullProgress()
    missing = [index for index in found if not index.there]
    shown.start("Making indexes", len(missing) or 1)
    with Postgres(history, settings) as postgres:
        database = postgres.database
        for index in missing:

            def make(index: Index = index) -> Iterator[None]:
                with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    held = held_tables(history, database, connection)[index.table]
                    schema = held.name.rpartition(".")[0]
                    gone = f"{schema}.{quoted(index.name)}" if schema else quoted(index.name)
                    for statement in (
                        f"DROP INDEX CONCURRENTLY IF EXISTS {gone}",
                        index.sql,
                        f"ANALYZE {held.name}",
                    ):
                        connection.exec_driver_sql(statement, execution_options=PLAIN)
                yield None

            list(database.persistently(make, f"index {index.name} of {database.place}"))
            shown.advance()
    return missing


def _of(history: History, name: str, held: Held, connection: sa.Connection) -> Iterator[Index]:
    if not held.order.startswith(("t.", "(t.")):  # a view
        return
    table, bare = history.tables[name], replace(held, alias="")
    keys = {"customer": table.customer} | ({"id": table.id} if table.id is not None else {})
    for word, column in keys.items():
        key = level(bare, column)
        # Of another text an index is of no use, so the name says of which it is.
        index = named("holdfast", name, word, hashlib.sha256(key.encode()).hexdigest()[:6])
        asked = (
            "SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
            f"WHERE i.indrelid = {literal(held.name)}::regclass AND c.relname = {literal(index)} "
            "AND i.indisvalid"
        )
        there = bool(connection.exec_driver_sql(asked, execution_options=PLAIN).scalar())
        sql = f"CREATE INDEX CONCURRENTLY {quoted(index)} ON {held.name} (({key}))"
        yield Index(index, name, sql, there)
