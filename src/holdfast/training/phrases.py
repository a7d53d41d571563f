"""What a training found, in the words that the report and the model card share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.pages import words
from holdfast.training.curves import acting, best_acting, calibration_noise, worth
from holdfast.training.importance import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.training.byperiod import Backtest
    from holdfast.training.curves import Acting, Ranked
    from holdfast.training.findings import Findings


@dataclass(frozen=True)
class Figure:
    """A figure of quality: its key in `Findings.test`, its name, how it is written, and what it says."""

    key: str
    name: str
    show: Callable[[float | None], str]
    says: str


def _three(value: float | None) -> str:
    return words.fixed(value, 3)


FIGURES = (
    Figure(
        "roc_auc",
        "ROC AUC",
        _three,
        "chance that a customer who left has the higher probability than one who stayed; 0.5 is chance",
    ),
    Figure("pr_auc", "PR AUC", _three, "average precision; chance is the churn rate"),
    Figure("log_loss", "Log loss", _three, "how far the probabilities are off, in nats; lower is better"),
    Figure("brier", "Brier score", _three, "mean squared error of the probabilities; lower is better"),
    Figure(
        "calibration_error",
        "Calibration error",
        _three,
        "mean gap between predicted and seen churn in ten bins of equal size; lower is better",
    ),
    Figure(
        "lift_top_decile",
        "Lift in the riskiest tenth",
        lambda value: words.fixed(value, 2),
        "their churn rate over that of all customers",
    ),
    Figure("precision", "Precision", words.percent, "of those at or above the threshold, left"),
    Figure("recall", "Recall", words.percent, "of those who left, at or above the threshold"),
    Figure("f1", "F1", _three, "harmonic mean of precision and recall"),
    Figure(
        "accuracy", "Accuracy", words.percent, "on the right side of the threshold; says little by itself"
    ),
    Figure(
        "profit_per_customer",
        "Profit per customer",
        words.money,
        "expected gain of acting at the threshold, by the contract's economics",
    ),
)
"""In the order in which they are listed."""


def value(findings: Findings, figure: Figure) -> str:
    """A figure of the test split as text."""
    return figure.show(findings.test.get(figure.key))


def interval(findings: Findings, figure: Figure) -> str:
    """Its 95 % interval as text, or a dash."""
    ends = findings.intervals.get(figure.key)
    return f"{figure.show(ends[0])} to {figure.show(ends[1])}" if ends else words.NONE


def model_name(name: str) -> str:
    """A candidate's name for people."""
    return name.replace("_", " ")


def recipe(findings: Findings) -> str:
    """What the model is made of, for people."""
    return model_name(str(findings.facts.get("recipe", findings.chosen)))


def headline(findings: Findings, ranked: Ranked) -> str:
    """What acting by this model would have meant for the customers kept aside."""
    economics = findings.contract.economics
    at = acting(ranked, findings.threshold, economics)
    whom = f"{words.count(ranked.rows, 'customer')} {aside(findings)}"
    opening = f"Of the {whom}, {words.count(ranked.left)} left. "
    if not at.acted:
        return (
            f"{opening}None is above the threshold of {words.percent(findings.threshold)}: "
            "under the contract's economics, acting on anybody is expected to cost more than it saves."
        )
    everybody = float(worth(ranked.rows, ranked.left, economics))
    reached = f"{words.count(at.found)} of those who left"
    if ranked.left:
        reached += f" ({words.percent(at.found / ranked.left, 0)})"
    ends = findings.intervals.get("profit_per_customer")
    sure = f", 95 %: {words.money(ends[0])} to {words.money(ends[1])}" if ends else ""
    return (
        f"{opening}Acting on the {words.percent(at.acted / ranked.rows, 0)} at or above the threshold of "
        f"{words.percent(findings.threshold)} would have meant {words.count(at.acted, 'contact')}, "
        f"reaching {reached}, for an expected gain of {words.money(at.worth)} "
        f"({words.money(at.worth / ranked.rows)} a customer{sure}), against "
        f"{words.money(everybody)} for acting on everybody and 0 for acting on nobody."
    )


def alternatives(findings: Findings, ranked: Ranked) -> list[tuple[str, Acting]]:
    """Ways to choose whom to act on, and what each would have meant."""
    economics = findings.contract.economics
    at = acting(ranked, findings.threshold, economics)
    leavers, rows = ranked.left, ranked.rows
    by_chance = round(at.acted * leavers / rows) if rows else 0
    kind = type(at)
    spot, best = best_acting(ranked, economics)
    return [
        ("Nobody", kind(0, 0, 0.0)),
        ("Everybody", kind(rows, leavers, float(worth(rows, leavers, economics)))),
        (
            "As many, picked at random",
            kind(at.acted, by_chance, float(worth(at.acted, by_chance, economics))),
        ),
        (f"By this model, from {words.percent(findings.threshold)}", at),
        (f"Best threshold in hindsight, {words.percent(spot)}", best),
        (
            "Knowing who leaves",
            kind(leavers, leavers, max(0.0, float(worth(leavers, leavers, economics)))),
        ),
    ]


