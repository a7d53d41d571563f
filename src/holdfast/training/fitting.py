"""Fit one recipe on one matrix. Every fit runs on one thread; folds run side by side on all cores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.model.estimators.bayes import NaiveBayes
from holdfast.model.estimators.boosters import CatBoost, LightGBM, XGBoost
from holdfast.training.linear import fit_spline_logistic
from holdfast.training.recipes import MAX_ROUNDS, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.features import Slot
    from holdfast.model.estimators import Estimator
    from holdfast.training.recipes import Recipe

_LEAST_VARIANCE = 1e-9


@dataclass(frozen=True)
class Rows:
    """A matrix and its labels: ``X`` float32 (n, d), ``y`` int8 (n,)."""

    X: NDArray[np.float32]
    y: NDArray[np.int8]


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator and, for boosting, how many rounds it kept."""

    estimator: Estimator
    rounds: int | None = None


def fit(
    recipe: Recipe,
    train: Rows,
    slots: Sequence[Slot],
    *,
    held_out: Rows | None = None,
    seed: int = 0,
) -> Fitted:
    """Fit ``recipe``.

    Args:
        recipe: with ``rounds`` set, boosting runs exactly so many; else it stops early on ``held_out``.
        train: rows to learn from.
        slots: what the columns are.
        held_out: rows to stop early on.
        seed: of everything random.
    """
    if recipe.name == "logistic_regression":
        return Fitted(fit_spline_logistic(train.X, train.y, slots, [recipe.settings["C"]])[0])
    if recipe.name == "naive_bayes":
        return Fitted(_naive_bayes(train, slots))
    if recipe.name in {"decision_tree", "random_forest"}:
        return Fitted(_forest(recipe, train, seed))
    fitter = {"lightgbm": _lightgbm, "xgboost": _xgboost, "catboost": _catboost}[recipe.name]
    return fitter(recipe, train, held_out, seed)


def averaged(parts: Sequence[Estimator]) -> Estimator:
    """The mean, in log-odds, of one booster fitted with several seeds; a single estimator as it is."""
    if len(parts) > 1 and isinstance(parts[0], CatBoost):
        return CatBoost.of_seeds([part.model for part in parts if isinstance(part, CatBoost)])
    if len(parts) > 1 and isinstance(parts[0], LightGBM):
        return LightGBM([each for part in parts if isinstance(part, LightGBM) for each in part.boosters])
    if len(parts) > 1 and isinstance(parts[0], XGBoost):
        return XGBoost([each for part in parts if isinstance(part, XGBoost) for each in part.boosters])
    return parts[0]


def _naive_bayes(train: Rows, slots: Sequence[Slot]) -> NaiveBayes:
    """Gaussian for numbers, Bernoulli (Laplace-smoothed) for flags; moments over the values there are."""
    X, y = train.X.astype(np.float64), train.y
    rate = float(y.mean())
    sides = []
    is_flag = np.array([slot.role == "flag" for slot in slots])
    for value in (1, 0):
        part = X[y == value]
        known = (~np.isnan(part)).sum(axis=0)
        total = np.nansum(part, axis=0)
        mean = total / np.maximum(known, 1)
        spread = np.nansum((part - mean) ** 2, axis=0) / np.maximum(known, 1)
        share = np.where(is_flag, (total + 1) / (known + 2), 0.5)
        sides.append((mean, spread, share))
    (mean1, var1, share1), (mean0, var0, share0) = sides
    # As scikit-learn's GaussianNB: a small part of the largest variance keeps a constant column harmless.
    smooth = 1e-9 * float(np.nanmax(np.nanvar(X, axis=0), initial=0.0)) + _LEAST_VARIANCE
    var1, var0 = var1 + smooth, var0 + smooth
    quadratic = 0.5 / var0 - 0.5 / var1
    linear = mean1 / var1 - mean0 / var0
    constant = mean0**2 / (2 * var0) - mean1**2 / (2 * var1) + 0.5 * np.log(var0 / var1)
    absent = np.log((1 - share1) / (1 - share0))
    present = np.log(share1 / share0)
    quadratic = np.where(is_flag, 0.0, quadratic)
    linear = np.where(is_flag, present - absent, linear)
    constant = np.where(is_flag, absent, constant)
    prior = float(np.log(rate / (1 - rate)))
    fitted = NaiveBayes(np.zeros(X.shape[1]), prior, quadratic, linear, constant)
    return replace(fitted, base=fitted.terms(train.X).mean(axis=0))


