"""How inputs and probabilities were spread in training: what later data are compared with (drift)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.features.encode import common_levels

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_BINS = 10
_MOST_LEVELS = 50


def baseline(conformed: pl.DataFrame, probability: NDArray[np.float64]) -> dict[str, Any]:
    """Frozen reference bins of every input and of the probability.

    Args:
        conformed: training rows.
        probability: out of fold, shape (m,).

    Returns:
        ``columns``: for each, ``missing`` (share) and either ``edges`` (inner edges of ten bins of equal
        size) or ``levels`` with ``shares`` of the values that are there; ``probability``: ``edges`` and
        ``shares``.
    """
    columns = {name: _column(conformed[name]) for name in conformed.columns}
    edges, shares = _bins(probability)
    return {"columns": columns, "probability": {"edges": edges, "shares": shares}}


def _column(column: pl.Series) -> dict[str, Any]:
    missing = column.null_count() / max(column.len(), 1)
    known = column.drop_nulls()
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        edges, shares = _bins(known.to_physical().to_numpy().astype(np.float64))
        return {"missing": missing, "edges": edges, "shares": shares}
    top = common_levels(known).head(_MOST_LEVELS)
    return {
        "missing": missing,
        "levels": top["level"].to_list(),
        "shares": (top["count"] / max(known.len(), 1)).to_list(),
    }


def _bins(values: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    if not len(values):
        return [], []
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return edges.tolist(), (counts / len(values)).tolist()
