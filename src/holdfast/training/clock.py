"""The budget: a plan made from the size of the data alone, and a clock that only ends what overruns it.

The plan does not look at the clock, so the same data, seed and budget give the same model on any machine that
keeps up. Where the clock did end something, training says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_FIXED = 0.6
_PER_CELL = 8e-6
_MOST_TRIALS = 24


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


def planned_trials(budget: float, rows: int, columns: int) -> int:
    """How many settings of each tuned booster fit the budget, by the size of the matrix.

    A third of the budget, at a cautious cost of one cross-validation on two cores.
    """
    cost = _FIXED + _PER_CELL * rows * columns
    return int(min(_MOST_TRIALS, budget / 3 / cost / 2))
