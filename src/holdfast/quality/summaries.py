"""What one column looks like: its numbers, its levels, and how churn differs along it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.pages import words
from holdfast.quality.association import wilson
from holdfast.quality.findings import Histogram, NumberSummary, Outliers, Segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Column

    Floats = NDArray[np.float64]

MOST_LEVELS = 50
"""So many levels of a category are listed; the rest are one segment together."""
MOST_VALUES = 8
"""A number with no more different values than this is shown value by value."""
BINS = 30
PARTS = 5
"""Segments of a number hold about equally many customers each."""
LONG_TAIL = 3.0
"""A range so many times wider than that of nearly all values is cut in the histogram."""


def number_summary(values: pl.Series, label: pl.Series) -> NumberSummary | None:
    """Moments, quantiles, outliers and histogram of a numeric column; none without values.

    Outliers are counted by three rules: further than 1.5 interquartile ranges from the quartiles, more than 3
    standard deviations from the mean, outside the 1st to 99th percentile.
    """
    known = values.is_not_null()
    numbers = values.filter(known).cast(pl.Float64).to_numpy()
    if not len(numbers):
        return None
    ordered = np.sort(numbers)
    marks = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    with np.errstate(all="ignore"):
        p1, p5, p25, p50, p75, p95, p99 = (_quantile(ordered, mark) for mark in marks)
        mean, deviation = float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
        reach = 1.5 * (p75 - p25)
        outliers = Outliers(
            iqr=_outside(ordered, p25 - reach, p75 + reach),
            z=_outside(ordered, mean - 3 * deviation, mean + 3 * deviation),
            percentile=_outside(ordered, p1, p99),
        )
    left = label.filter(known).to_numpy() == 1
    return NumberSummary(
        min=float(ordered[0]), max=float(ordered[-1]), mean=_finite(mean), std=_finite(deviation),
        p1=p1, p5=p5, p25=p25, p50=p50, p75=p75, p95=p95, p99=p99,
        outliers=outliers,
        histogram=_histogram(numbers, left, ordered, whole=values.dtype.is_integer()),
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _quantile(ordered: Floats, mark: float) -> float:
    """Quantile of sorted values by linear interpolation."""
    place = mark * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    part = place - low
    return float(ordered[low] * (1 - part) + ordered[high] * part)


def _outside(ordered: Floats, low: float, high: float) -> int:
    below = np.searchsorted(ordered, low, side="left")
    above = len(ordered) - np.searchsorted(ordered, high, side="right")
    return int(below + above) if np.isfinite(low) and np.isfinite(high) else 0


def _histogram(numbers: Floats, left: NDArray[np.bool_], ordered: Floats, *, whole: bool) -> Histogram | None:
    low, high = _worth_drawing(ordered)
    if not np.isfinite(high - low):
        return None
    if whole:  # bins of whole width, or some would hold one value more than others
        width = max(1.0, np.ceil((high - low + 1) / BINS))
        edges = np.floor(low) - 0.5 + width * np.arange(np.ceil((high - np.floor(low) + 1) / width) + 1)
    elif low == high:
        edges = np.array([low - 0.5, low + 0.5])
    else:
        with np.errstate(over="ignore"):
            edges = np.linspace(low, high, BINS + 1)
    if not np.all(np.diff(edges) > 0) or not np.isfinite(edges).all():  # the ends of what a float can tell
        return None
    return Histogram(
        edges=tuple(edges.tolist()),
        left=tuple(np.histogram(numbers[left], edges)[0].tolist()),
        stayed=tuple(np.histogram(numbers[~left], edges)[0].tolist()),
        below=int(np.searchsorted(ordered, edges[0], side="left")),
        above=int(len(ordered) - np.searchsorted(ordered, edges[-1], side="right")),
    )


def _worth_drawing(ordered: Floats) -> tuple[float, float]:
    """The range of all values or, where a few lie far out, of the most that do not squeeze the others."""
    ranges = [(_quantile(ordered, mark), _quantile(ordered, 1 - mark)) for mark in (0, 0.005, 0.025, 0.05)]
    with np.errstate(over="ignore"):
        for (low, high), (inner_low, inner_high) in pairwise(ranges):
            if high - low <= LONG_TAIL * (inner_high - inner_low) or inner_low == inner_high:
                return low, high
    return ranges[-1]


def segment(name: str, rows: int, left: int) -> Segment:
    """A group of customers and its churn rate with a 95 % interval."""
    low, high = wilson(left, rows)
    return Segment(name=name, rows=rows, left=left, rate=left / rows if rows else None, low=low, high=high)


def level_segments(values: pl.Series, label: pl.Series, column: Column) -> tuple[tuple[Segment, ...], int]:
    """Churn by level, most frequent first; what comes after `MOST_LEVELS` is one segment.

    Returns:
        The segments, without customers who have no level, and how many levels the last one stands for (0
        if each has its own).
    """
    counted = level_counts(values, label)
    names = [_level_name(value, column) for value in counted["value"][:MOST_LEVELS]]
    rows = counted.select("rows", "left").rows()
    found = [segment(name, *row) for name, row in zip(names, rows[:MOST_LEVELS], strict=True)]
    others = rows[MOST_LEVELS:]
    if others:
        found.append(
            segment("(all other levels)", sum(row[0] for row in others), sum(row[1] for row in others))
        )
    return tuple(found), len(others)


def level_counts(values: pl.Series, label: pl.Series) -> pl.DataFrame:
    """``value, rows, left`` of each level that occurs, most frequent first, then by name."""
    table = pl.DataFrame({"value": values, "left": label.cast(pl.Int64)}).filter(
        pl.col("value").is_not_null()
    )
    counted = table.group_by("value").agg(rows=pl.len().cast(pl.Int64), left=pl.col("left").sum())
    return counted.sort(-pl.col("rows"), pl.col("value").cast(pl.String))


def _level_name(value: object, column: Column) -> str:
    if isinstance(value, bool):
        return (column.true or "Yes") if value else (column.false or "No")
    return str(value)


def range_segments(values: pl.Series, label: pl.Series) -> tuple[Segment, ...]:
    """Churn along a number or a date: by value where there are few, else in parts of about equal size."""
    known = values.is_not_null()
    values, label = values.filter(known), label.filter(known)
    dates = values.dtype == pl.Date
    numbers = values.to_physical().cast(pl.Float64).to_numpy()
    left = label.to_numpy() == 1
    different = np.unique(numbers)
    if len(different) <= MOST_VALUES:
        place = np.searchsorted(different, numbers)
        names = [_bound(value, dates=dates) for value in different]
    else:
        ordered = np.sort(numbers)
        edges = np.unique([ordered[part * (len(ordered) - 1) // PARTS] for part in range(PARTS + 1)])
        place = np.clip(np.searchsorted(edges, numbers, side="left") - 1, 0, len(edges) - 2)
        names = _range_names(edges, different, dates=dates)
    rows = np.bincount(place, minlength=len(names))
    lost = np.bincount(place[left], minlength=len(names))
    return tuple(segment(name, int(r), int(g)) for name, r, g in zip(names, rows, lost, strict=True))


def _range_names(edges: Floats, different: Floats, *, dates: bool) -> list[str]:
    """First and last value that occurs in each part; a part holds its upper edge, the first its lower too."""
    starts = np.searchsorted(different, edges[:-1], side="right")
    starts[0] = 0
    ends = np.searchsorted(different, edges[1:], side="right") - 1
    pairs = [(different[min(start, end)], different[end]) for start, end in zip(starts, ends, strict=True)]
    return [
        _bound(low, dates=dates)
        if low == high
        else f"{_bound(low, dates=dates)} to {_bound(high, dates=dates)}"
        for low, high in pairs
    ]


def _bound(value: float, *, dates: bool) -> str:
    if dates:
        return str(np.datetime64(int(value), "D"))
    return words.number(float(value), 4)
