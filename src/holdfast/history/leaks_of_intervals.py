"""Columns of intervals that were overwritten in place: what a customer had at the end stands in all rows.

Rows give themselves away by their other numbers, such as the price beside the plan: in a customer's last row
they fit, in the first row of those who have changed since they fit another level. In honest rows first and
last fit alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.history import TableKind
from holdfast.contract.types import Kind
from holdfast.history.clocks import latest
from holdfast.history.leak import FEWEST, Leak, excluded
from holdfast.history.settle import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.history.leak import Scene

TELLS = 0.5
"""Share of a number's spread that the level must explain in last rows, so that it can show anything."""

MORE, TIMES = 0.03, 2.5
"""So many more first rows than last rows must be odd, as a share of rows and as a multiple."""

FAR = 3.0
"""Robust standard deviations from the usual, from which a row is odd."""

LEAST_FAR = 0.08
"""And at least so far, as a share of the number itself."""

FEWEST_ALIKE = 100
FEWEST_ROWS = 8
"""Of a level in a half-year, to say what is usual then."""


def leaks_of_intervals(scene: Scene) -> Iterator[Leak]:
    """Look at each category of each intervals table beside its numbers."""
    for name, table in scene.history.tables.items():
        if table.kind is not TableKind.INTERVALS:
            continue
        levels = [c for c, told in table.inputs.items() if told.kind is Kind.CATEGORY]
        numbers = [c for c, told in table.inputs.items() if told.kind in (Kind.NUMBER, Kind.INTEGER)]
        if not levels or not numbers:
            continue
        columns = ", ".join(f"t.{quoted(c)}" for c in [*levels, *numbers])
        rows = scene.engine.query(
            f"SELECT t._customer, t._begin, {columns} FROM {quoted(name)} AS t JOIN _people AS p "
            f"ON p._customer = t._customer WHERE {latest(table, 't')} "
            f"ORDER BY t._customer, t._begin, {columns}"
        )
        for level in levels:
            for number in numbers:
                others = [c for c in numbers if c != number and rows[c].n_unique() <= FEWEST_ROWS]
                reason = _overwritten(rows, level, number, others)
                if reason:
                    yield Leak(name, level, None, reason, excluded(name, level, "overwritten in place"))
                    break


def _overwritten(rows: pl.DataFrame, level: str, number: str, others: list[str]) -> str | None:
    told = rows.filter((pl.col(number) > 0) & pl.col(level).is_not_null()).with_columns(
        pl.col(number).log().alias("_y"),
        (pl.col("_begin").dt.epoch("d") // 182).alias("_half"),
        pl.col("_begin").eq(pl.col("_begin").min().over("_customer")).alias("_first"),
        pl.col("_begin").eq(pl.col("_begin").max().over("_customer")).alias("_last"),
    )
    told = told.with_columns((pl.col("_y") - _usual([level, *others])).alias("_off"))
    told = told.with_columns((pl.col("_off") - _usual([level, "_half"], "_off")).alias("_off"))
    several = told.filter(pl.col("_first") != pl.col("_last"))
    last = several.filter("_last")
    same = pl.col(level).n_unique().over("_customer") == 1
    first, last = several.filter(same & pl.col("_first")), several.filter(same & pl.col("_last"))
    if min(first.height, last.height) < FEWEST_ALIKE or not _tells(last, level):
        return None
    bound = max(LEAST_FAR, FAR * 1.4826 * float(last["_off"].abs().median() or 0.0))  # type: ignore[arg-type]
    odd, usual = (int((frame["_off"].abs() > bound).sum()) for frame in (first, last))
    share, beside = odd / first.height, usual / last.height
    if odd < FEWEST or share < beside + MORE or share < TIMES * beside:
        return None
    return (
        f"overwritten in place: in {odd:,} of {first.height:,} customers' first rows {number} does not fit, "
        f"in their last rows {usual:,} times. What they had at the end stands in all rows"
    )


def _usual(keys: list[str], value: str = "_y") -> pl.Expr:
    """The median of rows alike; of the level alone where they are few."""
    return (
        pl.when(pl.len().over(keys) >= FEWEST_ROWS)
        .then(pl.col(value).median().over(keys))
        .otherwise(pl.col(value).median().over(keys[:1]))
    )


def _tells(rows: pl.DataFrame, level: str) -> bool:
    """Whether the level says much about the number: its share of the variance of logarithms."""
    total = float(rows["_y"].var() or 0.0)  # type: ignore[arg-type]
    within = float(rows.select((pl.col("_y") - pl.col("_y").mean().over(level)).pow(2).mean()).item() or 0.0)
    return total > 0 and 1 - within / total >= TELLS
