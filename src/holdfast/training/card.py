"""The model card: what a model is for, how good it is and where it ends, as Markdown."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from holdfast.pages import words
from holdfast.training import curves, phrases
from holdfast.training.byperiod import BASE_RATE, PIPELINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.training.byperiod import Backtest
    from holdfast.training.findings import Findings

MOST_FEATURES = 10
MOST_UNUSED = 30
_PURPOSE = (
    "For: deciding whom of one's customers to contact with an offer to stay, and in which order.",
    "For: planning how many customers will leave.",
    "Not for: decisions about a person's rights, price, credit or service. Fairness was not examined.",
    "Not for: customers of another business, market or product than those it learned from.",
    (
        "Not for: telling what makes customers leave, or whom an offer persuades. That an offer works is an "
        "assumption of the economics until a campaign with a holdout measures it."
    ),
)
_LIMITS = (
    (
        "These customers were drawn from the same table at random. Later customers may differ, and no figure "
        "here foresees that: measure again on fresh labels (holdfast evaluate)."
    ),
    (
        "The deployed model was refitted on all rows, those kept aside among them, so this table can no "
        "longer measure it."
    ),
    (
        "A column that was filled in after a customer left makes a model look better than it is. Columns "
        "that tell too much were looked for; only somebody who knows the data can be sure."
    ),
)
_LIMITS_IN_TIME = (
    (
        "The backtest tells how well past periods were foreseen. A period unlike all of them, such as a new "
        "price or product, may be foreseen worse: measure each as its labels come (holdfast evaluate)."
    ),
    (
        "The deployed model was refitted on all known labels, those of the last period among them, so no "
        "period measured here can measure it again."
    ),
    (
        "Features hold what was known at a moment only as far as the tables tell when each row became known. "
        "A table without that column may have been filled in later."
    ),
)
_MARKS = re.compile(r"([\\`*_\[\]|#~])")


def model_card(findings: Findings) -> str:
    """The card of one model; equal findings give equal text. Every name from the data is escaped."""
    contract = findings.contract
    parts = [
        f"# Model card: {_plain(contract.name)}",
        _plain(phrases.headline(findings, curves.rank(findings.test_y, findings.test_p))),
        *([f"## Read this first\n\n{_list(findings.warnings)}"] if findings.warnings else []),
        f"## What it is\n\n{_what(findings)}",
        f"## What it is for, and not for\n\n{_purpose()}",
        f"## Data\n\n{_data(findings)}",
        f"## How it was measured\n\n{_table(['What', 'On', 'By'], phrases.where_measured(findings))}",
        f"## Figures\n\n{_figures(findings)}",
        *([f"## Period by period\n\n{_by_period(findings.backtest)}"] if findings.backtest else []),
        f"## Threshold and economics\n\n{_economics(findings)}",
        f"## Calibration\n\n{_calibration(findings)}",
        *([f"## What it goes by\n\n{_importance(findings)}"] if findings.importance else []),
        f"## Limits\n\n{_limits(findings)}",
        f"## To make it again\n\n{_again(findings)}",
    ]
    return "\n\n".join(parts) + "\n"


def _calibration(findings: Findings) -> str:
    return _plain(f"{phrases.calibrator(findings)} {phrases.calibration_verdict(findings)}")


def _what(findings: Findings) -> str:
    churn = findings.contract.churn
    said = [
        f"Gives each customer the probability of leaving ({churn.label} = {churn.positive}).",
        f"Recipe: {phrases.recipe(findings)}.",
        f"Chosen: {findings.why}",
        findings.features_note,
    ]
    return _list(each for each in said if each)


def _purpose() -> str:
    return _list(_PURPOSE)


def _data(findings: Findings) -> str:
    found, rows = findings.quality, findings.rows
    gates = ", ".join(f"{gate.name}: {'passed' if gate.passed else 'failed'}" for gate in found.gates)
    unused = [f"{each.name} ({each.exclude or each.role})" for each in found.columns if each.role != "input"]
    more = f", and {len(unused) - MOST_UNUSED} more" if len(unused) > MOST_UNUSED else ""
    if findings.backtest is not None:
        return _data_in_time(findings, findings.backtest)
    left = words.share(rows["left"], rows["train"] + rows["test"])
    train, test = words.count(rows["train"], "customer"), words.count(rows["test"])
    rejected = words.count(rows["rejected"])
    return _list(
        [
            f"{words.count(found.rows, 'row')} read, {rejected} rejected; {left} left.",
            f"{train} to learn from, {test} kept aside to measure on.",
            f"{words.count(len(found.inputs), 'column')} used.",
            f"Not used: {', '.join(unused[:MOST_UNUSED]) or 'none'}{more}.",
            f"Gates. {gates}.",
        ]
    )


def _data_in_time(findings: Findings, found: Backtest) -> str:
    dropped = [f"{name} ({why})" for name, why in found.dropped.items()]
    more = f", and {len(dropped) - MOST_UNUSED} more" if len(dropped) > MOST_UNUSED else ""
    return _list(
        [
            f"Learned from {phrases.learned_from(findings)}",
            f"{words.count(findings.rows['test'], 'example')} of {found.last} kept to measure on.",
            f"{words.count(found.kept, 'feature')} used, built from tables as known at each moment.",
            f"Not used: {', '.join(dropped[:MOST_UNUSED]) or 'none'}{more}.",
        ]
    )


def _by_period(found: Backtest) -> str:
    names = ("log_loss", "roc_auc", "calibration_slope")
    rows = [
        (
            f"{row['period']}{', last' if row['last'] else ''}",
            words.count(row["rows"]),
            words.percent(row["base_rate"]),
            words.percent(row["mean_predicted"]),
            *(words.fixed(row[name], 3) for name in names),
            words.fixed(naive["log_loss"], 3),
        )
        for row, naive in zip(
            found.of(PIPELINE).iter_rows(named=True), found.of(BASE_RATE).iter_rows(named=True), strict=True
        )
    ]
    headers = ["As of", "Customers", "Left", "Predicted", "Log loss", "AUC", "Slope", "Base rate's log loss"]
    return _table(headers, rows)


def _figures(findings: Findings) -> str:
    rows = [
        (each.name, phrases.value(findings, each), phrases.interval(findings, each), each.says)
        for each in phrases.FIGURES
    ]
    counts = findings.test["confusion"]
    said = (
        f"At the threshold: {words.count(counts['tp'])} leavers reached, {words.count(counts['fn'])} missed, "
        f"{words.count(counts['fp'])} stayers contacted, {words.count(counts['tn'])} left alone."
    )
    return _table(["Figure", "Value", "95 % interval", "What it says"], rows) + f"\n\n{said}"


def _economics(findings: Findings) -> str:
    terms = findings.contract.economics
    rows = [
        ("Value of a customer", words.money(terms.customer_value)),
        ("Cost of a contact", words.money(terms.contact_cost)),
        ("Cost of an offer", words.money(terms.offer_cost)),
        ("Chance that it works", words.percent(terms.success_rate)),
        ("Capacity", "no limit" if terms.capacity is None else words.percent(terms.capacity)),
        ("Threshold", words.percent(findings.threshold)),
    ]
    return (
        f"{_table(['Term', 'Value'], rows)}\n\n{_plain(findings.threshold_why)} If the terms are "
        "wrong, so is the threshold: correct them in the contract and train again. The "
        "probabilities do not depend on them."
    )


def _importance(findings: Findings) -> str:
    rows = [
        (str(each["feature"]), words.number(each["shap"], 2), words.number(each["permutation"], 2))
        for each in findings.importance[:MOST_FEATURES]
    ]
    headers = ["Feature", "Mean effect (log-odds)", "Rise of log loss when shuffled"]
    return f"{_table(headers, rows)}\n\nThey go with leaving; changing one need not keep anyone."


def _limits(findings: Findings) -> str:
    leavers = words.count(int(findings.test_y.sum()))
    rows = words.count(len(findings.test_y), "customer")
    chance = "the intervals say how far chance may have moved them."
    rest = f"The figures rest on {rows} {phrases.aside(findings)}, {leavers} of whom left; {chance}"
    return _list([rest, *(_LIMITS if findings.backtest is None else _LIMITS_IN_TIME)])


def _again(findings: Findings) -> str:
    facts = findings.facts
    libraries = ", ".join(f"{name} {version}" for name, version in facts.get("libraries", {}).items())
    rows = [
        ("Seed", str(findings.seed)),
        ("Budget", f"{words.number(findings.budget)} s for the search"),
        ("Took", f"{words.number(findings.seconds, 2)} s in all"),
        ("Holdfast", str(facts.get("holdfast", words.NONE))),
        ("Libraries", libraries),
        ("Contract (SHA-256)", str(facts.get("contract_digest", words.NONE))),
        ("Data (SHA-256)", str(facts.get("data_digest", words.NONE))),
        ("Made", str(facts.get("created", words.NONE))),
    ]
    return _table(["", ""], rows)


def _plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return html.escape(_MARKS.sub(r"\\\1", " ".join(text.split())), quote=False)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items)


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
