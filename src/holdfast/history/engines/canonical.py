"""The canonical tables of a history in PostgreSQL: what `holdfast.history.prepare` does, as SQL.

A row is kept or rejected, typed and put on the one clock by the rules of ``prepare``; a test holds the two
equal. What text means is read by ``prepare`` alone: here times are dates or timestamps, and numbers numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.history import ENDLESS, TableKind
from holdfast.history.clocks import ALWAYS_SQL
from holdfast.history.engines.columns import Held, level, moment, next_day, value, wall
from holdfast.history.problems import HistoryError
from holdfast.history.rows import name_that_clashes, needs_walls
from holdfast.history.settle import CONFLICT, EARLY, UNKNOWN, literal, quoted, version_key
from holdfast.history.values import own_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from holdfast.contract.history import History, Table


@dataclass(frozen=True)
class Scope:
    """Whose rows to read, and when.

    Attributes:
        bound: SQL: what happens at or after this moment is in the future.
        now: SQL: nothing is known after it.
        within: SQL condition that a customer is asked about; everybody is, if there is none.
        among: SQL condition that a value is one of those of a sub-query of one column.
        by_contract: whether the bound is the contract's.
    """

    bound: str
    now: str
    within: Callable[[str], str] | None = None
    among: Callable[[str, str], str] = lambda column, query: f"{column} IN ({query})"
    by_contract: bool = False


def canonical_tables(history: History, held: Mapping[str, Held], scope: Scope) -> Iterator[tuple[str, str]]:
    """Named sub-queries in order; each table's last is called as the contract calls it.

    ``_NAME_judged`` has each row that was read, and in ``_why`` the reason for which it is rejected, if any.

    Raises:
        HistoryError: a column is missing, or of a type that ``prepare`` alone can read.
    """
    register, zone = history.customers, history.clock.time_zone
    others = [name for name in history.tables if name != register]
    for name in others:
        table = history.tables[name]
        yield from _ids(name, table, held[name], scope)
        yield f"_{name}_told", _told(history, name, held[name], scope, _rows(name, table, held[name], scope))
    if register is not None:
        table, of = history.tables[register], held[register]
        if scope.within is not None:
            near = [f"SELECT _customer FROM _{name}_told" for name in others if history.tables[name].id]
            yield "_near", " UNION ".join(near) or "SELECT NULL::text AS _customer WHERE FALSE"
        yield from _ids(register, table, of, scope, near=True)
        rows = _rows(register, table, of, scope, near=True)
        yield f"_{register}_told", _told(history, register, of, scope, rows)
    for name in [*([register] if register is not None else []), *others]:
        table = history.tables[name]
        yield f"_{name}_judged", _judged(name, table, register if name != register else None)
        if name == register:
            day = moment(f"date_trunc('day', {wall('_begin', zone)})", zone)
            good = f"FROM _{name}_judged WHERE _why IS NULL GROUP BY _customer"
            # As first told: what is corrected later must not judge rows that were read before.
            first = f"(array_agg({day} ORDER BY _known, {day} NULLS FIRST))[1]"
            yield "_register", f"SELECT _customer, {first} AS _day {good}"
        yield quoted(name), _kept(history, name, scope)


def _ids(
    name: str, table: Table, held: Held, scope: Scope, *, near: bool = False
) -> Iterator[tuple[str, str]]:
    """The facts of those asked about: another version of one may be another customer's."""
    if scope.within is None or table.id is None:
        return
    whose = _whose(level(held, table.customer), scope, near=near)
    key = level(held, table.id)
    yield f"_{name}_ids", f"SELECT DISTINCT {key} AS _id FROM {held.name} AS t WHERE {whose}"


def _whose(customer: str, scope: Scope, *, near: bool) -> str:
    if scope.within is None:
        return "TRUE"
    also = f" OR {scope.among(customer, 'SELECT _customer FROM _near')}" if near else ""
    return f"({scope.within(customer)}{also})"


def _rows(name: str, table: Table, held: Held, scope: Scope, *, near: bool = False) -> str:
    whose = _whose(level(held, table.customer), scope, near=near)
    if scope.within is None or table.id is None:
        return whose
    return f"{whose} OR {scope.among(level(held, table.id), f'SELECT _id FROM _{name}_ids')}"


