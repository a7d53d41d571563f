from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from holdfast.contract import Contract
from holdfast.errors import UsageError
from holdfast.features import FeatureProgram
from holdfast.model.calibration import Calibrator
from holdfast.progress import NullProgress
from holdfast.quality.conform import conform
from holdfast.training.blending import choose_calibrator
from holdfast.training.clock import Clock, planned_trials
from holdfast.training.crossval import CrossValidated, cross_validate, make_folds, side_by_side
from holdfast.training.metrics import calibration_error, row_log_loss
from holdfast.training.recipes import BOOSTERS, NAMES, SINGLE, Recipe, chosen_names, default_recipe
from holdfast.training.search import Candidate, Plan, Search, choose
from holdfast.training.smote import smote_row
from holdfast.training.split import assign
from holdfast.training.tuning import tune

ECONOMICS = {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3}


def folds_of(frame, y, seed=1):
    kinds = {pl.Float64: "number", pl.String: "category"}
    columns = {name: {"kind": kinds[dtype]} for name, dtype in frame.schema.items()}
    contract = Contract.model_validate(
        {"name": "t", "churn": {"label": "L", "positive": "1"}, "economics": ECONOMICS, "columns": columns}
    )
    program = FeatureProgram(contract)
    part = assign(y, 5, seed=seed)
    return make_folds(program.frame(conform(frame, contract).frame), y, part, program, seed=seed), part


def fast(name, rows):
    recipe = default_recipe(name, rows)
    return Recipe(name, {**recipe.settings, "trees": 40}) if name == "random_forest" else recipe


@pytest.mark.parametrize("name", SINGLE)
def test_noise_of_a_thousand_levels_teaches_nothing_out_of_fold(name):
    draw = np.random.default_rng(0)
    n = 3000
    y = (draw.random(n) < 0.3).astype(np.int8)
    frame = pl.DataFrame({"noise": [f"level {at}" for at in draw.integers(0, 1000, n)]})
    folds, part = folds_of(frame, y)
    found = cross_validate(fast(name, n), folds, seed=1)
    # The standard error of an AUC by lot with 900 leavers of 3,000 is .0115. A rate that knew its own row's
    # label would reach .8 and more in training and ruin what is learned from it.
    assert abs(roc_auc_score(y, found.logit) - 0.5) < 4 * 0.0115
    base = row_log_loss(y, np.full(n, y.mean()))
    loss = row_log_loss(y, choose_calibrator(found.logit, y, part)[1])
    # Better than the rate only by luck, within three standard errors; worse only by what a calibrator's two
    # parameters cost: about one log likelihood unit each of 3,000.
    assert -0.005 < (base - loss).mean() < 3 * (base - loss).std() / np.sqrt(n)


@pytest.mark.parametrize("name", ["logistic_regression", "lightgbm", "xgboost", "catboost"])
def test_permuted_labels_are_not_predicted_better_than_by_their_rate(name):
    draw = np.random.default_rng(2)
    n = 1500
    frame = pl.DataFrame(
        {"a": draw.normal(size=n), "b": draw.normal(size=n), "c": draw.choice(["x", "y"], n)}
    )
    y = (draw.random(n) < expit(2 * frame["a"].to_numpy() - 1)).astype(np.int8)
    permuted = draw.permutation(y)
    folds, part = folds_of(frame, permuted)
    found = cross_validate(fast(name, n).with_rounds(40), folds, seed=1)
    loss = row_log_loss(permuted, expit(found.logit))
    base = row_log_loss(permuted, np.full(n, permuted.mean()))
    # Better than the rate only by luck: within three standard errors of the difference.
    assert (base - loss).mean() < 3 * (base - loss).std() / np.sqrt(n)
    real = cross_validate(fast(name, n).with_rounds(40), folds_of(frame, y)[0], seed=1)
    assert row_log_loss(y, expit(real.logit)).mean() < row_log_loss(y, np.full(n, y.mean())).mean() - 0.1
    assert len(part) == n


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "random_forest", "logistic_regression"])
def test_the_same_seed_gives_the_same_bits(name):
    draw = np.random.default_rng(3)
    frame = pl.DataFrame({"a": draw.normal(size=600), "b": draw.choice(list("abcdefgh"), 600)})
    y = (draw.random(600) < expit(frame["a"].to_numpy())).astype(np.int8)
    recipe = fast(name, 600).with_rounds(20)
    logits = [cross_validate(recipe, folds_of(frame, y)[0], seed=4).logit for _ in range(2)]
    assert logits[0].tobytes() == logits[1].tobytes()
    other = cross_validate(recipe, folds_of(frame, y)[0], seed=5).logit
    seedless = name == "logistic_regression"
    assert (other.tobytes() == logits[0].tobytes()) == seedless