def _forest(recipe: Recipe, train: Rows, seed: int) -> XGBoost:
    """A random forest (Breiman 2001) or single tree: means of leaves, grown by XGBoost for its format."""
    import xgboost  # noqa: PLC0415 - slow to import

    trees = recipe.settings.get("trees", 1)
    single = trees == 1
    settings = {
        "objective": "reg:squarederror",
        "base_score": float(train.y.mean()),
        "learning_rate": 1.0,
        "reg_lambda": 0.0,
        "num_parallel_tree": trees,
        "max_depth": recipe.settings["max_depth"],
        "min_child_weight": recipe.settings["min_child_weight"],
        "subsample": 1.0 if single else 0.632,
        "colsample_bynode": 1.0 if single else min(1.0, 2.0 / np.sqrt(train.X.shape[1])),
        "tree_method": "hist",
        "nthread": 1,
        "seed": seed,
    }
    matrix = xgboost.QuantileDMatrix(train.X, label=train.y, nthread=1)
    return XGBoost([xgboost.train(settings, matrix, num_boost_round=1)], votes=True)


def _xgboost(recipe: Recipe, train: Rows, held_out: Rows | None, seed: int) -> Fitted:
    import xgboost  # noqa: PLC0415 - slow to import

    matrix = xgboost.QuantileDMatrix(train.X, label=train.y, nthread=1)
    stop: dict[str, Any] = {}
    if recipe.rounds is None and held_out is not None:
        judge = xgboost.QuantileDMatrix(held_out.X, label=held_out.y, ref=matrix, nthread=1)
        stop = {"evals": [(judge, "held_out")], "early_stopping_rounds": PATIENCE, "verbose_eval": False}
    settings = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "nthread": 1,
        "seed": seed,
        **recipe.settings,
    }
    booster = xgboost.train(settings, matrix, num_boost_round=recipe.rounds or MAX_ROUNDS, **stop)
    if stop:
        booster = booster[: booster.best_iteration + 1]
    return Fitted(XGBoost([booster]), booster.num_boosted_rounds())


def _lightgbm(recipe: Recipe, train: Rows, held_out: Rows | None, seed: int) -> Fitted:
    import lightgbm  # noqa: PLC0415 - slow to import

    fixed = {"verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True}
    data = lightgbm.Dataset(train.X, label=train.y, params={**fixed, "feature_pre_filter": False})
    stop: dict[str, Any] = {}
    if recipe.rounds is None and held_out is not None:
        judge = lightgbm.Dataset(held_out.X, label=held_out.y, reference=data)
        stop = {"valid_sets": [judge], "callbacks": [lightgbm.early_stopping(PATIENCE, verbose=False)]}
    settings = {
        "objective": "binary",
        "metric": "binary_logloss",
        "subsample_freq": 1,
        "seed": seed + 1,
        **fixed,
        **recipe.settings,
    }
    booster = lightgbm.train(settings, data, num_boost_round=recipe.rounds or MAX_ROUNDS, **stop)
    if stop:
        booster = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))
    return Fitted(LightGBM([booster]), booster.current_iteration())


def _catboost(recipe: Recipe, train: Rows, held_out: Rows | None, seed: int) -> Fitted:
    import catboost  # noqa: PLC0415 - slow to import

    data = catboost.Pool(train.X, label=train.y)
    stops = recipe.rounds is None and held_out is not None
    judge = catboost.Pool(held_out.X, label=held_out.y) if stops and held_out is not None else None
    model = catboost.CatBoost(
        {
            "loss_function": "Logloss",
            "iterations": recipe.rounds or MAX_ROUNDS,
            "random_seed": seed,
            "thread_count": 1,
            "allow_writing_files": False,
            "logging_level": "Silent",
            **recipe.settings,
        }
    )
    if stops:
        model.fit(data, eval_set=judge, early_stopping_rounds=PATIENCE, use_best_model=True)
    else:
        model.fit(data)
    return Fitted(CatBoost(model), int(model.tree_count_))
