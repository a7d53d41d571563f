"""From a built table of examples to a registered model, trained, chosen and measured in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.progress import NullProgress, Progress
from holdfast.registry import Registry
from holdfast.training.baseline import baseline
from holdfast.training.buildintime import build_twice
from holdfast.training.byperiod import backtest_of
from holdfast.training.clock import Clock
from holdfast.training.examples import NO_LABEL, described, digest_of, load_examples
from holdfast.training.extent import extent_of
from holdfast.training.findings import Findings, lost_money
from holdfast.training.hazard import Lookout, fit_survival
from holdfast.training.importance import importances
from holdfast.training.leaderboard import leaderboard, why_chosen
from holdfast.training.metrics import figures_with_intervals
from holdfast.training.recipes import chosen_names
from holdfast.training.rehearse import rehearse
from holdfast.training.rolling import backtest
from holdfast.training.train import RESAMPLES, Trained, facts_of, packed, threshold_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from holdfast.contract import Contract
    from holdfast.contract.history import History
    from holdfast.training.buildintime import Built
    from holdfast.training.byperiod import Backtest
    from holdfast.training.examples import AsKnown, Examples


@dataclass(frozen=True)
class TimeTable:
    """A built table and what training in time must know of it.

    Attributes:
        table: a frame, or the Parquet file, as `holdfast.history.build.build` makes it.
        contract: describes it.
        moments: ``as_of, label_begin, label_end, label_known`` of each snapshot.
        until: all that happened before is in the tables (naive UTC).
        final: before this, leaving is final: to the time until churn, customers are censored here.
        as_known: gives labels that said something else at earlier moments
            (`holdfast.history.as_known.labels_as_known`); without it, none did.
    """

    table: Path | pl.DataFrame
    contract: Contract
    moments: pl.DataFrame
    until: datetime
    final: datetime
    as_known: AsKnown | None = None


def train_in_time(
    table: TimeTable,
    history: History,
    *,
    budget: float = 180.0,
    models: Sequence[str] | None = None,
    seed: int = 42,
    home: Path | None = None,
    actor: str = "python",
    progress: Progress | None = None,
    before: float = 0.0,
) -> Trained:
    """Backtest, choose, measure on the last period, refit and register; see docs/training.md.

    Args:
        table: as built.
        history: the contract of the tables it was built from.
        budget: seconds for the backtest and its rehearsal.
        models: names among `holdfast.training.recipes.NAMES`; all but the stack by default.
        seed: the same seed, data and plan give the same model.
        home: where to register the version; without it the model is only returned.
        actor: in whose name, for the audit trail.
        progress: is told of each step.
        before: seconds that it took to build the table, to tell how long all took.

    Raises:
        PeriodsError, TableError: the history is too short, or all customers met the same fate.
        UsageError: a model's name is unknown.
    """
    names = chosen_names(models)
    told = progress or NullProgress()
    clock = Clock(budget)
    told.start("reading the examples", None)
    zone = history.clock.time_zone
    examples = load_examples(
        table.table, table.contract, table.moments, seed=seed, zone=zone, as_known=table.as_known
    )
    last = examples.schedule.last
    extent = extent_of(examples, table.contract, names, budget)
    blend = "blend" in names
    rolling = backtest(examples, table.contract, extent, blend=blend, seed=seed, clock=clock, progress=told)
    candidates = rolling.candidates(last)
    known = rolling.known[last][rolling.known[last] != NO_LABEL]  # what they were chosen by
    chosen = next(each for each in candidates if each.name == rolling.chosen[last])
    final = rehearse(chosen, rolling, examples, table.contract, extent, seed=seed, progress=told)
    threshold, threshold_why = threshold_for(history.economics, chosen.probability)
    built = build_twice(final, examples, table.contract, seed=seed, progress=told)
    told.start("measuring on the last period", RESAMPLES)
    rows = examples.sample(np.array([last]), len(examples.y))
    p, y = built.measured.probability(examples.frame[rows]), examples.y[rows]
    figures, intervals = figures_with_intervals(
        y,
        p,
        threshold=threshold,
        economics=history.economics,
        resamples=RESAMPLES,
        seed=seed,
        on_resample=told.advance,
        customer=np.unique(examples.customer[rows], return_inverse=True)[1],
    )
    importance = importances(built.measured, examples.frame[rows], y, seed=seed, progress=told)
    told.start("learning the time until churn", 2)
    lookout = Lookout(history, examples, table.moments, seed)
    scorers = (built.measured, built.deployed)
    survival = fit_survival(lookout, rolling, scorers, (rows, p), table.final, on_fit=told.advance)
    told.start("writing the report", None)
    backtested = backtest_of(
        examples,
        table.contract,
        rolling,
        (rows, p),
        table=history.churn.table,
        threshold=threshold,
        economics=history.economics,
        built=built,
    )
    contract = built.deployed.program.contract
    findings = Findings(
        contract=contract,
        seed=seed,
        budget=budget,
        seconds=before + clock.seconds(),
        rows=_counts(examples, built, searched=int(rolling.labelled.sum()), test=len(rows)),
        leaderboard=leaderboard(
            candidates,
            chosen=chosen,
            within=rolling.within,
            y=known,
            threshold=threshold,
            economics=history.economics,
        ),
        chosen=chosen.name,
        why=why_chosen(chosen, candidates, known),
        threshold=threshold,
        threshold_why=threshold_why,
        test=figures,
        intervals=intervals,
        test_y=y,
        test_p=p,
        importance=importance,
        calibrator=final.calibrator.method,
        features_note=_features_note(backtested),
        warnings=[
            *lost_money(figures, "in the last period"),
            *_too_short(backtested),
            *extent.warnings(budget),
            *clock.warnings(),
        ],
        quality=described(examples, table.contract, seed=seed),
        facts=facts_of(contract, digest_of(examples), final)
        | {"history_digest": history.digest(), "until": table.until.isoformat()},
        history=history,
        backtest=backtested,
        survival=survival,
    )
    registry = None if home is None else Registry(home, actor=actor)
    spread = baseline(examples.frame[rows].select(list(contract.inputs)), p)
    return packed(built.deployed, findings, spread, registry)


def _counts(examples: Examples, built: Built, *, searched: int, test: int) -> dict[str, int]:
    """Rows by use."""
    last = examples.schedule.last
    known, _ = examples.as_known(last).known_before(last)
    return {
        "train": known,
        "searched": searched,
        "test": test,
        "rejected": 0,
        "left": examples.counts["left"],
        "labelled": examples.counts["rows"],
        "built": built.deployed_rows,
    }


def _features_note(found: Backtest) -> str:
    if not found.dropped:
        return f"All {found.kept:,} features are used."
    return (
        f"{found.kept:,} of {found.kept + len(found.dropped):,} features are used; the others say nothing, "
        "repeat another, or serve trees least."
    )


def _too_short(found: Backtest) -> list[str]:
    """The warning that nothing could be chosen in time; none where it could."""
    if found.periods["period"].n_unique() > 1:
        return []
    return [
        (
            "Only the last period could be judged: settings were taken as usual, and nothing was calibrated. "
            "A longer history lets the backtest choose; a shorter horizon may."
        )
    ]