def candidate(name, p, *, plan=True):
    return Candidate(name, Plan(()) if plan else None, Calibrator(), p, 0.0, 0.0)


def test_the_simplest_within_noise_of_the_best_is_chosen():
    draw = np.random.default_rng(6)
    p = draw.beta(1, 3, 4000)
    y = (draw.random(4000) < p).astype(np.int8)
    nearly = expit(np.log(p / (1 - p)) + draw.normal(size=4000) * 0.02)
    poor = 0.5 * p + 0.5 * y.mean()
    candidates = [candidate("naive_bayes", poor), candidate("lightgbm", nearly), candidate("blend", p)]
    chosen, within = choose(candidates, y)
    assert chosen.name == "lightgbm"
    assert within == {"naive_bayes": False, "lightgbm": True, "blend": True}


def test_a_row_that_is_only_compared_is_never_chosen():
    y = (np.arange(100) % 4 == 0).astype(np.int8)
    oracle = np.where(y == 1, 0.99, 0.01)
    chosen, within = choose(
        [candidate("smote", oracle, plan=False), candidate("blend", np.full(100, 0.25))], y
    )
    assert chosen.name == "blend"
    assert "smote" not in within


@pytest.fixture(scope="module")
def small():
    draw = np.random.default_rng(7)
    frame = pl.DataFrame({name: draw.normal(size=900) for name in "abcd"})
    y = (draw.random(900) < expit(2 * frame["a"].to_numpy() * frame["b"].to_numpy() - 1.2)).astype(np.int8)
    return frame, y


class Told(NullProgress):
    def __init__(self):
        self.steps = []

    def advance(self, amount=1.0, note=None):
        self.steps.append((amount, note))


def test_tuning_tries_the_default_first_and_repeats_itself(small):
    folds, _ = folds_of(*small)
    start = default_recipe("lightgbm", 900)
    settings = {"trials": 1, "seed": 1, "clock": Clock(1e6), "progress": NullProgress()}
    assert tune(start, folds, **settings) == start
    settings["trials"] = 5
    told = Told()
    first = tune(start, folds, **(settings | {"progress": told}))
    assert first == tune(start, folds, **settings)
    assert sum(amount for amount, _ in told.steps) == 5


def test_tuning_stops_when_the_clock_has_run_out(small):
    folds, _ = folds_of(*small)
    clock = Clock(0.0)
    start = default_recipe("xgboost", 900)
    assert tune(start, folds, trials=50, seed=1, clock=clock, progress=NullProgress()) == start
    assert clock.ended == ["tuning"]


def test_settings_that_start_badly_are_given_up(small, monkeypatch):
    calls = []

    def judged(recipe, *_args, **_settings):
        calls.append(recipe)
        return 0.4 if len(calls) <= 20 else 0.9

    monkeypatch.setattr("holdfast.training.tuning.fold_log_loss", judged)
    monkeypatch.setattr("holdfast.training.tuning.workers", lambda: 1)
    folds, _ = folds_of(*small)
    start = default_recipe("lightgbm", 900)
    tune(start, folds, trials=8, seed=1, clock=Clock(1e6), progress=NullProgress())
    assert len(calls) == 4 * 5 + 4 * 2


@pytest.mark.parametrize("cores", [1, 3, 5, 8])
def test_how_many_cores_there_are_does_not_change_what_is_tried(small, monkeypatch, cores):
    folds, _ = folds_of(*small)
    start = default_recipe("lightgbm", 900)
    place = {id(fold): at for at, fold in enumerate(folds)}
    tries = []

    def judged(recipe, fold, **_settings):
        """What does well on the first folds does badly on the last."""
        tries.append(tuple(recipe.settings.values()))
        return recipe.settings["subsample"] * (2 - place[id(fold)])

    def tried(workers):
        tries.clear()
        monkeypatch.setattr("holdfast.training.tuning.workers", lambda: workers)
        best = tune(start, folds, trials=20, seed=1, clock=Clock(1e6), progress=NullProgress())
        return best, list(dict.fromkeys(tries))

    monkeypatch.setattr("holdfast.training.tuning.fold_log_loss", judged)
    assert tried(cores) == tried(2)


