"""What each table that a user's query names is: one of the contract's, or a sub-query of its own WITH.

Engines do not care for the case of names, and a name stands for a sub-query only where that is in scope: in
what comes after it in the same WITH, and in the query that the WITH belongs to. Elsewhere, and within the
sub-query itself, the same name would be a table of the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from holdfast.contract.history import RESERVED
from holdfast.errors import nearest
from holdfast.history.own_text import QueryError, at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ANSWERED = frozenset({
    "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
    "current_user", "localtime", "localtimestamp", "session_user", "user",
})  # fmt: skip
"""Names that engines answer themselves where no column has them; PostgreSQL does unless they are quoted."""

_THEIRS = ("_", "pg_", "duckdb_", "pragma_", "sqlite_", "information_schema")
"""How names of Holdfast's and of the engines' own tables begin."""

_ROWS_FROM = (exp.Unnest, exp.Explode, exp.Lateral, exp.Columns, exp.Pivot)
_QUERIES = (exp.Select, exp.SetOperation, exp.Subquery)
_READ = {exp.From: (exp.Table, exp.Subquery, exp.Values), exp.CTE: _QUERIES,
         exp.Join: (exp.Table, exp.Subquery, exp.Values), exp.Subquery: (*_QUERIES, exp.Table)}  # fmt: skip
"""What each of these may read."""


def insist_tables(query: exp.Select, tables: Iterable[str], text: str, place: str) -> None:
    """Refuse every table that is neither the contract's nor a sub-query in scope.

    Args:
        query: as read.
        tables: the names of the contract's.
        text: as the user wrote it.
        place: its file.

    Raises:
        QueryError: there is such a table, or a name that could be mistaken for one.
    """
    tables = list(tables)
    _insist_names(query, {name.casefold() for name in tables}, text, place)
    other = query.find(*_ROWS_FROM)
    if other is not None:
        raise QueryError(
            f"The query makes rows with {other.sql('duckdb')}.",
            where=place,
            hint="Read the contract's tables alone.",
        )
    for one in query.find_all(*_READ):
        if not isinstance(one.this, _READ[type(one)]):
            raise QueryError(
                f"The query reads from {one.this.sql('duckdb')}; a feature reads the contract's tables.",
                where=place,
                hint=nearest("", tables),
            )
    for table, meant in _meant(query, tables):
        _insist_known(table, meant, tables, text, place)


def bound(query: exp.Select, tables: Iterable[str]) -> exp.Select:
    """The query with each table under the name that it was given, spelled and quoted as there.

    PostgreSQL tells ``"Paid"`` from ``Paid``, and would look for a table where DuckDB sees the sub-query.

    Args:
        query: one that `insist_tables` let pass.
        tables: the names of the contract's.
    """
    found = query.copy()
    for cte in found.find_all(exp.CTE):
        cte.args["alias"].this.set("quoted", True)  # noqa: FBT003 - SQLGlot's own way
    for table, meant in list(_meant(found, tables)):
        if meant is None:
            raise AssertionError(table)
        if not table.alias:
            table.set("alias", exp.TableAlias(this=table.this))
        table.set("this", meant.copy())
    for column in found.find_all(exp.Column):
        if column.name.casefold() in ANSWERED:
            column.this.set("quoted", True)  # noqa: FBT003 - as above
    return found


def _meant(query: exp.Select, tables: Iterable[str]) -> Iterator[tuple[exp.Table, exp.Identifier | None]]:
    """Each mention of a table with the name that it stands for; none if there is nothing of that name."""
    known = {name.casefold(): exp.to_identifier(name, quoted=True) for name in tables}
    for table in query.find_all(exp.Table):
        own = {cte.alias.casefold(): cte.args["alias"].this for cte in _in_scope(table)}
        yield table, (known | own).get(table.name.casefold())


def _in_scope(table: exp.Table) -> Iterator[exp.CTE]:
    """The sub-queries by name that a table may be."""
    below: exp.Expr = table
    above = table.parent
    while above is not None:
        if isinstance(above, exp.With):  # below is one of its sub-queries: those before it
            yield from above.expressions[: below.index]
        else:
            named = above.args.get("with_")
            if named is not None and named is not below:
                yield from named.expressions
        below, above = above, above.parent


def _insist_names(query: exp.Select, tables: set[str], text: str, place: str) -> None:
    """Refuse a sub-query's name that means something already."""
    seen: set[str] = set()
    for cte in query.find_all(exp.CTE):
        name = cte.alias.casefold()
        taken = (
            "is a table of the contract already"
            if name in tables
            else "is a name of Holdfast's or of an engine's own"
            if name in RESERVED or name.startswith(_THEIRS)
            else "is the name of two sub-queries"
            if name in seen
            else None
        )
        if taken is not None:
            raise QueryError(
                f'"{cte.alias}" {taken}.', where=at(place, text, cte.alias), hint="Name it otherwise."
            )
        seen.add(name)


def _insist_known(
    table: exp.Table, meant: exp.Identifier | None, tables: list[str], text: str, place: str
) -> None:
    if not isinstance(table.this, exp.Identifier):
        word = table.this.sql("duckdb") if table.this else table.sql("duckdb")
        raise QueryError(
            f"The query reads from {word}; a feature reads the contract's tables alone.",
            where=at(place, text, word.partition("(")[0]),
            hint=nearest(word, tables),
        )
    if table.db or table.catalog or meant is None:
        whole = ".".join(part.sql("duckdb") for part in table.parts)
        raise QueryError(
            f"The query reads {whole}, which is no table of the contract.",
            where=at(place, text, table.name),
            hint=nearest(table.name, tables),
        )
    more = {name for name, value in table.args.items() if value} - {"this", "alias", "joins"}
    if more:
        raise QueryError(
            f"The query reads {table.sql('duckdb')}; the name of a table is all that may stand there.",
            where=at(place, text, table.name),
            hint="Read the whole table.",
        )
    if table.alias_column_names and meant.name in tables:
        raise QueryError(
            f"The query renames the columns of {meant.name} by their order, which a contract does not have.",
            where=at(place, text, table.name),
            hint="Use the column names of the contract.",
        )
