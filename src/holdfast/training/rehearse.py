"""Rehearse the build: each judged period once more, by the plan chosen for it, on many more rows.

A fold of the search learns from few rows, so that every candidate can be tried in every period. What is then
built learns from many: it bears more rounds, and ranks better. So the plan that was chosen before a period is
fitted again on many rows known before it, and the backtest tells what that would have predicted. Rounds are
decided from rehearsals of periods whose labels were known by then; weights and calibrator stay the search's:
the shift of a few periods says little of the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.training.crossval import side_by_side
from holdfast.training.examples import NO_LABEL
from holdfast.training.metrics import log_odds_loss
from holdfast.training.rolling import fold_of
from holdfast.training.search import Plan
from holdfast.training.staged import ROUNDS, family_seconds, judged_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.progress import Progress
    from holdfast.training.crossval import Fold
    from holdfast.training.examples import Examples
    from holdfast.training.extent import Extent
    from holdfast.training.recipes import Recipe
    from holdfast.training.rolling import Rolling
    from holdfast.training.search import Candidate

LATEST = 3
"""Rehearsals that decide: those with the most rows, and the likest to what comes next."""

MORE_ROUNDS = (*ROUNDS, 600)
"""Rounds that are tried on more rows."""

MOST_TIMES = 3
"""The rounds of a plan, at the most: four times its rows bear about twice as many."""

_Job = tuple[int, "list[Recipe]"]
"""A period and one recipe at other rounds."""


@dataclass(frozen=True)
class _Trial:
    """One recipe in one period at other rounds: log-odds of the judged rows, shape (n, settings)."""

    settings: list[Recipe]
    logit: NDArray[np.float64]

    def is_of(self, recipe: Recipe) -> bool:
        return _alike(self.settings[0], recipe)

    def of(self, recipe: Recipe) -> NDArray[np.float64]:
        return self.logit[:, self.settings.index(recipe)]

    def among(self, rows: NDArray[np.bool_]) -> _Trial:
        return replace(self, logit=self.logit[rows])


def rehearse(
    chosen: Candidate,
    found: Rolling,
    examples: Examples,
    contract: Contract,
    extent: Extent,
    *,
    seed: int,
    progress: Progress,
) -> Candidate:
    """The chosen candidate with rounds for a build on many rows; the backtest becomes that of such builds.

    Periods without a rehearsal stay as the search left them; where there is none so does the candidate.

    Args:
        chosen: as decided before the last period.
        found: the backtest; its ``pipeline`` becomes that of the rehearsals.
        examples: loaded rows.
        contract: describes them.
        extent: which periods, on how many rows.
        seed: of everything random.
        progress: is told of each fit.
    """
    schedule = examples.schedule
    judged, last = extent.rehearsed, schedule.last
    assert chosen.plan is not None  # noqa: S101 - every candidate of a backtest has a plan
    if not judged:
        return chosen
    plans = {number: found.decided[number][found.chosen[number]].plan for number in judged}
    plans[last] = chosen.plan
    progress.start("preparing rehearsals", len(judged))

    def prepared(number: int) -> Fold:
        fold, _ = fold_of(examples, contract, number, extent.rehearsal_rows, seed=seed)
        progress.advance(1, schedule.periods[number].name)
        return fold

    folds = dict(zip(judged, side_by_side(prepared, judged), strict=True))
    trials = _tried(_jobs(plans, judged, last), folds, seed, progress)

    def decided(number: int) -> Plan:
        known = found.known[number]
        seen: list[tuple[_Trial, NDArray[np.int8]]] = []
        for other in judged:
            y = known[found.period == other]
            told = y != NO_LABEL
            seen += [(each.among(told), y[told]) for each in trials[other] if told.any()]
        return Plan(tuple((_suited(recipe, seen), weight) for recipe, weight in plans[number].first))

    for number in judged:
        z = sum(
            weight * next(each.of(recipe) for each in trials[number] if each.is_of(recipe))
            for recipe, weight in decided(number).first
        )
        calibrator = found.decided[number][found.chosen[number]].calibrator
        found.pipeline[found.period == number] = calibrator.probability(np.asarray(z))
    return replace(chosen, plan=decided(last))


def _jobs(plans: dict[int, Plan], judged: Sequence[int], last: int) -> list[_Job]:
    """What is fitted: each period's own plan, and in the latest the one that will be built.

    Plans mostly have recipes in common, at other rounds: one fit of the most gives them all.
    """
    jobs: list[_Job] = []
    for number in judged:
        built = plans[last].first if number in judged[-LATEST:] else ()
        longest: list[Recipe] = []
        for recipe in sorted((each for each, _ in (*plans[number].first, *built)), key=_rounds, reverse=True):
            if not any(_alike(recipe, other) for other in longest):
                longest.append(recipe)
        jobs += [(number, _nearby(recipe)) for recipe in longest]
    return jobs


def _tried(
    jobs: list[_Job], folds: dict[int, Fold], seed: int, progress: Progress
) -> dict[int, list[_Trial]]:
    """The trials of each period."""

    def seconds(job: _Job) -> float:
        number, settings = job
        return family_seconds(settings, *folds[number].train.X.shape)

    progress.start("rehearsing the build", sum(map(seconds, jobs)))

    def run(job: _Job) -> _Trial:
        number, settings = job
        judged = judged_logits(settings, folds[number], seed=seed)
        progress.advance(seconds(job), settings[0].name.replace("_", " "))
        return _Trial(settings, judged.logit)

    trials: dict[int, list[_Trial]] = {number: [] for number in folds}
    for (number, _), trial in zip(jobs, side_by_side(run, jobs), strict=True):
        trials[number].append(trial)
    return trials


def _rounds(recipe: Recipe) -> int:
    return recipe.rounds or 0


def _alike(recipe: Recipe, other: Recipe) -> bool:
    """Whether two recipes differ in rounds at the most."""
    return recipe.with_rounds(0) == other.with_rounds(0)


def _nearby(recipe: Recipe) -> list[Recipe]:
    """The recipe at other rounds; rows make up for a penalty by themselves."""
    if recipe.rounds is None:
        return [recipe]
    most = MOST_TIMES * recipe.rounds
    return [recipe.with_rounds(count) for count in MORE_ROUNDS if count <= most]


def _suited(recipe: Recipe, seen: list[tuple[_Trial, NDArray[np.int8]]]) -> Recipe:
    """The recipe at the rounds that were best in the latest of its rehearsals; as it is without any."""
    own = [(each, labels) for each, labels in seen if each.is_of(recipe)][-LATEST:]
    if not own:
        return recipe
    y = np.concatenate([labels for _, labels in own])
    tried = [near for near in _nearby(recipe) if all(near in each.settings for each, _ in own)]
    losses = [log_odds_loss(y, np.concatenate([each.of(near) for each, _ in own])) for near in tried]
    return tried[int(np.argmin(losses))]
