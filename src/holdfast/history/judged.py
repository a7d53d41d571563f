"""Whether training could judge a model: which months a backtest has labels for before they begin.

This is training's arithmetic, for one who has not built the table yet. A month is judged by what learned from
months whose labels were all known when it began; the last one that can be is held back, and the backtest
chooses among models by those that were known before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from holdfast.contract.history import ChurnEvent
from holdfast.history.moments import moments, snapshots
from holdfast.history.problems import HistoryError
from holdfast.history.times import to_wall
from holdfast.quality.enough import LEAST_EACH

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.contract.history import History
    from holdfast.history.prepared import Prepared

_SHORTER = (60, 30, 14, 7)
"""Days; horizons to fall back on."""

_MONTHLY_LEAST = 30
"""Days; where leaving is an event, shorter horizons than this leave out much between firsts of months."""


class _Month(NamedTuple):
    begin: datetime
    known: datetime
    left: int
    stayed: int


def about_judging(history: History, prepared: Prepared, own: pl.DataFrame, share: float) -> list[str]:
    """What to say where nothing, or nothing but the last month, can be judged; nothing if all is well.

    Args:
        history: the contract.
        prepared: its tables.
        own: ``as_of, label_known, mature, churned, stayed`` of each snapshot.
        share: of customers that were counted.
    """
    zone, least = history.clock.time_zone, LEAST_EACH * share
    told = own.filter(pl.col("mature") & (pl.col("churned") + pl.col("stayed") > 0))
    if min(told["churned"].sum(), told["stayed"].sum()) < least:
        return []  # another note says so
    able, chosen = _judged(_months(told, zone), least)
    if chosen:
        return []
    what = (
        "Only the last of the matured months can be judged by what was known before it began, so training "
        "takes the usual settings and calibrates nothing."
        if able
        else "No month can be judged by what was known before it began, with "
        f"{LEAST_EACH} leavers and stayers on both sides: training refuses."
    )
    if _judged(_months(told, zone), 0)[1]:
        return [f"{what} Too few leave in a month: a longer horizon_days, or a longer history, would help."]
    churn = history.churn
    wait = churn.lead_days + churn.horizon_days + churn.grace_days
    return [f"{what} Each label takes {wait} days to be known. {_what_helps(history, prepared)}"]


def _months(told: pl.DataFrame, zone: str) -> list[_Month]:
    """The snapshots of each calendar month together, in order."""
    month = to_wall(told["as_of"], zone).dt.truncate("1mo").alias("month")
    grouped = (
        told.with_columns(month)
        .group_by("month")
        .agg(
            pl.col("as_of").min(),
            pl.col("label_known").max(),
            pl.col("churned").sum(),
            pl.col("stayed").sum(),
        )
    )
    return [_Month(*row[1:]) for row in grouped.sort("month").iter_rows()]


def _judged(months: list[_Month], least: float) -> tuple[int, int]:
    """How many months can be judged, and how many of them were known before the last such began."""

    def enough(some: list[_Month]) -> bool:
        return bool(some) and min(sum(m.left for m in some), sum(m.stayed for m in some)) >= least

    able = [m for m in months if enough([m]) and enough([one for one in months if one.known <= m.begin])]
    return len(able), sum(m.known <= able[-1].begin for m in able)


def _what_helps(history: History, prepared: Prepared) -> str:
    """The least change after which the times would allow a backtest."""
    clock, churn = history.clock, history.churn
    shorter = [days for days in _SHORTER if days < churn.horizon_days]
    if clock.snapshots == "monthly" and churn.event is not ChurnEvent.INACTIVITY:
        shorter = [days for days in shorter if days >= _MONTHLY_LEAST < churn.horizon_days - 1]
    other = {"weekly": "monthly", "monthly": "weekly"}.get(str(clock.snapshots))
    changed = history.model_copy(update={"clock": clock.model_copy(update={"snapshots": other})})
    if other is not None and _would_do(changed, prepared):
        return f'Write snapshots = "{other}" under [clock], or give a longer history.'
    for days in shorter:
        nearer = history.model_copy(update={"churn": churn.model_copy(update={"horizon_days": days})})
        if _would_do(nearer, prepared):
            return f"Write horizon_days = {days} under [churn], or give a longer history."
    return "A longer history would help" + (
        ", or an earlier first under [clock]." if other is not None and clock.first is None else "."
    )


def _would_do(history: History, prepared: Prepared) -> bool:
    """Whether the times alone allow a backtest."""
    try:
        as_of = snapshots(history.clock, prepared.since, prepared.until)
    except HistoryError:  # such as no first of a month among a few weeks
        return False
    looks = moments(history, as_of)
    mature = looks.filter(pl.col("label_known") <= prepared.until)
    told = mature.select("as_of", "label_known", churned=pl.lit(0), stayed=pl.lit(0))
    return _judged(_months(told, history.clock.time_zone), 0)[1] > 0
