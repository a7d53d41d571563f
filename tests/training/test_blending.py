from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from holdfast.training.blending import (
    ISOTONIC_ROWS,
    SMALLEST_WEIGHT,
    blend_weights,
    blended_across,
    calibrated_across,
    choose_calibrator,
    fit_isotonic,
    fit_platt,
)
from holdfast.training.split import assign


def test_weights_are_those_that_made_the_labels():
    draw = np.random.default_rng(0)
    n, true = 40_000, np.array([0.7, 0.5, 0.0])
    Z = draw.normal(size=(n, 3)) * 1.5 - 0.3
    y = (draw.random(n) < expit(Z @ true)).astype(np.int8)
    found = blend_weights(Z, y)
    # The standard error of a logistic weight: 1 / sqrt(n * mean p(1-p) * var z), about .009 here.
    p = expit(Z @ true)
    error = 1 / np.sqrt(n * (p * (1 - p)).mean() * 2.25)
    assert found[:2] == pytest.approx(true[:2], abs=5 * error)
    assert found[2] == 0


def test_weights_are_never_negative_nor_tiny():
    draw = np.random.default_rng(1)
    Z = draw.normal(size=(2000, 4))
    y = (draw.random(2000) < expit(Z[:, 0] - Z[:, 1])).astype(np.int8)
    found = blend_weights(Z, y)
    assert ((found == 0) | (found >= SMALLEST_WEIGHT)).all()
    assert found[1] == 0


def test_members_that_say_nothing_still_give_a_blend():
    y = (np.arange(400) % 3 == 0).astype(np.int8)
    found = blend_weights(np.zeros((400, 2)), y)
    assert np.isfinite(found).all()
    assert np.isfinite(blended_across(np.zeros((400, 2)), y, assign(y, 5, seed=1))).all()


def test_platt_finds_the_slope_and_shift_that_made_the_labels():
    draw = np.random.default_rng(2)
    n = 50_000
    z = draw.normal(size=n) * 2
    for slope, shift in ((0.5, -1.0), (1.0, 0.0), (2.0, 0.7)):
        p = expit(slope * z + shift)
        y = (draw.random(n) < p).astype(np.int8)
        found = fit_platt(z, y)
        # Fisher information of the two parameters gives their standard errors.
        weight = p * (1 - p)
        cross = (weight * z).sum()
        errors = np.sqrt(np.diag(np.linalg.inv([[(weight * z * z).sum(), cross], [cross, weight.sum()]])))
        assert found.slope == pytest.approx(slope, abs=4 * errors[0])
        assert found.shift == pytest.approx(shift, abs=4 * errors[1])


@given(st.integers(0, 1000), st.floats(-30, 30), st.floats(0, 40))
@example(0, 0.0, 2e-311)
@settings(max_examples=60, deadline=None)
def test_platt_is_finite_and_rising_whatever_it_meets(seed, centre, spread):
    draw = np.random.default_rng(seed)
    z = draw.normal(size=60) * spread + centre
    y = (np.arange(60) % 4 == 0).astype(np.int8)
    found = fit_platt(z, y)
    assert np.isfinite([found.slope, found.shift]).all()
    assert found.slope > 0


@pytest.mark.parametrize("scale", [1e-4, 1e2, 1e8])
def test_platt_does_not_mind_the_scale(scale):
    draw = np.random.default_rng(4)
    z = draw.normal(size=2_000) * 2
    z[0] = -300.0  # one customer of whom a model is far too sure
    y = (draw.random(2_000) < expit(z - 1)).astype(np.int8)
    expected = fit_platt(z, y)
    found = fit_platt(z * scale, y)
    assert found.slope * scale == pytest.approx(expected.slope, rel=1e-4)
    assert found.shift == pytest.approx(expected.shift, abs=1e-4)


def test_isotonic_is_taken_only_where_it_is_better():
    draw = np.random.default_rng(3)
    n = 12_000
    z = draw.normal(size=n) * 1.5
    straight = (draw.random(n) < expit(z - 1)).astype(np.int8)
    stairs = (draw.random(n) < np.where(z < 0.5, 0.05, 0.7)).astype(np.int8)
    assert choose_calibrator(z, straight, assign(straight, 5, seed=1))[0].method == "logistic"
    chosen, across = choose_calibrator(z, stairs, assign(stairs, 5, seed=1))
    assert chosen.method == "isotonic"
    assert ((across > 0) & (across < 1)).all()
    few = slice(0, 1500)
    assert stairs[few].sum() < ISOTONIC_ROWS
    assert choose_calibrator(z[few], stairs[few], assign(stairs[few], 5, seed=1))[0].method == "logistic"


def test_an_isotonic_curve_rises_and_finds_the_shares():
    draw = np.random.default_rng(4)
    z = draw.normal(size=30_000)
    y = (draw.random(len(z)) < expit(z)).astype(np.int8)
    found = fit_isotonic(z, y)
    x, level = np.array(found.points).T
    assert (np.diff(x) > 0).all()
    assert (np.diff(level) > 0).all()
    grid = np.linspace(-1.5, 1.5, 7)
    # About 2,000 customers in a step's reach: a standard error of .011.
    assert found.probability(grid) == pytest.approx(expit(grid), abs=0.05)


def test_across_folds_nobody_is_judged_by_a_calibrator_that_saw_him():
    draw = np.random.default_rng(5)
    z = draw.normal(size=600)
    y = (draw.random(600) < expit(z)).astype(np.int8)
    part = assign(y, 5, seed=1)
    before = calibrated_across(fit_platt, z, y, part)
    flipped = np.where(part == 2, 1 - y, y).astype(np.int8)
    after = calibrated_across(fit_platt, z, flipped, part)
    assert (before[part == 2] == after[part == 2]).all()
    assert (before[part != 2] != after[part != 2]).all()
    assert logit(before) == pytest.approx(z, abs=1.0)
