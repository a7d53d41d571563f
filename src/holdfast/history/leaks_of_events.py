"""Events that happen only to those who leave: closing calls, and rows written in afterwards.

Both are seen from the leaving backwards. A closing call lies within days before it, nearly always; what was
written in afterwards lies anywhere, but before those who left alone, or before them far oftener than before
anybody else. Only events that were known before the customer left count: others no feature sees.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.contract.history import ChurnEvent, TableKind
from holdfast.contract.types import Kind
from holdfast.history.clocks import has_versions, instant, latest
from holdfast.history.leak import FEWEST, Leak, excluded, rest_left
from holdfast.history.settle import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.history.leak import Scene

CLOSING_DAYS = 14
"""What lies so near before leaving nearly always, belongs to it."""

CLOSING = 0.9
"""Share of events that lie so near to leaving."""

SURGE_DAYS = 60
SURGE_SHARE, SURGE_ODDS, SURGE_TIMES = 0.4, 25.0, 2.0
"""So many of those who left had one in their last days, at such odds against those who stayed, and so many
times as often: what nearly everybody has, such as a monthly balance, warns of nothing."""

MOST_LEVELS = 50


def leaks_of_events(scene: Scene) -> Iterator[Leak]:
    """Look at each events table as a whole, and at each level of its categories and booleans."""
    history = scene.history
    for name, table in history.tables.items():
        if table.kind is not TableKind.EVENTS or name == history.churn.table:
            continue
        scene.engine.run(f"CREATE OR REPLACE TABLE _near AS {_near(scene, name)}")
        kinds = (Kind.CATEGORY, Kind.BOOLEAN)
        columns = [c for c, told in table.inputs.items() if told.kind in kinds]
        found = [leak for column in columns for leak in _judged(scene, name, column)]
        yield from found
        if all(leak.harmless for leak in found):
            yield from _judged(scene, name, None)


def _near(scene: Scene, name: str) -> str:
    """Events of everyone ever eligible, each with the leaving after it and the one before."""
    table = scene.history.tables[name]
    current = latest(table, "e")
    known = "e._known"
    if has_versions(table):  # a fact is known from its first version on
        known = "min(e._known) OVER (PARTITION BY e._customer, e._time)"
    own = "".join(
        f", e.{quoted(c)}" for c, told in table.inputs.items() if told.kind in (Kind.CATEGORY, Kind.BOOLEAN)
    )
    rows = (
        f"SELECT e._customer, e._time, {known} AS _seen, {current} AS _current{own} "
        f"FROM {quoted(name)} AS e JOIN _people AS p ON p._customer = e._customer"
    )
    return (
        "SELECT r.*, n._left AS _next, b._left AS _before "
        f"FROM (SELECT * FROM ({rows}) AS a WHERE _current) AS r "
        "ASOF LEFT JOIN _leavings AS n ON n._customer = r._customer AND r._time < n._left "
        "ASOF LEFT JOIN _leavings AS b ON b._customer = r._customer AND r._time >= b._left"
    )


@dataclass(frozen=True)
class _Group:
    """Events of a table, or of one level of a column, and whose they are."""

    events: int
    customers: int
    closing: int
    """Events within days before leaving."""
    after: int
    """Events at leaving, or within days after it."""
    holders: int
    """Customers with such an event that was known before they left, if they did."""
    holders_left: int
    days: float | None
    """From such an event to leaving, in the median."""
    leavers: int
    """Leavings with such an event in the last days before."""
    stayers: int
    """(customer, as_of) that stayed, with such an event in the last days before."""
    people: int
    gone: int
    all_leavers: int
    all_stayers: int


def _judged(scene: Scene, name: str, column: str | None) -> Iterator[Leak]:
    groups = [(level, group) for level, group in _counted(scene, column) if group.customers >= FEWEST]
    events, near = sum(g.events for _, g in groups), sum(g.closing + g.after for _, g in groups)
    ends = scene.history.churn.event is not ChurnEvent.INACTIVITY
    for level, group in groups:
        leak = functools.partial(Leak, name, column, level)
        closing = group.closing + group.after
        # Where the other levels lie at leaving too, it is the table that tells.
        rare = near - closing <= 0.5 * (events - group.events)
        if ends and rare and closing >= CLOSING * group.events:
            if group.closing < max(FEWEST / 2, 0.05 * group.events):
                yield leak(
                    f"{closing:,} of {group.events:,} happen as the customer leaves or after it",
                    "No feature sees them in time; nothing need be done.",
                    harmless=True,
                )
            else:
                yield leak(_closing(group, closing), _advice(scene, name, column, "a closing call"))
        elif reason := _only_left(group) or _surge(group):
            yield leak(reason, _advice(scene, name, column, "written in afterwards"))


def _counted(scene: Scene, column: str | None) -> list[tuple[str | None, _Group]]:
    """Each level, the commonest first, or the whole table."""
    level = "NULL" if column is None else f"CAST(n.{quoted(column)} AS VARCHAR)"
    seen = "(n._next IS NULL OR n._seen < n._next) AND (n._before IS NULL OR n._before < n._time)"
    closing = f"n._next - n._time <= INTERVAL '{CLOSING_DAYS}' DAY"
    recent = f"INTERVAL '{SURGE_DAYS}' DAY"
    early = instant(scene.as_of[0])
    groups = scene.engine.query(
        f"SELECT {level} AS level, count(*) AS events, count(DISTINCT n._customer) AS customers, "
        f"count(*) FILTER (WHERE {closing} AND {seen}) AS closing, "
        f"count(*) FILTER (WHERE n._time - n._before <= INTERVAL '{CLOSING_DAYS}' DAY) AS after, "
        f"count(DISTINCT n._customer) FILTER (WHERE {seen}) AS holders, "
        f"count(DISTINCT n._customer) FILTER (WHERE {seen} AND n._next IS NOT NULL) AS holders_left, "
        f"median(date_diff('day', n._time, n._next)) FILTER (WHERE {seen}) AS days, "
        f"count(DISTINCT (n._customer, n._next)) FILTER (WHERE {seen} AND n._next - n._time <= {recent} "
        f"AND n._next >= {early}) AS leavers "
        f"FROM _near AS n GROUP BY level HAVING level IS NOT NULL OR {column is None} "
        f"ORDER BY events DESC LIMIT {MOST_LEVELS}"
    )
    stayed = scene.engine.query(
        f"SELECT {level} AS level, count(DISTINCT (l._customer, l.as_of)) AS stayers FROM _near AS n "
        "JOIN _labels AS l ON l._customer = n._customer AND l.outcome = 'stayed' AND n._time < l.as_of "
        f"AND n._seen <= l.as_of AND l.as_of - n._time <= {recent} GROUP BY level"
    )
    stayers = dict(stayed.iter_rows())
    totals = scene.engine.query(
        "SELECT (SELECT count(*) FROM _people) AS people, (SELECT sum(_gone) FROM _people) AS gone, "
        f"(SELECT count(*) FROM _leavings WHERE _left >= {early}) AS all_leavers, "
        "(SELECT count(*) FROM _labels WHERE outcome = 'stayed') AS all_stayers"
    ).row(0, named=True)
    return [
        (row.pop("level"), _Group(**row, **totals, stayers=stayers.get(level, 0)))
        for row, level in zip(groups.to_dicts(), groups["level"], strict=True)
    ]


def _closing(group: _Group, closing: int) -> str:
    return (
        f"a closing call: {closing:,} of {group.events:,} lie within {CLOSING_DAYS} days of the customer's "
        f"leaving, {group.closing:,} of them before it. It is part of leaving and leaves no time to act"
    )


def _only_left(group: _Group) -> str | None:
    """Whether it happens to nobody who stayed, however far ahead one looks."""
    rest = rest_left(group.holders, group.holders_left, group.people, group.gone)
    if rest is None:
        return None
    return (
        f"{group.holders_left:,} of {group.holders:,} customers who had it left later, in the median "
        f"{group.days:.0f} days after it; of all others {rest:.0%}. So look rows that were written in once "
        "somebody had left"
    )


def _surge(group: _Group) -> str | None:
    """Whether those who left had one shortly before far oftener than those who stayed ever have."""
    if group.leavers < FEWEST or not group.all_stayers:
        return None
    left = (group.leavers + 1) / (group.all_leavers + 2)
    stayed = (group.stayers + 1) / (group.all_stayers + 2)
    odds = left / (1 - left) * (1 - stayed) / stayed
    if left < SURGE_SHARE or odds < SURGE_ODDS or left < SURGE_TIMES * stayed:
        return None
    return (
        f"{left:.0%} of those who left had one in their last {SURGE_DAYS} days, but {stayed:.1%} of those "
        "who stayed in theirs. So sharp a warning is mostly one that was written in afterwards"
    )


def _advice(scene: Scene, name: str, column: str | None, why: str) -> str:
    out = "If so, take the table out of the contract." if column is None else excluded(name, column, why)
    if scene.history.tables[name].known is not None:
        return f"See when such rows are written. {out}"
    return (
        "See when such rows are written: if a column says so, name it as  known  under "
        f"[tables.{name}]. {out}"
    )
