"""The settings that candidates are tried with over a history."""

import numpy as np
import pytest

from holdfast.features import Slot
from holdfast.training.crossval import Fold
from holdfast.training.fitting import Rows
from holdfast.training.staged import family, judged_logits

REPEATS = 7


def said(X, y, repeats):
    """Log-odds of the rows after learning from each so many times, under every penalty."""
    rows = np.repeat(np.arange(len(y)), repeats)
    slots = [Slot(f"flag {column}", "flag") for column in range(X.shape[1])]
    fold = Fold(Rows(X[rows], y[rows]), Rows(X, y), rows, np.arange(len(y)), slots)
    settings = family("logistic_regression", len(rows), repeats)
    assert len(settings) > 2
    return judged_logits(settings, fold, seed=0).logit


def test_customers_who_come_again_and_again_are_penalised_as_if_each_came_once():
    random = np.random.default_rng(3)
    X = (random.random((400, 12)) < 0.4).astype(np.float32)
    y = (random.random(400) < 0.2 + 0.5 * X[:, 0]).astype(np.int8)
    once = said(X, y, 1)
    # the solver stops at a gradient of 1e-5, of the mean loss: some 1e-3 in log-odds where it is flattest
    assert said(X, y, REPEATS) == pytest.approx(once, abs=5e-3)
    assert np.ptp(once, axis=0)[1] < 0.9 * np.ptp(once, axis=0)[0]  # a penalty that matters on so few rows
