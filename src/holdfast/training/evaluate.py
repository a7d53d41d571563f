"""Measure any version on any labelled table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.contract.table import as_table
from holdfast.progress import NullProgress, Progress
from holdfast.quality.table import training_table
from holdfast.sources import RawTable
from holdfast.training.metrics import bootstrap_intervals, evaluate_predictions
from holdfast.training.train import data_digest

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from holdfast.model.model import Model


@dataclass(frozen=True)
class Evaluation:
    """How a version did on a table.

    Attributes:
        metrics: each figure's ``value`` and, where it has one, its 95 % interval ``low`` and ``high``.
        confusion: counts at the threshold.
        rows: customers measured on.
        rejected: rows left out.
        in_sample: the very table the version was trained on: the figures flatter it.
        warnings: what a careful reader must know.
    """

    metrics: dict[str, dict[str, float | None]]
    confusion: dict[str, int]
    rows: int
    rejected: int
    in_sample: bool
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "metrics": self.metrics,
            "confusion": self.confusion,
            "rows": self.rows,
            "rejected": self.rejected,
            "in_sample": self.in_sample,
            "warnings": self.warnings,
        }


def evaluate(
    model: Model,
    table: pl.DataFrame | pd.DataFrame | RawTable,
    *,
    seed: int = 42,
    resamples: int = 1_000,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure ``model`` on a labelled table, with bootstrap intervals.

    Args:
        model: any version.
        table: one row a customer, with the label column of the model's contract.
        seed: of the resampling.
        resamples: how many.
        progress: is told of each resample.

    Raises:
        ColumnsError, TableError: the table lacks columns, or has only one outcome.
    """
    told = progress or NullProgress()
    raw = table if isinstance(table, RawTable) else RawTable(as_table(table))
    found = training_table(raw, model.contract)
    label = found.label
    assert label is not None  # noqa: S101 - training_table always gives the label
    y = label.to_numpy().astype(np.int8)
    p = model.probability(found.frame)
    judge: dict[str, Any] = {"threshold": model.threshold, "economics": model.contract.economics}
    figures = evaluate_predictions(y, p, **judge)
    confusion = figures.pop("confusion")
    told.start("resampling", resamples)
    ends = bootstrap_intervals(y, p, **judge, resamples=resamples, seed=seed, on_resample=told.advance)
    metrics: dict[str, dict[str, float | None]] = {}
    for name, value in figures.items():
        low, high = ends.get(name, (None, None))
        metrics[name] = {"value": value, "low": low, "high": high}
    in_sample = data_digest(found) == model.manifest.get("data_digest")
    warnings = []
    if in_sample:
        warnings.append(
            "This is the table that trained the version: the figures flatter it. "
            "`holdfast models show` has those of the customers it set aside."
        )
    return Evaluation(metrics, confusion, len(y), found.counts.rejected, in_sample, warnings)