def _told(history: History, name: str, held: Held, scope: Scope, rows: str) -> str:
    """Each row typed, on the one clock, with why it is to be rejected if it alone tells that."""
    table, zone = history.tables[name], history.clock.time_zone
    missing = [c for c in table.clocks if c not in held.types]
    own = own_columns(history, name)
    missing += [c for c, told in own.items() if c not in held.types and told.required]
    if missing:
        raise HistoryError(
            f'Table "{name}" has no column "{missing[0]}".',
            where=f"{held.place}, column {missing[0]}",
            hint="Mend the contract, or add the column to the table.",
        )
    wrong = name_that_clashes(own)
    if wrong is not None:
        what, column, hint = wrong
        raise HistoryError(f'Table "{name}" {what}.', where=f"{held.place}, column {column}", hint=hint)
    start = table.time if table.kind is TableKind.EVENTS else table.begin
    begins = "_time" if table.kind is TableKind.EVENTS else "_begin"
    columns = {
        "_row": held.order,
        "_customer": level(held, table.customer),
        **({"_id": level(held, table.id)} if table.id is not None else {}),
        begins: _time(held, start, zone),
        "_stop": _time(held, table.end, zone),
        "_told": _time(held, table.known, zone),
        **{quoted(column): value(history, name, held, column) for column in own},
    }
    listed = ",\n  ".join(f"{text} AS {column}" for column, text in columns.items())
    read = f"SELECT {listed}\nFROM {held.name} AS t WHERE {rows}"
    happened = f"COALESCE({begins}, {ALWAYS_SQL})" if start is not None else ALWAYS_SQL
    dated = table.known is not None and held.types[table.known] == pl.Date
    known = next_day("_told", zone) if dated else "_told"
    ends = ""
    if table.kind is not TableKind.EVENTS:
        ends = f"CASE WHEN extract(year FROM _stop) < {ENDLESS} THEN _stop END AS _end, "
    clocked = f"SELECT r.*, {ends}COALESCE({known}, {happened}) AS _known FROM ({read}) AS r"
    return f"SELECT c.*, {_alone(table, begins, scope)} AS _wrong FROM ({clocked}) AS c"


def _alone(table: Table, begins: str, scope: Scope) -> str:
    """The first reason against a row that it tells by itself, in the order of `holdfast.history.rows`."""
    start = table.time if table.kind is TableKind.EVENTS else table.begin
    old = "before the year 1900"
    ahead = "after the day until which the contract takes all" if scope.by_contract else "in the future"
    cases = [("_customer IS NULL OR _customer = ''", "no customer id")]
    if start is not None:
        if table.kind is not TableKind.CUSTOMERS:
            cases.append((f"{begins} IS NULL", "no time"))
        cases += [(f"{begins} < {ALWAYS_SQL}", old), (f"{begins} >= {scope.bound}", ahead)]
    if table.end is not None:
        cases += [(f"_stop < {ALWAYS_SQL}", old), (f"_end < {begins}", "the end is before the begin")]
    if table.known is not None:
        cases.append((f"_told < {ALWAYS_SQL}", old))
        if table.kind is TableKind.EVENTS:
            cases.append((f"_known < {begins}", "known before it happened"))
        cases.append((f"_told > {scope.now}", "known in the future"))
    return "CASE " + " ".join(f"WHEN {test} THEN {literal(reason)}" for test, reason in cases) + " END"


def _time(held: Held, column: str | None, zone: str) -> str:
    if column is None:
        return "CAST(NULL AS TIMESTAMP)"
    return held.instant(column, zone)


def _judged(name: str, table: Table, register: str | None) -> str:
    """The rows with ``_superseded``, and ``_why`` one is rejected, also for what others tell of it."""
    begins = "_time" if table.kind is TableKind.EVENTS else "_begin"
    where, joined = "_wrong", ""
    if register is not None:
        where = (
            f"COALESCE(_wrong, CASE WHEN g._customer IS NULL THEN {literal(UNKNOWN)} "
            f"WHEN t.{begins} < g._day THEN {literal(EARLY)} END)"
        )
        joined = " LEFT JOIN _register AS g ON g._customer = t._customer"
    placed = f"SELECT t.*, {where} AS _where FROM _{name}_told AS t{joined}"
    key = version_key(table)
    if key is None:
        return f"SELECT p.*, CAST(NULL AS TIMESTAMP) AS _superseded, _where AS _why FROM ({placed}) AS p"
    versions = (
        f"SELECT p.*, CASE WHEN {key} IS NOT NULL THEN lead(_known) OVER (PARTITION BY {key}, _where IS NULL "
        f"ORDER BY _known, _row) END AS _superseded FROM ({placed}) AS p"
    )
    return (
        "SELECT v.*, CASE WHEN _where IS NOT NULL THEN _where "
        f"WHEN _superseded = _known THEN {literal(CONFLICT)} END AS _why FROM ({versions}) AS v"
    )


def _kept(history: History, name: str, scope: Scope) -> str:
    table, zone = history.tables[name], history.clock.time_zone
    times = ["_time"] if table.kind is TableKind.EVENTS else ["_begin", "_end"]
    columns = ["_customer", *times, "_known", "_superseded"]
    if needs_walls(history, name):
        columns += [f"{wall(time, zone)} AS {time}_wall" for time in times]
    columns += [quoted(column) for column in own_columns(history, name)]
    asked = f" AND {scope.within('_customer')}" if scope.within is not None else ""
    return f"SELECT {', '.join(columns)} FROM _{name}_judged WHERE _why IS NULL{asked}"
