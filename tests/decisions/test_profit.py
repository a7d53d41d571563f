from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.contract import Economics
from holdfast.decisions import decide, expected_gain, profit_threshold

PUBLISHED = Economics(customer_value=200, contact_cost=1, offer_cost=10, success_rate=0.3)
"""Verbraken, Verbeke and Baesens (2013), section 5: CLV 200, d 10, f 1, and the mean of g ~ Beta(6, 14)."""

money = st.floats(0.01, 1e4)
terms = st.builds(
    Economics,
    customer_value=money,
    contact_cost=st.floats(0, 1e3),
    offer_cost=st.floats(0, 1e3),
    success_rate=st.floats(0.01, 1),
)


def test_the_published_example():
    # Their eq. 5 with delta = d / CLV = .05 and phi = f / CLV = .005: a leaver who is contacted brings
    # CLV (g (1 - delta) - phi) = 200 (.3 * .95 - .005) = 56, a stayer costs CLV (delta + phi) = 11.
    stayer, leaver = expected_gain(np.array([0.0, 1.0]), PUBLISHED)
    assert stayer == pytest.approx(-200 * (0.05 + 0.005))
    assert leaver == pytest.approx(200 * (0.3 * (1 - 0.05) - 0.005))
    # The optimum is where pi0 f0 / (pi1 f1), which is p / (1 - p) for calibrated p, equals the ratio of the
    # two (their eq. 8).
    odds = (0.05 + 0.005) / (0.3 * (1 - 0.05) - 0.005)
    assert profit_threshold(PUBLISHED) == pytest.approx(odds / (1 + odds), rel=1e-12)


@given(terms)
def test_the_gain_is_zero_at_the_threshold_and_positive_only_above(economics):
    threshold = profit_threshold(economics)
    assert 0 <= threshold <= 1
    assume(threshold < 1)
    scale = economics.customer_value + economics.offer_cost + economics.contact_cost
    at, below, above = expected_gain(np.array([threshold, threshold / 2, (1 + threshold) / 2]), economics)
    assert at == pytest.approx(0, abs=1e-9 * scale)
    assert below <= 1e-9 * scale
    assert above >= -1e-9 * scale


@given(terms)
def test_where_it_never_pays_nobody_is_contacted(economics):
    never = expected_gain(np.array([1.0]), economics)[0] <= 0
    assert (profit_threshold(economics) == 1.0) == never


def test_no_other_threshold_earns_more_from_calibrated_customers():
    draw = np.random.default_rng(1)
    p = draw.beta(1, 3, 200_000)
    left = draw.random(len(p)) < p
    taken = draw.random(len(p)) < PUBLISHED.success_rate
    value, offer, contact = PUBLISHED.customer_value, PUBLISHED.offer_cost, PUBLISHED.contact_cost
    # What happens to each customer who is contacted, by the model's own words.
    outcome = np.where(left, np.where(taken, value - offer, 0.0), -offer) - contact
    order = np.argsort(-p)
    earned = np.cumsum(outcome[order])
    best = p[order][earned.argmax()]
    ours = earned[(p >= profit_threshold(PUBLISHED)).sum() - 1]
    # The realised optimum is the formula's plus noise. The formula may lose to it only by the noise of the
    # customers between the two thresholds: a few standard deviations of a sum of that many outcomes.
    between = (p >= min(best, profit_threshold(PUBLISHED))) & (p < max(best, profit_threshold(PUBLISHED)))
    assert earned.max() - ours <= 4 * outcome.std() * np.sqrt(max(between.sum(), 1))
    assert best == pytest.approx(profit_threshold(PUBLISHED), abs=0.03)
    # And the expectation itself, free of noise, is highest at the formula on a grid of thresholds.
    grid = np.linspace(0, 1, 1001)
    gains = expected_gain(np.sort(p), PUBLISHED)
    tails = np.append(gains[::-1].cumsum()[::-1], 0.0)[np.searchsorted(np.sort(p), grid)]
    assert grid[tails.argmax()] == pytest.approx(profit_threshold(PUBLISHED), abs=0.001)


def test_the_expected_gain_is_the_mean_of_what_happens():
    draw = np.random.default_rng(2)
    n = 400_000
    for p in (0.05, 0.5, 0.9):
        left, taken = draw.random(n) < p, draw.random(n) < 0.3
        outcome = np.where(left, np.where(taken, 190.0, 0.0), -10.0) - 1.0
        error = outcome.std() / np.sqrt(n)
        assert outcome.mean() == pytest.approx(expected_gain(np.array([p]), PUBLISHED)[0], abs=4 * error)


def test_levels_and_recommendations():
    found = decide(np.array([0.0, 0.1999, 0.2, 0.5999, 0.6, 1.0]), 0.2)
    assert found.schema == {"will_churn": pl.Boolean, "risk_level": pl.String, "recommendation": pl.String}
    assert found["will_churn"].to_list() == [False, False, True, True, True, True]
    assert found["risk_level"].to_list() == ["low", "low", "medium", "medium", "high", "high"]
    assert found["recommendation"].n_unique() == 3
    assert found["recommendation"][0].startswith("No action")


def test_high_begins_where_a_contact_brings_half_of_what_a_certain_leaver_does():
    threshold = profit_threshold(PUBLISHED)
    half, full = expected_gain(np.array([(1 + threshold) / 2, 1.0]), PUBLISHED)
    assert half == pytest.approx(full / 2)


def test_nobody_decided_nothing_returned():
    assert decide(np.zeros(0), 0.3).shape == (0, 3)


@given(st.lists(st.floats(0, 1), max_size=50), st.floats(0, 1))
def test_one_row_alone_is_decided_as_among_many(probabilities, threshold):
    p = np.array(probabilities)
    alone = [decide(p[[at]], threshold) for at in range(len(p))]
    assert decide(p, threshold).equals(pl.concat(alone) if alone else decide(p, threshold))
