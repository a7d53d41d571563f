"""Attributes of customers that hold the state of today: lifetime values, last logins, present plans.

A table of customers without versions says the same whenever one looks. What it says is a leak if it agrees
with what the other tables tell by today, better than with what they told at an early snapshot: then it knows
what came after. An honest attribute, however strong, agrees with the past at least as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.history import TableKind
from holdfast.contract.types import FEW_LEVELS, Kind
from holdfast.history.clocks import instant, latest, start_of, visible
from holdfast.history.leak import FEWEST, Leak, excluded, rest_left
from holdfast.history.leaks_of_segments import TENURE, segment_of_today
from holdfast.history.settle import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.contract.history import Table
    from holdfast.history.leak import Scene

CLOSE = 0.85
"""Rank correlation with a total of today from which an attribute may be that total."""

TIGHT = 0.15
"""Spread (of logarithms) of the ratio to a total, from which an attribute may be a multiple of that total."""

LOOSER = 1.5
"""So many times as wide, at least, must the spread be against the total as it stood earlier."""

FEW_CHANGES = 1.05
"""Rows a customer, up to which an intervals table has one row each."""

MARGIN = 0.02
SIDES = 0.9
"""Where two states differ, so large a share of the attribute's values is the later one."""

FEWEST_CHANGED = FEWEST
FEWEST_RANKED = 100
NUMBERS = (Kind.NUMBER, Kind.INTEGER)


def leaks_of_attributes(scene: Scene) -> Iterator[Leak]:
    """Hold each attribute of customers against what the other tables say then and now."""
    single = [name for name in scene.history.tables if _is_fixed(scene, name)]
    now, then, words = _totals(scene, single)
    states = list(_states(scene))
    for name, table in scene.history.tables.items():
        fixed = name in single
        inputs = {c: told.kind for c, told in table.inputs.items()}
        if table.kind is TableKind.EVENTS or not inputs:
            continue
        frame = _attributes(scene, name, list(inputs))
        for column, kind in inputs.items():
            found = None
            own = (f"{name} ", f"{name}.{column}")
            others = {key: said for key, said in words.items() if not key.startswith(own)}
            if fixed and kind in (*NUMBERS, Kind.DATE):
                found = _total(frame, column, now, then, others)
            if fixed and found is None:
                found = _state(frame, column, states)
            if fixed and found is None and kind in (Kind.CATEGORY, Kind.BOOLEAN):
                values = frame.select("_customer", _value=pl.col(column))
                found = segment_of_today(values, now, then, others, scene.prepared.until)
            if found is None:
                found, level = _only_left(scene, name, column, kind)
                if found:
                    yield Leak(name, column, level, found, excluded(name, column, "known once somebody left"))
            else:
                advice = excluded(name, column, "the state of today")
                yield Leak(name, column, None, found, f"{advice} Better, keep its changes with their times.")


def _attributes(scene: Scene, name: str, columns: list[str]) -> pl.DataFrame:
    """Everyone eligible at the early moment, with what the table says of them; dates as numbers."""
    table = scene.history.tables[name]
    values = "".join(f", any_value(t.{quoted(c)}) AS {quoted(c)}" for c in columns)
    frame = scene.engine.query(
        f"SELECT s._customer{values} FROM spine AS s JOIN {quoted(name)} AS t ON t._customer = s._customer "
        f"AND {latest(table, 't')} WHERE s.as_of = {instant(scene.early)} "
        "GROUP BY s._customer ORDER BY s._customer"
    )
    dated = [c for c, kind in frame.schema.items() if kind.is_temporal()]
    return frame.with_columns(pl.col(dated).dt.epoch("s"), pl.selectors.boolean().cast(pl.String))


def _is_fixed(scene: Scene, name: str) -> bool:
    """Whether a table says one thing of a customer for all time."""
    table = scene.history.tables[name]
    if table.kind is not TableKind.INTERVALS or table.known is not None:
        return table.kind is TableKind.CUSTOMERS and table.known is None
    counts = scene.engine.query(f"SELECT count(*), count(DISTINCT _customer) FROM {quoted(name)}")
    rows, customers = counts.row(0)
    return bool(rows <= FEW_CHANGES * customers)


