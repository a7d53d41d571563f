"""Runs a history's SQL in PostgreSQL, where its tables live.

All is one statement of sub-queries that only reads: nothing is made in the database, and it may be a standby.
A build sees one moment of the database from its first to its last row.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError

from holdfast.contract.history import ChurnEvent
from holdfast.errors import UsageError, nearest
from holdfast.history.clocks import chosen, instant, latest, start_of
from holdfast.history.engines.canonical import Scope, canonical_tables
from holdfast.history.engines.columns import Held, level
from holdfast.history.labels import labels_sql
from holdfast.history.problems import HistoryError
from holdfast.history.settle import literal, quoted
from holdfast.history.spans import bound_of
from holdfast.history.spine import spine_sql
from holdfast.history.translate import translated
from holdfast.sources.database import Database
from holdfast.sources.door import TABLE
from holdfast.sources.kinds import polars_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdfast.contract.history import History
    from holdfast.history.spans import Span
    from holdfast.settings import Settings

_SETTINGS = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET LOCAL jit = off",  # compiling hundreds of aggregates takes longer than they do
    "SET LOCAL enable_nestloop = off",  # how many rows a sub-query gives is anybody's guess
    "SET LOCAL work_mem = '64MB'",
)

PLAIN = {"no_parameters": True}
"""Of a statement without parameters, in whose names and values a % is one."""


class Postgres:
    """The tables of a history in the database that the settings name. Use it as a context manager.

    Args:
        history: the contract; the source of each of its tables is ``table:NAME``.
        settings: with the address of the database.

    Raises:
        UsageError: a table is no table of the database, or the settings name none of PostgreSQL.
    """

    def __init__(self, history: History, settings: Settings) -> None:
        elsewhere = [name for name, table in history.tables.items() if not table.source.startswith(TABLE)]
        if elsewhere:
            raise UsageError(
                f'Table "{elsewhere[0]}" is no table of a database: {history.tables[elsewhere[0]].source}.',
                hint=f'Write  source = "{TABLE}NAME"  in the contract, or take --engine duckdb.',
            )
        if settings.source_url is None:
            raise UsageError(
                "The settings do not say in which database the tables are.",
                hint="Set HOLDFAST_SOURCE_URL, such as postgresql://USER:PASSWORD@HOST:5432/NAME",
            )
        self.history = history
        self.database = Database(
            settings.source_url.get_secret_value(),
            retries=settings.source_retries,
            seconds=settings.source_seconds,
        )
        if self.database.kind != "postgresql":
            raise UsageError(
                f"Features are not built in {self.database.place}, but in PostgreSQL alone.",
                hint="Take --engine duckdb, which reads the tables from there.",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        self.database.close()

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """One moment of the database. Faults are the driver's own: `holdfast.sources.database.Database`."""
        with self.database.reading() as connection:
            for statement in _SETTINGS:
                connection.exec_driver_sql(statement)
            yield Reading(self.history, self.database, connection)


