"""A table of PostgreSQL, MySQL or MariaDB."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa
from pyarrow import parquet
from sqlalchemy.exc import NoSuchTableError

from holdfast.errors import nearest
from holdfast.sources.database import Database
from holdfast.sources.kinds import as_text, in_sql, polars_type, typed
from holdfast.sources.problems import NoFileError, SourceError, check_columns
from holdfast.sources.source import Source, copies

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from holdfast.sources.source import Asked

PIECE_ROWS = 20_000
"""Rows that are on their way at one time."""


class SqlPart:
    """A table, or a view, of a database; see `holdfast.sources.source.Part`.

    Args:
        database: where.
        table: its name, after that of its schema and a point if it is not in the one that the user looks in.
    """

    size = 1

    def __init__(self, database: Database, table: str) -> None:
        self._database = database
        schema, _, self._name = table.rpartition(".")
        self._schema = schema or None
        self.name = f"table {table} of {database.place}"

    @cached_property
    def _table(self) -> sa.TableClause:
        """The table with its columns, as the database describes them."""
        [found] = self._database.persistently(lambda: [self._reflected()], self.name)
        if found is None:
            known = _tables(self._database)
            raise NoFileError("There is no such table.", where=self.name, hint=nearest(self._name, known))
        names = [column["name"].strip() for column in found]
        check_columns(self.name, names)
        columns = (sa.column(column["name"], column["type"]) for column in found)
        return sa.table(self._name, *columns, schema=self._schema)

    def _reflected(self) -> list[Any] | None:
        with self._database.reading() as connection, warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", sa.exc.SAWarning
            )  # types that SQLAlchemy does not know come as text
            try:
                return sa.inspect(connection).get_columns(self._name, schema=self._schema)
            except NoSuchTableError:
                return None

    def schema(self) -> pl.Schema:
        """See `Part`; which type becomes which is said in docs/sources.md."""
        kind = self._database.kind
        return pl.Schema({c.name.strip(): polars_type(c.type, kind) for c in self._table.columns})

    def rows(self) -> int | None:
        """See `Part`: what the database reckons."""
        if self._database.kind == "postgresql":
            quoted = self._database.engine.dialect.identifier_preparer.format_table(self._table)
            asked = sa.text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)")
            asked = asked.bindparams(name=quoted)
        else:
            asked = sa.text(
                "SELECT table_rows FROM information_schema.tables "
                "WHERE table_schema = coalesce(:schema, database()) AND table_name = :name"
            ).bindparams(schema=self._schema, name=self._name)
        [found] = self._database.persistently(lambda: [self._one(asked)], self.name)
        return None if found is None or found < 0 else int(found)  # -1: never counted

    def _one(self, asked: sa.TextClause) -> Any:
        with self._database.reading() as connection:
            return connection.execute(asked).scalar()

    def stamp(self) -> None:
        """See `Part`: only reading would tell."""

    def near(self, asked: Asked) -> Generator[float | Path, None, None]:
        """See `Part`: a copy in Parquet, of one moment; whole, or none."""
        with copies(self.name) as folder:
            path = folder / "table.parquet"
            yield from self._database.persistently(lambda: self._copy(path, asked), self.name)
            yield path

    def _copy(self, path: Path, asked: Asked) -> Iterator[float]:
        kind, schema = self._database.kind, self.schema()
        columns = {c.name.strip(): c for c in self._table.columns if c.name.strip() in asked.columns}
        chosen = sa.select(*(as_text(c, kind).label(f"c{n}") for n, c in enumerate(columns.values())))
        chosen = chosen.select_from(self._table)
        for one in asked.where:
            pushed = in_sql(one, columns[one.column], schema[one.column], kind)
            chosen = chosen if pushed is None else chosen.where(pushed)
        if asked.limit is not None and not asked.where:
            chosen = chosen.limit(asked.limit)
        texts = dict.fromkeys(columns, pl.String())
        expected, done = asked.limit or self.rows(), 0
        arrow = pl.DataFrame(schema={name: schema[name] for name in columns}).to_arrow().schema
        with (
            parquet.ParquetWriter(path, arrow, compression="lz4") as writer,
            self._database.reading() as connection,
            self._database.streaming(connection, chosen) as cursor,
        ):
            while piece := cursor.fetchmany(PIECE_ROWS):
                frame = typed(pl.DataFrame(piece, schema=texts, orient="row"), schema)
                writer.write_table(frame.to_arrow().cast(arrow))
                done += len(piece)
                yield min(1.0, done / (expected or done + 10 * PIECE_ROWS))


def sql_source(database: Database, table: str, *, close: bool) -> Source:
    """A table of a database, which is closed with it if ``close``."""
    part = SqlPart(database, table)
    return Source(part.name, lambda: [part], database.close if close else None)


def tables_at(url: str, *, retries: int, seconds: float) -> list[str]:
    """Names of the tables of a database that its user sees first; if there are none, of the views.

    Raises:
        SourceError: it cannot be asked, or there are none.
        UsageError: the URL is none that is known, or its driver is not installed.
    """
    database = Database(url, retries=retries, seconds=seconds)
    try:
        found = _tables(database)
    finally:
        database.close()
    if not found:
        raise SourceError(
            "The database holds no table that this user sees.",
            where=database.place,
            hint="Let the user read tables, or name one of another schema as table:SCHEMA.NAME",
        )
    return found


def _tables(database: Database) -> list[str]:
    def asked() -> list[list[str]]:
        with database.reading() as connection:
            inspector = sa.inspect(connection)
            return [inspector.get_table_names() or inspector.get_view_names()]

    [names] = database.persistently(asked, database.place)
    return sorted(names)
