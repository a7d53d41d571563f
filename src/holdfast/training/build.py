"""Build a chosen plan on given rows: one encoder, each member refitted, boosting averaged over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.features import Encoder, Slot
from holdfast.model.ensemble import Ensemble, Member, widen
from holdfast.model.model import Scorer
from holdfast.training.crossval import side_by_side
from holdfast.training.fitting import Rows, averaged, fit
from holdfast.training.recipes import BOOSTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    on_fit: Callable[[Recipe], None] = lambda _: None,
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
        on_fit: called after each fit with its recipe.
    """
    seeds = range(seed, seed + (runs or (1 if len(y) > _MANY_ROWS else 3)))
    encoder = Encoder(program)
    X = encoder.fit_transform(features, y, seed=seed, groups=groups)
    train = Rows(X, y)

    members = _fitted(plan.first, train, encoder.slots, seeds, on_fit)
    if not plan.second:
        return Scorer(program, encoder, Ensemble(members), calibrator)
    wide = Rows(widen(X, list(layer.T)), y)
    slots = [*encoder.slots, *(Slot(f"member {number}", "number") for number in range(layer.shape[1]))]
    second = _fitted(plan.second, wide, slots, seeds, on_fit)
    return Scorer(program, encoder, Ensemble(members, second), calibrator)


def fits(layer: Sequence[tuple[Recipe, float]], runs: int) -> list[tuple[int, int]]:
    """What is fitted: number of the recipe and of the run. Only boosters are run with several seeds."""
    counts = [runs if recipe.name in BOOSTERS else 1 for recipe, _ in layer]
    return [(at, run) for at, count in enumerate(counts) for run in range(count)]


def _fitted(
    layer: Sequence[tuple[Recipe, float]],
    train: Rows,
    slots: Sequence[Slot],
    seeds: Sequence[int],
    on_fit: Callable[[Recipe], None],
) -> tuple[Member, ...]:
    """Each recipe on the same rows; each seed of a booster is a fit of its own, so that no core waits."""
    jobs = fits(layer, len(seeds))

    def refit(job: tuple[int, int]) -> Estimator:
        at, run = job
        recipe, _ = layer[at]
        estimator = fit(recipe, train, slots, seed=seeds[run]).estimator
        on_fit(recipe)
        return estimator

    parts: list[list[Estimator]] = [[] for _ in layer]
    for (at, _), estimator in zip(jobs, side_by_side(refit, jobs), strict=True):
        parts[at].append(estimator)
    return tuple(Member(r.name, w, averaged(own)) for (r, w), own in zip(layer, parts, strict=True))