def test_when_time_is_short_the_first_model_is_there_and_the_rest_is_named(small):
    frame, y = small
    folds, part = folds_of(frame, y)
    clock = Clock(0.0)
    found = Search(folds, y, part, 1, clock, NullProgress()).run(NAMES)
    assert [c.name for c in found] == ["logistic_regression"]
    assert {"catboost", "lightgbm", "xgboost"} <= set(clock.ended)


@pytest.mark.parametrize("helps", [True, False])
def test_a_stack_whose_second_layer_gets_no_weight_is_left_out(small, monkeypatch, helps):
    """It would be the blend once more. The learners are fakes: a layer that knows more, or nothing."""
    frame, y = small
    folds, part = folds_of(frame, y)
    width = folds[0].train.X.shape[1]
    truth = 2 * frame["a"].to_numpy() * frame["b"].to_numpy() - 1.2
    draw = np.random.default_rng(8)

    def learned(recipe, folds, *, seed):
        second = folds[0].train.X.shape[1] > width
        noise = draw.normal(size=len(y))
        logit = truth if second and helps else -truth if second else truth + noise
        return CrossValidated(recipe, logit, float(seed), 0.1)

    monkeypatch.setattr("holdfast.training.search.cross_validate", learned)
    names = ("lightgbm", "catboost", "blend", "stack")
    found = Search(folds, y, part, 1, Clock(1e6), NullProgress()).run(names, most_trials=0)
    assert [c.name for c in found] == ["lightgbm", "catboost", "blend", *(["stack"] if helps else [])]
    assert not helps or found[-1].plan.second


def test_smote_harms_calibration(small):
    frame, y = small
    folds, _ = folds_of(frame, y)
    recipe = default_recipe("xgboost", 900).with_rounds(60)
    plain = expit(cross_validate(recipe, folds, seed=1).logit)
    resampled = smote_row(recipe, folds, seed=1)
    assert resampled.plan is None
    assert resampled.name == "xgboost + SMOTE (compared only)"
    assert calibration_error(y, resampled.probability) > calibration_error(y, plain) + 0.02
    assert resampled.probability.mean() > y.mean() + 0.03


@pytest.mark.parametrize("name", BOOSTERS)
def test_the_plan_follows_from_the_budget_and_the_work(name):
    telco = {"cells": 750_000, "rounds": 200}
    assert planned_trials(0, name, **telco) == 0
    assert 10 < planned_trials(180, name, **telco) < 60
    assert planned_trials(360, name, **telco) > planned_trials(180, name, **telco)
    assert planned_trials(180, name, cells=750_000, rounds=2_000) < planned_trials(180, name, **telco)
    assert planned_trials(180, name, cells=75_000_000, rounds=2_000) == 0


def test_tuning_tries_the_default_and_then_smaller_trees(small, monkeypatch):
    tried = []

    def judged(recipe, *_args, **_settings):
        tried.append(recipe)
        return 0.4

    monkeypatch.setattr("holdfast.training.tuning.fold_log_loss", judged)
    folds, _ = folds_of(*small)
    for name in BOOSTERS:
        tried.clear()
        start = default_recipe(name, 900)
        tune(start, folds[:1], trials=2, seed=1, clock=Clock(1e6), progress=NullProgress())
        assert tried[0] == start
        smaller = {k for k, v in tried[1].settings.items() if v != start.settings[k]}
        assert len(smaller) == 1
        assert all(tried[1].settings[k] < start.settings[k] for k in smaller)


def test_names_are_checked():
    assert chosen_names(None) == NAMES
    assert chosen_names(["blend", "lightgbm", "naive_bayes"]) == ("naive_bayes", "lightgbm", "blend")
    with pytest.raises(UsageError, match="lightgbm") as caught:
        chosen_names(["lightgmb"])
    assert caught.value.exit_code == 2
    for none in ([], ["blend"], ["stack", "blend"]):
        with pytest.raises(UsageError):
            chosen_names(none)


def test_work_side_by_side_keeps_its_order_and_its_errors():
    assert side_by_side(lambda x: x * 2, range(10)) == list(range(0, 20, 2))
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda x: 1 / x, [1, 0, 2])
