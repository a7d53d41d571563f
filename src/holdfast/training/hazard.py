"""Learn the time until churn from the examples of the backtest: each month that a customer was seen to stay.

An example looks ahead month by month until the customer left or the tables end (right-censoring). Its churn
log-odds are those of a model that had not seen the period, so what is learned upon them holds for new ones.
For inactivity a customer is gone once silent for the whole horizon, as later snapshots show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit

from holdfast.contract.history import ChurnEvent
from holdfast.history.labels import final_before
from holdfast.model.estimators.boosters import LightGBM
from holdfast.model.survival import DAYS, MONTHS, Survival, log_odds
from holdfast.training.crossval import side_by_side
from holdfast.training.examples import NO_LABEL
from holdfast.training.fitting import Rows
from holdfast.training.metrics import log_odds_loss

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from numpy.typing import NDArray

    from holdfast.contract.history import History
    from holdfast.model.model import Scorer
    from holdfast.training.examples import Examples
    from holdfast.training.rolling import Rolling

ROWS = 25_000
"""Examples looked at."""

LEAST_EVENTS = 20
"""A month in which fewer were seen to leave is not observed."""

HELD = 0.2
"""Share of customers on whom the trees are stopped and judged."""

_ROUNDS = 150
_PATIENCE = 15
_DRAWN = 20.0
"""How strongly a month's level and weight are drawn to its neighbours', in person-months."""


@dataclass(frozen=True)
class Ahead:
    """How far each example was seen, and whether the customer left then.

    Attributes:
        first: the first month in which a customer can be gone.
        seen: whole months observed, or until the customer left; shape (n,), 0 where none was.
        left: whether the customer left in the last of them.
    """

    first: int
    seen: NDArray[np.int64]
    left: NDArray[np.bool_]

    def person_months(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Row, month and whether the customer left in it, for each month at risk."""
        count = np.maximum(self.seen - self.first + 1, 0)
        row = np.repeat(np.arange(len(count)), count)
        month = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + self.first
        event = (self.left[row] & (month == self.seen[row])).astype(np.int8)
        return row, month, event


@dataclass(frozen=True)
class Lookout:
    """Where the time until churn is learned from.

    Attributes:
        history: the contract.
        examples: loaded rows.
        moments: ``as_of``, ``label_begin`` and ``label_end`` of the snapshots.
        seed: of the sample and the booster.
    """

    history: History
    examples: Examples
    moments: pl.DataFrame
    seed: int

    def ahead(self, rows: NDArray[np.int64], final: datetime) -> Ahead:
        """What was seen of each example by ``final``, before which leaving is final (naive UTC)."""
        look = pl.DataFrame({"as_of": self.examples.as_of[rows], "number": self.examples.customer[rows]})
        begins = self.moments.select("as_of", "label_begin")
        look = look.with_row_index("row").join(begins, on="as_of", how="left", maintain_order="left")
        if self.history.churn.event is ChurnEvent.INACTIVITY:
            return _by_silence(self, look, final)
        begin = pl.col("label_begin")
        found = look.with_columns(self.examples.left_at[rows].alias("left_at")).select(
            whole=_months(pl.lit(final) - begin).clip(0, MONTHS), gone=_months(pl.col("left_at") - begin) + 1
        )
        whole_, gone = found["whole"].to_numpy(), found["gone"].fill_null(MONTHS + 1).to_numpy()
        left = gone <= whole_
        other = _other_cause(self.examples)[rows]
        # who left for a cause that does not count was seen to stay until then
        seen = np.where(left, gone - (left & other), whole_)
        return Ahead(1, seen, left & ~other)

    def fit(
        self, scorer: Scorer, rows: NDArray[np.int64], p: NDArray[np.float64], final: datetime
    ) -> Survival | None:
        """A hazard from what was known at ``final``; None where too few were seen to leave."""
        kept = np.argsort(self.examples.draw[rows], kind="stable")[:ROWS]
        rows, p = rows[kept], p[kept]
        ahead_ = self.ahead(rows, final)
        row, month, event = ahead_.person_months()
        events = np.bincount(month, weights=event, minlength=MONTHS + 1)[1:]
        enough = np.flatnonzero(events >= LEAST_EVENTS)
        if not len(enough):
            return None
        observed = int(enough[-1]) + 1
        within = month <= observed
        row, month, event = row[within], month[within], event[within]
        z = log_odds(p)
        level, weight = _levels(z[row], month, event, ahead_.first, observed)
        base = level[month - 1] + weight[month - 1] * z[row]
        X = scorer.matrix(self.examples.frame[rows])
        wide = Rows(np.column_stack([X[row], month.astype(np.float32)]), event)
        dice = np.random.default_rng(self.seed).random(int(self.examples.customer.max()) + 1)
        held = dice[self.examples.customer[rows]][row] < HELD
        booster = _boost(wide, base, held, seed=self.seed)
        return Survival(self.history.churn.horizon_days, level, weight, observed, booster)


