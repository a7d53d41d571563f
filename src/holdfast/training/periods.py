"""Periods of a history and the embargo between what teaches and what judges.

A period is the snapshots of one calendar month. It may be judged by what learned from periods whose labels
were known when it began; in between lies the embargo: lead, horizon and grace, in which no label is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from holdfast.errors import DataError
from holdfast.history.times import to_wall

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

MOST_JUDGED = 6
"""Periods judged before the last: each costs a fit of every candidate."""

LEAST_EACH = 20
"""Fewer leavers, or stayers, than this judge nothing and teach nothing."""


class PeriodsError(DataError):
    """The history is too short: no period is left to judge a model that learned from an earlier one."""

    code = "periods"


@dataclass(frozen=True)
class Period:
    """Snapshots that are judged together.

    Attributes:
        name: such as ``2024-03``; the day too where the month has one snapshot.
        begin: the first as_of (naive UTC).
        known: when the last of its labels was known.
    """

    name: str
    begin: datetime
    known: datetime


@dataclass(frozen=True)
class Schedule:
    """Which period learns from which.

    Attributes:
        periods: in order of time.
        judged: numbers of the periods of the backtest, in order.
        last: number of the period that is untouched until the end.
    """

    periods: tuple[Period, ...]
    judged: tuple[int, ...]
    last: int

    def before(self, number: int) -> NDArray[np.int64]:
        """Numbers of the periods whose labels were all known when ``number`` began."""
        begin = self.periods[number].begin
        return np.array([k for k, each in enumerate(self.periods) if each.known <= begin], dtype=np.int64)


def periods(moments: pl.DataFrame, zone: str = "UTC") -> tuple[tuple[Period, ...], pl.DataFrame]:
    """The periods of snapshots, and which snapshot is of which.

    Args:
        moments: one row a snapshot: ``as_of`` and ``label_known`` (naive UTC).
        zone: whose clock says in which month a snapshot lies.

    Returns:
        The periods in order, and ``as_of, period`` (its number).
    """
    ordered = moments.select("as_of", "label_known").unique().sort("as_of")
    day = to_wall(ordered["as_of"], zone).alias("day")
    numbered = ordered.with_columns(day, period=day.dt.truncate("1mo").rank("dense").cast(pl.Int64) - 1)
    found = []
    for part in numbered.partition_by("period", maintain_order=True):
        begin, known, day_ = part["as_of"][0], part["label_known"].max(), part["day"][0]
        name = f"{day_:%Y-%m-%d}" if part.height == 1 else f"{day_:%Y-%m}"
        found.append(Period(name, begin, known))  # type: ignore[arg-type] # a Datetime column's maximum
    return tuple(found), numbered.select("as_of", "period")


def schedule(found: tuple[Period, ...], period: NDArray[np.int64], y: NDArray[np.int8]) -> Schedule:
    """What is judged by what: the last period, and up to `MOST_JUDGED` known before it began.

    Args:
        found: in order of time.
        period: of each labelled row, shape (n,).
        y: labels, shape (n,).

    Raises:
        PeriodsError: no period can be judged.
    """
    left = np.bincount(period, weights=y, minlength=len(found))
    stayed = np.bincount(period, minlength=len(found)) - left
    enough = (left >= LEAST_EACH) & (stayed >= LEAST_EACH)

    def taught(number: int) -> bool:
        before = Schedule(found, (), 0).before(number)
        return bool(left[before].sum() >= LEAST_EACH and stayed[before].sum() >= LEAST_EACH)

    able = [number for number in range(len(found)) if enough[number] and taught(number)]
    if not able:
        raise PeriodsError(_too_short(found, left, stayed), hint=_HINT)
    last = able[-1]
    known = set(Schedule(found, (), last).before(last).tolist())
    judged = [number for number in able if number in known]
    return Schedule(found, tuple(judged[-MOST_JUDGED:]), last)


_HINT = (
    "Give a longer history, a shorter horizon_days or lead_days, or an earlier `first` under [clock]; "
    "`holdfast check` lists the snapshots and which of them have matured."
)


def _too_short(found: tuple[Period, ...], left: NDArray[Any], stayed: NDArray[Any]) -> str:
    seen = f"{int(left.sum()):,} left and {int(stayed.sum()):,} stayed over {len(found):,} matured periods"
    return (
        "No period can be judged by a model that learned only from labels known before it began, with "
        f"{LEAST_EACH} leavers and stayers on both sides ({seen})."
    )
