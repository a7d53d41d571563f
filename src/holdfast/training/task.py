"""The rows of one training: which are set aside, which are searched and which are built on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.features import FeatureProgram
from holdfast.training.build import build
from holdfast.training.crossval import cross_validate, make_folds
from holdfast.training.metrics import log_odds_loss
from holdfast.training.recipes import Recipe, default_recipe
from holdfast.training.search import Candidate, Search
from holdfast.training.smote import smote_row
from holdfast.training.split import assign, one_customer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.model.model import Scorer
    from holdfast.progress import Progress
    from holdfast.quality.conform import Conformed
    from holdfast.training.clock import Clock
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


class Task:
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
        way = "lowers" if losses[1] < losses[0] else "raises"
        size = f"adding them {way} the log loss of two quick models by {abs(losses[1] - losses[0]):.4f}"
        if losses[1] < losses[0]:
            return full, f"The {added} record features are used: {size}."
        return plain, f"The {added} record features are left out of the matrix: {size}."

    def _folds(self, program: FeatureProgram, rows: NDArray[np.int64], part: NDArray[np.int64]) -> list[Fold]:
        features = program.frame(self._frame[rows])
        y, groups = self._of(rows)
        return make_folds(features, y, part, program, seed=self._seed, groups=groups)

    def _quick_loss(self, folds: list[Fold], y: NDArray[np.int8]) -> float:
        """Mean log loss of a curve model and a tree model at their defaults."""
        quick = [Recipe("logistic_regression", {"C": 0.02}), default_recipe("lightgbm", len(y))]
        logits = [cross_validate(recipe, folds, seed=self._seed).logit for recipe in quick]
        return float(np.mean([log_odds_loss(y, logit) for logit in logits]))

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

        def built(rows: NDArray[np.int64]) -> Scorer:
            y, groups = self._of(rows)
            data = (program, features[rows], y)
            return build(plan, chosen.calibrator, *data, layer=layer, seed=self._seed, groups=groups)

        measured = built(self._train)
        self._progress.advance(1)
        if plan.second:
            X = measured.encoder.transform(features[self._test])
            unseen = np.column_stack([m.estimator.logit(X) for m in measured.ensemble.first])
            layer = np.vstack([layer, unseen])
        deployed = built(np.concatenate([self._train, self._test]))
        self._progress.advance(1)
        return measured, deployed
