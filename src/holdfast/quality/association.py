"""How strongly one column goes with churn or with another, and how sure a rate is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(part: int, whole: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), which stays sensible for small counts.

    >>> [round(bound, 3) for bound in wilson(0, 10)]
    [0.0, 0.278]
    """
    if whole == 0:
        return 0.0, 1.0
    rate, spread = part / whole, Z95 * Z95 / whole
    middle = (rate + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(rate * (1 - rate) / whole + spread / (4 * whole)) / (1 + spread)
    low = max(0.0, middle - half) if part else 0.0  # what the formula says, without its rounding
    high = min(1.0, middle + half) if part < whole else 1.0
    return low, high


def auc(values: pl.Series, label: pl.Series) -> float | None:
    """Chance that a customer who left has a higher value than one who stayed, ties counting half.

    The Mann-Whitney statistic over the number of pairs; rows without a value do not count.

    Args:
        values: anything that can be ranked, shape (n,).
        label: Int8 0/1, shape (n,).

    Returns:
        0.5 where the column tells nothing; none where only one outcome has values.
    """
    known = values.is_not_null()
    values, label = values.filter(known), label.filter(known)
    left = int(label.sum())
    stayed = label.len() - left
    if not left or not stayed:
        return None
    ranks = float(values.rank("average").filter(label == 1).sum())
    return (ranks - left * (left + 1) / 2) / (left * stayed)


def cramers_v(left: Floats, stayed: Floats) -> float | None:
    """Cramér's V of levels against churn, corrected for chance (Bergsma 2013).

    The correction keeps a column with as many levels as rows from looking as if it knew everything.

    Args:
        left: customers of each level who left, shape (levels,).
        stayed: and who stayed.

    Returns:
        0 (nothing in common) to 1 (the level gives the outcome away); none for one level or one outcome.
    """
    table = np.stack([left, stayed], axis=1).astype(np.float64)
    table = table[table.sum(axis=1) > 0]
    total = table.sum()
    sides = table.sum(axis=0)
    if len(table) < 2 or not sides.all():  # noqa: PLR2004 - nothing to compare
        return None
    expected = table.sum(axis=1, keepdims=True) * sides / total
    phi = float(((table - expected) ** 2 / expected).sum() / total)
    rows = len(table)
    phi = max(0.0, phi - (rows - 1) / (total - 1))
    rows_corrected = rows - (rows - 1) ** 2 / (total - 1)
    columns_corrected = 2 - 1 / (total - 1)
    least = min(rows_corrected - 1, columns_corrected - 1)
    return min(1.0, math.sqrt(phi / least)) if least > 0 else 0.0


def correlations(frame: pl.DataFrame, *, ranked: bool = False) -> Floats:
    """Pearson's correlation of each pair of numeric columns, over the rows where both have a value.

    Args:
        frame: numeric columns, shape (n, columns).
        ranked: Spearman's instead; ranks are taken within each column's own values.

    Returns:
        Shape (columns, columns); nan where a column does not vary.
    """
    numbers = frame.select(pl.all().cast(pl.Float64))
    if ranked:
        numbers = numbers.select(pl.all().rank("average").cast(pl.Float64))
    numbers = numbers.select((pl.all() - pl.all().mean()) / pl.all().std())  # products stay in bounds
    values = numbers.to_numpy()
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    mask = known.astype(np.float64)
    with np.errstate(all="ignore"):
        pairs = mask.T @ mask
        sums = filled.T @ mask
        squares = (filled**2).T @ mask
        spread = squares - sums**2 / pairs
        covariance = filled.T @ filled - sums * sums.T / pairs
        found = covariance / np.sqrt(spread * spread.T)
    found[~np.isfinite(found)] = np.nan
    bounded: Floats = np.clip(found, -1.0, 1.0)
    varied = np.isfinite(bounded.diagonal())
    np.fill_diagonal(bounded, np.where(varied, 1.0, np.nan))
    return bounded
