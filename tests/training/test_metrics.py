from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from holdfast.contract import Economics
from holdfast.training.metrics import (
    Judged,
    bootstrap_intervals,
    calibration_error,
    calibration_line,
    evaluate_predictions,
    log_odds_loss,
    row_log_loss,
)

MONEY = Economics(customer_value=200, contact_cost=1, offer_cost=10, success_rate=0.3)


def calibrated(n, seed):
    draw = np.random.default_rng(seed)
    p = draw.beta(1.2, 3, n)
    return (draw.random(n) < p).astype(np.int8), p


@pytest.mark.parametrize("digits", [16, 1], ids=["each its own", "many alike"])
def test_figures_are_scikit_learns(digits):
    y, p = calibrated(500, 1)
    p = (0.1 + 0.8 * p).round(digits)
    found = evaluate_predictions(y, p, threshold=0.3, economics=MONEY)
    act = p >= 0.3
    tn, fp, fn, tp = sk.confusion_matrix(y, act).ravel()
    assert found["confusion"] == {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
    for name, value in {
        "accuracy": sk.accuracy_score(y, act),
        "precision": sk.precision_score(y, act),
        "recall": sk.recall_score(y, act),
        "f1": sk.f1_score(y, act),
        "roc_auc": sk.roc_auc_score(y, p),
        "pr_auc": sk.average_precision_score(y, p),
        "log_loss": sk.log_loss(y, p),
        "brier": np.mean((p - y) ** 2),
    }.items():
        assert found[name] == pytest.approx(value, rel=1e-12)
    assert row_log_loss(y, p).mean() == pytest.approx(sk.log_loss(y, p), rel=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.9, 1.0])), min_size=1),
    st.randoms(use_true_random=False),
)
def test_rows_counted_several_times_are_as_if_repeated(rows, chance):
    y, p = np.array([left for left, _ in rows], np.int8), np.array([q for _, q in rows])
    counts = np.array([1, *(chance.randrange(4) for _ in rows[1:])])
    judge = {"threshold": 0.25, "economics": MONEY}
    counted = Judged(y, p, **judge).figures(counts)
    repeated = evaluate_predictions(np.repeat(y, counts), np.repeat(p, counts), **judge)
    for name, value in counted.items():
        assert value == (
            pytest.approx(repeated[name], rel=1e-12) if isinstance(value, float) else repeated[name]
        )


def test_calibration_error_by_hand():
    # Ten bins of two: in each, .2 is predicted; both leave in one bin, nobody in the others.
    p = np.full(20, 0.2) + np.arange(20) * 1e-9
    y = np.zeros(20, dtype=np.int8)
    y[:2] = 1
    assert calibration_error(y, p) == pytest.approx((0.8 + 9 * 0.2) / 10, abs=1e-6)
    assert calibration_error(np.array([1, 0], dtype=np.int8), np.array([1.0, 0.0])) == 0


def test_lift_and_profit_by_hand():
    y = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0, 0], dtype=np.int8)
    p = np.arange(10)[::-1] / 10
    found = evaluate_predictions(y, p, threshold=0.7, economics=MONEY)
    assert found["lift_top_decile"] == pytest.approx(1 / 0.3)
    # Acted on three: two leavers bring .3 x 190 - 1 = 56 each, one stayer costs 11.
    assert found["profit_per_customer"] == pytest.approx((56 * 2 - 11) / 10)
    nobody = evaluate_predictions(y, np.full(10, 0.5), threshold=0.7, economics=MONEY)
    assert nobody["profit_per_customer"] == 0
    assert nobody["lift_top_decile"] == pytest.approx(1)  # whoever is first in the table


@pytest.mark.parametrize("value", [0, 1])
def test_one_outcome_gives_plain_json_and_none_where_both_are_needed(value):
    y, p = np.full(30, value, dtype=np.int8), np.linspace(0, 1, 30)
    found = evaluate_predictions(y, p, threshold=0.5, economics=MONEY)
    assert [found[name] for name in ("roc_auc", "pr_auc", "lift_top_decile")] == [None] * 3
    json.dumps(found, allow_nan=False)