class Reading:
    """One moment of the database.

    Attributes:
        held: the tables as they are there, by the contract's names.
        bound: what is at or after it is in the future (naive UTC).
        now: nothing is known after it (naive UTC).

    Raises:
        HistoryError: there is no such table.
    """

    def __init__(self, history: History, database: Database, connection: sa.Connection) -> None:
        self._history = history
        self._database = database
        self._connection = connection
        self.held = held_tables(history, database, connection)
        self.now = datetime.now(UTC).replace(tzinfo=None)
        self.bound = bound_of(history, self.now)

    def scope(self, first: str | None = None, before: str | None = None) -> Scope:
        """Everybody, or the customers from ``first`` on and before ``before``."""
        bounds = [f" >= {literal(first)}"] if first is not None else []
        bounds += [f" < {literal(before)}"] if before is not None else []

        def within(customer: str) -> str:
            return " AND ".join(f"{customer}{bound}" for bound in bounds)

        by_contract = self._history.clock.until is not None
        return Scope(
            instant(self.bound), instant(self.now), within if bounds else None, by_contract=by_contract
        )

    def canonical(self, scope: Scope) -> list[tuple[str, str]]:
        """The canonical tables as sub-queries."""
        return list(canonical_tables(self._history, self.held, scope))

    def counts(self) -> dict[str, dict[str | None, int]]:
        """Of each table, how many rows are rejected for which reason; for none, how many are kept."""
        parts = [
            f"SELECT {literal(name)} AS name, _why, count(*) FROM _{name}_judged GROUP BY _why"
            for name in self._history.tables
        ]
        found: dict[str, dict[str | None, int]] = {name: {} for name in self._history.tables}
        for name, why, rows in self.rows(
            with_queries(self.canonical(self.scope()), " UNION ALL ".join(parts))
        ):
            found[name][why] = rows
        return found

    def spans(self) -> dict[str, Span]:
        """First and last time of each table, and when its last row became known."""
        parts = [
            f"SELECT {literal(name)} AS name, min({start_of(table)}), max({start_of(table)}), max(_known) "
            f"FROM {quoted(name)}"
            for name, table in self._history.tables.items()
        ]
        rows = self.rows(with_queries(self.canonical(self.scope()), " UNION ALL ".join(parts)))
        return {name: (first, last, known) for name, first, last, known in rows}

    def first_left(self) -> datetime | None:
        """When leaving began to be recorded, as `holdfast.history.settle.Settler.first_left`."""
        churn = self._history.churn
        if churn.event is ChurnEvent.INACTIVITY:
            return None
        table = self._history.tables[churn.table]
        left, where = "_end", latest(table, "t")
        if churn.event is ChurnEvent.CANCELLATION:
            left, where = "_time", f"{where} AND {chosen(table, churn, 't')}"
        query = (
            f"SELECT percentile_disc(0.01) WITHIN GROUP (ORDER BY t.{left}) "
            f"FROM {quoted(churn.table)} AS t WHERE {where}"
        )
        left_at: datetime | None
        [(left_at,)] = self.rows(with_queries(self.canonical(self.scope()), query))
        return left_at

    def edges(self, pieces: int) -> list[str]:
        """Customers that part the rows of the largest table into so many pieces, about equal ones."""
        estimates = {
            name: self.rows(f"SELECT reltuples FROM pg_class WHERE oid = {literal(held.name)}::regclass")
            for name, held in self.held.items()
        }
        largest = max(estimates, key=lambda name: estimates[name][0][0])
        shares = ", ".join(repr(piece / pieces) for piece in range(1, pieces))
        held, table = self.held[largest], self._history.tables[largest]
        customer = level(held, table.customer)
        [(found,)] = self.rows(
            f"SELECT percentile_disc(ARRAY[{shares}]) WITHIN GROUP (ORDER BY {customer}) "
            f"FROM {held.name} AS t"
        )
        return sorted({edge for edge in found or [] if edge is not None})

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return [tuple(row) for row in self._connection.exec_driver_sql(sql, execution_options=PLAIN)]

    def batches(self, sql: str, schema: Mapping[str, pl.DataType], rows: int) -> Iterator[pl.DataFrame]:
        """The rows of a query, so many at a time."""
        raw: Any = self._connection.connection.driver_connection
        with raw.cursor("holdfast_build", binary=True) as cursor:
            cursor.execute(sql)
            while piece := cursor.fetchmany(rows):
                yield pl.DataFrame(piece, schema=dict(schema), orient="row")


def queries(
    history: History, canonical: Sequence[tuple[str, str]], moments: str, *, until: datetime | None = None
) -> list[tuple[str, str]]:
    """The canonical tables, ``moments``, ``spine``, and ``labels`` if it is said up to when all is known."""
    found = [*canonical, ("moments", moments), ("spine", translated(spine_sql(history), "postgres"))]
    if until is not None:
        found.append(("labels", translated(labels_sql(history, until), "postgres")))
    return found


def with_queries(named: Sequence[tuple[str, str]], query: str) -> str:
    """A query over named sub-queries."""
    return "WITH " + ",\n".join(f"{name} AS (\n{text}\n)" for name, text in named) + f"\n{query}"


def moments_sql(looks: pl.DataFrame) -> str:
    """The table of moments as SQL."""
    rows = [
        ", ".join("CAST(NULL AS TIMESTAMP)" if one is None else instant(one) for one in row)
        for row in looks.iter_rows()
    ]
    return f"SELECT * FROM (VALUES ({'), ('.join(rows)})) AS m({', '.join(looks.columns)})"


def held_tables(history: History, database: Database, connection: sa.Connection) -> dict[str, Held]:
    """The history's tables as the database describes them.

    Raises:
        HistoryError: there is no such table.
    """
    return {
        name: _held(table.source.removeprefix(TABLE), database, connection)
        for name, table in history.tables.items()
    }


def _held(source: str, database: Database, connection: sa.Connection) -> Held:
    """A table as the database describes it."""
    schema, _, name = source.rpartition(".")
    place = f"table {source} of {database.place}"
    inspector = sa.inspect(connection)
    try:
        columns = inspector.get_columns(name, schema=schema or None)
    except NoSuchTableError as error:
        known = [*inspector.get_table_names(), *inspector.get_view_names()]
        raise HistoryError("There is no such table.", where=place, hint=nearest(name, known)) from error
    preparer = database.engine.dialect.identifier_preparer
    full = preparer.format_table(sa.table(name, schema=schema or None)).replace("%%", "%")  # as in `PLAIN`
    kind = connection.execute(
        sa.text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:name)"), {"name": full}
    ).scalar()
    order = {"r": "t.ctid", "m": "t.ctid", "p": "(t.tableoid, t.ctid)"}.get(str(kind), "t::text")
    named = {column["name"].strip(): column for column in columns}
    return Held(
        name=full,
        place=place,
        types={column: polars_type(told["type"], "postgresql") for column, told in named.items()},
        spelt={column: told["name"] for column, told in named.items()},
        numeric=frozenset(
            n
            for n, told in named.items()
            if isinstance(_base(told["type"]), sa.Numeric | sa.Float | sa.Integer)
        ),
        order=order,
    )


def _base(held: Any) -> Any:
    """The type under a domain."""
    return _base(held.data_type) if hasattr(held, "data_type") else held
