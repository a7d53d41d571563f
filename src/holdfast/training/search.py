"""Cross-validate, tune, combine, and choose: everything that happens before the test split is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.training.blending import blend_weights, blended_across, choose_calibrator
from holdfast.training.clock import planned_trials
from holdfast.training.crossval import (
    CrossValidated,
    cross_validate,
    cross_validate_penalties,
    stacked_folds,
)
from holdfast.training.metrics import log_odds_loss, row_log_loss
from holdfast.training.recipes import BOOSTERS, MAX_ROUNDS, NAMES, PATIENCE, SINGLE, Recipe, default_recipe
from holdfast.training.tuning import tune

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from holdfast.model.calibration import Calibrator
    from holdfast.progress import Progress
    from holdfast.training.clock import Clock
    from holdfast.training.crossval import Fold

MOST_TRIALS = 24
"""Of one booster; more look for noise on tables of this kind's size."""

_C_GRID = (0.003, 0.02, 0.1, 1.0)

_STACKERS: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_leaves": 6, "min_child_samples": 40, "learning_rate": 0.03},
    "catboost": {"depth": 4},
}
"""A second layer is kept simple: most of what there is to find, the first has found."""


@dataclass(frozen=True)
class Plan:
    """How to build a candidate anew on any rows: recipes and weights.

    ``second`` recipes see the matrix and the log-odds of all of ``first``.
    """

    first: tuple[tuple[Recipe, float], ...]
    second: tuple[tuple[Recipe, float], ...] = ()


@dataclass(frozen=True)
class Candidate:
    """One row of the leaderboard.

    Attributes:
        name: one of `recipes.NAMES`, or a compared row's own name.
        plan: how to build it; None for a row that is only compared.
        calibrator: fitted on all out-of-fold log-odds.
        probability: calibrated across folds, shape (n,).
        fit_seconds: one-thread seconds, members included; tuning's are by the clock.
        score_seconds: one-thread seconds to score the n rows, members included.
        note: what a reader should know.
    """

    name: str
    plan: Plan | None
    calibrator: Calibrator
    probability: NDArray[np.float64]
    fit_seconds: float
    score_seconds: float
    note: str = ""


