from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.contract import Contract
from holdfast.decisions import profit_threshold
from holdfast.pages import COLOURS, drawing
from holdfast.quality.report import explore
from holdfast.sources import RawTable
from holdfast.training.card import model_card
from holdfast.training.drawn_models import importance
from holdfast.training.findings import Findings
from holdfast.training.metrics import bootstrap_intervals, evaluate_predictions
from holdfast.training.plots import NAMES, figures, standalone
from holdfast.training.report import render

NASTY = "<script>alert('x')</script> | `a` **b** & \"c\" [d](e)"
SVG = "{http://www.w3.org/2000/svg}"
BOARD = {
    "catboost": (0.412, 12.0, True, True, ""),
    "xgboost": (0.413, 8.0, False, True, ""),
    "logistic_regression": (0.420, 1.0, False, False, ""),
    "naive_bayes": (0.720, 0.001, False, False, ""),
    "xgboost + SMOTE (compared only)": (0.445, 7.0, False, False, "as they come"),
    "base rate": (0.560, 0.0, False, False, "the same share for everyone"),
}


class Balanced(HTMLParser):
    """Follows tags, and fails on one that is closed out of turn."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parse(html: str) -> Balanced:
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser


def make_board(board=BOARD) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "model": name,
                "chosen": chosen,
                "log_loss": loss,
                "roc_auc": 0.84,
                "pr_auc": 0.65,
                "brier": 0.14,
                "calibration_error": 0.062 if "SMOTE" in name else 0.011,
                "profit_per_customer": 4.5,
                "fit_seconds": seconds,
                "score_us_per_row": 3.0,
                "within_noise": within,
                "note": note,
            }
            for name, (loss, seconds, chosen, within, note) in board.items()
        ]
    )


def make_findings(*, name="plan <Gold>", y=None, p=None, rows=600, economics=None, **changes) -> Findings:
    random = np.random.default_rng(5)
    if p is None:
        p = 1 / (1 + np.exp(-random.normal(-1.2, 1.3, rows)))
    if y is None:
        y = (random.random(len(p)) < p).astype(np.int8)
    terms = economics or {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3}
    contract = Contract.model_validate(
        {
            "name": "customers",
            "churn": {"label": "Churn", "positive": "Yes", "negative": "No"},
            "economics": terms,
            "columns": {name: {"kind": "number"}, "city": {"kind": "category", "required": False}},
        }
    )
    frame = pl.DataFrame(
        {
            name: random.integers(0, 50, 400).astype(str),
            "city": random.choice(["Oslo", "Rome"], 400),
            "Churn": random.choice(["Yes", "No"], 400),
        }
    )
    threshold = profit_threshold(contract.economics)
    judge = {"threshold": threshold, "economics": contract.economics}
    found = {
        "contract": contract,
        "seed": 42,
        "budget": 300.0,
        "seconds": 97.3,
        "rows": {"train": 2400, "test": len(y), "rejected": 3, "left": int(y.sum()) + 500},
        "leaderboard": make_board(),
        "chosen": "catboost",
        "why": "catboost has the lowest log loss (0.4120).",
        "threshold": threshold,
        "threshold_why": "Acting on a customer pays from this probability on.",
        "test": evaluate_predictions(y, p, **judge),
        "intervals": bootstrap_intervals(y, p, **judge, resamples=20, seed=1) if 0 < y.sum() < len(y) else {},
        "test_y": y,
        "test_p": p,
        "importance": [
            {"feature": name, "unit": "", "shap": 0.8, "permutation": 0.03},
            {"feature": "city", "unit": "", "shap": 0.1, "permutation": -0.001},
        ],
        "calibrator": "logistic",
        "features_note": "No column's meaning switches a record feature on.",
        "warnings": ["The budget ended early."],
        "quality": explore(RawTable(frame), contract),
        "facts": {
            "created": "2026-01-02T03:04:05+00:00",
            "holdfast": "0.1.0",
            "recipe": "catboost",
            "contract_digest": contract.digest(),
            "data_digest": "ab" * 32,
            "libraries": {"polars": "2.1.0"},
        },
    }
    return Findings(**{**found, **changes})


@pytest.fixture(scope="module")
def findings() -> Findings:
    return make_findings()


def written(found: Findings) -> tuple[str, dict[str, str]]:
    """The report, and each of its figures as a file."""
    drawn = figures(found)
    return render(found, drawn), {name: standalone(figure) for name, figure in drawn.items()}


@pytest.fixture(scope="module")
def files(findings) -> tuple[str, dict[str, str]]:
    return written(findings)


@pytest.fixture(scope="module")
def html(files) -> str:
    return files[0]


@pytest.fixture(scope="module")
def plots(files) -> dict[str, str]:
    return files[1]


def test_all_that_was_promised_is_there(html):
    for text in (
        "ROC curve",
        "Precision and recall",
        "Calibration",
        "Gain",
        "Lift",
        "Profit against threshold",
        "Confusion matrix",
        "(SHAP)",
        "(permutation)",
        "Quality against time",
        "What SMOTE would have done",
        "from 0.011 to 0.062",
        "Missing values in a column",
        "The contract",
        "success_rate = 0.3",
        "What was measured on which customers",
        "The budget ended early.",
    ):
        assert text in html
    assert html.count("<svg") == len(NAMES) + 1  # one more of the data's quality


def test_the_page_needs_nothing_but_itself(html):
    parser = parse(html)
    assert not set(parser.seen) & {"script", "link", "img", "iframe", "image", "object"}
    links = [value for name, value in parser.attributes if name in {"href", "src", "xlink:href"}]
    assert all(value.startswith("#") for value in links)
    assert not re.search(r"url\((?!#)|@import|http(?!://www\.w3\.org/)", html)
    assert len(html) < 1_500_000
    ids = [value for name, value in parser.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_the_headline_adds_up(findings, html):
    counts = findings.test["confusion"]
    gain = findings.test["profit_per_customer"] * len(findings.test_y)
    said = " ".join(parse(html).text).replace("\u00a0", " ")
    assert f"Of the 600 customers kept aside, {findings.test_y.sum()} left." in said
    assert f"{counts['tp'] + counts['fp']} contacts, reaching {counts['tp']} of those who left" in said
    assert f"for an expected gain of {gain:,.0f} (" in said


def test_names_of_models_are_words(findings):
    facts = {**findings.facts, "recipe": "blend (0.75 logistic_regression + 0.25 catboost)"}
    found = dataclasses.replace(findings, facts=facts)
    for told in (render(found, {}), model_card(found)):
        assert "0.75 logistic regression" in told
        assert "logistic_regression" not in told


def test_equal_findings_give_equal_bytes(findings, files):
    again = make_findings()
    assert written(again) == files
    assert model_card(again) == model_card(findings)


def test_each_promised_plot_stands_alone(plots):
    assert tuple(plots) == NAMES
    for name, text in plots.items():
        root = ET.fromstring(text)  # noqa: S314 - our own words
        assert root.tag == f"{SVG}svg", name
        assert float(root.attrib["width"]) > 0
        assert root[0].attrib["style"] == f"fill: {COLOURS['paper']}"
        assert "var(--" not in text
        assert not re.search(r"url\((?!#)|http(?!://www\.w3\.org/)", text)


def test_names_from_the_data_are_text_everywhere():
    nasty = make_findings(name=NASTY, warnings=[NASTY], why=NASTY, features_note=NASTY)
    board = nasty.leaderboard.with_columns(note=pl.lit(NASTY))
    nasty = dataclasses.replace(nasty, leaderboard=board)
    page, plots = written(nasty)
    parser = parse(page)
    assert "script" not in parser.seen
    assert NASTY in "".join(parser.text)
    for text in plots.values():
        assert not list(ET.fromstring(text).iter(f"{SVG}script"))  # noqa: S314 - our own words
    card = model_card(nasty)
    assert "<script" not in card
    rows = [line for line in card.splitlines() if line.startswith("| &lt;script")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


@settings(max_examples=30, deadline=None)
@given(name=st.text(max_size=12))
def test_whatever_a_feature_is_called_it_is_drawn_and_told(findings, name):
    entry = {"feature": name, "unit": "", "shap": 0.1, "permutation": 0.1}
    found = dataclasses.replace(findings, importance=[entry])
    with drawing():
        figure = importance(found)
    parse(figure)
    ET.fromstring(standalone(figure))  # noqa: S314 - our own words
    model_card(found)


@pytest.mark.parametrize("label", [0, 1])
def test_one_outcome_only_leaves_curves_out_and_says_so(label):
    y = np.full(30, label, np.int8)
    found = make_findings(y=y, p=np.linspace(0.05, 0.6, 30))
    page, plots = written(found)
    assert not {"roc", "precision_recall", "gain", "lift"} & set(plots)
    assert "kept aside are all of one kind" in page
    assert "of 30" in model_card(found) or "30 customers" in model_card(found)


def test_where_acting_never_pays_nobody_is_picked():
    terms = {"customer_value": 10, "contact_cost": 9, "offer_cost": 1, "success_rate": 0.1}
    found = make_findings(economics=terms)
    assert "acting on anybody is expected to cost more than it saves" in written(found)[0]
    assert "acting on anybody" in model_card(found)


def test_constant_probabilities_are_drawn():
    y = (np.arange(50) % 4 == 0).astype(np.int8)
    found = make_findings(y=y, p=np.full(50, 0.25))
    page, plots = written(found)
    assert set(plots) == set(NAMES)
    parse(page)


def test_probabilities_at_the_ends_are_drawn():
    y = (np.arange(60) % 2).astype(np.int8)
    found = make_findings(y=y, p=y.astype(np.float64))
    page, plots = written(found)
    assert set(plots) == set(NAMES)
    parse(page)


def test_one_candidate_and_no_importance():
    found = make_findings(leaderboard=make_board({"catboost": BOARD["catboost"]}), importance=[])
    page, plots = written(found)
    assert "importance" not in plots
    assert "SMOTE" not in page
    assert "What it goes by" not in page
    assert "What it goes by" not in model_card(found)


def test_many_customers_do_not_make_a_large_page():
    found = make_findings(rows=60_000)
    page, plots = written(found)
    assert len(page) < 400_000
    assert max(map(len, plots.values())) < 60_000


def test_many_features_are_cut_and_counted():
    many = [{"feature": f"f{n}", "unit": "", "shap": 1 / (n + 1), "permutation": 0.0} for n in range(90)]
    assert "70 weaker features not drawn" in written(make_findings(importance=many))[0]


def test_the_card_says_what_a_reader_must_know(findings):
    card = model_card(findings)
    for text in (
        "Not for",
        "The budget ended early.",
        "ROC AUC",
        "Threshold",
        "Platt",
        "ab" * 32,
        "Seed",
        "polars",
    ):
        assert text in card
    assert card.startswith("# Model card: customers\n\nOf the 600 customers")
