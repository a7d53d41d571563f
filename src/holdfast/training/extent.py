"""What a budget has room for over a history: by rows, columns and candidates alone, never by the clock.

So the same data, seed and budget give the same model on any machine. What a small budget leaves out is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.training.examples import NO_LABEL
from holdfast.training.narrow import MOST_KEPT
from holdfast.training.staged import family, family_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.contract import Contract
    from holdfast.training.examples import Examples

FULL = 180.0
"""Seconds, the default budget: with them folds and rehearsals learn from as many rows as they ever do."""

FOLD_ROWS = 40_000
"""A fold of the search learns from so many rows at the most; the chosen recipe is built on more."""

LEAST_FOLD_ROWS = 5_000
"""With fewer, what is found says little of a build."""

REHEARSAL_ROWS = 150_000
"""A rehearsal learns from so many rows at the most: half a full build's, for half its time."""

MANY_MORE = 1.5
"""A rehearsal on fewer times a fold's rows would tell what the fold has told."""

SEARCH = 0.6
"""Of the budget, for the search; the rest is the rehearsal's."""

_CORES = 2
"""Of the machine that a budget is meant for; on more, the same work is done sooner."""

ORDER = (
    "lightgbm",
    "logistic_regression",
    "naive_bayes",
    "decision_tree",
    "xgboost",
    "catboost",
    "random_forest",
)
"""When the budget is short, what costs little and what is most likely to be chosen is tried: a larger budget
never tries less.
"""


@dataclass(frozen=True)
class Extent:
    """What is tried, and on how many rows.

    Attributes:
        names: candidates, in the order in which they are tried.
        fold_rows: a fold learns from at the most.
        rehearsal_rows: a rehearsal learns from at the most.
        rehearsed: judged periods for which the build is rehearsed: those before which many more rows were
            known than a fold learns from.
        left_out: what a larger budget would have room for, in words.
    """

    names: tuple[str, ...]
    fold_rows: int
    rehearsal_rows: int
    rehearsed: tuple[int, ...]
    left_out: tuple[str, ...] = ()

    def warnings(self, budget: float) -> list[str]:
        """What the budget has no room for; none where it has for all."""
        if not self.left_out:
            return []
        return [f"A budget of {budget:g} s has no room for: {', '.join(self.left_out)}."]


def extent_of(examples: Examples, contract: Contract, names: Sequence[str], budget: float) -> Extent:
    """What a budget has room for.

    Args:
        examples: loaded rows.
        contract: describes them.
        names: candidates asked for, as in `recipes.NAMES`.
        budget: seconds.
    """
    plan = examples.schedule
    rows_of = np.bincount(examples.period[examples.y != NO_LABEL], minlength=len(plan.periods))
    known = [int(rows_of[plan.before(number)].sum()) for number in plan.judged]
    columns = min(len(contract.inputs), MOST_KEPT)

    def seconds(name: str, most: int) -> float:
        return sum(family_seconds(family(name, most, 1.0), min(rows, most), columns) for rows in known)

    wanted = [name for name in ORDER if name in names]
    room = SEARCH * _CORES * budget
    first = seconds(wanted[0], FOLD_ROWS)
    fold_rows = FOLD_ROWS if first <= room else max(LEAST_FOLD_ROWS, int(FOLD_ROWS * room / first))
    tried: list[str] = []
    for name in wanted:
        room -= seconds(name, fold_rows)
        if tried and room < 0:
            break
        tried.append(name)
    rows = int(REHEARSAL_ROWS * min(1.0, budget / FULL))

    def worth(most: int, fold: int) -> tuple[int, ...]:
        many = MANY_MORE * fold
        return tuple(n for n, count in zip(plan.judged, known, strict=True) if min(count, most) >= many)

    rehearsed = worth(rows, fold_rows)
    left_out = [name.replace("_", " ") for name in wanted if name not in tried]
    if fold_rows < min(FOLD_ROWS, max(known, default=0)):
        left_out.append(f"folds of more than {fold_rows:,} examples")
    if len(rehearsed) < len(worth(REHEARSAL_ROWS, FOLD_ROWS)):
        left_out.append("rehearsing the build")
    elif rehearsed and rows < min(REHEARSAL_ROWS, max(known)):
        left_out.append(f"rehearsals on more than {rows:,} examples")
    return Extent(tuple(tried), fold_rows, rows, rehearsed, tuple(left_out))
