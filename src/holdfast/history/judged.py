"""Whether training could judge a model, told to one who has not built the table yet.

The last month that can be judged is held back, and the backtest chooses among models by those that were known
before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.history import ChurnEvent
from holdfast.history.moments import moments, snapshots
from holdfast.history.periods import judgeable, known_before, periods
from holdfast.history.problems import HistoryError
from holdfast.quality.enough import LEAST_EACH

if TYPE_CHECKING:
    from holdfast.contract.history import History
    from holdfast.history.prepared import Prepared

_SHORTER = (60, 30, 14, 7)
"""Days; horizons to fall back on."""

_MONTHLY_LEAST = 30
"""Days; where leaving is an event, shorter horizons than this leave out much between firsts of months."""


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
    able, chosen = judged(told, zone, least)
    if chosen:
        return []
    what = (
        "Only the last of the matured months can be judged by what was known before it began, so training "
        "takes the usual settings and calibrates nothing."
        if able
        else "No month can be judged by what was known before it began, with "
        f"{LEAST_EACH} leavers and stayers on both sides: training refuses."
    )
    if judged(told, zone, 0)[1]:
        return [f"{what} Too few leave in a month: a longer horizon_days, or a longer history, would help."]
    churn = history.churn
    wait = churn.lead_days + churn.horizon_days + churn.grace_days
    return [f"{what} Each label takes {wait} days to be known. {_what_helps(history, prepared)}"]


def judged(told: pl.DataFrame, zone: str, least: float) -> tuple[int, int]:
    """How many months can be judged, and how many of them were known before the last such began.

    Args:
        told: ``as_of, label_known, churned, stayed`` of each snapshot.
        zone: whose clock says in which month a snapshot lies.
        least: leavers, and stayers, that are enough; none need be counted for 0.
    """
    found, number = periods(told, zone)
    counts = told.join(number, on="as_of").group_by("period").agg(pl.col("churned", "stayed").sum())
    left, stayed = counts.sort("period").select("churned", "stayed").get_columns()
    able = judgeable(found, left.to_list(), stayed.to_list(), least)
    return len(able), len(set(able).intersection(known_before(found, able[-1]))) if able else 0


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
    return judged(told, history.clock.time_zone, 0)[1] > 0
