"""Segments of today among the attributes of customers: RFM segments, tiers of spending, flags of activity.

A rule cuts a segment out of what customers have done by today. Its levels, put in order, change at one value
of a total: beside the cut nearly all on either side have the levels of that side. No true attribute does so,
however strongly it goes with activity: heavy buyers differ from light ones over the whole range, not by one
purchase more or less. That a share jumps at a cut shows that a rule assigned it (Thistlethwaite and Campbell
1960; Hahn, Todd and van der Klaauw 2001). A rule over what was known long ago is honest: a leak goes with the
total of today where that says something else than it did at the early snapshot.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from holdfast.history.leak import FEWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

NEAR = 1.5
"""Beside a cut is what is at the most so many times as much, and no less than one by it."""

SHARP = 0.95
"""Share of customers beside the cut that must have the levels of their side."""

FEWEST_NEAR = 30
FEWEST_SIDE = 10
"""Customers beside the cut, and of them on either side."""

THICK = 0.1
"""Share of customers that lies beside a cut of what grows: between two kinds that are wide apart lie few, and
the longer one counts the fewer, so that an honest kind parts the total of today in that gap."""

SIDES = 0.9
"""Of customers who have passed the cut since the early snapshot, so large a share has the levels of today."""

MOST_LEVELS = 50
"""With more levels that many customers have, a category is no segment."""

NOTHING = "(empty)"
TENURE = "the time as a customer"
TIMED = "the last "
BY_LEVEL = " where "
DAY = 86_400


class _Cut(NamedTuple):
    at: float
    """Between the totals of either side."""
    near: int
    right: int
    passed: int
    agree: int


def segment_of_today(
    values: pl.DataFrame, now: pl.DataFrame, then: pl.DataFrame, words: Mapping[str, str], today: datetime
) -> str | None:
    """Why a category is a segment of today; None if it is none.

    Args:
        values: ``_customer`` and ``_value`` (text; null is a level of its own).
        now: ``_customer`` and a column a total, as it stands today; times are seconds, also since the epoch.
        then: likewise at the early snapshot; who had no row by then is not compared.
        words: column of ``now`` and ``then`` to what it is called; those of one level are not looked at,
            for only who has a thing can use it, and more will have in time.
        today: the moment from which times count back (naive UTC).
    """
    levels = values.with_columns(pl.col("_value").fill_null(NOTHING))
    common = levels["_value"].value_counts().filter(pl.col("count") >= FEWEST)
    if common.height > MOST_LEVELS:
        return None
    levels = levels.join(common.select("_value"), on="_value")
    for key, said in words.items():
        if not said.startswith("the ") or BY_LEVEL in said:
            continue
        total = pl.col(key).cast(pl.Float64)
        if said.startswith(TIMED):
            total = (pl.lit(today).dt.epoch("us") / 1e6 - total) / DAY
        elif said == TENURE:
            total = total / DAY
        both = (
            levels.join(now.select("_customer", _now=total), on="_customer")
            .join(then.select("_customer", _then=total), on="_customer")
            .drop_nulls(["_now", "_then"])
        )
        for lower, upper, cut in _cuts(both, 0 if said.startswith(TIMED) else THICK):
            return _told(lower, upper, cut, said, today)
    return None


def _cuts(both: pl.DataFrame, thick: float) -> Iterator[tuple[list[str], list[str], _Cut]]:
    """Where the levels, in order, part the total of today as no true attribute would; with both sides."""
    ranked = both.with_columns(pl.col("_now").rank())
    means = ranked.group_by("_value").agg(pl.col("_now").mean()).sort("_now", "_value")["_value"].to_list()
    ordered = both.sort("_now")
    for n in range(1, len(means)):
        cut = _cut(ordered.with_columns(_high=~pl.col("_value").is_in(means[:n])), thick)
        if cut is not None:
            yield means[:n], means[n:], cut


def _cut(ordered: pl.DataFrame, thick: float) -> _Cut | None:
    """Where ``_high`` begins, if it begins sharply and at the total of today; rows are sorted by ``_now``."""
    steps = ordered.group_by("_now", maintain_order=True).agg(high=pl.col("_high").sum(), every=pl.len())
    wrong = steps["high"].cum_sum() + (steps["every"] - steps["high"]).cum_sum(reverse=True).shift(
        -1, fill_value=0
    )
    last = int(wrong.arg_min() or 0)
    if last + 1 >= steps.height:
        return None
    below, above = steps["_now"][last], steps["_now"][last + 1]
    at = (below + above) / 2
    reach = max(abs(at) * (1 - 1 / NEAR), 0.5)
    side = pl.col("_now") > at
    near = ordered.filter((pl.col("_now") - at).abs() <= reach)
    highs = near.select(side.sum()).item()
    right = near.select((pl.col("_high") == side).sum()).item()
    sides = min(highs, near.height - highs)
    few = near.height < max(FEWEST_NEAR, thick * ordered.height)
    if sides < FEWEST_SIDE or few or right < SHARP * near.height:
        return None
    # At the early snapshot as many customers were on the upper side; of those who tie across it, any may be.
    earlier = ordered["_then"].sort()
    many = int(steps["every"][: last + 1].sum())
    low, high = earlier[many - 1], earlier[many]
    then = pl.col("_then")
    tied = (then == low) & (low == high)
    passed = ordered.filter(tied | ((then < high) & side) | ((then > low) & ~side))
    upper, lower = passed.select(upper=(tied & side).sum(), lower=(tied & ~side).sum()).row(0)
    if min(upper, lower) < FEWEST:
        passed = passed.filter(~tied)
    agree = passed.select((pl.col("_high") == side).sum()).item()
    if passed.height < FEWEST or agree < SIDES * passed.height:
        return None
    return _Cut(at, near.height, right, passed.height, agree)


def _told(lower: list[str], upper: list[str], cut: _Cut, said: str, today: datetime) -> str:
    low = len(lower) <= len(upper)
    named = " and ".join(f'"{level}"' for level in (lower if low else upper)[:3])
    if said.startswith(TIMED):
        where = f"{'after' if low else 'before'} {today - timedelta(days=cut.at):%Y-%m-%d}"
    else:
        where = f"{'below' if low else 'above'} {cut.at:,.6g}{' days' if said == TENURE else ''}"
    return (
        f"the state of today: it is {named} where {said} by today is {where} (right for "
        f"{cut.right / cut.near:.0%} of the {cut.near:,} customers beside that, as a rule is), and of "
        f"{cut.passed:,} customers for whom that was not so, or not yet sure, at an early snapshot, it says "
        f"the later for {cut.agree:,}"
    )
