"""Features as SQL under two clocks, written once in DuckDB's dialect and translated by SQLGlot.

Of each table, a row counts for (customer, as_of) if it had happened before as_of, was known by then and had
not been replaced by a version known by then; an end that was not yet past is not there. Each table is
aggregated to (customer, as_of) before it is joined to the spine, so no join multiplies rows, and a customer
without rows stays, with counts of zero and the rest missing.

The text reads the tables of the contract in their canonical form (`holdfast.history.prepare`), the table
``moments`` (`holdfast.history.moments`) and a spine with ``_customer`` and ``as_of``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.contract.history import TableKind
from holdfast.contract.types import Kind
from holdfast.history.catalogue import catalogue, source
from holdfast.history.clocks import visible
from holdfast.history.expressions import days_between, number_columns, steps
from holdfast.history.of_events import failed
from holdfast.history.of_peers import PEERS, peers_sql, with_peers
from holdfast.history.settle import literal, quoted
from holdfast.history.translate import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.contract.history import History
    from holdfast.history.feature import HistoryFeature, Input, Source

_KEYS = "_customer, as_of"
_GROUP = "PARTITION BY s._customer, s.as_of"


def features_sql(
    history: History,
    *,
    dialect: str = "duckdb",
    spine: str = "spine",
    features: Sequence[HistoryFeature] | None = None,
    peers_made: bool = False,
) -> str:
    """One query that gives ``_customer``, ``as_of`` and a column a feature: a row for each row of the spine.

    Args:
        history: the contract.
        dialect: ``duckdb``, ``postgres`` or ``spark``.
        spine: name of the table of (_customer, as_of).
        features: which; all that are generated from tables unless given. Users' own queries are left out:
            they need the moments themselves (`holdfast.history.own.own_sql`).
        peers_made: whether the table of medians is there (`holdfast.history.of_peers`); the query makes it,
            unless it is.
    """
    wanted = [one for one in (catalogue(history) if features is None else features) if one.table is not None]
    tables = [name for name in history.tables if any(one.table == name for one in wanted)]
    steps_ = [
        step
        for name in tables
        for step in _table_steps(history, name, [f for f in wanted if f.table == name], spine)
    ]
    beside = with_peers(wanted)
    if beside and not peers_made:
        steps_.insert(0, (PEERS, peers_sql(history, beside)))
    columns = ["s._customer", "s.as_of", *(_column(one) for one in wanted)]
    joins = [
        f"LEFT JOIN _{name} ON _{name}._customer = s._customer AND _{name}.as_of = s.as_of" for name in tables
    ]
    parts = ",\n".join(f"{name} AS (\n{text}\n)" for name, text in steps_)
    head = f"WITH {parts}\n" if steps_ else ""
    query = f"{head}SELECT {', '.join(columns)}\nFROM {spine} AS s\n" + "\n".join(joins)
    return translated(query, dialect)


def feature_sql(history: History, feature: HistoryFeature, *, dialect: str = "duckdb") -> str:
    """The query of one feature, to be read; of a user's own, that query as it was written."""
    if feature.query is not None:
        if dialect == "duckdb":
            return feature.query.strip()
        return re.sub(r"%\((\w+)\)s", r":\1", translated(feature.query, dialect))
    return features_sql(history, dialect=dialect, features=[feature])


def _column(feature: HistoryFeature) -> str:
    column = f"_{feature.table}.{quoted(feature.name)}"
    if feature.empty is not None:
        column = f"COALESCE({column}, {feature.empty})"
    return f"{column} AS {quoted(feature.name)}"


def _table_steps(
    history: History, name: str, features: list[HistoryFeature], spine: str
) -> list[tuple[str, str]]:
    """The named sub-queries that aggregate one table, the last of which is called ``_NAME``."""
    parts = {part.name: part for feature in features for part in feature.parts}
    found: list[tuple[str, str]] = []
    sums = []
    rows = _ROWS[history.tables[name].kind](source(history, name))
    for stage in ("seen", "ordered"):
        some = [part for part in parts.values() if part.stage == stage]
        if not some:
            continue
        used = set(re.findall(r"\w+", " ".join(part.sql for part in some)))
        step = f"__{name}_{stage}"  # with one _ it could be the last step of a table NAME_seen
        found.append((step, _rows_sql(history, rows, used, spine, ordered=stage == "ordered")))
        aggregates = ",\n  ".join(f"{part.sql} AS {part.name}" for part in some)
        sums.append(f"{step}_sums")
        found.append((sums[-1], f"SELECT {_KEYS},\n  {aggregates}\nFROM {step}\nGROUP BY {_KEYS}"))
    values = ",\n  ".join(f"{feature.value} AS {quoted(feature.name)}" for feature in features)
    joined = sums[0] + "".join(f"\nJOIN {other} USING ({_KEYS})" for other in sums[1:]) + _beside(features)
    return [*found, (f"_{name}", f"SELECT {_KEYS},\n  {values}\nFROM {joined}")]


