"""Rehearse the chosen plan as it will be built: on many more rows than a fold of the search learns from.

More rows bear more rounds and weaker penalties: what suits the search's folds would stop the build too early.
So the plan is fitted again for the latest judged periods, each time on many rows known before it, and rounds
and penalties are decided from what these fits say of the periods. Only labels known before the last period
are looked at. The calibrator stays the search's: the shift of three periods says little of a fourth.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.training.crossval import side_by_side
from holdfast.training.metrics import log_odds_loss
from holdfast.training.rolling import FOLD_ROWS, fold_of
from holdfast.training.search import Plan
from holdfast.training.staged import PENALTIES, ROUNDS, judged_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.progress import Progress
    from holdfast.training.examples import Examples
    from holdfast.training.recipes import Recipe
    from holdfast.training.search import Candidate

LATEST = 3
"""Judged periods that are rehearsed: their folds have the most rows, and are the likest to the last."""

ROWS = 150_000
"""A rehearsal learns from so many rows at the most: half a full build's, for half its time."""

MORE_ROUNDS = (*ROUNDS, 600)
"""Rounds that are tried on more rows."""


def rehearse(
    chosen: Candidate, examples: Examples, contract: Contract, *, seed: int, progress: Progress
) -> Candidate:
    """The candidate with rounds and penalties for a build on many rows.

    It is returned as it is where the build has no more rows than the search's folds, and where no period
    was judged before the last.

    Args:
        chosen: as decided before the last period.
        examples: loaded rows.
        contract: describes them.
        seed: of everything random.
        progress: is told of each fit.
    """
    schedule, plan = examples.schedule, chosen.plan
    judged = schedule.judged[-LATEST:]
    more = len(examples.sample(schedule.before(schedule.last), ROWS)) > FOLD_ROWS
    if plan is None or not judged or not more:
        return chosen
    progress.start("rehearsing the build", len(judged))
    tried = [_nearby(recipe) for recipe, _ in plan.first]

    def run(number: int) -> tuple[list[NDArray[np.float64]], NDArray[np.int8]]:
        fold, _ = fold_of(examples, contract, number, ROWS, seed=seed)
        logits = [judged_logits(settings, fold, seed=seed)[0] for settings in tried]
        progress.advance(1, schedule.periods[number].name)
        return logits, fold.judged.y

    results = side_by_side(run, judged)
    y = np.concatenate([labels for _, labels in results])
    first = []
    for member, (settings, (_, weight)) in enumerate(zip(tried, plan.first, strict=True)):
        each = np.vstack([logits[member] for logits, _ in results])
        best = int(np.argmin([log_odds_loss(y, z) for z in each.T]))
        first.append((settings[best], weight))
    return replace(chosen, plan=Plan(tuple(first), plan.second))


def _nearby(recipe: Recipe) -> list[Recipe]:
    """The recipe at other rounds, or other penalties."""
    if recipe.rounds is not None:
        return [recipe.with_rounds(count) for count in MORE_ROUNDS]
    if "C" in recipe.settings:
        return [replace(recipe, settings={"C": C}) for C in PENALTIES]
    return [recipe]
