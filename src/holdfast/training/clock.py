"""The budget: a plan made from the data alone, and a clock that only ends what overruns it.

The plan does not look at the clock, so the same data, seed and budget give the same model on any machine that
keeps up. Where the clock did end something, training says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.training.recipes import Recipe

SHARE = 0.2
"""Of the budget, for tuning one booster."""

_FIXED = 0.5
_PER_STEP = {"lightgbm": 4e-9, "xgboost": 8e-9, "catboost": 11e-9}
"""Seconds a row, column and round takes on one of two slow cores; a try takes 1.8 times the default."""

_PER_ROUND = 5e-4
_BOOSTING = {"lightgbm": 2e-9, "xgboost": 2.1e-9, "catboost": 5.5e-9}
"""Seconds of one of two cores that a round takes, and a row and column in it."""

_OTHERS = {
    "logistic_regression": 7e-7,
    "naive_bayes": 2e-8,
    "decision_tree": 1.7e-7,
    "random_forest": 1.5e-6,
}
"""Seconds of one of two cores that a row and column takes."""


@dataclass
class Clock:
    """Counts down a budget in seconds.

    Args:
        budget: for the search; what must be done after it (refit, judge, report) comes on top.
    """

    budget: float
    _begin: float = field(default_factory=time.monotonic)
    ended: list[str] = field(default_factory=list)
    """What was left out or cut short because the budget was spent."""

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin

    def spent(self, what: str, share: float = 1.0) -> bool:
        """Whether ``share`` of the budget is gone; if so, ``what`` is noted as cut."""
        over = self.seconds() > self.budget * share
        if over and what not in self.ended:
            self.ended.append(what)
        return over

    def warnings(self) -> list[str]:
        """That something was cut, and what; none where nothing was."""
        if not self.ended:
            return []
        said = f"The budget of {self.budget:g} s ended early: {', '.join(self.ended)} cut short or left out. "
        return [said + "Another run may choose otherwise; give a larger --budget."]


def fit_seconds(recipe: Recipe, rows: int, columns: int) -> float:
    """About how long one core takes for a fit.

    Args:
        recipe: of a booster, with its rounds.
        rows: learned from.
        columns: of the matrix.
    """
    cells = rows * columns
    if recipe.name in _OTHERS:
        return _OTHERS[recipe.name] * cells
    return (recipe.rounds or 0) * (_PER_ROUND + _BOOSTING[recipe.name] * cells)


def planned_trials(budget: float, name: str, *, cells: int, rounds: int) -> int:
    """How many settings of a booster fit its share of the budget.

    Args:
        budget: seconds.
        name: of the booster.
        cells: rows times columns of the matrices of one cross-validation, all folds together.
        rounds: boosted in one fit, up to where early stopping ends it.
    """
    return int(budget * SHARE / (_FIXED + _PER_STEP[name] * cells * rounds))
