"""Build the chosen plan twice: on what was known before the last period, and on everything."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from holdfast.features import FeatureProgram
from holdfast.training.build import build, fits
from holdfast.training.clock import fit_seconds
from holdfast.training.crossval import side_by_side
from holdfast.training.examples import BUILD_ROWS
from holdfast.training.narrow import MOST_KEPT, narrow
from holdfast.training.recipes import BOOSTERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.model.model import Scorer
    from holdfast.progress import Progress
    from holdfast.training.examples import Examples
    from holdfast.training.search import Candidate

RUNS = 3
"""Boosting runs that are averaged at the least, those of a blend's members together: rows of one customer say
much the same, so seeds differ on large tables too.
"""


@dataclass(frozen=True)
class Built:
    """The chosen plan, built.

    Attributes:
        measured: on what was known before the last period.
        deployed: on every known label.
        dropped: feature to the reason why the deployed model does without it.
        measured_rows: that the measured model learned from.
        deployed_rows: that the deployed model learned from.
    """

    measured: Scorer
    deployed: Scorer
    dropped: dict[str, str]
    measured_rows: int
    deployed_rows: int


def build_twice(
    chosen: Candidate, examples: Examples, contract: Contract, *, seed: int, progress: Progress
) -> Built:
    """The plan on what was known before the last period (to be measured) and on everything.

    Args:
        chosen: with its plan and calibrator.
        examples: loaded rows.
        contract: describes them.
        seed: of everything random.
        progress: is told of each build.
    """
    plan = examples.schedule
    then = examples.as_known(plan.last)
    before = then.sample(plan.before(plan.last), BUILD_ROWS)
    every = examples.sample(np.arange(len(plan.periods)), BUILD_ROWS)
    recipes = chosen.plan
    assert recipes is not None  # noqa: S101 - every candidate of a backtest has a plan
    boosters = sum(recipe.name in BOOSTERS for recipe, _ in recipes.first)
    runs = ceil(RUNS / max(1, boosters))

    def built(job: tuple[Examples, NDArray[np.int64]]) -> tuple[Scorer, dict[str, str]]:
        known, rows = job
        frame, y = known.frame[rows], known.y[rows]
        kept = narrow(contract, frame, y, seed=seed)
        program = FeatureProgram(kept.contract, record=False)
        scorer = build(
            recipes,
            chosen.calibrator,
            program,
            program.frame(frame),
            y,
            layer=np.zeros((len(y), 0)),
            seed=seed,
            groups=np.unique(examples.customer[rows], return_inverse=True)[1],
            runs=runs,
            on_fit=lambda recipe: progress.advance(
                fit_seconds(recipe, len(rows), MOST_KEPT), recipe.name.replace("_", " ")
            ),
        )
        return scorer, kept.dropped

    each = [recipes.first[at][0] for at, _ in fits(recipes.first, runs)]
    work = [fit_seconds(recipe, len(rows), MOST_KEPT) for rows in (before, every) for recipe in each]
    progress.start("fitting the chosen model", sum(work))
    (measured, _), (deployed, dropped) = side_by_side(built, [(then, before), (examples, every)])
    return Built(measured, deployed, dropped, len(before), len(every))