def _totals(scene: Scene, single: list[str]) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Totals of every events and intervals table, now and at the early moment, with what each is called."""
    early = instant(scene.early)
    people = f"SELECT _customer FROM spine WHERE as_of = {early} ORDER BY _customer"
    now, then = scene.engine.query(people), scene.engine.query(people)
    words: dict[str, str] = {}
    for name, table in scene.history.tables.items():
        if table.kind is TableKind.CUSTOMERS:
            continue
        made = _sums(name, table)
        keys = [f"{name} {n}" for n in range(len(made))]
        words |= dict(zip(keys, made.values(), strict=True))
        chosen = ", ".join(f"{sql} AS {quoted(key)}" for sql, key in zip(made, keys, strict=True))
        rows = f"SELECT e._customer, {chosen} FROM {quoted(name)} AS e"
        by = "GROUP BY e._customer"
        now = now.join(
            scene.engine.query(f"{rows} WHERE {latest(table, 'e')} {by}"), on="_customer", how="left"
        )
        seen = scene.engine.query(f"{rows} WHERE {visible(table, 'e', early)} {by}")
        then = then.join(seen, on="_customer", how="left")
    words["tenure"] = TENURE
    tenure = (
        "SELECT s._customer, date_diff('second', b._first, {0}) AS tenure FROM spine AS s "
        f"JOIN ({_first_seen(scene)}) AS b ON b._customer = s._customer "
        "LEFT JOIN (SELECT _customer, min(_left) AS _left FROM _leavings "
        f"WHERE _left >= {early} GROUP BY _customer) AS l ON l._customer = s._customer "
        f"WHERE s.as_of = {early}"
    )
    ends = f"COALESCE(l._left, {instant(scene.prepared.until)})"
    now = now.join(scene.engine.query(tenure.format(ends)), on="_customer", how="left")
    then = then.join(scene.engine.query(tenure.format(early)), on="_customer", how="left")
    for name in single:
        table = scene.history.tables[name]
        numbers = [c for c, told in table.inputs.items() if told.kind in NUMBERS]
        if not numbers:
            continue
        rates = _attributes(scene, name, numbers)
        charged = [(pl.col(c) * pl.col("tenure")).alias(f"{name}.{c}") for c in numbers]
        for c in numbers:
            words[f"{name}.{c}"] = f"{name}.{c} over the time as a customer"
        now, then = (
            frame.join(
                frame.select("_customer", "tenure").join(rates, on="_customer").select("_customer", *charged),
                on="_customer",
                how="left",
            )
            for frame in (now, then)
        )
    return now, then, words


def _first_seen(scene: Scene) -> str:
    starts = [
        f"SELECT _customer, {start_of(table)} AS _first FROM {quoted(name)}"
        for name, table in scene.history.tables.items()
        if table.kind is not TableKind.CUSTOMERS or table.begin is not None
    ]
    return (
        f"SELECT _customer, min(_first) AS _first FROM ({' UNION ALL '.join(starts)}) AS f GROUP BY _customer"
    )


def _sums(name: str, table: Table) -> dict[str, str]:
    """SQL to words."""
    events = table.kind is TableKind.EVENTS
    last = table.time if events else table.begin
    made = {
        "CAST(count(*) AS DOUBLE)": f"the number of {name}",
        f"epoch(max(e.{start_of(table)}))": f"the last {name}.{last}",
    }
    numbers = [c for c, told in table.inputs.items() if told.kind in NUMBERS]
    made |= {f"CAST(sum(e.{quoted(c)}) AS DOUBLE)": f"the sum of {name}.{c}" for c in numbers}
    if events:
        for column, told in table.inputs.items():
            levels = told.levels or ()
            for level in levels if len(levels) <= FEW_LEVELS else ():
                only = f"FILTER (WHERE e.{quoted(column)} = {literal(level)})"
                where = f'where {column} is "{level}"'
                made[f"CAST(count(*) {only} AS DOUBLE)"] = f"the number of {name} {where}"
                for c in numbers:
                    made[f"CAST(sum(e.{quoted(c)}) {only} AS DOUBLE)"] = f"the sum of {name}.{c} {where}"
    return made


def _total(
    frame: pl.DataFrame, column: str, now: pl.DataFrame, then: pl.DataFrame, words: dict[str, str]
) -> str | None:
    """Whether the attribute ranks customers as a total of today does, and not as the total did then."""
    both = frame.select("_customer", pl.col(column).alias("_value")).join(now, on="_customer", how="left")
    both = both.join(then, on="_customer", how="left", suffix=" then").filter(pl.col("_value").is_not_null())
    if both.height < FEWEST_RANKED or both["_value"].n_unique() < FEWEST_CHANGED:
        return None
    best = (0.0, "", 0.0)
    for key, said in words.items():
        today, once = _alike(both, key), _alike(both, f"{key} then")
        if today >= CLOSE and 1 - once >= 2 * (1 - today) + MARGIN and today > best[0]:
            best = (today, said, once)
    if not best[1]:
        return _multiple(both, words)
    return (
        f"the state of today: it ranks customers as {best[1]} does by today (correlation {best[0]:.2f}), "
        f"not as it stood earlier ({best[2]:.2f}), so it knows what came later"
    )


def _multiple(both: pl.DataFrame, words: dict[str, str]) -> str | None:
    """Whether the attribute is a total of today, or a multiple of it, and not of what the total was then."""
    for key, said in words.items():
        today, once = _spread(both, key), _spread(both, f"{key} then")
        if today is not None and once is not None and today <= TIGHT and once >= LOOSER * today + MARGIN:
            return (
                f"the state of today: it goes with {said} by today (half of all within {today:.0%}), not as "
                f"it stood earlier ({once:.0%}), so it knows what came later"
            )
    return None


def _spread(frame: pl.DataFrame, key: str) -> float | None:
    """The span of the middle half of the logarithms of value to total."""
    ratios = frame.filter((pl.col("_value") > 0) & (pl.col(key) > 0)).select(
        (pl.col("_value").cast(pl.Float64) / pl.col(key)).log()
    )
    if ratios.height < FEWEST_RANKED:
        return None
    low, high = (ratios.to_series().quantile(q) for q in (0.25, 0.75))
    return None if low is None or high is None else high - low


def _alike(frame: pl.DataFrame, key: str) -> float:
    """Spearman's rank correlation, missing totals being nothing; 0 where either is the same for all."""
    found = frame.select(pl.corr("_value", pl.col(key).fill_null(0), method="spearman")).item()
    return abs(found) if found is not None and found == found else 0.0  # noqa: PLR0124 - not a number


