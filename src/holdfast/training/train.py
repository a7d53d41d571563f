"""From a table and its contract to a registered, measured, explained model."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from holdfast.contract.table import as_table
from holdfast.decisions import profit_threshold
from holdfast.features import FeatureProgram
from holdfast.features.custom import check_features
from holdfast.model.model import Model
from holdfast.progress import NullProgress, Progress
from holdfast.quality.enough import insist_on_enough
from holdfast.quality.report import explore
from holdfast.quality.table import training_table
from holdfast.registry import Registry
from holdfast.sources import RawTable
from holdfast.training.baseline import baseline
from holdfast.training.build import build
from holdfast.training.clock import Clock, planned_trials
from holdfast.training.crossval import cross_validate, make_folds
from holdfast.training.findings import Findings
from holdfast.training.importance import importances
from holdfast.training.metrics import bootstrap_intervals, evaluate_predictions, row_log_loss
from holdfast.training.package import write_artefact
from holdfast.training.recipes import NAMES, Recipe, chosen_names, default_recipe
from holdfast.training.search import Candidate, Search, choose
from holdfast.training.smote import smote_row
from holdfast.training.split import assign, one_customer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from holdfast.contract import Contract, Economics
    from holdfast.model.model import Scorer
    from holdfast.quality.conform import Conformed
    from holdfast.registry import Version
    from holdfast.training.crossval import Fold

FOLDS = 5
SEARCH_ROWS = 200_000
"""Cross-validation and tuning look at so many rows at the most; the chosen recipe is refitted on all."""

JUDGED_TWICE_ROWS = 20_000
"""Up to so many rows candidates are judged on folds of their own; beyond, the flattery is below the noise."""

FIVE_FOLD_ROWS = 30_000
FEWER_FOLDS = 3
"""On larger tables three folds leave the same noise as five on smaller ones, at little over half the time."""

FEATURE_ROWS = 15_000
SMOTE_ROWS = 50_000
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
    progress: Progress | None = None,
) -> Trained:
    """Train, choose, calibrate, measure and explain a churn model.

    A fifth of the customers is set aside. On the rest every candidate is cross-validated, the best boosters
    are tuned, and the simplest candidate within noise of the best log loss is chosen. It is built on the rest
    and measured on the fifth; the deployed model is the same recipe refitted on everyone.

    Args:
        table: one row a customer, with the label column.
        contract: describes the table.
        budget: seconds for the search; the plan follows from it and the table's size.
        models: names among `holdfast.training.recipes.NAMES`; all by default.
        seed: the same seed, data and plan give the same model.
        home: where to register the version; without it the model is only returned.
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
    task = _Task(contract, found, seed, clock, told)
    search, program, note = task.search_folds()
    trials = planned_trials(budget, *search.folds[0].train.X.shape)
    candidates = search.run([n for n in names if not (n == "stack" and task.sampled)], trials=trials)
    chosen, within = choose(candidates, search.y)
    compared = task.smote(search, names)
    threshold, threshold_why = _threshold(contract, chosen)
    measured, deployed = task.build(chosen, program, search)
    told.start("measuring on the customers set aside", None)
    test_p = measured.probability(task.test_frame)
    judge: dict[str, Any] = {"threshold": threshold, "economics": contract.economics}
    figures = evaluate_predictions(task.test_y, test_p, **judge)
    intervals = bootstrap_intervals(task.test_y, test_p, **judge, resamples=RESAMPLES, seed=seed)
    importance = importances(measured, task.test_frame, task.test_y, seed=seed, progress=told)
    told.start("writing the report", None)
    if clock.ended:
        warnings.append(
            f"The budget of {budget:g} s ended early: {', '.join(clock.ended)} cut short or left out. "
            "Another run may choose otherwise; give a larger --budget."
        )
    findings = Findings(
        contract=contract,
        seed=seed,
        budget=budget,
        seconds=clock.seconds(),
        rows=task.counts(),
        leaderboard=_leaderboard(
            [*candidates, *compared],
            chosen=chosen,
            within=within,
            y=search.y,
            threshold=threshold,
            economics=contract.economics,
        ),
        chosen=chosen.name,
        why=_why(chosen, candidates, search.y),
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
        facts=_facts(contract, found, chosen),
    )
    metrics = {
        "test": figures,
        "test_intervals": {name: list(ends) for name, ends in intervals.items()},
        "rows": findings.rows,
        "threshold": threshold,
    }
    return _packed(deployed, findings, metrics, baseline(found.frame, chosen.probability), home)


