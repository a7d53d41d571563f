from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import BernoulliNB, GaussianNB

from holdfast.features import Slot
from holdfast.model.ensemble import Ensemble, Member
from holdfast.model.estimators import load_estimator
from holdfast.training.fitting import Rows, averaged, fit
from holdfast.training.linear import CAPS, KNOTS, fit_spline_logistic
from holdfast.training.recipes import Recipe

RECIPES = {
    "logistic_regression": Recipe("logistic_regression", {"C": 0.1}),
    "naive_bayes": Recipe("naive_bayes"),
    "decision_tree": Recipe("decision_tree", {"max_depth": 4, "min_child_weight": 5}),
    "random_forest": Recipe("random_forest", {"max_depth": 5, "min_child_weight": 5, "trees": 20}),
    "lightgbm": Recipe("lightgbm", {"num_leaves": 6, "learning_rate": 0.1}, rounds=20),
    "xgboost": Recipe("xgboost", {"max_depth": 3, "learning_rate": 0.1}, rounds=20),
    "catboost": Recipe("catboost", {"depth": 3, "learning_rate": 0.1}, rounds=20),
}
SLOTS = [Slot("a", "number"), Slot("b", "number"), Slot("c", "flag"), Slot("d", "rate"), Slot("e", "number")]


def rows(n=800, *, gaps=0.1, seed=0):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, 5)).astype(np.float32)
    X[:, 2] = X[:, 2] > 0.3
    X[:, 4] = np.round(np.exp(X[:, 4]))
    y = (draw.random(n) < expit(X[:, 0] - 0.7 * X[:, 1] ** 2 + X[:, 2] - 1)).astype(np.int8)
    X[draw.random(X.shape) < gaps] = np.nan
    X[:, 2] = np.nan_to_num(X[:, 2])  # a flag is never missing
    return Rows(X, y)


@pytest.fixture(scope="module")
def fitted():
    data = rows()
    return {
        name: averaged([fit(recipe, data, SLOTS, seed=seed).estimator for seed in (1, 2)])
        for name, recipe in RECIPES.items()
    }


@pytest.fixture(scope="module")
def strangers():
    X = rows(200, gaps=0.3, seed=9).X
    X[:5] = [[0] * 5, [1e30] * 5, [-1e30] * 5, [np.nan] * 5, [3.4e38, -3.4e38, 1, 0, np.nan]]
    return X


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns(fitted, name):
    data = rows(seed=5)
    assert roc_auc_score(data.y, fitted[name].logit(data.X)) > 0.65


@pytest.mark.parametrize("name", RECIPES)
def test_saved_and_loaded_it_gives_the_same_bits(fitted, strangers, name, tmp_path):
    description = json.loads(json.dumps(fitted[name].save(tmp_path, "first-x")))
    again = load_estimator(tmp_path, description)
    assert type(again) is type(fitted[name])
    assert again.logit(strangers).tobytes() == fitted[name].logit(strangers).tobytes()
    for own, other in zip(again.contributions(strangers), fitted[name].contributions(strangers), strict=True):
        assert own.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", RECIPES)
def test_a_row_alone_has_the_bits_it_has_among_many(fitted, strangers, name):
    together = fitted[name].logit(strangers)
    assert together.dtype == np.float64
    assert together.shape == (len(strangers),)
    assert np.isfinite(together).all()
    alone = np.concatenate([fitted[name].logit(strangers[[at]]) for at in range(len(strangers))])
    assert alone.tobytes() == together.tobytes()


@pytest.mark.parametrize("name", RECIPES)
def test_contributions_and_base_add_up_to_the_log_odds(fitted, strangers, name):
    parts, base = fitted[name].contributions(strangers)
    assert parts.shape == strangers.shape
    assert base.shape == (len(strangers),)
    # Boosters add float32; 1e-4 of log-odds is far below anything a person is shown.
    assert parts.sum(axis=1) + base == pytest.approx(fitted[name].logit(strangers), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["logistic_regression", "naive_bayes"])
def test_contributions_of_additive_models_average_zero_in_training(fitted, name):
    parts, _ = fitted[name].contributions(rows().X)
    assert parts.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-9)


def test_curves_are_those_of_a_dense_b_spline_regression():
    data = rows(1200, gaps=0.0)
    X, y = data.X.astype(np.float64), data.y
    ours = fit_spline_logistic(data.X, y, SLOTS, [0.1])[0]
    low, high = np.quantile(X, CAPS, axis=0)
    low[2], high[2] = 0, 1
    u = np.clip((X - low) / (high - low), 0, 1)
    parts = [u[:, [2]]]
    curved = []
    for column in (0, 1, 3, 4):
        for values in (u[:, column], np.unique(u[:, column])):
            inner = np.quantile(values, KNOTS)
            if (np.diff([0, *inner, 1]) > 1e-3).all():
                ends = np.r_[[0.0] * 4, inner, [1.0] * 4]
                basis = BSpline(ends, np.eye(8), 3)
                parts.append(basis(u[:, column]))
                curved.append(column)
                break
    assert ours.curved.tolist() == curved
    design = np.hstack(parts)
    scale = design.std(axis=0)
    Z = (design - design.mean(axis=0)) / np.where(scale > 0, scale, 1)
    dense = LogisticRegression(C=0.1, solver="lbfgs", tol=1e-10, max_iter=10_000).fit(Z, y)
    # Two solvers stop at slightly different points of the same convex problem.
    assert ours.logit(data.X) == pytest.approx(dense.decision_function(Z), abs=2e-3)


