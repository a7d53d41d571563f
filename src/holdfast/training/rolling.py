"""Training in time: each period is predicted by what was known when it began, choices and calibration too.

One fit a candidate and period. The fold of a period learns from the periods whose labels were known when it
began, features chosen and encoded by those rows alone, and gives log-odds under every setting of each
candidate. All that comes after (which setting, which weights, which calibrator, which candidate) is then
decided anew for each period from the log-odds of periods known before it: a prequential evaluation (Dawid
1984) of the whole pipeline at the price of one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from holdfast.features import Encoder, FeatureProgram
from holdfast.model.calibration import Calibrator
from holdfast.training.blending import blend_weights, fit_platt
from holdfast.training.crossval import Fold, side_by_side
from holdfast.training.examples import NO_LABEL
from holdfast.training.extent import ORDER
from holdfast.training.fitting import Rows
from holdfast.training.metrics import row_log_loss
from holdfast.training.narrow import narrow
from holdfast.training.recipes import BOOSTERS, SINGLE
from holdfast.training.search import Candidate, Plan
from holdfast.training.staged import Judged, family, family_seconds, judged_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.progress import Progress
    from holdfast.training.clock import Clock
    from holdfast.training.examples import Examples
    from holdfast.training.extent import Extent
    from holdfast.training.recipes import Recipe

SMALLEST_WEIGHT = 0.1
"""Of a member of the blend: each is fitted again in every rehearsal and twice for the build."""

_WEAK = {"naive_bayes", "decision_tree"}


@dataclass
class Track:
    """One candidate over all judged periods.

    Attributes:
        settings: tried; the first is used where nothing is known yet.
        logit: out-of-period log-odds of each judged row under each setting, shape (n, settings).
        fit_seconds: one-thread seconds.
        score_seconds: one-thread seconds to score the rows once.
    """

    settings: list[Recipe]
    logit: NDArray[np.float64]
    fit_seconds: float = 0.0
    score_seconds: float = 0.0


@dataclass(frozen=True)
class Decided:
    """What a candidate is as decided before one period: plan, whether calibrated, calibrator."""

    plan: Plan
    calibrator: Calibrator


@dataclass
class Rolling:
    """The backtest of every candidate, and of choosing among them.

    Attributes:
        rows: numbers of the judged rows in the examples, in order of period, shape (n,): with those by which
            earlier decisions were made, though they have no label any more.
        period: of each, shape (n,).
        y: their labels, `NO_LABEL` where there is none any more.
        customer: whose they are.
        known: for each judged period and the last: the judged rows' labels as known when it began, `NO_LABEL`
            where there was none, shape (n,).
        features: how many features each judged period's fold kept.
    """

    rows: NDArray[np.int64]
    period: NDArray[np.int64]
    y: NDArray[np.int8]
    customer: NDArray[np.int64]
    known: dict[int, NDArray[np.int8]]
    features: dict[int, int]
    tracks: dict[str, Track] = field(default_factory=dict)
    decided: dict[int, dict[str, Decided]] = field(default_factory=dict)
    """For each period: each candidate as decided before it."""
    probability: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Each candidate's, decided anew for each period, shape (n,)."""
    pipeline: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Probability by the candidate that was chosen before each period, shape (n,)."""
    chosen: dict[int, str] = field(default_factory=dict)
    within: dict[str, bool] = field(default_factory=dict)
    """Which candidates were within noise of the best before the last period."""

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label, shape (n,)."""
        return np.asarray(self.y != NO_LABEL)

    def candidates(self, last: int) -> list[Candidate]:
        """The candidates as decided before the last period, simplest first, on the rows that were known."""
        known = self.known[last] != NO_LABEL
        found = []
        for name, decided in self.decided[last].items():
            members = [recipe.name for recipe, _ in decided.plan.first] if name == "blend" else [name]
            own = list(self.tracks) if name == "blend" else [name]
            note = " + ".join(f"{w:.2f} {r.name}" for r, w in decided.plan.first) if name == "blend" else ""
            found.append(
                Candidate(
                    name,
                    decided.plan,
                    decided.calibrator,
                    self.probability[name][known],
                    sum(self.tracks[each].fit_seconds for each in own),
                    sum(self.tracks[each].score_seconds for each in members),
                    note,
                )
            )
        return found


