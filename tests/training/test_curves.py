from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from holdfast.contract import Economics
from holdfast.training import curves
from holdfast.training.metrics import calibration_error, evaluate_predictions

TERMS = Economics(customer_value=200, contact_cost=1, offer_cost=10, success_rate=0.3)
P = hnp.arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32)),
)


def labels(p: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(p)) < 0.4).astype(np.int8)


@given(p=P, seed=st.integers(0, 99), threshold=st.floats(0, 1))
def test_acting_equals_the_confusion_matrix_and_the_profit(p, seed, threshold):
    y = labels(p, seed)
    for cut in (threshold, float(p[0])):
        at = curves.acting(curves.rank(y, p), cut, TERMS)
        told = evaluate_predictions(y, p, threshold=cut, economics=TERMS)
        counts = told["confusion"]
        assert (at.acted, at.found) == (counts["tp"] + counts["fp"], counts["tp"])
        assert at.worth / len(y) == pytest.approx(told["profit_per_customer"])


@given(p=P, seed=st.integers(0, 99))
def test_the_curve_equals_the_profit_at_every_threshold_and_no_threshold_beats_the_best(p, seed):
    y = labels(p, seed)
    ranked = curves.rank(y, p)
    cuts = np.r_[np.linspace(0, 1, 11), p]
    values = curves.worth_by_threshold(ranked, cuts, TERMS)
    told = [evaluate_predictions(y, p, threshold=cut, economics=TERMS) for cut in cuts]
    assert values == pytest.approx([each["profit_per_customer"] for each in told])
    assert curves.best_acting(ranked, TERMS)[1].worth / len(y) >= values.max() - 1e-9


@given(p=P, seed=st.integers(0, 99))
def test_bins_hold_everyone_and_make_the_calibration_error(p, seed):
    y = labels(p, seed)
    bins = curves.calibration_bins(y, p)
    assert sum(each.rows for each in bins) == len(p)
    gap = sum(abs(each.predicted - each.seen) * each.rows for each in bins) / len(p)
    assert gap == pytest.approx(calibration_error(y, p))
    assert all(each.low <= each.seen <= each.high for each in bins)


def test_what_chance_makes_of_flawless_probabilities_is_what_simulation_finds():
    random = np.random.default_rng(3)
    p = 1 / (1 + np.exp(-random.normal(-1.2, 1.5, 1409)))
    found = [calibration_error((random.random(len(p)) < p).astype(np.int8), p) for _ in range(400)]
    mean, most = curves.calibration_noise(p)
    assert mean == pytest.approx(np.mean(found), rel=0.05)
    assert most == pytest.approx(np.quantile(found, 0.95), rel=0.05)


def test_thinned_curves_keep_their_ends():
    random = np.random.default_rng(3)
    p = random.random(50_000)
    ranked = curves.rank(labels(p, 1), p)
    thin = ranked.thinned()
    assert len(thin.acted) <= curves.MOST_POINTS
    assert (thin.acted[0], thin.acted[-1]) == (ranked.acted[0], ranked.acted[-1])
    assert curves.rank(np.zeros(0, np.int8), np.zeros(0)).rows == 0