@dataclass
class Search:
    """Runs the candidates over one set of folds.

    Args:
        folds: encoded splits.
        y: labels, shape (n,).
        part: fold of each row.
        seed: of everything random.
        clock: the budget.
        progress: is told of each step.
    """

    folds: Sequence[Fold]
    y: NDArray[np.int8]
    part: NDArray[np.int64]
    seed: int
    clock: Clock
    progress: Progress
    fresh: Callable[[], tuple[Sequence[Fold], NDArray[np.int64]]] | None = None
    """Another split of the same rows to judge candidates on, where it is worth its cost."""

    def __post_init__(self) -> None:
        self._single: dict[str, CrossValidated] = {}

    def run(self, names: Sequence[str], *, most_trials: int = MOST_TRIALS) -> list[Candidate]:
        """All candidates of ``names``, in the order of `recipes.NAMES`."""
        wanted = [name for name in _FIRST_THINGS_FIRST if name in names]
        self.progress.start("cross-validating models", len(wanted))
        for name in wanted:
            if self._single and self.clock.spent(name, 0.6):
                continue
            self._single[name] = self._cross_validate(name)
            self.progress.advance(1, name.replace("_", " "))
        self._tune([name for name in BOOSTERS if name in self._single], most_trials)
        if self.fresh is not None and not self.clock.spent("second judgement", 0.9):
            self._judge_again(*self.fresh())
        candidates = [self._candidate_of(name) for name in NAMES if name in self._single]
        if len(self._single) > 1:
            if "blend" in names:
                candidates.append(self._blend())
            if "stack" in names and not self.clock.spent("stack", 0.9):
                candidates += self._stack()
        return candidates

    def layer(self, plan: Plan) -> NDArray[np.float64]:
        """Out-of-fold log-odds of the plan's first layer, (n, members): what a second layer learns from."""
        return np.column_stack([self._single[recipe.name].logit for recipe, _ in plan.first])

    def _cross_validate(self, name: str) -> CrossValidated:
        if name == "logistic_regression":
            tried = cross_validate_penalties(_C_GRID, self.folds)
            best = min(tried, key=lambda found: self._loss(found.logit))
            return cross_validate(best.recipe, self.folds, seed=self.seed)
        return cross_validate(default_recipe(name, len(self.y)), self.folds, seed=self.seed)

    def _loss(self, logit: NDArray[np.float64]) -> float:
        return log_odds_loss(self.y, logit)

    def _tune(self, boosters: list[str], most: int) -> None:
        """Tune the two boosters that did best untuned; the defaults stay where nothing beats them."""
        best = sorted(boosters, key=lambda name: self._loss(self._single[name].logit))[:2]
        plan = {name: min(most, self._planned(name)) for name in best}
        plan = {name: trials for name, trials in plan.items() if trials > 1}  # the first is the default again
        if not plan:
            return
        self.progress.start("tuning", sum(plan.values()))
        for name, trials in plan.items():
            untuned = self._single[name]
            start = default_recipe(name, len(self.y))
            begin = self.clock.seconds()
            recipe = tune(
                start, self.folds, trials=trials, seed=self.seed, clock=self.clock, progress=self.progress
            )
            if recipe == start:
                continue
            tuned = cross_validate(recipe, self.folds, seed=self.seed)
            if self._loss(tuned.logit) < self._loss(untuned.logit):
                seconds = untuned.fit_seconds + (self.clock.seconds() - begin)
                self._single[name] = CrossValidated(tuned.recipe, tuned.logit, seconds, tuned.score_seconds)

    def _planned(self, name: str) -> int:
        """How many tries of a booster the budget has room for, by what the default took."""
        cells = sum(fold.train.X.size for fold in self.folds)
        rounds = (self._single[name].recipe.rounds or MAX_ROUNDS) + PATIENCE
        return planned_trials(self.clock.budget, name, cells=cells, rounds=rounds)

    def _judge_again(self, folds: Sequence[Fold], part: NDArray[np.int64]) -> None:
        """Cross-validate every model as it would be built, on folds that neither tuned nor stopped it.

        Early stopping and tuning look at the very rows that they are judged on, which flatters what they
        touch most. On a small table that is as large as the differences between candidates.
        """
        self.folds, self.part = folds, part
        self.progress.start("judging on fresh folds", len(self._single))
        for name, found in self._single.items():
            again = cross_validate(found.recipe, folds, seed=self.seed)
            seconds = found.fit_seconds + again.fit_seconds
            self._single[name] = CrossValidated(found.recipe, again.logit, seconds, again.score_seconds)
            self.progress.advance(1, name.replace("_", " "))

    def _candidate_of(self, name: str) -> Candidate:
        found = self._single[name]
        calibrator, probability = choose_calibrator(found.logit, self.y, self.part)
        plan = Plan(((found.recipe, 1.0),))
        return Candidate(name, plan, calibrator, probability, found.fit_seconds, found.score_seconds)

    def _members(self) -> list[str]:
        """Models worth combining: not those that the field has long found too weak to add anything."""
        return [
            name for name in SINGLE if name in self._single and name not in {"naive_bayes", "decision_tree"}
        ]

    def _blend(self) -> Candidate:
        names = self._members() or list(self._single)
        Z = np.column_stack([self._single[name].logit for name in names])
        weights = blend_weights(Z, self.y)
        used = [(name, float(w)) for name, w in zip(names, weights, strict=True) if w > 0]
        calibrator, probability = choose_calibrator(blended_across(Z, self.y, self.part), self.y, self.part)
        return Candidate(
            "blend",
            Plan(tuple((self._single[name].recipe, weight) for name, weight in used)),
            calibrator,
            probability,
            sum(self._single[name].fit_seconds for name in names),
            sum(self._single[name].score_seconds for name, _ in used),
            " + ".join(f"{weight:.2f} {name}" for name, weight in used),
        )

    def _stack(self) -> list[Candidate]:
        """The stack; none where its second layer gets no weight, for then it is the blend once more."""
        names = self._members() or list(self._single)
        Z = np.column_stack([self._single[name].logit for name in names])
        wide = stacked_folds(self.folds, Z)
        stackers = [Recipe(n, {**default_recipe(n, len(self.y)).settings, **s}) for n, s in _STACKERS.items()]
        self.progress.start("stacking", len(stackers))
        second = []
        for recipe in stackers:
            second.append(cross_validate(recipe, wide, seed=self.seed))
            self.progress.advance(1, recipe.name)
        both = np.column_stack([Z, *(found.logit for found in second)])
        weights = blend_weights(both, self.y)
        upper = [(f.recipe, float(w)) for f, w in zip(second, weights[len(names) :], strict=True) if w > 0]
        if not upper:
            return []
        lower = [(self._single[n].recipe, float(w)) for n, w in zip(names, weights, strict=False)]
        calibrator, probability = choose_calibrator(
            blended_across(both, self.y, self.part), self.y, self.part
        )
        shown = [f"{weight:.2f} {recipe.name} on all" for recipe, weight in upper]
        shown += [f"{weight:.2f} {recipe.name}" for recipe, weight in lower if weight > 0]
        everyone = [*(self._single[name] for name in names), *second]
        stack = Candidate(
            "stack",
            Plan(tuple(lower), tuple(upper)),
            calibrator,
            probability,
            sum(found.fit_seconds for found in everyone),
            sum(found.score_seconds for found in everyone),
            " + ".join(shown),
        )
        return [stack]


_FIRST_THINGS_FIRST = (
    "logistic_regression",
    "catboost",
    "lightgbm",
    "xgboost",
    "naive_bayes",
    "decision_tree",
    "random_forest",
)
"""When the budget is short, what is most likely to be chosen has run."""


def choose(candidates: Sequence[Candidate], y: NDArray[np.int8]) -> tuple[Candidate, dict[str, bool]]:
    """The simplest candidate within noise of the best by log loss, and which were within noise.

    Noise is one standard error of the mean difference in log loss, row by row on the same rows, between a
    candidate and the best: Breiman et al.'s (1984) one-standard-error rule, paired.

    Args:
        candidates: simplest first.
        y: labels.
    """
    able = [candidate for candidate in candidates if candidate.plan is not None]
    losses = {candidate.name: row_log_loss(y, candidate.probability) for candidate in able}
    best = min(losses.values(), key=lambda loss: float(loss.mean()))
    within = {}
    for name, loss in losses.items():
        behind = loss - best
        within[name] = bool(behind.mean() <= behind.std() / np.sqrt(len(y)))
    chosen = next(candidate for candidate in able if within[candidate.name])
    return chosen, within