def backtest(
    examples: Examples,
    contract: Contract,
    extent: Extent,
    *,
    blend: bool,
    seed: int,
    clock: Clock,
    progress: Progress,
) -> Rolling:
    """Fit every candidate for every judged period, then decide for each what was known before it.

    Args:
        examples: loaded rows.
        contract: describes them.
        extent: which candidates, on how many rows.
        blend: whether to combine them; a stack is not made over time.
        seed: of everything random.
        clock: the budget; what a machine does not manage in it is left out and named.
        progress: is told of each step.
    """
    found = _judged_rows(examples)
    folds = _folds(examples, contract, found, most=extent.fold_rows, seed=seed, progress=progress)
    repeats = examples.counts["rows"] / examples.counts["customers"]
    rows = max((len(fold.train.y) for fold in folds), default=0)

    settings = {name: family(name, rows, repeats) for name in extent.names}

    def seconds(name: str, fold: Fold) -> float:
        return family_seconds(settings[name], *fold.train.X.shape)

    progress.start("backtesting models", sum(seconds(name, fold) for name in extent.names for fold in folds))

    def run(job: tuple[str, Fold]) -> Judged | None:
        name, fold = job
        if name != extent.names[0] and clock.spent(name):
            return None
        judged = judged_logits(settings[name], fold, seed=seed)
        progress.advance(seconds(name, fold), name.replace("_", " "))
        return judged

    parts = side_by_side(run, [(name, fold) for name in extent.names for fold in folds])
    for at, name in enumerate(extent.names):
        own = [part for part in parts[at * len(folds) : (at + 1) * len(folds)] if part is not None]
        if len(own) == len(folds):
            logit = np.vstack([np.zeros((0, len(settings[name]))), *(part.logit for part in own)])
            spent = (sum(part.fit_seconds for part in own), sum(part.score_seconds for part in own))
            found.tracks[name] = Track(settings[name], logit, *spent)
    found.tracks = {name: found.tracks[name] for name in SINGLE if name in found.tracks}
    decide_in_order(found, examples.schedule.judged, examples.schedule.last, blend=blend)
    return found


def _judged_rows(examples: Examples) -> Rolling:
    plan = examples.schedule
    parts = [examples.judged(number) for number in plan.judged]
    rows = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    period = examples.period[rows]
    known = {}
    for number in (*plan.judged, plan.last):
        then = examples.as_known(number)
        over = np.isin(period, plan.before(number))
        known[number] = np.where(over, then.y[rows], NO_LABEL).astype(np.int8)
    return Rolling(rows, period, examples.y[rows], examples.customer[rows], known, {})


def _folds(
    examples: Examples, contract: Contract, found: Rolling, *, most: int, seed: int, progress: Progress
) -> list[Fold]:
    plan = examples.schedule
    progress.start("preparing periods", len(plan.judged))

    def encode(number: int) -> tuple[Fold, int]:
        made = fold_of(examples, contract, number, most, seed=seed)
        progress.advance(1, plan.periods[number].name)
        return made

    made = side_by_side(encode, plan.judged)
    found.features.update({number: kept for number, (_, kept) in zip(plan.judged, made, strict=True)})
    return [fold for fold, _ in made]


def fold_of(examples: Examples, contract: Contract, number: int, most: int, *, seed: int) -> tuple[Fold, int]:
    """One period to judge, and what was known before it to learn from; how many features were kept.

    Args:
        examples: loaded rows.
        contract: describes them.
        number: of the judged period.
        most: rows to learn from.
        seed: of the choice of features and the encoder.
    """
    then = examples.as_known(number)
    learn = then.sample(examples.schedule.before(number), most)
    frame, y = then.frame[learn], then.y[learn]
    program = FeatureProgram(narrow(contract, frame, y, seed=seed).contract, record=False)
    groups = np.unique(examples.customer[learn], return_inverse=True)[1]
    encoder = Encoder(program)
    X = encoder.fit_transform(program.frame(frame), y, seed=seed, groups=groups)
    judged = examples.judged(number)
    Z = encoder.transform(program.frame(examples.frame[judged]))
    fold = Fold(Rows(X, y), Rows(Z, examples.y[judged]), learn, judged, encoder.slots)
    return fold, len(program.names)


