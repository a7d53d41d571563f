"""Tune the best boosters inside the budget, with Optuna; settings that start badly are stopped early."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from holdfast.training.crossval import fold_log_loss, side_by_side, workers
from holdfast.training.recipes import first_tries, suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.progress import Progress
    from holdfast.training.clock import Clock
    from holdfast.training.crossval import Fold
    from holdfast.training.recipes import Recipe

_STEP = 2
"""Folds between two looks at whether a try is worth going on with."""


def tune(
    start: Recipe,
    folds: Sequence[Fold],
    *,
    trials: int,
    seed: int,
    clock: Clock,
    progress: Progress,
) -> Recipe:
    """The best settings found in ``trials`` tries, ``start`` among them.

    A try whose first folds are worse than the median of earlier ones is given up (Optuna's median rule).
    Folds are fitted side by side as the cores allow, but looked at in the same steps on every machine, for
    what is given up decides what is tried next.

    Args:
        start: the default settings, tried first.
        folds: as for cross-validation.
        trials: how many settings to try.
        seed: of the sampler (TPE, Bergstra et al. 2011).
        clock: ends the search when the budget is spent.
        progress: is told of each try.
    """
    import optuna  # noqa: PLC0415 - slow to import

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    together = workers()
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=6),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    )
    for settings in first_tries(start):
        study.enqueue_trial(settings)
    best, best_loss = start, np.inf
    for _ in range(trials):
        if clock.spent("tuning"):
            break
        trial = study.ask()
        recipe = suggest(trial, start.name)
        judge = partial(fold_log_loss, recipe, seed=seed)
        judged: list[float] = []
        losses: list[float] = []
        for first in range(0, len(folds), _STEP):
            if len(judged) < min(first + _STEP, len(folds)):
                judged += side_by_side(judge, folds[len(judged) : len(judged) + max(_STEP, together)])
            losses = judged[: first + _STEP]
            trial.report(float(np.mean(losses)), first)
            if trial.should_prune():
                break
        if len(losses) < len(folds):
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            loss = float(np.mean(losses))
            study.tell(trial, loss)
            if loss < best_loss:
                best, best_loss = recipe, loss
        progress.advance(1, f"{start.name}, best log loss {best_loss:.4f}")
    return best
