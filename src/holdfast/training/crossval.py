"""Out-of-fold predictions: no row is judged by anything that has learned from it."""

from __future__ import annotations

import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from holdfast.features import Encoder
from holdfast.quality.table import TableError
from holdfast.training.fitting import Fitted, Rows, fit
from holdfast.training.linear import fit_spline_logistic
from holdfast.training.metrics import log_odds_loss
from holdfast.training.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from holdfast.features import FeatureProgram, Slot


T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Fold:
    """One split: matrices encoded by what its own training rows taught."""

    train: Rows
    judged: Rows
    train_rows: NDArray[np.int64]
    judged_rows: NDArray[np.int64]
    slots: list[Slot]


@dataclass(frozen=True)
class CrossValidated:
    """What cross-validation found of a recipe.

    Attributes:
        recipe: as to be refitted: with the number of rounds that early stopping found, averaged.
        logit: out-of-fold log-odds, shape (n,).
        fit_seconds: one-thread seconds of fitting all folds.
        score_seconds: one-thread seconds of scoring all rows.
    """

    recipe: Recipe
    logit: NDArray[np.float64]
    fit_seconds: float
    score_seconds: float


def workers() -> int:
    """Fits that run side by side: one a core."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def side_by_side(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """``work`` of each item on threads (the learners let go of the interpreter), results in order.

    Set for all of them here, because neither belongs to a thread: BLAS sums on one thread, for the order of
    sums, and so the last bits, must not depend on the machine's cores; and learners' warnings are silent, for
    a fit that needs more steps is judged by its log loss like any other.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - beside its only use

    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(workers()) as pool:
            return list(pool.map(work, items))


def make_folds(
    features: pl.DataFrame,
    y: NDArray[np.int8],
    part: NDArray[np.int64],
    program: FeatureProgram,
    *,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> list[Fold]:
    """Encode each fold by its own training rows.

    Args:
        features: all rows, as `FeatureProgram.frame` gives them.
        y: labels.
        part: number of the fold that judges each row.
        program: whose features.
        seed: of the cross-fitted rates.
        groups: rows that may be one customer, by number.
    """

    def encode(number: int) -> Fold:
        judged, learn = np.flatnonzero(part == number), np.flatnonzero(part != number)
        encoder = Encoder(program)
        alike = None if groups is None else groups[learn]
        X = encoder.fit_transform(features[learn], y[learn], seed=seed, groups=alike)
        if not encoder.slots:
            raise TableError(
                "No column tells one customer from another: each has one value, or none, for everyone.",
                hint="`holdfast check` shows what each column holds; look at what the contract excludes.",
            )
        return Fold(
            Rows(X, y[learn]),
            Rows(encoder.transform(features[judged]), y[judged]),
            learn,
            judged,
            encoder.slots,
        )

    return [encode(number) for number in range(int(part.max()) + 1)]


def cross_validate(recipe: Recipe, folds: Sequence[Fold], *, seed: int) -> CrossValidated:
    """Fit ``recipe`` on every fold and judge the rows it did not see."""

    def run(fold: Fold) -> tuple[Fitted, NDArray[np.float64], float, float]:
        begin = time.thread_time()
        fitted = fit(recipe, fold.train, fold.slots, held_out=fold.judged, seed=seed)
        between = time.thread_time()
        logit = fitted.estimator.logit(fold.judged.X)
        return fitted, logit, between - begin, time.thread_time() - between

    results = side_by_side(run, folds)
    n = sum(len(fold.judged_rows) for fold in folds)
    logit = np.zeros(n)
    for fold, (_, judged, _, _) in zip(folds, results, strict=True):
        logit[fold.judged_rows] = judged
    rounds = [fitted.rounds for fitted, *_ in results if fitted.rounds is not None]
    kept = recipe.with_rounds(max(1, round(float(np.mean(rounds))))) if rounds else recipe
    return CrossValidated(kept, logit, sum(r[2] for r in results), sum(r[3] for r in results))


def cross_validate_penalties(penalties: Sequence[float], folds: Sequence[Fold]) -> list[CrossValidated]:
    """Cross-validate logistic regression at each penalty, weakest last; the columns are made once a fold."""

    def run(fold: Fold) -> tuple[list[NDArray[np.float64]], float]:
        begin = time.thread_time()
        models = fit_spline_logistic(fold.train.X, fold.train.y, fold.slots, penalties)
        return [model.logit(fold.judged.X) for model in models], time.thread_time() - begin

    results = side_by_side(run, folds)
    found = []
    for at, C in enumerate(penalties):
        logit = np.zeros(sum(len(fold.judged_rows) for fold in folds))
        for fold, (logits, _) in zip(folds, results, strict=True):
            logit[fold.judged_rows] = logits[at]
        seconds = sum(spent for _, spent in results)
        found.append(CrossValidated(Recipe("logistic_regression", {"C": C}), logit, seconds, 0.0))
    return found


def fold_log_loss(recipe: Recipe, fold: Fold, *, seed: int) -> float:
    """Mean log loss of one fold, for tuning."""
    fitted = fit(recipe, fold.train, fold.slots, held_out=fold.judged, seed=seed)
    return log_odds_loss(fold.judged.y, fitted.estimator.logit(fold.judged.X))


def stacked_folds(folds: Sequence[Fold], layer: NDArray[np.float64]) -> list[Fold]:
    """The folds with the first layer's out-of-fold log-odds, shape (n, m), as further columns."""
    from holdfast.features import Slot  # noqa: PLC0415 - a type elsewhere
    from holdfast.model.ensemble import widen  # noqa: PLC0415 - only a stack needs it

    def widened(rows: Rows, at: NDArray[np.int64]) -> Rows:
        return Rows(widen(rows.X, list(layer[at].T)), rows.y)

    extra = [Slot(f"member {number}", "number") for number in range(layer.shape[1])]
    return [
        Fold(
            widened(fold.train, fold.train_rows),
            widened(fold.judged, fold.judged_rows),
            fold.train_rows,
            fold.judged_rows,
            [*fold.slots, *extra],
        )
        for fold in folds
    ]
