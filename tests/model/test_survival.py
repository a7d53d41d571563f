from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.survival import DAYS, MONTHS, Survival

NOTHING = np.zeros((3, 1), dtype=np.float32)
P = np.array([0.01, 0.3, 0.95])


def survival(horizon=90, level=-3.0, weight=0.5, observed=MONTHS):
    return Survival(horizon, np.full(MONTHS, level), np.full(MONTHS, weight), observed, None)


@given(horizon=st.integers(1, 400), level=st.floats(-6, 1), weight=st.floats(0, 2))
def test_whoever_is_asked_survival_at_the_horizon_is_what_the_churn_probability_leaves(
    horizon, level, weight
):
    curve = survival(horizon, level, weight).curve(NOTHING, P)
    assert curve.shape == (3, MONTHS)
    assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(curve, axis=1) <= 1e-12).all()
    if horizon % DAYS == 0 and horizon <= MONTHS * DAYS:
        assert curve[:, horizon // DAYS - 1] == pytest.approx(1 - P, rel=1e-9)


@given(horizon=st.sampled_from([30, 45, 90, 365]))
def test_a_higher_churn_probability_never_means_a_longer_stay(horizon):
    p = np.linspace(0.001, 0.999, 50)
    found = survival(horizon)
    X = np.zeros((50, 1), dtype=np.float32)
    assert (np.diff(found.curve(X, p), axis=0) <= 1e-12).all()
    assert (np.diff(found.expected_months(X, p)) <= 1e-9).all()


def test_the_expected_months_of_a_constant_hazard_are_those_of_the_exponential():
    # p over one month means a cumulative hazard of -log(1 - p) a month, and a mean of its inverse
    p = np.array([0.05, 0.1, 0.2])
    level = np.log(p / (1 - p))
    for at, own in enumerate(level):
        constant = Survival(30, np.full(MONTHS, own), np.zeros(MONTHS), MONTHS, None)
        months = constant.expected_months(NOTHING[:1], p[at : at + 1])[0]
        # straight lines between months lie a little above the exponential: rate**2 / 12 of it
        assert months == pytest.approx(-1 / np.log(1 - p[at]), rel=0.01)


def test_who_is_silent_cannot_be_gone_before_the_horizon():
    level = np.full(MONTHS, -1.0)
    level[:2] = -np.inf
    curve = Survival(90, level, np.ones(MONTHS), MONTHS, None).curve(NOTHING, P)
    assert (curve[:, :2] == 1).all()
    assert curve[:, 2] == pytest.approx(1 - P)


def test_months_beyond_those_observed_are_as_the_last_observed():
    level = np.linspace(-4, -1, MONTHS)
    few = Survival(30, level, np.zeros(MONTHS), 4, None).hazards(NOTHING, P)
    assert (few[:, 4:] == few[:, 3:4]).all()


def test_what_is_saved_is_what_is_loaded(tmp_path):
    level = np.full(MONTHS, -1.0)
    level[0] = -np.inf
    kept = Survival(90, level, np.ones(MONTHS), 7, None, {"customers": 3})
    kept.save(tmp_path)
    found = Survival.load(tmp_path)
    assert (found.curve(NOTHING, P) == kept.curve(NOTHING, P)).all()
    assert (found.observed, found.horizon_days, found.metrics) == (7, 90, {"customers": 3})


@pytest.mark.parametrize(
    ("before", "after"), [('"observed": 7', '"observed": 13'), ('"horizon_days": 90', '"horizon_days": 0')]
)
def test_a_file_that_says_what_cannot_be_is_refused(tmp_path, before, after):
    survival(observed=7).save(tmp_path)
    file = tmp_path / "survival.json"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    with pytest.raises(ValueError, match="months are none"):
        Survival.load(tmp_path)
