"""Who is eligible when, as known at that moment: the spine of (customer, as_of).

* Churn by **end**: who has an interval in force. Tenure counts from the begin of the present spell: of
  intervals that touch, overlap or follow one another within the grace.
* Churn by **cancellation**: who is a customer and has not cancelled since, or has come back.
* Churn by **inactivity**: who had an event (in the last ``active_days``, if given).

For the last two, a customer is one from the begin in the table of customers until its end there; without a
begin there, from the first that any table (inactivity: the one with the activity) tells of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.history import ChurnEvent, TableKind
from holdfast.history.clocks import (
    ALWAYS_SQL,
    NEVER_SQL,
    began,
    chosen,
    days_later,
    has_versions,
    in_force,
    register_of,
    start_of,
    visible,
)
from holdfast.history.settle import quoted

if TYPE_CHECKING:
    from holdfast.contract.history import History, Table


def spine_sql(history: History) -> str:
    """SQL (DuckDB) over the canonical tables and ``moments``: ``_customer``, ``as_of``, in no order."""
    event = history.churn.event
    if event is ChurnEvent.END:
        return _by_end(history)
    return _by_cancellation(history) if event is ChurnEvent.CANCELLATION else _by_inactivity(history)


def fresh(rows: str, grace: int, *per: str) -> str:
    """Intervals with ``_fresh``: 1 where one begins a new spell, 0 where it goes on from those before.

    Args:
        rows: SQL that gives ``_customer``, ``_begin``, ``_end`` and, for a grace, both ``_wall``.
        grace: days (by the wall clock) between two intervals of one spell.
        per: what else besides the customer parts the rows.
    """
    suffix = "_wall" if grace else ""
    so_far = (
        f"max(COALESCE(_end{suffix}, {NEVER_SQL})) OVER (PARTITION BY {', '.join(['_customer', *per])} "
        "ORDER BY _begin, _end NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    )
    goes_on = f"_begin{suffix} <= {days_later(so_far, grace)}"
    return f"SELECT *, CASE WHEN {goes_on} THEN 0 ELSE 1 END AS _fresh FROM ({rows}) AS i"


def interval_columns(table: Table, alias: str, grace: int, end: str = "{0}") -> str:
    """The times of intervals as `fresh` takes them; ``end`` is put around those of the end."""
    names = [f"{began(table, alias)} AS _begin", f"{end.format(f'{alias}._end')} AS _end"]
    if grace:
        wall = f"{alias}._begin_wall"
        wall = f"COALESCE({wall}, {ALWAYS_SQL})" if table.kind is TableKind.CUSTOMERS else wall
        names += [f"{wall} AS _begin_wall", f"{end.format(f'{alias}._end_wall')} AS _end_wall"]
    return ", ".join(names)


def _by_end(history: History) -> str:
    churn = history.churn
    table, name = history.tables[churn.table], quoted(churn.table)
    if not churn.min_tenure_days:
        return (
            f"SELECT t._customer, m.as_of FROM moments AS m JOIN {name} AS t ON {in_force(table, 't')} "
            "GROUP BY t._customer, m.as_of"
        )
    grace = churn.grace_days
    # An end that is not yet past is masked. Where nothing is superseded or known late, an interval's spell
    # begins at the same moment whenever one looks, and is found once for all.
    if has_versions(table) or table.known is not None:
        masked = "CASE WHEN t._end < m.as_of THEN {0} END"
        times = interval_columns(table, "t", grace, masked)
        rows = (
            f"SELECT t._customer, m.as_of, m.tenure_from, {times} "
            f"FROM moments AS m JOIN {name} AS t ON {visible(table, 't')}"
        )
        seen = fresh(rows, grace, "as_of")
    else:
        rows = f"SELECT t._customer, {interval_columns(table, 't', grace)} FROM {name} AS t"
        seen = (
            "SELECT f._customer, m.as_of, m.tenure_from, f._begin, "
            "CASE WHEN f._end < m.as_of THEN f._end END AS _end, f._fresh "
            f"FROM moments AS m JOIN ({fresh(rows, grace)}) AS f ON f._begin < m.as_of"
        )
    return (
        f"SELECT _customer, as_of FROM ({seen}) AS s GROUP BY _customer, as_of, tenure_from "
        "HAVING max(CASE WHEN _end IS NULL THEN 1 ELSE 0 END) = 1 "
        "AND max(CASE WHEN _fresh = 1 THEN _begin END) <= tenure_from"
    )


def _by_cancellation(history: History) -> str:
    churn = history.churn
    table, name = history.tables[churn.table], quoted(churn.table)
    gone = (
        "SELECT c._customer, m.as_of, max(c._time) AS _left FROM moments AS m "
        f"JOIN {name} AS c ON {visible(table, 'c')} AND {chosen(table, churn, 'c')} "
        "GROUP BY c._customer, m.as_of"
    )
    if churn.returns is not None:
        returns = history.tables[churn.returns]
        at, after = f"r.{start_of(returns)}", returned(returns)
        gone = (
            f"SELECT g._customer, g.as_of FROM ({gone}) AS g LEFT JOIN {quoted(churn.returns)} AS r "
            f"ON r._customer = g._customer AND {visible(returns, 'r', 'g.as_of')} AND {at} {after} g._left "
            "GROUP BY g._customer, g.as_of HAVING count(r._customer) = 0"
        )
    told = [name for name, table in history.tables.items() if table.kind is not TableKind.CUSTOMERS]
    present = _registered(history) or _first_seen(history, told)
    return (
        f"SELECT p._customer, p.as_of FROM ({present}) AS p LEFT JOIN ({gone}) AS g "
        "ON g._customer = p._customer AND g.as_of = p.as_of WHERE g._customer IS NULL"
    )


def returned(returns: Table) -> str:
    """How a return compares with the cancellation before it.

    An interval that begins at that very moment is a change of plan; an event then may have come before it.
    """
    return ">" if returns.kind is TableKind.EVENTS else ">="


def _by_inactivity(history: History) -> str:
    churn = history.churn
    table, name = history.tables[churn.table], quoted(churn.table)
    first = _first_seen(history, [churn.table], tenure=False)
    active = first
    if churn.active_days is not None or has_versions(table):
        recent = " AND e._time >= m.active_from" if churn.active_days is not None else ""
        active = (
            f"SELECT e._customer, m.as_of FROM moments AS m JOIN {name} AS e "
            f"ON {visible(table, 'e')} AND {chosen(table, churn, 'e')}{recent} "
            "GROUP BY e._customer, m.as_of"
        )
    present = _registered(history)
    if present is None and churn.min_tenure_days:
        present = _first_seen(history, [churn.table])
    if present is None:
        return active
    return (
        f"SELECT a._customer, a.as_of FROM ({active}) AS a JOIN ({present}) AS p "
        "ON p._customer = a._customer AND p.as_of = a.as_of"
    )


def _registered(history: History) -> str | None:
    """Who is a customer by the table of customers, if that says so."""
    register = register_of(history)
    if register is None:
        return None
    name, table = register
    tenure = f" AND {began(table, 'r')} <= m.tenure_from" if history.churn.min_tenure_days else ""
    return (
        f"SELECT r._customer, m.as_of FROM moments AS m JOIN {quoted(name)} AS r "
        f"ON {in_force(table, 'r')}{tenure} GROUP BY r._customer, m.as_of"
    )


def _first_seen(history: History, names: list[str], *, tenure: bool = True) -> str:
    """Who is a customer because some table tells of them.

    A row that is known once it happens is visible after that moment, any other from when it is known.
    """
    parts = []
    for name in names:
        table = history.tables[name]
        at = began(table, "t")
        where = chosen(table, history.churn, "t") if history.churn.event is ChurnEvent.INACTIVITY else "TRUE"
        parts.append(
            f"SELECT t._customer, min(CASE WHEN t._known <= {at} THEN {at} END) AS _after, "
            f"min(CASE WHEN t._known > {at} THEN t._known END) AS _from "
            f"FROM {quoted(name)} AS t WHERE {where} GROUP BY t._customer"
        )
    seen = (
        "SELECT _customer, min(_after) AS _after, min(_from) AS _from "
        f"FROM ({' UNION ALL '.join(parts)}) AS u GROUP BY _customer"
    )
    long_enough = "TRUE"
    if tenure and history.churn.min_tenure_days:
        long_enough = "(f._after <= m.tenure_from OR f._from <= m.tenure_from)"
    return (
        f"SELECT f._customer, m.as_of FROM moments AS m JOIN ({seen}) AS f "
        f"ON (f._after < m.as_of OR f._from <= m.as_of) AND {long_enough}"
    )
