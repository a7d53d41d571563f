"""From a history's tables to a registered model, trained, chosen and measured in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from holdfast.disk import scratch
from holdfast.features import FeatureProgram
from holdfast.history.build import build as build_table
from holdfast.history.build import folder_of
from holdfast.history.moments import moments
from holdfast.history.prepare import prepare
from holdfast.progress import NullProgress, Progress
from holdfast.quality.report import explore
from holdfast.registry import Registry
from holdfast.sources import RawTable
from holdfast.training.baseline import baseline
from holdfast.training.build import build
from holdfast.training.byperiod import Backtest, figures_by_period, rule_feature
from holdfast.training.clock import Clock
from holdfast.training.examples import BUILD_ROWS, load_examples
from holdfast.training.findings import Findings
from holdfast.training.hazard import Lookout, fit_survival
from holdfast.training.importance import importances
from holdfast.training.leaderboard import leaderboard, why_chosen
from holdfast.training.metrics import bootstrap_intervals, evaluate_predictions
from holdfast.training.narrow import narrow
from holdfast.training.recipes import chosen_names
from holdfast.training.rehearse import rehearse
from holdfast.training.rolling import Rolling, backtest
from holdfast.training.train import RESAMPLES, Trained, facts_of, packed, threshold_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.contract.history import History
    from holdfast.model.model import Scorer
    from holdfast.settings import Settings
    from holdfast.training.examples import Examples
    from holdfast.training.search import Candidate

RUNS = 3
"""Seeds of each booster: rows of one customer say much the same, so seeds differ on large tables too."""

_DESCRIBED_ROWS = 100_000
"""The report describes the data by so many rows at the most."""


@dataclass(frozen=True)
class TimeTable:
    """A built table and what training in time must know of it.

    Attributes:
        table: a frame, or the Parquet file, as `holdfast.history.build.build` makes it.
        contract: describes it.
        moments: ``as_of, label_begin, label_end, label_known`` of each snapshot.
        until: all that happened before is in the tables (naive UTC).
        final: before this, leaving is final: to the time until churn, customers are censored here.
    """

    table: Path | pl.DataFrame
    contract: Contract
    moments: pl.DataFrame
    until: datetime
    final: datetime


def train_history(
    history: History,
    root: Path,
    *,
    home: Path,
    settings: Settings | None = None,
    budget: float = 180.0,
    models: Sequence[str] | None = None,
    seed: int = 42,
    actor: str = "python",
    progress: Progress | None = None,
) -> Trained:
    """Prepare a history's tables, build its examples, train in time and register the version.

    Args:
        history: the contract.
        root: its folder, from which sources are seen.
        home: where prepared tables and the version go.
        settings: addresses and credentials of sources, memory.
        budget: seconds for the backtest; what must be done before and after it comes on top.
        models: names among `holdfast.training.recipes.NAMES`; all but the stack by default.
        seed: the same seed, data and plan give the same model.
        actor: in whose name, for the audit trail.
        progress: is told of each step.

    Raises:
        HistoryError: a table is missing, or nobody is eligible.
        PeriodsError, TableError: the history is too short, or all customers met the same fate.
        UsageError: a model's name is unknown.
    """
    from holdfast.history.labels import final_before  # noqa: PLC0415 - beside its only use

    chosen_names(models)  # a name that is unknown is said before the work
    told = progress or NullProgress()
    folder = folder_of(home, history)
    prepared = prepare(history, root, folder, settings=settings, progress=told)
    with scratch(folder, ".examples-") as work:  # of this run alone
        built = build_table(
            history,
            prepared,
            work / "examples.parquet",
            memory_mib=None if settings is None else settings.memory_mib,
            progress=told,
        )
        table = TimeTable(
            built.path,
            built.contract,
            moments(history, built.as_of),
            prepared.until,
            final_before(history, prepared.until),
        )
        trained = train_in_time(
            table, history, budget=budget, models=models, seed=seed, home=home, actor=actor, progress=told
        )
        built.path.replace(folder / built.path.name)
    return trained


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
) -> Trained:
    """Backtest, choose, measure on the last period, refit and register; see docs/training.md.

    Raises:
        PeriodsError, TableError: the history is too short, or all customers met the same fate.
        UsageError: a model's name is unknown.
    """
    names = chosen_names(models)
    told = progress or NullProgress()
    clock = Clock(budget)
    told.start("reading the examples", None)
    zone = history.clock.time_zone
    examples = load_examples(table.table, table.contract, table.moments, seed=seed, zone=zone)
    rolling = backtest(examples, table.contract, names, seed=seed, clock=clock, progress=told)
    work = _Work(table, history, examples, rolling, seed=seed, progress=told)
    candidates = rolling.candidates(examples.schedule.last)
    chosen = next(each for each in candidates if each.name == rolling.chosen[examples.schedule.last])
    final = rehearse(chosen, rolling, examples, table.contract, seed=seed, progress=told)
    threshold, threshold_why = threshold_for(history.economics, chosen.probability)
    measured, deployed, dropped = work.build(final)
    told.start("measuring on the last period", None)
    rows, p = work.last_rows, measured.probability(examples.frame[work.last_rows])
    y = examples.y[rows]
    judge: dict[str, Any] = {"threshold": threshold, "economics": history.economics}
    figures = evaluate_predictions(y, p, **judge)
    customer = np.unique(examples.customer[rows], return_inverse=True)[1]
    intervals = bootstrap_intervals(y, p, **judge, resamples=RESAMPLES, seed=seed, customer=customer)
    importance = importances(measured, examples.frame[rows], y, seed=seed, progress=told)
    told.start("learning the time until churn", None)
    lookout = Lookout(history, examples, table.moments, seed)
    survival = fit_survival(lookout, rolling, (measured, deployed), (rows, p), table.final)
    told.start("writing the report", None)
    backtested = work.backtest(p, threshold, dropped, deployed)
    described = _described(table, examples, seed)
    metrics = {
        "test": figures,
        "test_intervals": {name: list(ends) for name, ends in intervals.items()},
        "rows": work.counts(),
        "threshold": threshold,
        "backtest": backtested.as_dict(),
        "survival": survival.metrics,
    }
    findings = Findings(
        contract=deployed.program.contract,
        seed=seed,
        budget=budget,
        seconds=clock.seconds(),
        rows=work.counts(),
        leaderboard=leaderboard(
            candidates,
            chosen=chosen,
            within=rolling.within,
            y=rolling.y,
            threshold=threshold,
            economics=history.economics,
        ),
        chosen=chosen.name,
        why=why_chosen(chosen, candidates, rolling.y),
        threshold=threshold,
        threshold_why=threshold_why,
        test=figures,
        intervals=intervals,
        test_y=y,
        test_p=p,
        importance=importance,
        calibrator=final.calibrator.method,
        features_note=_features_note(backtested),
        warnings=_warnings(figures, clock, backtested),
        quality=described,
        facts=facts_of(deployed.program.contract, _digest(examples), final)
        | {"history_digest": history.digest(), "until": table.until.isoformat()},
        history=history,
        backtest=backtested,
        survival=survival,
    )
    registry = None if home is None else Registry(home, actor=actor)
    spread = baseline(examples.frame[rows].select(list(deployed.program.contract.inputs)), p)
    return packed(deployed, findings, metrics, spread, registry)


class _Work:
    """The steps after the backtest, which share its rows."""

    def __init__(
        self,
        table: TimeTable,
        history: History,
        examples: Examples,
        rolling: Rolling,
        *,
        seed: int,
        progress: Progress,
    ) -> None:
        self._table, self._history, self._examples = table, history, examples
        self._rolling, self._seed, self._progress = rolling, seed, progress
        last = examples.schedule.last
        self.last_rows: NDArray[np.int64] = examples.sample(np.array([last]), len(examples.y))
        self._before = examples.sample(examples.schedule.before(last), BUILD_ROWS)
        every = np.arange(len(examples.schedule.periods))
        self._all = examples.sample(every, BUILD_ROWS)

    def build(self, chosen: Candidate) -> tuple[Scorer, Scorer, dict[str, str]]:
        """The plan on what was known before the last period (to be measured) and on everything."""
        self._progress.start("fitting the chosen model", 2)
        measured, _ = self._built(chosen, self._before)
        self._progress.advance(1)
        deployed, dropped = self._built(chosen, self._all)
        self._progress.advance(1)
        return measured, deployed, dropped

    def _built(self, chosen: Candidate, rows: NDArray[np.int64]) -> tuple[Scorer, dict[str, str]]:
        examples, plan = self._examples, chosen.plan
        assert plan is not None  # noqa: S101 - every candidate of a backtest has a plan
        frame, y = examples.frame[rows], examples.y[rows]
        kept = narrow(self._table.contract, frame, y, seed=self._seed)
        program = FeatureProgram(kept.contract, record=False)
        groups = np.unique(examples.customer[rows], return_inverse=True)[1]
        scorer = build(
            plan,
            chosen.calibrator,
            program,
            program.frame(frame),
            y,
            layer=np.zeros((len(y), 0)),
            seed=self._seed,
            groups=groups,
            runs=RUNS,
        )
        return scorer, kept.dropped

    def backtest(
        self, p: NDArray[np.float64], threshold: float, dropped: dict[str, str], deployed: Scorer
    ) -> Backtest:
        """The figures by period."""
        plan = self._examples.schedule
        rule = rule_feature(self._table.contract, self._history.churn.table)
        periods = figures_by_period(
            self._examples,
            self._table.contract,
            self._rolling,
            self.last_rows,
            p,
            rule=rule,
            threshold=threshold,
            economics=self._history.economics,
        )
        known = plan.periods[int(plan.before(plan.last)[-1])]
        counts = {**self._examples.counts, "built": len(self._all), "measured_on": len(self._before)}
        return Backtest(
            periods=periods,
            rule=rule,
            dropped=dropped,
            kept=len(deployed.program.names),
            last=plan.periods[plan.last].name,
            learned_until=known.name,
            counts=counts,
            predictions=self._predictions(p),
        )

    def _predictions(self, p: NDArray[np.float64]) -> pl.DataFrame:
        examples, rows = self._examples, np.concatenate([self._rolling.rows, self.last_rows])
        names = [period.name for period in examples.schedule.periods]
        return pl.DataFrame(
            {
                "customer": examples.ids[rows],
                "as_of": examples.as_of[rows],
                "period": [names[number] for number in examples.period[rows]],
                "churned": examples.y[rows],
                "churn_probability": np.concatenate([self._rolling.pipeline, p]),
            }
        )

    def counts(self) -> dict[str, int]:
        """Rows by use."""
        examples = self._examples
        known, _ = examples.known_before(examples.schedule.last)
        return {
            "train": known,
            "searched": len(self._rolling.y),
            "test": len(self.last_rows),
            "rejected": 0,
            "left": examples.counts["left"],
            "labelled": examples.counts["rows"],
            "built": len(self._all),
        }


def _features_note(found: Backtest) -> str:
    if not found.dropped:
        return f"All {found.kept:,} features are used."
    return (
        f"{found.kept:,} of {found.kept + len(found.dropped):,} features are used; the others say nothing, "
        "repeat another, or serve trees least."
    )


def _warnings(figures: dict[str, Any], clock: Clock, found: Backtest) -> list[str]:
    warnings = []
    if figures["profit_per_customer"] < 0:
        warnings.append(
            "Acting on this model's advice would have lost money in the last period "
            f"({figures['profit_per_customer']:.2f} a customer). Check the economics, or wait for more data."
        )
    if found.periods["period"].n_unique() == 1:
        warnings.append(
            "Only the last period could be judged: settings were taken as usual, and nothing was calibrated. "
            "A longer history, or a shorter horizon, lets the backtest choose."
        )
    if clock.ended:
        warnings.append(
            f"The budget of {clock.budget:g} s ended early: {', '.join(clock.ended)} cut short or left out. "
            "Another run may choose otherwise; give a larger --budget."
        )
    return warnings


def _described(table: TimeTable, examples: Examples, seed: int) -> Any:
    """What the examples look like, of a sample; a customer has several rows, so rows have no id here."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(examples.y))[:_DESCRIBED_ROWS])
    label = table.contract.churn.label
    frame = examples.frame[rows].with_columns(pl.Series(label, examples.y[rows]).cast(pl.String))
    inputs = {name: table.contract.columns[name] for name in examples.frame.columns}
    return explore(RawTable(frame), table.contract.model_copy(update={"columns": inputs}))


def _digest(examples: Examples) -> str:
    """SHA-256 (hex) of the loaded examples."""
    import hashlib  # noqa: PLC0415 - beside its only use
    import io  # noqa: PLC0415 - as above

    stream = io.BytesIO()
    keyed = examples.frame.with_columns(
        examples.ids.alias("\0id"), examples.as_of.alias("\0as_of"), pl.Series("\0label", examples.y)
    )
    keyed.write_ipc(stream, compression="uncompressed")
    return hashlib.sha256(stream.getbuffer()).hexdigest()