def test_certain_and_wrong_is_bad_but_finite():
    y, p = np.array([1, 0, 1], dtype=np.int8), np.array([0.0, 1.0, 1.0])
    found = evaluate_predictions(y, p, threshold=0.5, economics=MONEY)
    assert 20 < found["log_loss"] < 40
    assert np.isfinite(row_log_loss(y, p)).all()


def test_the_loss_of_log_odds_of_any_size_is_finite_and_says_nothing():
    y = np.array([0, 1, 0, 1], np.int8)
    small = np.array([-1.0, 0.5, 2.0, 3.0])
    assert log_odds_loss(y, small) == pytest.approx(np.logaddexp(0, np.where(y == 1, -small, small)).mean())
    assert log_odds_loss(y, np.array([-1e4, 1e4, -1e4, 1e4])) < 1e-14
    assert np.isfinite(log_odds_loss(y, np.array([1e4, -1e4, 1e4, -1e4])))


def test_intervals_contain_their_figure_and_repeat_with_the_seed():
    y, p = calibrated(400, 3)
    judge = {"threshold": 0.2, "economics": MONEY}
    figures = evaluate_predictions(y, p, **judge)
    found = bootstrap_intervals(y, p, **judge, resamples=200, seed=5)
    assert "calibration_error" not in found
    assert set(found) == {
        name for name, value in figures.items() if isinstance(value, float) and name != "calibration_error"
    }
    for name, (low, high) in found.items():
        assert low <= figures[name] <= high
    assert found == bootstrap_intervals(y, p, **judge, resamples=200, seed=5)
    assert found != bootstrap_intervals(y, p, **judge, resamples=200, seed=6)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth_y, truth_p = calibrated(1_000_000, 0)
    truth = float(np.mean((truth_p - truth_y) ** 2))
    covered = 0
    for seed in range(40):
        y, p = calibrated(300, seed + 1)
        ends = bootstrap_intervals(y, p, threshold=0.2, economics=MONEY, resamples=50, seed=seed)["brier"]
        covered += ends[0] <= truth <= ends[1]
    # Of 40, 95 % are 38; fewer than 32 has a probability below 1e-3 even at a coverage of 91 %.
    assert covered >= 32


def test_the_calibration_line_finds_how_log_odds_were_bent():
    draw = np.random.default_rng(3)
    true = draw.normal(-1.5, 1.2, 40_000)
    y = (draw.random(len(true)) < 1 / (1 + np.exp(-true))).astype(np.int8)
    intercept, slope = calibration_line(y, 1 / (1 + np.exp(-true)))
    # standard errors are about .015; four of them
    assert intercept == pytest.approx(0, abs=0.06)
    assert slope == pytest.approx(1, abs=0.06)
    assert calibration_line(y, 1 / (1 + np.exp(-2 * true)))[1] == pytest.approx(0.5, abs=0.03)
    assert calibration_line(y, 1 / (1 + np.exp(-(true + 0.7))))[0] == pytest.approx(-0.7, abs=0.06)


def test_probabilities_that_are_all_but_certain_and_wrong_have_a_finite_line():
    y = np.array([0, 1, 0, 0, 1] * 40, dtype=np.int8)
    p = np.where(y == 1, 1e-12, 1 - 1e-12)
    assert np.isfinite(calibration_line(y, p)).all()


def test_rows_of_one_customer_are_drawn_together():
    draw = np.random.default_rng(1)
    own = draw.random(200)
    y = (draw.random(200) < own).astype(np.int8)
    told = {"threshold": 0.2, "economics": MONEY, "resamples": 100, "seed": 1}
    alone = bootstrap_intervals(y, own, **told)
    often = bootstrap_intervals(np.tile(y, 5), np.tile(own, 5), **told, customer=np.tile(np.arange(200), 5))
    # five copies of each customer tell no more than one
    for name in ("roc_auc", "log_loss"):
        assert often[name] == pytest.approx(alone[name], abs=1e-9)
