"""Periods of a history: which of them can be judged by what was known when they began.

A period is the snapshots of one calendar month. It may be judged by what learned from periods whose labels
were known when it began; in between lies the embargo: lead, horizon and grace, in which no label is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from holdfast.history.times import to_wall

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


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


def known_before(found: Sequence[Period], number: int) -> list[int]:
    """Numbers of the periods whose labels were all known when ``number`` began."""
    begin = found[number].begin
    return [k for k, each in enumerate(found) if each.known <= begin]


def judgeable(
    found: Sequence[Period], left: Sequence[float], stayed: Sequence[float], least: float
) -> list[int]:
    """Numbers of the periods that can be judged, in order: enough left and stayed in them, and before them.

    Args:
        found: in order of time.
        left: how many left in each.
        stayed: how many stayed in each.
        least: leavers, and stayers, that are enough.
    """

    def enough(some: list[int]) -> bool:
        return bool(some) and min(sum(left[k] for k in some), sum(stayed[k] for k in some)) >= least

    return [n for n in range(len(found)) if enough([n]) and enough(known_before(found, n))]
