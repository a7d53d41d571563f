"""A user's own features: one SQL query each, over what was known at ``:as_of``.

A query is one SELECT (DuckDB's dialect) that gives the columns ``customer`` and ``value``, at most one row a
customer. Its tables are the contract's, with the contract's own column names; they show only what had
happened before ``:as_of`` and was known by then, of the customers asked about. ``:as_of`` and ``:w30`` (30
days before it, by the wall clock; one for each window of the contract) are moments in UTC, as are all times.

`holdfast.history.own_checks` refuses what must not be before anything runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from holdfast.contract.types import Kind
from holdfast.history.clocks import instant, visible
from holdfast.history.feature import HistoryFeature
from holdfast.history.own_alike import insist_alike
from holdfast.history.own_checks import checked
from holdfast.history.own_tables import bound
from holdfast.history.own_text import QueryError, read
from holdfast.history.own_types import kind_of_value, sql_type
from holdfast.history.problems import HistoryError
from holdfast.history.rows import name_that_clashes
from holdfast.history.settle import quoted
from holdfast.history.translate import as_in_duckdb, translated, written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from holdfast.contract.history import History


def own_features(history: History) -> list[HistoryFeature]:
    """The user's own features, their queries checked.

    Raises:
        QueryError: a query cannot be used; ``where`` names its file and line.
        HistoryError: a table has columns that SQL cannot tell apart.
    """
    for name in history.tables if history.features else ():
        wrong = name_that_clashes(column for column in shown_columns(history, name) if column[:1] != "_")
        if wrong is not None:
            what, column, hint = wrong
            raise HistoryError(f'Table "{name}" {what}.', where=f"table {name}, column {column}", hint=hint)
    return [_feature(history, name, text) for name, text in history.features.items()]


def own_sql(
    history: History,
    feature: HistoryFeature,
    looks: Sequence[Mapping[str, datetime]],
    *,
    dialect: str = "duckdb",
    spine: str = "spine",
) -> str:
    """The query that gives ``_customer``, ``as_of`` and ``value`` of a user's feature for each moment.

    Args:
        history: the contract.
        feature: one of `own_features`.
        looks: rows of `holdfast.history.moments.moments`: ``as_of``, ``w7``, …, naive UTC.
        dialect: ``duckdb``, ``postgres`` or ``spark``.
        spine: name of the table of (_customer, as_of): whose rows the query sees.

    Raises:
        QueryError: it is not known to give in that dialect's engine what it gives in DuckDB.
    """
    place = history.files.get(feature.name, f"[features], {feature.name}")
    if dialect != "duckdb":
        insist_alike(str(feature.query), dialect, place, shown_types(history))
    query = as_in_duckdb(bound(read(str(feature.query), place), history.tables), dialect)
    kind = {Kind.INTEGER: "BIGINT", Kind.BOOLEAN: "BOOLEAN", Kind.CATEGORY: "TEXT"}.get(
        feature.kind, "DOUBLE"
    )
    value = f"CAST(q.value AS {kind})"
    if kind == "DOUBLE":  # neither infinite nor no number
        value = f"CASE WHEN {value} BETWEEN -1.7e308 AND 1.7e308 THEN {value} END"
    each = [
        f"SELECT CAST(q.customer AS TEXT) AS _customer, {instant(look['as_of'])} AS as_of, {value} AS value "
        f"FROM ({_filled(history, query, look, spine, dialect)}) AS q WHERE q.customer IS NOT NULL"
        for look in looks
    ]
    return translated(" UNION ALL ".join(each), dialect)


def shown_columns(history: History, name: str) -> dict[str, str]:
    """What a query sees of a table: the contract's name of each column to its canonical one."""
    table = history.tables[name]
    cause = history.churn.cause if history.churn.table == name else None
    clocks = {
        table.customer: "_customer",
        table.time: "_time",
        table.begin: "_begin",
        table.end: "_end",
        table.known: "_known",
    }
    return {column: canonical for column, canonical in clocks.items() if column is not None} | {
        column: column for column, told in table.columns.items() if not told.exclude and column != cause
    }


def _feature(history: History, name: str, text: str) -> HistoryFeature:
    place = history.files.get(name, f"[features], {name}")
    query = checked(history, text, place)
    kind = kind_of_value(shown_types(history), query, place, QueryError)
    said = [line.strip().removeprefix("--").strip() for line in text.strip().splitlines()]
    comments = [
        line
        for line, raw in zip(said, text.strip().splitlines(), strict=True)
        if raw.strip().startswith("--")
    ]
    return HistoryFeature(name, None, kind, "", " ".join(comments) or "Your own query.", query=text)


def shown_types(history: History) -> dict[str, dict[str, str]]:
    """The tables as queries see them: the type of each column, in DuckDB."""
    return {
        name: {
            column: "VARCHAR"
            if canonical == "_customer"
            else "TIMESTAMP"
            if canonical != column
            else sql_type(table.columns[column].kind)
            for column, canonical in shown_columns(history, name).items()
        }
        for name, table in history.tables.items()
    }


def _filled(history: History, query: exp.Expr, look: Mapping[str, datetime], spine: str, dialect: str) -> str:
    """The query over its tables as they were known at a moment, and its parameters filled in.

    The tables are named sub-queries around it, so that their names mean nothing else in it, wherever they
    stand.
    """
    as_of = instant(look["as_of"])
    # Spark looks into sub-queries anyhow; the others would work them out for everybody where two read them.
    how = "" if dialect == "spark" else "NOT MATERIALIZED "
    known = ", ".join(
        f"{quoted(written(name, dialect))} AS {how}({_known_rows(history, name, as_of, spine, dialect)})"
        for name in history.tables
    )

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Placeholder):
            return sqlglot.parse_one(instant(look[node.name]), read="duckdb")
        return node

    return f"WITH {known} SELECT * FROM ({query.transform(fill).sql(dialect='duckdb')}) AS given"


def _known_rows(history: History, name: str, as_of: str, spine: str, dialect: str) -> str:
    table = history.tables[name]
    columns = [
        f"{_masked(canonical, as_of)} AS {quoted(written(column, dialect))}"
        for column, canonical in shown_columns(history, name).items()
    ]
    return (
        f"SELECT {', '.join(columns)} FROM {quoted(name)} AS e WHERE {visible(table, 'e', as_of)} "
        f"AND e._customer IN (SELECT s._customer FROM {spine} AS s WHERE s.as_of = {as_of})"
    )


def _masked(canonical: str, as_of: str) -> str:
    if canonical == "_end":  # an end that is not yet past is not known
        return f"CASE WHEN e._end < {as_of} THEN e._end END"
    return f"e.{quoted(canonical)}"