def calibration_verdict(findings: Findings) -> str:
    """The calibration error beside what chance alone makes of flawless probabilities."""
    error = findings.test["calibration_error"]
    mean, most = calibration_noise(findings.test_p)
    said = "within" if error <= most else "beyond"
    rows = words.count(len(findings.test_p), "customer")
    return (
        f"The calibration error is {words.fixed(error, 3)}. On {rows} flawless probabilities would show "
        f"{words.fixed(mean, 3)} by chance alone, and up to {words.fixed(most, 3)} would not surprise: "
        f"this is {said} what chance explains. Predicted on average "
        f"{words.percent(float(findings.test_p.mean()))}, "
        f"seen {words.percent(float(findings.test_y.mean()))}."
    )


def calibrator(findings: Findings) -> str:
    """How probabilities were calibrated."""
    said = {
        "none": "The model's probabilities are used as they come.",
        "logistic": "Log-odds are corrected by a slope and a shift (Platt), learned out of fold.",
        "isotonic": "Log-odds are corrected by an isotonic curve, learned out of fold.",
    }
    return said.get(findings.calibrator, f"Calibrated by {findings.calibrator}, learned out of fold.")


def aside(findings: Findings) -> str:
    """What the customers are called whom the figures are of."""
    return "kept aside" if findings.backtest is None else f"as of {findings.backtest.last}"


def learned_from(findings: Findings) -> str:
    """How many examples of how many customers a model learned from, and how many left."""
    found, rows, churn = findings.backtest, findings.rows, findings.contract.churn
    if found is None:
        every = rows["train"] + rows["test"]
        left = words.share(rows["left"], every)
        return f"{words.count(every, 'customer')}; {left} left ({churn.label} = {churn.positive})."
    left = words.share(found.counts["left"], found.counts["rows"])
    some = found.counts["built"]
    of = "" if some == found.counts["rows"] else f"{words.count(some)} of "
    return (
        f"{of}{words.count(found.counts['rows'], 'example')} of "
        f"{words.count(found.counts['customers'], 'customer')}; {left} of the examples left."
    )


def how_compared(findings: Findings) -> str:
    """What the leaderboard's figures are of."""
    searched = words.count(findings.rows.get("searched", findings.rows["train"]))
    if findings.backtest is None:
        return f"Out of fold on {searched} training customers, calibrated across folds"
    return (
        f"On {searched} examples of the periods before {findings.backtest.last}, each predicted, and "
        "calibrated, by what was known when its period began"
    )


def where_measured(findings: Findings) -> list[tuple[str, str, str]]:
    """What was measured, on which rows, and with what: (figure, rows, by which model)."""
    if findings.backtest is not None:
        return _measured_in_time(findings, findings.backtest)
    train, test = (words.count(findings.rows[name]) for name in ("train", "test"))
    searched = findings.rows.get("searched", findings.rows["train"])
    on = "" if searched == findings.rows["train"] else f"{words.count(searched)} of "
    some = f" (importances: {words.count(MOST_ROWS)} of them)" if findings.rows["test"] > MOST_ROWS else ""
    everyone = words.count(findings.rows["train"] + findings.rows["test"])
    return [
        (
            "Leaderboard, tuning, calibration and choice",
            f"{on}the {train} training customers, each scored out of fold",
            "models that had not seen the customer",
        ),
        (
            "Figures, curves, profit and importances",
            f"the {test} customers kept aside, used for nothing before{some}",
            "the chosen recipe built on the training customers only",
        ),
        (
            "The deployed model",
            f"all {everyone} customers",
            "the same recipe refitted on everyone, and expected to be about as good",
        ),
    ]


def _measured_in_time(findings: Findings, found: Backtest) -> list[tuple[str, str, str]]:
    known = f"{words.count(findings.rows['train'], 'example')} up to {found.learned_until}"
    learned, built = (words.count(found.counts[name]) for name in ("measured_on", "built"))
    return [
        (
            "Leaderboard, settings, weights, calibration and choice",
            f"{words.count(findings.rows['searched'])} examples of the periods before {found.last}",
            "models that learned only from labels known when each period began",
        ),
        (
            "Figures, curves, profit and importances",
            f"the {words.count(findings.rows['test'], 'example')} of {found.last}, used for nothing before",
            f"the chosen recipe built on {learned} of the {known} whose labels were known then",
        ),
        (
            "The deployed model",
            f"{built} of all {words.count(found.counts['rows'])} examples with a known label",
            "the same recipe refitted on them, and expected to be about as good on the next period",
        ),
    ]


def smote_pair(findings: Findings) -> tuple[dict[str, object], dict[str, object]] | None:
    """The leaderboard's row that is compared only, and the row of the same model without resampling."""
    rows = {str(row["model"]): row for row in findings.leaderboard.iter_rows(named=True)}
    for name, row in rows.items():
        plain, marked, _ = name.partition(" + SMOTE")
        if marked and plain in rows:
            return row, rows[plain]
    return None