def _beside(features: Sequence[HistoryFeature]) -> str:
    """The joins that bring the medians of others."""
    found = [
        f"\nLEFT JOIN {PEERS} AS {of.alias} ON {of.alias}._feature = {literal(one.name)} "
        f"AND {of.alias}._day = m.day AND {of.alias}._level = {of.level}"
        for one in features
        if (of := one.peers) is not None
    ]
    return "".join(["\nJOIN moments AS m USING (as_of)", *found]) if found else ""


@dataclass(frozen=True)
class _Rows:
    """The rows of a table that count, with what aggregates may use of them.

    Attributes:
        table: the table.
        columns: name to SQL.
        ordered: those that need the rows in order.
    """

    table: str
    columns: dict[str, str]
    ordered: dict[str, str]


def _rows_sql(history: History, rows: _Rows, used: set[str], spine: str, *, ordered: bool) -> str:
    offered = {f"_w{days}": f"m.w{days}" for days in history.clock.windows} | rows.columns
    offered |= rows.ordered if ordered else {}
    columns = [
        "s._customer",
        "s.as_of",
        *(f"{text} AS {name}" for name, text in offered.items() if name in used),
    ]
    moments = (
        "\nJOIN moments AS m ON m.as_of = s.as_of" if any(name in used for name in _windows(history)) else ""
    )
    listed = ",\n  ".join(columns)
    return (
        f"SELECT {listed}\n"
        f"FROM {spine} AS s{moments}\n"
        f"JOIN {quoted(rows.table)} AS e ON e._customer = s._customer\n"
        f"WHERE {visible(history.tables[rows.table], 'e', 's.as_of')}"
    )


def _windows(history: History) -> list[str]:
    return [f"_w{days}" for days in history.clock.windows]


def _values(source: Source) -> dict[str, str]:
    """The columns that aggregates may use, but dates of events."""
    columns: dict[str, str] = {}
    for one in source.inputs:
        if one.told.kind in (Kind.NUMBER, Kind.INTEGER):
            columns |= number_columns(one, "e")
        else:
            columns[f"{one.slug}__value"] = f"e.{quoted(one.column)}"
    return columns


def _event_rows(source: Source) -> _Rows:
    columns = (
        {"_time": "e._time", "_failed": failed(source, "e")}
        if source.table.failures
        else {"_time": "e._time"}
    )
    columns |= _values(source)
    for one in source.of(Kind.DATE):
        date = f"e.{quoted(one.column)}"
        # A second time of an event is known once it is past, as the end of an interval is.
        delay = f"CASE WHEN {date} < s.as_of THEN {days_between('e._time', date)} END"
        columns |= {f"{one.slug}_delay__value": delay} | steps(f"{one.slug}_delay", delay, Kind.NUMBER)
    newest_first = f"OVER ({_GROUP} ORDER BY e._time DESC)"
    ordered = {
        "_rank": f"RANK() {newest_first}",
        "_gap": f"EPOCH_US(e._time) - EPOCH_US(LEAD(e._time) {newest_first})",
    }
    return _Rows(source.name, columns, ordered)


def _interval_rows(source: Source) -> _Rows:
    order = f"e._begin DESC, e._known DESC{_by_value(source.inputs)}"
    in_force_first = "CASE WHEN e._end < s.as_of THEN 1 ELSE 0 END"
    columns = {
        "_begin": "e._begin",
        "_ended": "CASE WHEN e._end < s.as_of THEN e._end END",
        "_order": f"ROW_NUMBER() OVER ({_GROUP} ORDER BY {in_force_first}, {order})",
        **_values(source),
    }
    for one in source.of(Kind.NUMBER, Kind.INTEGER):
        value = columns[f"{one.slug}__value"]
        columns[f"{one.slug}__before"] = f"LEAD({value}) OVER ({_GROUP} ORDER BY {order})"
    return _Rows(source.name, columns, {})


def _customer_rows(source: Source) -> _Rows:
    order = f"e._begin DESC NULLS LAST, e._known DESC{_by_value(source.inputs)}"
    columns = {
        "_begin": "e._begin",
        "_order": f"ROW_NUMBER() OVER ({_GROUP} ORDER BY {order})",
        **_values(source),
    }
    return _Rows(source.name, columns, {})


def _by_value(inputs: Sequence[Input]) -> str:
    return "".join(f", e.{quoted(one.column)} DESC NULLS LAST" for one in inputs)


_ROWS = {
    TableKind.CUSTOMERS: _customer_rows,
    TableKind.EVENTS: _event_rows,
    TableKind.INTERVALS: _interval_rows,
}
