"""Columns that repeat other columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.guess.bounds import coordinate
from holdfast.contract.guess.names import words
from holdfast.contract.types import NUMERIC, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAIR = r"^[(\[]?\s*([+-]?\d+\.\d+)\s*[,;/ ]\s*([+-]?\d+\.\d+)\s*[)\]]?$"
_SAME = 0.99


def repeated(values: Mapping[str, tuple[Kind, pl.Series]]) -> dict[str, str]:
    """Columns that say what one before them says, each with the reason, to stand after ``redundant: ``.

    Numbers and dates repeat where each value is the same, categories where each level of one always stands
    for the same level of the other (``CA`` and ``California``).

    Args:
        values: kind and typed values of each column that is still in, in the file's order.
    """
    first: dict[tuple[str, int, int], str] = {}
    found = _coordinates(values)
    for name, (kind, series) in values.items():
        if name in found:
            continue
        group = "number" if kind in NUMERIC else str(kind)
        comparable = _comparable(kind, series)
        key = (group, series.null_count(), int(comparable.hash(seed=7).sum() or 0))
        earlier = first.setdefault(key, name)
        if earlier != name and _comparable(*values[earlier]).equals(comparable):
            found[name] = f'it repeats "{earlier}"'
    return found


def _comparable(kind: Kind, series: pl.Series) -> pl.Series:
    if kind in NUMERIC:
        return series.cast(pl.Float64).alias("")
    if kind in (Kind.CATEGORY, Kind.TEXT, Kind.ID):
        frame = series.alias("level").to_frame().with_row_index()
        place = pl.when(pl.col("level").is_not_null()).then(pl.col("index").min().over("level"))
        return frame.select(place.alias("")).to_series()
    return series.alias("")


def _coordinates(values: Mapping[str, tuple[Kind, pl.Series]]) -> dict[str, str]:
    """Text of two numbers where the two are columns of their own, such as latitude and longitude."""
    numbers = {
        name: series
        for name, (kind, series) in values.items()
        if kind is Kind.NUMBER and coordinate(words(name)) is not None
    }
    found: dict[str, str] = {}
    for name, (kind, series) in values.items():
        if kind is not Kind.CATEGORY or not numbers or not _all_pairs(series):
            continue
        halves = [series.str.extract(_PAIR, group).cast(pl.Float64, strict=False) for group in (1, 2)]
        twins = [_twin(half, numbers) for half in halves]
        if all(twins):
            found[name] = f'it repeats "{twins[0]}" and "{twins[1]}"'
    return found


def _all_pairs(series: pl.Series) -> bool:
    """A look at a few before the pattern runs over all."""
    seen = series.drop_nulls()
    return bool(len(seen)) and all(bool(part.str.contains(_PAIR).all()) for part in (seen.head(50), seen))


def _twin(half: pl.Series, numbers: Mapping[str, pl.Series]) -> str | None:
    for name, series in numbers.items():
        if float(((half - series).abs() < 1e-6).mean() or 0) > _SAME:  # type: ignore[arg-type]  # noqa: PLR2004 - 0.1 m
            return name
    return None