def test_a_missing_number_adds_what_the_median_does_where_gaps_say_nothing():
    draw = np.random.default_rng(3)
    X = draw.normal(size=(4000, 1)).astype(np.float32)
    y = (draw.random(4000) < expit(X[:, 0])).astype(np.int8)
    X[draw.random(4000) < 0.3] = np.nan
    y = np.where(np.isnan(X[:, 0]), draw.random(4000) < y.mean(), y).astype(np.int8)
    ours = fit_spline_logistic(X, y, SLOTS[:1], [1.0])[0]
    missing = ours.logit(np.array([[np.nan]], dtype=np.float32))[0]
    # Gaps by lot have the overall rate; its log-odds from 1,200 rows has a standard error of .06.
    assert missing == pytest.approx(np.log(y.mean() / (1 - y.mean())), abs=0.25)


def test_naive_bayes_of_numbers_is_scikit_learns():
    data = rows(gaps=0.0)
    X = data.X[:, [0, 1, 3]]
    ours = fit(RECIPES["naive_bayes"], Rows(X, data.y), [SLOTS[0], SLOTS[1], SLOTS[3]]).estimator
    theirs = GaussianNB().fit(X.astype(np.float64), data.y).predict_log_proba(X.astype(np.float64))
    assert ours.logit(X) == pytest.approx(theirs[:, 1] - theirs[:, 0], rel=1e-5, abs=1e-6)


def test_naive_bayes_of_flags_is_scikit_learns():
    draw = np.random.default_rng(1)
    y = (draw.random(500) < 0.3).astype(np.int8)
    X = (draw.random((500, 6)) < 0.2 + 0.3 * y[:, None] * draw.random(6)).astype(np.float32)
    ours = fit(RECIPES["naive_bayes"], Rows(X, y), [Slot("k", "flag", str(at)) for at in range(6)]).estimator
    theirs = BernoulliNB(alpha=1).fit(X, y).predict_log_proba(X)
    assert ours.logit(X) == pytest.approx(theirs[:, 1] - theirs[:, 0], rel=1e-9)


def test_to_naive_bayes_no_number_is_certainty():
    data = rows(gaps=0.0)
    ours = fit(RECIPES["naive_bayes"], data, SLOTS).estimator
    far = np.full((1, 5), 1e9, dtype=np.float32)
    assert np.abs(ours.terms(far)).max() == pytest.approx(np.log(1_000))


def test_to_naive_bayes_a_missing_value_says_nothing():
    data = rows()
    ours = fit(RECIPES["naive_bayes"], data, SLOTS).estimator
    nothing = np.full((1, 5), np.nan, dtype=np.float32)
    assert ours.logit(nothing)[0] == pytest.approx(np.log(data.y.mean() / (1 - data.y.mean())))


def test_a_tree_votes_the_shares_of_its_leaves():
    data = rows(gaps=0.0)
    tree = fit(RECIPES["decision_tree"], data, SLOTS).estimator
    p = expit(tree.logit(data.X))
    for share in np.unique(p.round(6)):
        leaf = np.abs(p - share) < 1e-6
        # A leaf without leavers votes 1e-4, not nothing.
        assert data.y[leaf].mean() == pytest.approx(share, abs=2e-4)


class Sum:
    """An estimator that adds up its columns."""

    def logit(self, X):
        return X.astype(np.float64).sum(axis=1)

    def contributions(self, X):
        return X.astype(np.float64), np.zeros(len(X))


def test_an_ensemble_is_the_weighted_sum_and_a_second_layer_sees_the_first():
    X = np.array([[1, 2], [3, 5]], dtype=np.float32)
    first = (Member("a", 0.5, Sum()), Member("b", 0.0, Sum()))
    assert Ensemble(first).logit(X).tolist() == [1.5, 4]
    both = Ensemble(first, (Member("c", 2.0, Sum()),))
    # The second layer sees 1, 2, 3, 3 and 3, 5, 8, 8.
    assert both.logit(X).tolist() == [1.5 + 2 * 9, 4 + 2 * 24]
    assert both.logit(X[:0]).shape == (0,)


def test_what_the_second_layer_owes_to_the_first_goes_to_its_columns():
    X = np.array([[1, 2], [3, 5], [-1, 4]], dtype=np.float32)
    both = Ensemble((Member("a", 0.5, Sum()),), (Member("c", 2.0, Sum()),))
    # log-odds = .5 (x1 + x2) + 2 (x1 + x2 + (x1 + x2)): every column adds 4.5 times itself.
    assert both.contributions(X) == pytest.approx(4.5 * X.astype(np.float64))
    assert both.contributions(X).sum(axis=1) == pytest.approx(both.logit(X))
