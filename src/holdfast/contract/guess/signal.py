"""How well one column alone tells who left: ranks, out-of-fold rates, pure values, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
BINS = 100
SAMPLE = 100_000
"""Rows looked at in a longer table: more than enough to tell .98 from .95."""

SMALLEST_PURE = 30
"""Rows that one value or range must have before its being pure means anything."""

_SMOOTHING = 10.0
_SEED = 20_240_501


@dataclass(frozen=True)
class Signal:
    """What one column says about the label. AUC is 0.5 for nothing and 1 for everything."""

    auc: float
    """Best of rank AUC and the out-of-fold rates of values or ranges; missing is a value of its own."""
    z: float
    """How many standard errors `auc` is away from 0.5."""
    missing_auc: float
    """Of the column's being missing, whichever way round."""
    pure_left: float
    """Share of those who left in values or ranges that nobody has who stayed (far beyond chance)."""
    pure_share: float
    """Share of all rows in values or ranges with one outcome only (far beyond chance)."""


def sample_rows(height: int, width: int) -> NDArray[np.int64]:
    """The rows to look at, ascending and always the same; fewer of a very wide table."""
    most = int(np.clip(SAMPLE * 100 // max(1, width), SAMPLE // 5, SAMPLE))
    if height <= most:
        return np.arange(height)
    return np.sort(np.random.default_rng(_SEED).choice(height, most, replace=False))


def measure(values: pl.Series, left: NDArray[np.bool_]) -> Signal:
    """Measure one column against the label.

    Args:
        values: numbers, dates, booleans or text; null where missing.
        left: the label, as long as ``values``.
    """
    if values.dtype == pl.Boolean or values.dtype.is_temporal():
        values = values.cast(pl.Int32)
    missing = values.is_null().to_numpy()
    gap = auc(missing.astype(np.float64), left)
    codes = _codes(values)
    found = [_out_of_fold(codes, left), missing.astype(np.float64)]
    if values.dtype.is_numeric() and missing.mean() < 0.5:  # noqa: PLR2004 - half
        # Missing ones in the middle, so that they neither make nor spoil the order of the rest.
        found.append(values.cast(pl.Float64).fill_null(strategy="mean").to_numpy())
    best = max(abs(auc(score, left) - 0.5) for score in found)
    pure_left, pure_share = _purity(codes, left)
    return Signal(0.5 + best, best / _error(left), 0.5 + abs(gap - 0.5), pure_left, pure_share)


def auc(score: NDArray[np.float64], left: NDArray[np.bool_]) -> float:
    """Chance that one who left scores above one who stayed, ties counting half; 0.5 with but one outcome."""
    positives = int(left.sum())
    negatives = len(left) - positives
    if not positives or not negatives:
        return 0.5
    ranks = pl.Series(score).rank("average").to_numpy()
    return float((ranks[left].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _error(left: NDArray[np.bool_]) -> float:
    """Standard error of an AUC of one half (Hanley and McNeil 1982, at A = 1/2)."""
    positives = max(1, int(left.sum()))
    negatives = max(1, len(left) - int(left.sum()))
    return float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives)))


def _codes(values: pl.Series) -> NDArray[np.int64]:
    """Values as integers from 0, missing its own: each value, or of many numbers ranges of equal size."""
    if values.dtype.is_numeric() and values.n_unique() > 2 * BINS:
        # By rank among rows, so that a value that many rows share stays in one range.
        order = values.rank("min").cast(pl.Float64) / max(1, len(values) - values.null_count())
        return (order * BINS).floor().clip(0, BINS - 1).cast(pl.Int64).fill_null(BINS).to_numpy()
    return values.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()


def _out_of_fold(codes: NDArray[np.int64], left: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each row's rate of leaving among rows of the same code in other folds, drawn to the mean where few.

    A category with as many levels as rows therefore scores like noise, not like a leak.
    """
    folds = np.random.default_rng(_SEED).permutation(len(codes)) % FOLDS
    width = int(codes.max()) + 1 if len(codes) else 1
    counts, gone = np.bincount(codes, minlength=width), np.bincount(codes, weights=left, minlength=width)
    base = left.mean()
    rate = np.empty(len(codes))
    for fold in range(FOLDS):
        inside = folds == fold
        here = codes[inside]
        others = counts - np.bincount(here, minlength=width)
        others_gone = gone - np.bincount(here, weights=left[inside], minlength=width)
        rate[inside] = ((others_gone + _SMOOTHING * base) / (others + _SMOOTHING))[here]
    return rate


def _purity(codes: NDArray[np.int64], left: NDArray[np.bool_]) -> tuple[float, float]:
    counts = np.bincount(codes)
    gone = np.bincount(codes, weights=left)
    base = min(max(float(left.mean()), 1e-9), 1 - 1e-9)
    beyond_chance = 1e-12 / max(1, len(counts))
    with np.errstate(divide="ignore"):
        all_left = (
            (gone == counts) & (counts >= SMALLEST_PURE) & (counts * np.log(base) < np.log(beyond_chance))
        )
        none_left = (
            (gone == 0) & (counts >= SMALLEST_PURE) & (counts * np.log1p(-base) < np.log(beyond_chance))
        )
    total_left = max(1.0, float(left.sum()))
    return float(gone[all_left].sum() / total_left), float(
        counts[all_left | none_left].sum() / max(1, len(left))
    )
