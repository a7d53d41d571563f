"""How a backtest went, period by period, beside naive rules that know as much of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from holdfast.features import Encoder, FeatureProgram
from holdfast.training.crossval import side_by_side
from holdfast.training.linear import fit_spline_logistic
from holdfast.training.metrics import calibration_line, evaluate_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Contract, Economics
    from holdfast.training.buildintime import Built
    from holdfast.training.examples import Examples
    from holdfast.training.rolling import Rolling

PIPELINE = "model"
BASE_RATE = "base rate so far"
FIGURES = (
    "roc_auc", "log_loss", "brier", "calibration_error", "lift_top_decile", "profit_per_customer",
)  # fmt: skip
_RULES = ("days_since_last", "days_since_begin", "days_since_first")
_RULE_ROWS = 100_000


@dataclass(frozen=True)
class Backtest:
    """A backtest in figures.

    Attributes:
        periods: one row a judged period and predictor, in order of time: ``period, who`` (`PIPELINE`,
            `BASE_RATE` or the rule's name), ``last`` (the period that was untouched until the end),
            ``chosen`` (the candidate that the model was then), ``rows, left, base_rate`` (share who left),
            ``learned_rows, learned_rate`` (of the labels known when the period began), ``mean_predicted``,
            `FIGURES`, ``calibration_intercept, calibration_slope``.
        rule: the feature of the naive rule; None where the tables have none for it.
        dropped: feature to the reason why the deployed model does without it.
        kept: how many features it has.
        last: name of the last period.
        learned_until: last period whose labels were known when it began.
        counts: ``rows`` and ``customers`` with a label, ``left``, ``built`` (rows the deployed model learned
            from).
    """

    periods: pl.DataFrame
    rule: str | None
    dropped: dict[str, str]
    kept: int
    last: str
    learned_until: str
    counts: dict[str, int]
    predictions: pl.DataFrame
    """Each judged row: ``customer, as_of, period, churned, churn_probability``, the last period's too."""

    @property
    def rule_name(self) -> str | None:
        """What the rule is called among ``who``."""
        return None if self.rule is None else _named(self.rule)

    def of(self, who: str) -> pl.DataFrame:
        """The rows of one predictor."""
        return self.periods.filter(pl.col("who") == who)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        numbers = pl.col(pl.Float64).fill_nan(None)
        return {
            "periods": self.periods.with_columns(numbers).to_dicts(),
            "rule": self.rule,
            "dropped": self.dropped,
            "features_kept": self.kept,
            "last": self.last,
            "learned_until": self.learned_until,
            "counts": self.counts,
        }


def _named(rule: str) -> str:
    return f"{rule} alone"


def backtest_of(
    examples: Examples,
    contract: Contract,
    rolling: Rolling,
    last: tuple[NDArray[np.int64], NDArray[np.float64]],
    *,
    table: str,
    threshold: float,
    economics: Economics,
    built: Built,
) -> Backtest:
    """The backtest and the last period in figures.

    Args:
        examples: loaded rows.
        contract: describes them.
        rolling: the backtest.
        last: rows of the last period and the measured model's probabilities of them.
        table: whose events or ends say who left; the naive rule is one of its features.
        threshold: from which customers are acted on.
        economics: what a mistake costs.
        built: the measured and the deployed model.
    """
    plan = examples.schedule
    rule = rule_feature(examples.frame, table)
    periods = figures_by_period(
        examples, contract, rolling, *last, rule=rule, threshold=threshold, economics=economics
    )
    return Backtest(
        periods=periods,
        rule=rule,
        dropped=built.dropped,
        kept=len(built.deployed.program.names),
        last=plan.periods[plan.last].name,
        learned_until=plan.periods[int(plan.before(plan.last)[-1])].name,
        counts={**examples.counts, "built": built.deployed_rows, "measured_on": built.measured_rows},
        predictions=_predictions(examples, rolling, *last),
    )


def _predictions(
    examples: Examples, rolling: Rolling, last_rows: NDArray[np.int64], last_p: NDArray[np.float64]
) -> pl.DataFrame:
    judged = rolling.labelled
    rows = np.concatenate([rolling.rows[judged], last_rows])
    names = [period.name for period in examples.schedule.periods]
    return pl.DataFrame(
        {
            "customer": examples.ids[rows],
            "as_of": examples.as_of[rows],
            "period": [names[number] for number in examples.period[rows]],
            "churned": examples.y[rows],
            "churn_probability": np.concatenate([rolling.pipeline[judged], last_p]),
        }
    )


def rule_feature(frame: pl.DataFrame, table: str) -> str | None:
    """The feature of the recency rule: days since the churn table's last event, else since joining.

    One that most rows have: of a table of cancellations nobody who is still there has an event.

    Args:
        frame: features of the examples.
        table: whose events or ends say who left.
    """
    known = [name for name in frame.columns if 2 * frame[name].null_count() < frame.height]
    wanted = [f"{table}_{_RULES[0]}"]
    wanted += [name for end in (_RULES[1], _RULES[0], _RULES[2]) for name in known if name.endswith(end)]
    return next((name for name in wanted if name in known), None)


def figures_by_period(
    examples: Examples,
    contract: Contract,
    rolling: Rolling,
    last_rows: NDArray[np.int64],
    last_p: NDArray[np.float64],
    *,
    rule: str | None,
    threshold: float,
    economics: Economics,
) -> pl.DataFrame:
    """`Backtest.periods`.

    Args:
        examples: loaded rows.
        contract: describes them.
        rolling: the backtest.
        last_rows: rows of the last period.
        last_p: the measured model's probabilities of them.
        rule: feature of the naive rule.
        threshold: from which customers are acted on.
        economics: what a mistake costs.
    """
    plan = examples.schedule

    def told(number: int) -> list[dict[str, Any]]:
        is_last = number == plan.last
        judged = (rolling.period == number) & rolling.labelled
        here = last_rows if is_last else rolling.rows[judged]
        then = examples.as_known(number)
        learn = then.sample(plan.before(number), _RULE_ROWS)
        known, rate = then.known_before(number)
        said = {PIPELINE: last_p if is_last else rolling.pipeline[judged]}
        said[BASE_RATE] = np.full(len(here), rate)
        if rule is not None:
            said[_named(rule)] = _rule(then, contract, rule, learn, here)
        y = examples.y[here]
        shared = {
            "period": plan.periods[number].name,
            "last": is_last,
            "chosen": rolling.chosen[number],
            "rows": len(y),
            "left": int(y.sum()),
            "base_rate": float(y.mean()),
            "learned_rows": known,
            "learned_rate": rate,
        }
        return [
            shared | {"who": who} | _judged(y, p, threshold=threshold, economics=economics)
            for who, p in said.items()
        ]

    found = side_by_side(told, (*plan.judged, plan.last))
    return pl.DataFrame([row for rows in found for row in rows], infer_schema_length=None)


def _judged(
    y: NDArray[np.int8], p: NDArray[np.float64], *, threshold: float, economics: Economics
) -> dict[str, Any]:
    figures = evaluate_predictions(y, p, threshold=threshold, economics=economics)
    same = bool(p.min() == p.max())
    intercept, slope = calibration_line(y, p)
    return {
        "mean_predicted": float(p.mean()),
        **{name: None if same and name == "lift_top_decile" else figures[name] for name in FIGURES},
        "calibration_intercept": intercept,
        "calibration_slope": float("nan") if same else slope,
    }


def _rule(
    examples: Examples,
    contract: Contract,
    rule: str,
    learn: NDArray[np.int64],
    judged: NDArray[np.int64],
) -> NDArray[np.float64]:
    """A logistic curve of one feature, fitted on the rows ``learn``."""
    from scipy.special import expit  # noqa: PLC0415 - slow to import

    only = contract.model_copy(update={"columns": {rule: contract.columns[rule]}})
    program = FeatureProgram(only, record=False)
    y = examples.y[learn]
    encoder = Encoder(program)
    X = encoder.fit_transform(program.frame(examples.frame[learn]), y, seed=0)
    if not encoder.slots:  # one value for all
        return np.full(len(judged), float(y.mean()))
    curve = fit_spline_logistic(X, y, encoder.slots, [1.0])[0]
    return np.asarray(expit(curve.logit(encoder.transform(program.frame(examples.frame[judged])))))
