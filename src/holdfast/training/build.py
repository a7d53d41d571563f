"""Build a chosen plan on given rows: one encoder, each member refitted, boosting averaged over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.features import Encoder, Slot
from holdfast.model.ensemble import Ensemble, Member, widen
from holdfast.model.model import Scorer
from holdfast.training.crossval import side_by_side
from holdfast.training.fitting import Rows, fit

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from holdfast.features import FeatureProgram
    from holdfast.model.calibration import Calibrator
    from holdfast.model.estimators import Estimator
    from holdfast.training.recipes import Recipe
    from holdfast.training.search import Plan

_MANY_ROWS = 100_000


def build(
    plan: Plan,
    calibrator: Calibrator,
    program: FeatureProgram,
    features: pl.DataFrame,
    y: NDArray[np.int8],
    *,
    layer: NDArray[np.float64],
    seed: int,
    groups: NDArray[np.int64] | None = None,
    runs: int | None = None,
) -> Scorer:
    """Refit ``plan`` on ``features``.

    Boosting runs the rounds that cross-validation found, once for each of three seeds (one on large tables,
    where seeds hardly differ); the mean is steadier than any one of them.

    Args:
        plan: what to build.
        calibrator: found with the plan.
        program: whose features.
        features: training rows.
        y: labels.
        layer: out-of-fold log-odds of the plan's first layer on these rows, for a second layer to learn from;
            shape (n, members), unused without one.
        seed: the first seed.
        groups: rows that may be one customer, by number.
        runs: how many seeds to boost with, whatever the number of rows.
    """
    seeds = range(seed, seed + (runs or (1 if len(y) > _MANY_ROWS else 3)))
    encoder = Encoder(program)
    X = encoder.fit_transform(features, y, seed=seed, groups=groups)
    train = Rows(X, y)

    def refit(recipe: Recipe) -> Estimator:
        return fit(recipe, train, encoder.slots, seeds=seeds).estimator

    first = side_by_side(refit, [recipe for recipe, _ in plan.first])
    members = _members(plan.first, first)
    if not plan.second:
        return Scorer(program, encoder, Ensemble(members), calibrator)
    wide = Rows(widen(X, list(layer.T)), y)
    slots = [*encoder.slots, *(Slot(f"member {number}", "number") for number in range(layer.shape[1]))]

    def refit_second(recipe: Recipe) -> Estimator:
        return fit(recipe, wide, slots, seeds=seeds).estimator

    second = side_by_side(refit_second, [recipe for recipe, _ in plan.second])
    return Scorer(program, encoder, Ensemble(members, _members(plan.second, second)), calibrator)


def _members(recipes: tuple[tuple[Recipe, float], ...], estimators: list[Estimator]) -> tuple[Member, ...]:
    return tuple(Member(r.name, w, e) for (r, w), e in zip(recipes, estimators, strict=True))
