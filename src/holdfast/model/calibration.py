"""The last step from a model's log-odds to a probability, learned on out-of-fold predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibrator:
    """Probability = sigmoid(slope * log-odds + shift), then, where fitted, a monotone curve.

    The first is Platt's (1999) on log-odds; the curve is isotonic (Zadrozny & Elkan 2002), straight between
    its points. ``method`` says which: ``none`` (slope 1, shift 0), ``logistic`` or ``isotonic``.
    """

    method: str = "none"
    slope: float = 1.0
    shift: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    """Log-odds and probability of the curve's corners, rising."""

    def probability(self, logit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probability of each log-odds, same shape; rising in the log-odds."""
        if self.points:
            x, y = np.asarray(self.points).T
            return np.asarray(np.interp(logit, x, y))
        return np.asarray(expit(self.slope * logit + self.shift))

    def state(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "method": self.method,
            "slope": self.slope,
            "shift": self.shift,
            "points": [list(point) for point in self.points],
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Calibrator:
        """Take back what `state` gave.

        Raises:
            ValueError: it does not rise with the log-odds, or leaves 0 to 1.
        """
        points = tuple((float(x), float(y)) for x, y in state["points"])
        found = cls(str(state["method"]), float(state["slope"]), float(state["shift"]), points)
        x, y = np.asarray(points).reshape(-1, 2).T
        rises = found.slope > 0 and bool((np.diff(x) > 0).all() and (np.diff(y) >= 0).all())
        if not rises or not ((y >= 0) & (y <= 1)).all():
            raise ValueError("the calibrator does not rise from 0 to 1")
        return found
