"""The candidates: what each is, how it starts, and what tuning may change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna

SINGLE = (
    "logistic_regression",
    "naive_bayes",
    "decision_tree",
    "random_forest",
    "lightgbm",
    "xgboost",
    "catboost",
)
COMBINED = ("blend", "stack")
NAMES = (*SINGLE, *COMBINED)
"""All candidates, simplest first: within noise of the best, the earlier is chosen."""

BOOSTERS = ("lightgbm", "xgboost", "catboost")

MAX_ROUNDS = 3_000
PATIENCE = 50
"""Boosting stops after so many rounds without a better log loss on the fold's own held-out rows."""


@dataclass(frozen=True)
class Recipe:
    """A learner and its settings; ``rounds`` once cross-validation has found how many to boost."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    rounds: int | None = None

    def with_rounds(self, rounds: int) -> Recipe:
        """The same recipe with a fixed number of boosting rounds."""
        return replace(self, rounds=rounds)


def default_recipe(name: str, rows: int) -> Recipe:
    """Where a learner starts, by the number of training rows: more rows bear larger trees.

    Args:
        name: one of `SINGLE`.
        rows: training rows.
    """
    size = 0 if rows < 20_000 else 1 if rows < 60_000 else 2  # noqa: PLR2004 - steps of the rule
    settings: dict[str, dict[str, Any]] = {
        "logistic_regression": {"C": 0.1},
        "naive_bayes": {},
        "decision_tree": {"max_depth": 6, "min_child_weight": max(20, rows // 200)},
        "random_forest": {"max_depth": 12, "min_child_weight": 5, "trees": 200},
        "lightgbm": {
            "num_leaves": (10, 20, 31)[size],
            "learning_rate": 0.05,
            "min_child_samples": 20,
            "subsample": 0.8,
            "colsample_bytree": 0.5,
            "reg_lambda": 5.0,
        },
        "xgboost": {
            "max_depth": (4, 5, 6)[size],
            "learning_rate": 0.05,
            "min_child_weight": 5.0,
            "subsample": 0.8,
            "colsample_bytree": 0.5,
            "reg_lambda": 5.0,
        },
        "catboost": {
            "depth": (5, 6, 6)[size],
            "learning_rate": (0.05, 0.06, 0.08)[size],
            "l2_leaf_reg": 3.0,
            "random_strength": 1.0,
            "rsm": 1.0,
        },
    }
    return Recipe(name, settings[name])


_SHALLOW: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_leaves": 6},
    "xgboost": {"max_depth": 3},
    "catboost": {"depth": 4},
}


def first_tries(start: Recipe) -> list[dict[str, Any]]:
    """What tuning tries first: the default, then smaller trees, which suit most churn tables as well."""
    return [dict(start.settings), start.settings | _SHALLOW[start.name]]


def suggest(trial: optuna.Trial, name: str) -> Recipe:
    """One point of a booster's search space."""
    rate = trial.suggest_float("learning_rate", 0.02, 0.12, log=True)
    if name == "lightgbm":
        settings: dict[str, Any] = {
            "num_leaves": trial.suggest_int("num_leaves", 4, 96, log=True),
            "min_child_samples": trial.suggest_int("min_child_samples", 5, 100, log=True),
            "subsample": trial.suggest_float("subsample", 0.6, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.25, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 30.0, log=True),
        }
    elif name == "xgboost":
        settings = {
            "max_depth": trial.suggest_int("max_depth", 2, 9),
            "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 30.0, log=True),
            "subsample": trial.suggest_float("subsample", 0.6, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.25, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 30.0, log=True),
        }
    else:
        settings = {
            "depth": trial.suggest_int("depth", 3, 8),
            "l2_leaf_reg": trial.suggest_float("l2_leaf_reg", 0.5, 20.0, log=True),
            "random_strength": trial.suggest_float("random_strength", 0.1, 10.0, log=True),
            "rsm": trial.suggest_float("rsm", 0.3, 1.0),
        }
    return Recipe(name, {"learning_rate": rate, **settings})


def chosen_names(models: Sequence[str] | None) -> tuple[str, ...]:
    """The candidates asked for, in `NAMES` order; all of them by default.

    Raises:
        UsageError: a name that is none of ours, or a combination without two models to combine.
    """
    if models is None:
        return NAMES
    unknown = [name for name in models if name not in NAMES]
    if unknown:
        raise UsageError(f'There is no model "{unknown[0]}".', hint=nearest(unknown[0], NAMES))
    picked = tuple(name for name in NAMES if name in models)
    if not [name for name in picked if name in SINGLE]:
        raise UsageError(
            "A blend or stack needs models to combine.", hint="Name at least two others, such as lightgbm."
        )
    return picked
