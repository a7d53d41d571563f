"""Measure any version on any labelled table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from holdfast.contract.table import as_table
from holdfast.errors import UsageError
from holdfast.progress import NullProgress, Progress
from holdfast.quality.table import training_table
from holdfast.sources import RawTable, said_of_encoding
from holdfast.training.metrics import figures_with_intervals
from holdfast.training.train import data_digest

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import pandas as pd

    from holdfast.contract.history import History
    from holdfast.model.model import Model
    from holdfast.settings import Settings


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
    told.start("resampling", resamples)
    figures, ends = figures_with_intervals(
        y,
        p,
        threshold=model.threshold,
        economics=model.contract.economics,
        resamples=resamples,
        seed=seed,
        on_resample=told.advance,
    )
    confusion = figures.pop("confusion")
    metrics: dict[str, dict[str, float | None]] = {}
    for name, value in figures.items():
        low, high = ends.get(name, (None, None))
        metrics[name] = {"value": value, "low": low, "high": high}
    in_sample = data_digest(found) == model.manifest.get("data_digest")
    warnings = list(filter(None, [said_of_encoding(raw.windows_1252)]))
    if in_sample:
        warnings.append(
            "This is the table that trained the version: the figures flatter it. "
            "`holdfast models show` has those of the customers it set aside."
        )
    return Evaluation(metrics, confusion, len(y), found.counts.rejected, in_sample, warnings)


def evaluate_history(
    model: Model,
    given: History,
    root: Path,
    *,
    home: Path,
    as_of: datetime | None = None,
    settings: Settings | None = None,
    seed: int = 42,
    resamples: int = 1_000,
    progress: Progress | None = None,
) -> tuple[Evaluation, datetime]:
    """Measure ``model`` on one moment of the history it learned from: what it says, and who then left.

    Args:
        model: learned from the history.
        given: the history's contract as it is now.
        root: its folder.
        home: where prepared tables are kept.
        as_of: the moment, aware or a wall-clock one of the history's zone; the newest snapshot whose labels
            are known, unless given.
        settings: addresses and credentials of sources, memory.
        seed: of the resampling.
        resamples: how many.
        progress: is told of each step.

    Returns:
        The figures, and the moment: aware, by the clock of the history's zone.

    Raises:
        UsageError: the contract is not what the model learned by, or no label of the moment is known.
        HistoryError: a table is missing, nobody is eligible, or the moment lies beyond the tables.
    """
    from holdfast.history.build import folder_of  # noqa: PLC0415 - DuckDB is slow to import
    from holdfast.history.moments import moments, snapshots  # noqa: PLC0415 - as above
    from holdfast.history.prepare import prepare  # noqa: PLC0415 - as above
    from holdfast.history.times import aware  # noqa: PLC0415 - as above
    from holdfast.scoring.history import built_at  # noqa: PLC0415 - as above

    prepared = prepare(given, root, folder_of(home, given), settings=settings, progress=progress)
    chosen = [as_of] if as_of is not None else snapshots(given.clock, prepared.since, prepared.until)
    looks = moments(given, chosen).filter(pl.col("label_known") <= prepared.until)
    if not looks.height:
        raise UsageError(
            "Who then left is not known yet: the horizon, and the grace, end after what the tables tell.",
            where=f"as_of {max(chosen):%Y-%m-%d}, tables up to {prepared.until:%Y-%m-%d}",
            hint="Take an earlier moment.",
        )
    look = looks.sort("as_of").row(-1, named=True)
    moment = look["as_of"].replace(tzinfo=UTC)
    label = model.contract.churn.label
    with built_at(
        model, given, root, home=home, as_of=[moment], labels=True, settings=settings, progress=progress
    ) as built:
        frame = built.frame().filter(pl.col(label).is_not_null())
    found = evaluate(model, frame, seed=seed, resamples=resamples, progress=progress)
    learned_until = model.manifest.get("until")
    if isinstance(learned_until, str) and look["label_known"].isoformat() <= learned_until:
        said = (
            "The version was refitted on labels of this time: the figures flatter it. "
            "Its report says what was measured on a period that it had not seen."
        )
        found = replace(found, in_sample=True, warnings=[*found.warnings, said])
    return found, aware(look["as_of"], given.clock.time_zone)