def decide_in_order(found: Rolling, judged: Sequence[int], last: int, *, blend: bool) -> None:
    """Decide each candidate, and which of them, before every judged period and before the last.

    A decision looks only at judged rows whose labels were known when its period began.

    Args:
        found: with its tracks; is filled.
        judged: numbers of the judged periods, in order.
        last: number of the last.
        blend: whether to combine.
    """
    n = len(found.y)
    # what each candidate gives with and without a calibrator, each period's rows as decided before it
    plain: dict[str, NDArray[np.float64]] = {}
    fitted: dict[str, NDArray[np.float64]] = {}
    found.pipeline = np.full(n, np.nan)
    for number in (*judged, last):
        known = found.known[number]
        seen = known != NO_LABEL
        here = found.period == number if number != last else np.zeros(n, bool)
        plans = _plans(found, known, blend=blend)
        found.decided[number] = {}
        for name, (plan, logit) in plans.items():
            keep = [store.setdefault(name, np.full(n, np.nan)) for store in (plain, fitted)]
            platt = fit_platt(logit[seen], known[seen]) if seen.any() else Calibrator()
            keep[0][here] = expit(logit[here])
            keep[1][here] = platt.probability(logit[here])
            helped = _calibrating_helps(found, plain[name], fitted[name], known)
            calibrator = platt if helped else Calibrator()
            found.decided[number][name] = Decided(plan, calibrator)
            own = found.probability.setdefault(name, np.full(n, np.nan))
            own[here] = calibrator.probability(logit[here])
        found.chosen[number], found.within = _choose(found, known, found.decided[number])
        found.pipeline[here] = found.probability[found.chosen[number]][here]


def _calibrating_helps(
    found: Rolling, plain: NDArray[np.float64], fitted: NDArray[np.float64], known: NDArray[np.int8]
) -> bool:
    """Whether calibrators fitted on earlier periods have helped later ones; not where none has been tried.

    Candidates are fitted by log loss, so a line mends the drift of the periods it is fitted on.
    """
    calibrated = [number for number, labels in found.known.items() if (labels != NO_LABEL).any()]
    tried = np.isin(found.period, calibrated) & (known != NO_LABEL)
    if not tried.any():
        return False
    with_it, without = (row_log_loss(known[tried], p[tried]).mean() for p in (fitted, plain))
    return bool(with_it <= without)


def _plans(
    found: Rolling, known: NDArray[np.int8], *, blend: bool
) -> dict[str, tuple[Plan, NDArray[np.float64]]]:
    """Each candidate's plan by the labels ``known``, and its log-odds of all rows under it."""
    plans: dict[str, tuple[Plan, NDArray[np.float64]]] = {}
    seen = known != NO_LABEL
    y = known[seen]
    for name, track in found.tracks.items():
        at = 0
        if seen.any():
            losses = [float(row_log_loss(y, expit(z)).mean()) for z in track.logit[seen].T]
            at = int(np.argmin(losses))
        plans[name] = (Plan(((track.settings[at], 1.0),)), track.logit[:, at])
    members = [name for name in plans if name not in _WEAK]
    if blend and len(members) > 1:
        Z = np.column_stack([plans[name][1] for name in members])
        weights = _untried(members)
        if seen.any():
            weights = blend_weights(Z[seen], y, smallest=SMALLEST_WEIGHT)
        first = [(plans[name][0].first[0][0], float(w)) for name, w in zip(members, weights, strict=True)]
        plans["blend"] = (Plan(tuple(pair for pair in first if pair[1] > 0)), Z @ weights)
    return plans


def _untried(members: list[str]) -> NDArray[np.float64]:
    """Weights of a blend where no earlier period tells: the same for all boosters.

    How far a curve may be trusted beyond the months that it has seen is what an earlier period would tell.
    """
    counted = np.array([name in BOOSTERS for name in members], dtype=np.float64)
    counted = counted if counted.any() else np.ones(len(members))
    return np.asarray(counted / counted.sum())


def _choose(
    found: Rolling, known: NDArray[np.int8], decided: dict[str, Decided]
) -> tuple[str, dict[str, bool]]:
    """The simplest candidate within noise of the best by the labels ``known``, and which were within it.

    Noise is one standard error of the mean difference in log loss, customers taken as they are: all rows of
    one together. Where nothing is known yet, the blend, or the first booster.
    """
    names = list(found.probability)
    seen = known != NO_LABEL
    if not seen.any():
        usual = next((name for name in ORDER if name in names), names[0])
        if "blend" in names and len(decided["blend"].plan.first) > 1:
            usual = "blend"
        return usual, dict.fromkeys(names, True)
    losses = {name: row_log_loss(known[seen], found.probability[name][seen]) for name in names}
    best = min(losses.values(), key=lambda loss: float(loss.mean()))
    whose = np.unique(found.customer[seen], return_inverse=True)[1]
    within = {}
    for name, loss in losses.items():
        behind = loss - best
        apart = np.bincount(whose, weights=behind - behind.mean())
        within[name] = bool(behind.mean() <= np.sqrt((apart**2).sum()) / len(behind))
    return next(name for name in names if within[name]), within
