"""The numbers behind the report's curves: what acting on the riskiest customers finds, costs and brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.decisions import expected_gain
from holdfast.quality.association import wilson
from holdfast.training.metrics import CALIBRATION_BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Economics

MOST_POINTS = 240
"""A curve is drawn through at most so many points: more cannot be seen, and a page must stay small."""


@dataclass(frozen=True)
class Ranked:
    """Customers from the highest probability down, those with equal probabilities together.

    Attributes:
        threshold: each probability once, highest first, shape (k,).
        acted: customers at or above it, shape (k,).
        found: of these, the ones who left, shape (k,).
        rows: customers in all.
        left: of these, the ones who left.
    """

    threshold: NDArray[np.float64]
    acted: NDArray[np.int64]
    found: NDArray[np.int64]
    rows: int
    left: int

    @property
    def stayed(self) -> int:
        """Customers who stayed."""
        return self.rows - self.left

    @property
    def both(self) -> bool:
        """Whether some left and some stayed; ranking means nothing otherwise."""
        return 0 < self.left < self.rows

    def thinned(self) -> Ranked:
        """At most `MOST_POINTS` of the thresholds, evenly by customers acted on, both ends among them."""
        if len(self.acted) <= MOST_POINTS:
            return self
        wanted = np.linspace(self.acted[0], self.acted[-1], MOST_POINTS)
        kept = np.unique(np.searchsorted(self.acted, wanted))
        return Ranked(self.threshold[kept], self.acted[kept], self.found[kept], self.rows, self.left)


def rank(y: NDArray[np.int8], p: NDArray[np.float64]) -> Ranked:
    """Count who is found from the highest probability down; labels and probabilities of shape (n,)."""
    order = np.argsort(-p, kind="stable")
    ordered, found = p[order], np.cumsum(y[order], dtype=np.int64)
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) if len(p) else np.array([], np.int64)
    return Ranked(ordered[last], last + 1, found[last], len(y), int(y.sum()))


@dataclass(frozen=True)
class Acting:
    """What contacting some customers would have meant for those kept aside.

    Attributes:
        acted: customers contacted.
        found: of these, the ones who left.
        worth: expected gain over all of them (money), given who left.
    """

    acted: int
    found: int
    worth: float


def worth(
    acted: NDArray[np.int64] | int, found: NDArray[np.int64] | int, economics: Economics
) -> NDArray[np.float64]:
    """Expected gain (money) of contacting ``acted`` customers of whom ``found`` left; their shape."""
    stays, leaves = expected_gain(np.array([0.0, 1.0]), economics)
    return np.asarray(found * leaves + (np.asarray(acted) - found) * stays, dtype=np.float64)


def acting(ranked: Ranked, threshold: float, economics: Economics) -> Acting:
    """What contacting every one at or above ``threshold`` would have meant."""
    place = int(np.searchsorted(-ranked.threshold, -threshold, side="right")) - 1
    if place < 0:
        return Acting(0, 0, 0.0)
    acted, found = int(ranked.acted[place]), int(ranked.found[place])
    return Acting(acted, found, float(worth(acted, found, economics)))


def best_acting(ranked: Ranked, economics: Economics) -> tuple[float, Acting]:
    """The threshold that would have brought most, known only afterwards, and what it would have meant."""
    values = worth(ranked.acted, ranked.found, economics)
    place = int(np.argmax(values)) if len(values) else 0
    if not len(values) or values[place] <= 0:
        return 1.0, Acting(0, 0, 0.0)
    told = Acting(int(ranked.acted[place]), int(ranked.found[place]), float(values[place]))
    return float(ranked.threshold[place]), told


def worth_by_threshold(
    ranked: Ranked, thresholds: NDArray[np.float64], economics: Economics
) -> NDArray[np.float64]:
    """Expected gain per customer (money) of acting at or above each threshold, shape of ``thresholds``."""
    place = np.searchsorted(-ranked.threshold, -thresholds, side="right")
    acted, found = (np.r_[0, counts][place] for counts in (ranked.acted, ranked.found))
    return worth(acted, found, economics) / max(1, ranked.rows)


@dataclass(frozen=True)
class Bin:
    """Customers with similar probabilities.

    Attributes:
        rows: how many.
        left: how many of them left.
        predicted: their mean probability.
        seen: share of them who left.
        low: lower end of the 95 % Wilson interval of ``seen``.
        high: its upper end.
        least: smallest probability among them.
        most: largest.
    """

    rows: int
    left: int
    predicted: float
    seen: float
    low: float
    high: float
    least: float
    most: float


def calibration_bins(y: NDArray[np.int8], p: NDArray[np.float64]) -> list[Bin]:
    """Bins of equal size by probability, lowest first: those of `metrics.calibration_error`."""
    bins = []
    for part in _parts(p):
        q, left = p[part], int(y[part].sum())
        low, high = wilson(left, len(part))
        ends = (low, high, float(q[0]), float(q[-1]))
        bins.append(Bin(len(part), left, float(q.mean()), left / len(part), *ends))
    return bins


def calibration_noise(p: NDArray[np.float64]) -> tuple[float, float]:
    """Calibration error of flawless probabilities on as many customers: its mean and 95 % point.

    In each bin of n_b customers the gap between the shares predicted and seen is nearly normal about zero
    with variance s_b^2 = sum p (1 - p) / n_b^2, so its size has mean s_b sqrt(2 / pi) and variance
    s_b^2 (1 - 2 / pi); the error is their mean weighted by n_b / n.
    """
    parts = _parts(p)
    if not parts:
        return 0.0, 0.0
    spread = np.array([np.sqrt((p[part] * (1 - p[part])).sum()) for part in parts]) / len(p)
    mean = float(spread.sum() * np.sqrt(2 / np.pi))
    deviation = float(np.sqrt((spread**2).sum() * (1 - 2 / np.pi)))
    return mean, mean + 1.645 * deviation


def _parts(p: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    order = np.argsort(p, kind="stable")
    return [part for part in np.array_split(order, CALIBRATION_BINS) if len(part)]