class _Task:
    """The rows of one training: which are set aside, which are searched, which are built on."""

    def __init__(
        self, contract: Contract, found: Conformed, seed: int, clock: Clock, progress: Progress
    ) -> None:
        label = found.label
        assert label is not None  # noqa: S101 - training_table always gives the label
        self._contract, self._seed, self._clock, self._progress = contract, seed, clock, progress
        self._rejected = found.counts.rejected
        self._frame = found.frame
        self._y = label.to_numpy().astype(np.int8)
        self._groups = None if contract.id_column else one_customer(found.frame)
        part = assign(self._y, FOLDS, seed=seed, groups=self._groups)
        self._test = np.flatnonzero(part == 0)
        self._train = np.flatnonzero(part != 0)
        self.sampled = len(self._train) > SEARCH_ROWS
        searched = self._train
        if self.sampled:
            kept = np.random.default_rng(seed).permutation(len(searched))[:SEARCH_ROWS]
            searched = searched[np.sort(kept)]
        self._searched = searched
        self.test_frame = self._frame[self._test]
        self.test_y = self._y[self._test]

    def counts(self) -> dict[str, int]:
        """Rows by use."""
        return {
            "train": len(self._train),
            "searched": len(self._searched),
            "test": len(self._test),
            "rejected": self._rejected,
            "left": int(self._y.sum()),
        }

    def search_folds(self) -> tuple[Search, FeatureProgram, str]:
        """The folds to search on, with the record features where they help."""
        program, note = self._choose_features()
        y, groups = self._of(self._searched)
        parts = FOLDS if len(y) <= FIVE_FOLD_ROWS else FEWER_FOLDS

        def split(seed: int) -> tuple[list[Fold], NDArray[np.int64]]:
            self._progress.start("preparing folds", None)
            part = assign(y, parts, seed=seed, groups=groups)
            return self._folds(program, self._searched, part), part

        folds, part = split(self._seed + 1)
        fresh = (lambda: split(self._seed + 2)) if len(y) <= JUDGED_TWICE_ROWS else None
        return Search(folds, y, part, self._seed, self._clock, self._progress, fresh), program, note

    def _of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int64] | None]:
        """Labels and, where customers have no id, groups of ``rows``."""
        return self._y[rows], None if self._groups is None else self._groups[rows]

    def _choose_features(self) -> tuple[FeatureProgram, str]:
        """The record features where they help: judged by two quick models, on a sample of a large table."""
        plain = FeatureProgram(self._contract, record=False)
        full = FeatureProgram(self._contract)
        added = len(full.names) - len(plain.names)
        if not added:
            return plain, "No column's meaning switches a record feature on."
        self._progress.start("choosing features", 2)
        step = max(1, len(self._searched) // FEATURE_ROWS)
        rows = self._searched[::step]
        y, groups = self._of(rows)
        part = assign(y, FOLDS, seed=self._seed + 1, groups=groups)
        losses = []
        for program in (plain, full):
            losses.append(self._quick_loss(self._folds(program, rows, part), y))
            self._progress.advance(1)
        size = f"adding them changes the log loss of two quick models by {losses[1] - losses[0]:+.4f}"
        if losses[1] < losses[0]:
            return full, f"The {added} record features are used: {size}."
        return plain, f"The {added} record features are left out of the matrix: {size}."

    def _folds(self, program: FeatureProgram, rows: NDArray[np.int64], part: NDArray[np.int64]) -> list[Fold]:
        features = program.frame(self._frame[rows])
        return make_folds(features, self._y[rows], part, program, seed=self._seed)

    def _quick_loss(self, folds: list[Fold], y: NDArray[np.int8]) -> float:
        """Mean log loss of a curve model and a tree model at their defaults."""
        quick = [Recipe("logistic_regression", {"C": 0.02}), default_recipe("lightgbm", len(y))]
        logits = [cross_validate(recipe, folds, seed=self._seed).logit for recipe in quick]
        return float(np.mean([row_log_loss(y, 1 / (1 + np.exp(-z))).mean() for z in logits]))

    def smote(self, search: Search, names: Sequence[str]) -> list[Candidate]:
        """The compared SMOTE row, where XGBoost runs, the table is of a size for it and time is left."""
        if "xgboost" not in names or len(search.y) > SMOTE_ROWS or self._clock.spent("SMOTE comparison"):
            return []
        self._progress.start("comparing with SMOTE", None)
        recipe = default_recipe("xgboost", len(search.y)).with_rounds(200)
        return [smote_row(recipe, search.folds, seed=self._seed)]

    def build(self, chosen: Candidate, program: FeatureProgram, search: Search) -> tuple[Scorer, Scorer]:
        """The plan on the training rows (to be measured) and on everyone (to be deployed)."""
        plan = chosen.plan
        assert plan is not None  # noqa: S101 - `choose` picks among candidates that can be built
        self._progress.start("fitting the chosen model", 2)
        features = program.frame(self._frame)
        layer = search.layer(plan)
        rows = self._train
        common = {"seed": self._seed}
        measured = build(
            plan, chosen.calibrator, program, features[rows], self._y[rows], layer=layer, **common
        )
        self._progress.advance(1)
        everyone = np.concatenate([rows, self._test])
        if plan.second:
            X = measured.encoder.transform(features[self._test])
            unseen = np.column_stack([m.estimator.logit(X) for m in measured.ensemble.first])
            layer = np.vstack([layer, unseen])
        deployed = build(
            plan, chosen.calibrator, program, features[everyone], self._y[everyone], layer=layer, **common
        )
        self._progress.advance(1)
        return measured, deployed


def _threshold(contract: Contract, chosen: Candidate) -> tuple[float, str]:
    """From the economics; raised where the capacity allows fewer contacts than would pay."""
    economics = contract.economics
    pays = profit_threshold(economics)
    if economics.capacity is not None:
        reachable = float(np.quantile(chosen.probability, 1 - economics.capacity))
        if reachable > pays:
            return reachable, (
                f"Acting pays from {pays:.3f}, but capacity allows {economics.capacity:.0%} of customers: "
                f"from {reachable:.3f}."
            )
    return pays, "Acting on a customer pays from this probability on, by the contract's economics."


def _leaderboard(
    candidates: Sequence[Candidate],
    *,
    chosen: Candidate,
    within: dict[str, bool],
    y: NDArray[np.int8],
    threshold: float,
    economics: Economics,
) -> pl.DataFrame:
    """Figures of every candidate out of fold, best log loss first, the base rate last."""
    rate = np.full(len(y), y.mean())
    rows = []
    for candidate in candidates:
        figures = evaluate_predictions(y, candidate.probability, threshold=threshold, economics=economics)
        rows.append(
            {
                "model": candidate.name,
                "chosen": candidate is chosen,
                **{name: figures[name] for name in _SHOWN},
                "fit_seconds": candidate.fit_seconds,
                "score_us_per_row": candidate.score_seconds / len(y) * 1e6,
                "within_noise": within.get(candidate.name, False),
                "note": candidate.note,
            }
        )
    figures = evaluate_predictions(y, rate, threshold=threshold, economics=economics)
    shown = {name: figures[name] for name in _SHOWN}
    nothing = {"fit_seconds": 0.0, "score_us_per_row": 0.0, "within_noise": False}
    board = pl.DataFrame(rows).sort("log_loss", maintain_order=True)
    naive = {"model": "base rate", "chosen": False, **shown, **nothing, "note": "the same share for everyone"}
    return pl.concat([board, pl.DataFrame([naive]).match_to_schema(board.schema)])


_SHOWN = ("log_loss", "roc_auc", "pr_auc", "brier", "calibration_error", "profit_per_customer")


def _why(chosen: Candidate, candidates: Sequence[Candidate], y: NDArray[np.int8]) -> str:
    """The selection rule's reasoning."""
    losses = {c.name: float(row_log_loss(y, c.probability).mean()) for c in candidates}
    best = min(losses, key=losses.__getitem__)
    words = chosen.name.replace("_", " ")
    if chosen.name == best:
        simpler = [c.name for c in candidates if NAMES.index(c.name) < NAMES.index(best)]
        tail = " and every simpler model is worse by more than noise" if simpler else ""
        return f"{words} has the lowest log loss ({losses[best]:.4f}){tail}."
    return (
        f"{best.replace('_', ' ')} has the lowest log loss ({losses[best]:.4f}); {words} "
        f"({losses[chosen.name]:.4f}) is the simplest within one standard error of the difference."
    )


def _facts(contract: Contract, found: Conformed, chosen: Candidate) -> dict[str, Any]:
    """What the manifest says beside the files' checksums."""
    return {
        "name": contract.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": f"{chosen.name} ({chosen.note})" if chosen.note else chosen.name,
        "holdfast": installed("holdfast"),
        "contract_digest": contract.digest(),
        "data_digest": data_digest(found),
        "libraries": {name: installed(name) for name in _LIBRARIES},
    }


def data_digest(found: Conformed) -> str:
    """SHA-256 (hex) of the conformed table with its labels, in its order; the same for CSV and Parquet."""
    label = found.label
    table = found.frame if label is None else found.frame.with_columns(label.alias("\0label"))
    stream = io.BytesIO()
    table.write_ipc(stream, compression="uncompressed")
    return hashlib.sha256(stream.getbuffer()).hexdigest()


def _packed(
    scorer: Scorer, findings: Findings, metrics: dict[str, Any], spread: dict[str, Any], home: Path | None
) -> Trained:
    """Write the artefact, register it, and load it back as everyone will."""
    if home is None:
        with TemporaryDirectory() as folder:
            write_artefact(Path(folder), scorer, findings, metrics, spread)
            return Trained(Model.load(folder), None, findings)
    registry = Registry(home)
    with registry.staging() as folder:
        write_artefact(folder, scorer, findings, metrics, spread)
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