def _months(span: pl.Expr) -> pl.Expr:
    """Whole months in a span of time."""
    return (span.dt.total_microseconds() // (DAYS * 86_400_000_000)).cast(pl.Int64)


def _other_cause(examples: Examples) -> NDArray[np.bool_]:
    """Whether a customer's leaving is known, by any snapshot, to be for a cause that does not count."""
    known = examples.keys.filter(pl.col("left_at").is_not_null() & pl.col("in_window"))
    other = known.group_by("number", "left_at").agg(pl.col("y").max() == 0)
    rows = pl.DataFrame({"number": examples.customer, "left_at": examples.left_at})
    return (
        rows.join(other, on=["number", "left_at"], how="left", maintain_order="left")["y"]
        .fill_null(value=False)
        .to_numpy()
    )


def _by_silence(lookout: Lookout, look: pl.DataFrame, final: datetime) -> Ahead:
    history, ends = lookout.history, lookout.moments.select("as_of", "label_end")
    keys = lookout.examples.keys.join(ends, on="as_of", maintain_order="left")
    keys = keys.filter(pl.col("label_end") <= final).sort("as_of")
    silent = keys.filter(pl.col("y") == 1).select("number", "as_of", gone="as_of")
    last = keys.group_by("number").agg(last=pl.col("as_of").max())
    found = (
        look.sort("as_of")
        .join_asof(silent, on="as_of", by="number", strategy="forward", check_sortedness=False)
        .join(last, on="number", how="left")
        .sort("row")
    )
    # A day on which the clocks change has 23 or 25 hours and is a day.
    days = [((pl.col(name) - pl.col("as_of")).dt.total_hours() / 24).round() for name in ("gone", "last")]
    spans = found.select(each / DAYS for each in days)
    first = max(1, round(history.churn.horizon_days / DAYS))
    gone = spans["gone"].fill_null(MONTHS + 1.0).to_numpy().round().astype(np.int64) + first
    last_ = spans["last"].fill_null(-1.0 * MONTHS).to_numpy().round().astype(np.int64) + first
    whole = np.minimum(last_, MONTHS)
    left = gone <= whole
    return Ahead(first, np.maximum(np.where(left, gone, whole), 0), left)


def fit_survival(
    lookout: Lookout,
    rolling: Rolling,
    scorers: tuple[Scorer, Scorer],
    last: tuple[NDArray[np.int64], NDArray[np.float64]],
    final: datetime,
    *,
    on_fit: Callable[[], None] = lambda: None,
) -> Survival:
    """Measure a hazard on the last period, then learn the one to deploy from all.

    Args:
        lookout: where it is learned from.
        rolling: the backtest, for its probabilities.
        scorers: the measured and the deployed churn model.
        last: rows of the last period and the measured model's probabilities of them.
        final: before this leaving is final.
        on_fit: called after each of the two fits.
    """
    measured, deployed = scorers
    plan = lookout.examples.schedule
    rows, p = rolling.rows[rolling.labelled], rolling.pipeline[rolling.labelled]
    told = rolling.known[plan.last] != NO_LABEL
    known = final_before(lookout.history, plan.periods[plan.last].begin)
    then = replace(lookout, examples=lookout.examples.as_known(plan.last))
    every = np.concatenate([rows, last[0]])

    def fit(job: tuple[Lookout, Scorer, NDArray[np.int64], NDArray[np.float64], datetime]) -> Survival | None:
        at, scorer, seen, probability, before = job
        hazard = at.fit(scorer, seen, probability, before)
        on_fit()
        return hazard

    early, found = side_by_side(
        fit,
        [
            (then, measured, rolling.rows[told], rolling.pipeline[told], known),
            (lookout, deployed, every, np.concatenate([p, last[1]]), final),
        ],
    )
    metrics: dict[str, Any] = {}
    if early is not None:
        X = measured.matrix(lookout.examples.frame[last[0]])
        metrics = _measured(early, lookout.ahead(last[0], final), X, last[1])
    return replace(found or _flat(lookout.history), metrics=metrics)


def _flat(history: History) -> Survival:
    """What follows from the churn probability alone: the same hazard in each month."""
    months = max(1, round(history.churn.horizon_days / DAYS))
    return Survival(
        history.churn.horizon_days, np.full(MONTHS, -np.log(months)), np.ones(MONTHS), MONTHS, None
    )


def _levels(
    z: NDArray[np.float64], month: NDArray[np.int64], event: NDArray[np.int8], first: int, observed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Level and weight of each month by penalised likelihood: neighbours are drawn to each other."""
    size = observed - first + 1
    at = month - first
    # the first month of a silence is the churn model's own question, those after it are another
    joined = np.arange(size - 1) >= (1 if first > 1 else 0)

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        a, b = theta[:size], theta[size:]
        logit = a[at] + b[at] * z
        away = expit(logit) - event
        gaps = [np.diff(part) * joined for part in (a, b)]
        loss = float((np.logaddexp(0.0, logit) - event * logit).sum())
        loss += _DRAWN / 2 * sum(float(gap @ gap) for gap in gaps)
        slopes = [np.bincount(at, weights=each, minlength=size).astype(float) for each in (away, away * z)]
        for slope, gap in zip(slopes, gaps, strict=True):
            slope[1:] += _DRAWN * gap
            slope[:-1] -= _DRAWN * gap
        return loss / len(z), np.concatenate(slopes) / len(z)

    start = np.concatenate([np.full(size, -1.0), np.ones(size)])
    bounds = [(None, None)] * size + [(0.0, 3.0)] * size
    found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    level, weight = np.full(MONTHS, -np.inf), np.zeros(MONTHS)
    level[first - 1 : observed], weight[first - 1 : observed] = found[:size], found[size:]
    level[observed:], weight[observed:] = level[observed - 1], weight[observed - 1]
    return level, weight


def _boost(rows: Rows, base: NDArray[np.float64], held: NDArray[np.bool_], *, seed: int) -> LightGBM | None:
    """Trees upon the levels; None where they do not help customers that they have not seen."""
    import lightgbm  # noqa: PLC0415 - slow to import

    if not 0 < int(rows.y[held].sum()) < int(held.sum()):
        return None
    settings = {
        "objective": "binary", "metric": "binary_logloss", "boost_from_average": False,
        "num_leaves": 8, "learning_rate": 0.05, "min_child_samples": 200, "reg_lambda": 20.0,
        "colsample_bytree": 0.5, "verbosity": -1, "num_threads": 1, "deterministic": True,
        "force_row_wise": True, "seed": seed,
    }  # fmt: skip
    X, y = rows.X, rows.y
    learn = lightgbm.Dataset(X[~held], label=y[~held], init_score=base[~held], params=settings)
    judge = lightgbm.Dataset(X[held], label=y[held], init_score=base[held], reference=learn)
    stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
    booster = lightgbm.train(settings, learn, _ROUNDS, valid_sets=[judge], callbacks=[stop])
    kept = booster.model_to_string(num_iteration=booster.best_iteration)
    fitted = LightGBM([lightgbm.Booster(model_str=kept)])
    after = log_odds_loss(y[held], base[held] + fitted.logit(X[held]))
    return fitted if after < log_odds_loss(y[held], base[held]) else None


def _measured(
    survival: Survival, seen: Ahead, X: NDArray[np.float32], p: NDArray[np.float64]
) -> dict[str, Any]:
    """Predicted survival beside Kaplan and Meier's (1958), for the months that the last period was seen."""
    curve = survival.curve(X, p).mean(axis=0)
    row, month, event = seen.person_months()
    at_risk = np.bincount(month, minlength=MONTHS + 1)[1:]
    left = np.bincount(month, weights=event, minlength=MONTHS + 1)[1:]
    alive = np.cumprod(1 - np.divide(left, at_risk, out=np.zeros(MONTHS), where=at_risk > 0))
    months = int(np.flatnonzero(at_risk)[-1]) + 1 if at_risk.any() else 0
    return {
        "customers": len(np.unique(row)),
        "months": [
            {"month": m + 1, "predicted": float(curve[m]), "seen": float(alive[m])} for m in range(months)
        ],
    }
