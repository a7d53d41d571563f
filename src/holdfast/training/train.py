"""From a table and its contract to a registered, measured, explained model."""

from __future__ import annotations

import hashlib
import io
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.contract.table import as_table
from holdfast.decisions import profit_threshold
from holdfast.features.custom import check_features
from holdfast.model.model import Model
from holdfast.progress import NullProgress, Progress
from holdfast.quality.enough import insist_on_enough
from holdfast.quality.report import explore
from holdfast.quality.table import left_out, training_table
from holdfast.registry import Registry
from holdfast.sources import RawTable, said_of_encoding
from holdfast.training.baseline import baseline
from holdfast.training.clock import Clock
from holdfast.training.findings import Findings, lost_money
from holdfast.training.importance import importances
from holdfast.training.leaderboard import leaderboard, why_chosen
from holdfast.training.metrics import figures_with_intervals
from holdfast.training.package import write_artefact
from holdfast.training.recipes import chosen_names
from holdfast.training.search import choose
from holdfast.training.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from holdfast.contract import Contract, Economics
    from holdfast.model.model import Scorer
    from holdfast.quality.conform import Conformed
    from holdfast.registry import Version
    from holdfast.training.search import Candidate

RESAMPLES = 300
_LIBRARIES = ("polars", "numpy", "scikit-learn", "xgboost-cpu", "lightgbm", "catboost", "optuna")


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        model: ready to score.
        version: as registered; None without a home.
        findings: all that was measured.
    """

    model: Model
    version: Version | None
    findings: Findings

    @property
    def leaderboard(self) -> pl.DataFrame:
        """One row a candidate, best log loss first."""
        return self.findings.leaderboard

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures of the test split, and their intervals."""
        return self.model.metrics

    @property
    def warnings(self) -> list[str]:
        """What a careful reader must know."""
        return self.findings.warnings

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.findings.seconds


def train(
    table: pl.DataFrame | pd.DataFrame | RawTable,
    contract: Contract,
    *,
    budget: float = 180.0,
    models: Sequence[str] | None = None,
    seed: int = 42,
    home: Path | None = None,
    actor: str = "python",
    progress: Progress | None = None,
) -> Trained:
    """Train, choose, calibrate, measure and explain a churn model.

    A fifth of the customers is set aside. On the rest every candidate is cross-validated, the best boosters
    are tuned, and the simplest candidate within noise of the best log loss is chosen. It is built on the rest
    and measured on the fifth; the deployed model is the same recipe refitted on everyone.

    Args:
        table: one row a customer, with the label column.
        contract: describes the table.
        budget: seconds for the search; the plan follows from it and the table.
        models: names among `holdfast.training.recipes.NAMES`; all by default.
        seed: the same seed, data and plan give the same model.
        home: where to register the version; without it the model is only returned.
        actor: in whose name, for the audit trail.
        progress: is told of each step.

    Raises:
        ColumnsError, TableError, TooFewError: the data cannot be learned from.
        FeatureError: a feature of ``[features]`` fails.
        UsageError: a model's name is unknown.
    """
    names = chosen_names(models)
    told = progress or NullProgress()
    clock = Clock(budget)
    raw = table if isinstance(table, RawTable) else RawTable(as_table(table))
    told.start("reading and checking the data", None)
    found = training_table(raw, contract)
    check_features(contract, found.frame)
    warnings = insist_on_enough(found, contract)
    warnings += filter(None, (left_out(raw, found), said_of_encoding(raw.windows_1252)))
    task = Task(contract, found, seed, clock, told)
    search, program, note = task.search_folds()
    candidates = search.run([n for n in names if not (n == "stack" and task.sampled)])
    chosen, within = choose(candidates, search.y)
    compared = task.smote(search, names)
    threshold, threshold_why = threshold_for(contract.economics, chosen.probability)
    measured, deployed = task.build(chosen, program, search)
    told.start("measuring on the customers set aside", None)
    test_p = measured.probability(task.test_frame)
    figures, intervals = figures_with_intervals(
        task.test_y,
        test_p,
        threshold=threshold,
        economics=contract.economics,
        resamples=RESAMPLES,
        seed=seed,
    )
    importance = importances(measured, task.test_frame, task.test_y, seed=seed, progress=told)
    told.start("writing the report", None)
    warnings += [*lost_money(figures, "on the customers set aside"), *clock.warnings()]
    findings = Findings(
        contract=contract,
        seed=seed,
        budget=budget,
        seconds=clock.seconds(),
        rows=task.counts(),
        leaderboard=leaderboard(
            [*candidates, *compared],
            chosen=chosen,
            within=within,
            y=search.y,
            threshold=threshold,
            economics=contract.economics,
        ),
        chosen=chosen.name,
        why=why_chosen(chosen, candidates, search.y),
        threshold=threshold,
        threshold_why=threshold_why,
        test=figures,
        intervals=intervals,
        test_y=task.test_y,
        test_p=test_p,
        importance=importance,
        calibrator=chosen.calibrator.method,
        features_note=note,
        warnings=warnings,
        quality=explore(raw, contract),
        facts=facts_of(contract, data_digest(found), chosen),
    )
    registry = None if home is None else Registry(home, actor=actor)
    return packed(deployed, findings, baseline(found.frame, chosen.probability), registry)


def threshold_for(economics: Economics, probability: NDArray[np.float64]) -> tuple[float, str]:
    """From the economics; raised where the capacity allows fewer contacts than would pay.

    Args:
        economics: what a mistake costs.
        probability: of customers who did not teach the model.
    """
    pays = profit_threshold(economics)
    if economics.capacity is not None and len(probability):
        reachable = float(np.quantile(probability, 1 - economics.capacity))
        if reachable > pays:
            return reachable, (
                f"Acting pays from {pays:.3f}, but capacity allows {economics.capacity:.0%} of customers: "
                f"from {reachable:.3f}."
            )
    return pays, "Acting on a customer pays from this probability on, by the contract's economics."


def facts_of(contract: Contract, digest: str, chosen: Candidate) -> dict[str, Any]:
    """What the manifest says beside the files' checksums; ``digest`` is the data's."""
    return {
        "name": contract.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": f"{chosen.name} ({chosen.note})" if chosen.note else chosen.name,
        "holdfast": installed("holdfast"),
        "contract_digest": contract.digest(),
        "data_digest": digest,
        "libraries": {name: installed(name) for name in _LIBRARIES},
    }


def data_digest(found: Conformed) -> str:
    """SHA-256 (hex) of the conformed table with its labels, in its order; the same for CSV and Parquet."""
    label = found.label
    table = found.frame if label is None else found.frame.with_columns(label.alias("\0label"))
    stream = io.BytesIO()
    table.write_ipc(stream, compression="uncompressed")
    return hashlib.sha256(stream.getbuffer()).hexdigest()


def packed(
    scorer: Scorer,
    findings: Findings,
    spread: dict[str, Any],
    registry: Registry | None,
) -> Trained:
    """Write the artefact, register it, and load it back as everyone will."""
    if registry is None:
        with TemporaryDirectory() as folder:
            write_artefact(Path(folder), scorer, findings, spread)
            return Trained(Model.load(folder), None, findings)
    with closing(registry), registry.staging() as folder:
        write_artefact(folder, scorer, findings, spread)
        facts = findings.facts
        version = registry.register(
            folder,
            name=findings.contract.name,
            recipe=facts["recipe"],
            contract_digest=facts["contract_digest"],
            data_digest=facts["data_digest"],
            metrics=findings.test,
        )
    return Trained(Model.load(version.path, version=version.label), version, findings)