def _states(scene: Scene) -> Iterator[tuple[str, pl.DataFrame]]:
    """What each customer's newest row says in each column, then and now, where the two differ."""
    early = instant(scene.early)
    for name, table in scene.history.tables.items():
        columns = [
            c for c, told in table.inputs.items() if told.kind in (*NUMBERS, Kind.CATEGORY, Kind.BOOLEAN)
        ]
        if table.kind is not TableKind.INTERVALS or not columns:
            continue
        newest = ", ".join(
            f"arg_max(CAST(e.{quoted(c)} AS VARCHAR), e._begin) AS {quoted(c)}" for c in columns
        )
        rows = f"SELECT e._customer, {newest} FROM {quoted(name)} AS e"
        now = scene.engine.query(f"{rows} WHERE {latest(table, 'e')} GROUP BY e._customer")
        then = scene.engine.query(f"{rows} WHERE {visible(table, 'e', early)} GROUP BY e._customer")
        for column in columns:
            both = now.select("_customer", pl.col(column).alias("_now")).join(
                then.select("_customer", pl.col(column).alias("_then")), on="_customer"
            )
            yield f"{name}.{column}", both.filter(pl.col("_now") != pl.col("_then"))


def _state(frame: pl.DataFrame, column: str, states: list[tuple[str, pl.DataFrame]]) -> str | None:
    """Whether, where another table's state has changed since, the attribute has the state of today."""
    mine = frame.select("_customer", pl.col(column).cast(pl.String).alias("_value"))
    for said, changed in states:
        both = changed.join(mine.filter(pl.col("_value").is_not_null()), on="_customer")
        if both.height < FEWEST_CHANGED:
            continue
        agrees = int(both.select(_same("_value", "_now").sum()).item())
        if agrees >= SIDES * both.height:
            return (
                f"the state of today: of {both.height:,} customers whose {said} changed after a snapshot, "
                f"it says what that became later for {agrees:,}. It was overwritten in place"
            )
    return None


def _same(one: str, other: str) -> pl.Expr:
    numbers = [pl.col(c).cast(pl.Float64, strict=False) for c in (one, other)]
    texts = [pl.col(c).str.strip_chars().str.to_lowercase() for c in (one, other)]
    return ((texts[0] == texts[1]) | (numbers[0] == numbers[1]).fill_null(value=False)).fill_null(value=False)


def _only_left(scene: Scene, name: str, column: str, kind: Kind) -> tuple[str | None, str | None]:
    """Whether a value, or any value at all, is met as of some moment in those alone who left later."""
    table = scene.history.tables[name]
    value = f"t.{quoted(column)}"
    levelled = kind in (Kind.CATEGORY, Kind.BOOLEAN)
    level = (
        f"CAST({value} AS VARCHAR)" if levelled else f"CASE WHEN {value} IS NULL THEN NULL ELSE 'filled' END"
    )
    rows = scene.engine.query(
        f"WITH _held AS (SELECT DISTINCT s._customer, {level} AS level FROM spine AS s "
        f"JOIN {quoted(name)} AS t ON t._customer = s._customer AND {visible(table, 't', 's.as_of')}) "
        "SELECT h.level, count(*) AS holders, sum(p._gone) AS left_later FROM _held AS h "
        "JOIN _people AS p ON p._customer = h._customer WHERE h.level IS NOT NULL "
        "GROUP BY h.level ORDER BY h.level"
    )
    people, gone = scene.engine.query("SELECT count(*), sum(_gone) FROM _people").row(0)
    for said, holders, left in rows.iter_rows():
        rest = rest_left(holders, left, people, gone)
        if rest is not None:
            what = f'with "{said}"' if levelled else "for whom it is filled"
            reason = (
                f"of the {holders:,} customers {what} {left:,} left later, of all others {rest:.0%}: "
                "it is known once somebody has left"
            )
            return reason, said if levelled else None
    return None, None
