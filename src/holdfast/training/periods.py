"""Which periods of a history teach and which judge, with the embargo between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import DataError
from holdfast.history.periods import judgeable, known_before
from holdfast.quality.enough import LEAST_EACH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from holdfast.history.periods import Period

MOST_JUDGED = 6
"""Periods judged before the last: each costs a fit of every candidate."""


class PeriodsError(DataError):
    """The history is too short: no period is left to judge a model that learned from an earlier one."""

    code = "periods"


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
        return np.array(known_before(self.periods, number), dtype=np.int64)


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
    able = judgeable(found, left.tolist(), stayed.tolist(), LEAST_EACH)
    if not able:
        raise PeriodsError(_too_short(found, left, stayed), hint=_HINT)
    last = able[-1]
    known = set(known_before(found, last))
    judged = [number for number in able if number in known]
    return Schedule(found, tuple(judged[-MOST_JUDGED:]), last)


def insist_known(plan: Schedule, known: Mapping[int, NDArray[np.int64]]) -> Schedule:
    """The schedule without periods before which too few were known to have left, or to have stayed.

    Args:
        plan: by the latest that is known.
        known: for each of its judged periods and the last: labels known when it began, and leavers by them.

    Raises:
        PeriodsError: too few were known before the last.
    """

    def enough(number: int) -> bool:
        rows, left = known[number]
        return bool(min(left, rows - left) >= LEAST_EACH)

    if not enough(plan.last):
        rows, left = known[plan.last]
        raise PeriodsError(
            f"When the last period ({plan.periods[plan.last].name}) began, only {left:,} were known to have "
            f"left, {rows - left:,} to have stayed; {LEAST_EACH} of each are needed. Much is told late.",
            hint="Give a longer history or a longer horizon_days. If the `known` column of the churn table "
            "does not say when a row was told, take it out of the contract.",
        )
    return replace(plan, judged=tuple(number for number in plan.judged if enough(number)))


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
