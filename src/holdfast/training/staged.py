"""What each setting of a candidate says of rows: one fit gives the log-odds after every number of rounds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.model.estimators.boosters import CatBoost, LightGBM, XGBoost
from holdfast.training.clock import fit_seconds
from holdfast.training.fitting import fit
from holdfast.training.linear import fit_spline_logistic
from holdfast.training.recipes import BOOSTERS, Recipe, default_recipe, first_tries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.model.estimators import Estimator
    from holdfast.training.crossval import Fold

ROUNDS = (25, 50, 75, 100, 150, 200, 300, 400)
"""Boosting rounds that are tried: one fit of the most gives them all."""

UNTRIED = 150
"""Rounds where no earlier period says how many are good."""

_SMALLEST_LEAF = {
    "lightgbm": "min_child_samples",
    "xgboost": "min_child_weight",
    "catboost": "l2_leaf_reg",
    "random_forest": "min_child_weight",
    "decision_tree": "min_child_weight",
}
"""The setting that says how many rows a leaf needs, or, of CatBoost, is drawn to nothing by."""

PENALTIES = (0.003, 0.02, 0.1, 1.0)
UNTRIED_PENALTY = 0.02


@dataclass(frozen=True)
class Judged:
    """What a family says of a fold's judged rows.

    Attributes:
        logit: log-odds under each setting, shape (n, settings).
        fit_seconds: one-thread seconds, scoring included.
        score_seconds: one-thread seconds of scoring once.
    """

    logit: NDArray[np.float64]
    fit_seconds: float
    score_seconds: float


def family(name: str, rows: int, repeats: float) -> list[Recipe]:
    """The settings of a candidate that are tried, those to start from first.

    They are the same whatever the data say, so that no period decides what is tried on an earlier one.

    Args:
        name: one of `recipes.SINGLE`.
        rows: training rows of a fold.
        repeats: rows a customer in the whole table. They say much the same, so a leaf needs so many times
            the rows that a table of single customers asks for, and a penalty so many times the strength.
    """
    if name == "logistic_regression":
        rest = [C for C in PENALTIES if C != UNTRIED_PENALTY]
        return [Recipe(name, {"C": C / max(1.0, repeats)}) for C in (UNTRIED_PENALTY, *rest)]
    start = default_recipe(name, rows)
    if name in _SMALLEST_LEAF:
        leaf = _SMALLEST_LEAF[name]
        size = type(start.settings[leaf])(start.settings[leaf] * max(1.0, repeats))
        start = Recipe(name, start.settings | {leaf: size})
    if name not in BOOSTERS:
        return [start]
    rounds = [UNTRIED, *(count for count in ROUNDS if count != UNTRIED)]
    return [Recipe(name, settings, count) for settings in first_tries(start) for count in rounds]


def family_seconds(settings: list[Recipe], rows: int, columns: int) -> float:
    """About how long `judged_logits` takes on one of two slow cores."""
    longest = {str(each.settings): each for each in sorted(settings, key=lambda each: each.rounds or 0)}
    return sum(fit_seconds(each, rows, columns) for each in longest.values())


def judged_logits(settings: list[Recipe], fold: Fold, *, seed: int) -> Judged:
    """Log-odds of a fold's judged rows under each of a `family`'s settings."""
    begin = time.thread_time()
    logit = np.zeros((len(fold.judged.y), len(settings)))
    spent = 0.0
    if settings[0].name == "logistic_regression":
        rising = np.argsort([recipe.settings["C"] for recipe in settings])
        fitted = fit_spline_logistic(
            fold.train.X, fold.train.y, fold.slots, [settings[at].settings["C"] for at in rising]
        )
        for at, model in zip(rising, fitted, strict=True):
            logit[:, at] = model.logit(fold.judged.X)
        return Judged(logit, time.thread_time() - begin, spent)
    for at, recipe in enumerate(settings):
        if at and recipe.settings == settings[at - 1].settings:
            continue
        group = [k for k, other in enumerate(settings) if other.settings == recipe.settings]
        most = max((settings[k].rounds or 0) for k in group) or None
        estimator = fit(
            Recipe(recipe.name, recipe.settings, most), fold.train, fold.slots, seed=seed
        ).estimator
        scoring = time.thread_time()
        logit[:, group] = _after(estimator, fold.judged.X, [settings[k].rounds for k in group])
        spent = (time.thread_time() - scoring) / len(group)
    return Judged(logit, time.thread_time() - begin, spent)


def _after(estimator: Estimator, X: NDArray[np.float32], rounds: list[int | None]) -> NDArray[np.float64]:
    """Log-odds after each number of ``rounds``, shape (n, rounds); one column of what has none."""
    found: list[Any]
    counts = [count for count in rounds if count is not None]
    if counts and isinstance(estimator, LightGBM):
        # the slowest to score: each tree is asked once
        steps = sorted(set(counts))
        (booster,) = estimator.boosters
        parts = [
            booster.predict(
                X, raw_score=True, num_threads=1, start_iteration=first, num_iteration=end - first
            )
            for first, end in pairwise([0, *steps])
        ]
        upto = dict(zip(steps, accumulate(parts), strict=True))
        found = [upto[count] for count in counts]
    elif counts and isinstance(estimator, XGBoost) and not estimator.votes:
        (each,) = estimator.boosters
        found = [each.inplace_predict(X, predict_type="margin", iteration_range=(0, end)) for end in counts]
    elif counts and isinstance(estimator, CatBoost):
        asked = {"prediction_type": "RawFormulaVal", "thread_count": 1}
        found = [estimator.model.predict(X, ntree_end=end, **asked) for end in counts]
    else:
        found = [estimator.logit(X)]
    return np.column_stack([np.asarray(each, dtype=np.float64).reshape(len(X)) for each in found])
