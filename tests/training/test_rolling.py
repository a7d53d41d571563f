from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from holdfast.contract import Contract
from holdfast.model.calibration import Calibrator
from holdfast.progress import NullProgress
from holdfast.training import extent, rolling
from holdfast.training.byperiod import BASE_RATE, PIPELINE, figures_by_period
from holdfast.training.clock import Clock
from holdfast.training.examples import NO_LABEL, load_examples
from holdfast.training.extent import extent_of
from holdfast.training.metrics import row_log_loss
from holdfast.training.recipes import Recipe
from holdfast.training.rehearse import rehearse
from holdfast.training.rolling import backtest

CONTRACT = Contract.model_validate(
    {
        "name": "t",
        "churn": {"label": "churned", "positive": "1", "negative": "0"},
        "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
        "columns": {
            "customer": {"kind": "id"},
            "x": {"kind": "number", "required": False},
            "z": {"kind": "number", "required": False},
            "shop_days_since_last": {"kind": "number", "required": False},
        },
    }
)
MONTHS, CUSTOMERS, HORIZON = 9, 300, 60
MODELS = ("logistic_regression", "lightgbm", "blend")


def as_ofs():
    return [datetime(2023, month + 1, 1) for month in range(MONTHS)]  # noqa: DTZ001 - naive UTC, as in built tables


def table(seed=0):
    """Each customer once a month; who has a high x is more likely to leave."""
    draw = np.random.default_rng(seed)
    n = MONTHS * CUSTOMERS
    x = draw.normal(size=n)
    return pl.DataFrame(
        {
            "customer": np.tile([f"c{at:03}" for at in range(CUSTOMERS)], MONTHS),
            "as_of": np.repeat(np.array(as_ofs(), dtype="datetime64[us]"), CUSTOMERS),
            "x": x,
            "z": draw.normal(size=n),
            "shop_days_since_last": x + draw.normal(size=n),
            "churned": (draw.random(n) < 1 / (1 + np.exp(1 - 1.5 * x))).astype(np.int8),
        }
    )


def moments():
    ends = [moment + timedelta(days=HORIZON) for moment in as_ofs()]
    return pl.DataFrame({"as_of": as_ofs(), "label_end": ends, "label_known": ends})


def run(frame, models=MODELS):
    examples = load_examples(frame, CONTRACT, moments(), seed=1)
    given = {"blend": "blend" in models, "seed": 1, "clock": Clock(600), "progress": NullProgress()}
    return examples, backtest(examples, CONTRACT, extent_of(examples, CONTRACT, models, 600), **given)


@pytest.fixture(scope="module")
def done():
    return run(table())


def test_no_prediction_depends_on_a_label_that_was_not_known_when_its_period_began(done):
    examples, found = done
    frame = table()
    for number in (examples.schedule.judged[0], examples.schedule.judged[-1]):
        begin = examples.schedule.periods[number].begin
        unknown = pl.col("as_of") + timedelta(days=HORIZON) > begin
        flipped = pl.when(unknown).then(1 - pl.col("churned")).otherwise("churned").cast(pl.Int8)
        # enough of both stay, so the same periods are judged
        _, other = run(frame.with_columns(flipped.alias("churned")))
        here = found.period == number
        assert (other.rows == found.rows).all()
        assert (other.pipeline[here] == found.pipeline[here]).all()
        assert other.chosen[number] == found.chosen[number]
        for name in found.probability:
            assert (other.probability[name][here] == found.probability[name][here]).all()


def test_no_prediction_depends_on_features_of_others_that_did_not_teach_it(done):
    """Medians, knots, bins and the choice of features are learned in each training period alone."""
    examples, found = done
    for number in (examples.schedule.judged[0], examples.schedule.judged[-1]):
        begin = examples.schedule.periods[number].begin
        taught = pl.col("as_of") + timedelta(days=HORIZON) <= begin
        strange = pl.when(taught | (pl.col("as_of") == begin)).then(pl.col("x", "z")).otherwise(1e6)
        _, other = run(table().with_columns(strange), MODELS[:1])
        here = found.period == number
        own, anew = (by.probability[MODELS[0]][here] for by in (found, other))
        assert (own == anew).all()
        assert other.features[number] == found.features[number]


def test_labels_that_were_known_do_change_predictions(done):
    examples, found = done
    number = examples.schedule.judged[-1]
    known = pl.col("as_of") + timedelta(days=HORIZON) <= examples.schedule.periods[number].begin
    flipped = pl.when(known).then(1 - pl.col("churned")).otherwise("churned").cast(pl.Int8)
    _, other = run(table().with_columns(flipped.alias("churned")), ("logistic_regression",))
    here = found.period == number
    assert np.corrcoef(other.pipeline[here], found.pipeline[here])[0, 1] < 0


def test_every_judged_row_is_predicted_and_the_last_period_is_not_among_them(done):
    examples, found = done
    assert np.isfinite(found.pipeline).all()
    assert not (found.period == examples.schedule.last).any()
    assert len(found.rows) == CUSTOMERS * len(examples.schedule.judged)
    assert set(found.decided[examples.schedule.last]) == set(MODELS)


def test_the_figures_by_period_stand_beside_rules_that_know_as_much(done):
    examples, found = done
    last = examples.sample(np.array([examples.schedule.last]), 10_000)
    p = np.full(len(last), 0.4)
    rows = figures_by_period(
        examples, CONTRACT, found, last, p,
        rule="shop_days_since_last", threshold=0.2, economics=CONTRACT.economics,
    )  # fmt: skip
    judged = len(examples.schedule.judged) + 1
    assert rows["who"].value_counts().sort("who")["count"].to_list() == [judged] * 3
    first = examples.schedule.periods[examples.schedule.judged[0]]
    learned = table().filter(pl.col("as_of") + timedelta(days=HORIZON) <= first.begin)["churned"]
    naive = rows.filter(pl.col("who") == BASE_RATE).row(0, named=True)
    assert naive["learned_rows"] == len(learned)
    assert naive["mean_predicted"] == pytest.approx(learned.mean())
    losses = {who: part["log_loss"][:-1].mean() for (who,), part in rows.group_by("who")}
    assert losses[PIPELINE] < losses["shop_days_since_last alone"] < losses[BASE_RATE]


def test_the_sample_of_a_large_table_is_the_same_every_time(done):
    examples, _ = done
    before = examples.schedule.before(examples.schedule.last)
    some, more = examples.sample(before, 100), examples.sample(before, 200)
    assert len(some) == 100
    assert set(some) <= set(more)
    again = load_examples(table(), CONTRACT, moments(), seed=1)
    assert (again.sample(before, 100) == some).all()


def chosen_of(examples, found, name):
    return next(each for each in found.candidates(examples.schedule.last) if each.name == name)


def rehearsed(examples, found, candidate):
    """The candidate, and the pipeline's predictions."""
    found = replace(found, pipeline=found.pipeline.copy())
    space = extent_of(examples, CONTRACT, MODELS, 600)
    told = NullProgress()
    return rehearse(candidate, found, examples, CONTRACT, space, seed=1, progress=told), found.pipeline


@pytest.fixture
def many_rows(monkeypatch):
    # a table of more rows than a fold learns from, without the minutes that it takes
    monkeypatch.setattr(extent, "FOLD_ROWS", 500)


def test_where_a_fold_learns_from_as_many_rows_as_the_build_nothing_is_decided_anew(done):
    examples, found = done
    chosen = chosen_of(examples, found, "lightgbm")
    final, pipeline = rehearsed(examples, found, chosen)
    assert final is chosen
    assert (pipeline == found.pipeline).all()


def calibrators(logit, y, period):
    """The methods decided before each of the periods, whose labels are known two periods later."""
    judged, last = list(range(period.max() + 1)), int(period.max()) + 1
    known = {number: np.where(period <= number - 2, y, NO_LABEL) for number in (*judged, last)}
    found = rolling.Rolling(np.arange(len(y)), period, y, np.arange(len(y)), known, {})
    found.tracks["lightgbm"] = rolling.Track([Recipe("lightgbm", rounds=50)], logit[:, None])
    rolling.decide_in_order(found, judged, last, blend=False)
    return [found.decided[number]["lightgbm"].calibrator.method for number in (*judged, last)]


def test_a_calibrator_is_used_once_earlier_ones_have_helped_and_never_where_they_did_harm():
    draw = np.random.default_rng(3)
    period = np.repeat(np.arange(6), 2_000)
    true = draw.normal(-1, 1, len(period))
    flat = 0.4 * true  # off in the same way in every period
    y = (draw.random(len(period)) < expit(true)).astype(np.int8)
    assert calibrators(flat, y, period) == ["none"] * 4 + ["logistic"] * 3
    level = np.where(period % 4 < 2, 1.0, -1.0)  # what two periods show is the contrary of the next two
    y = (draw.random(len(period)) < expit(true + level)).astype(np.int8)
    assert calibrators(true, y, period) == ["none"] * 7


@pytest.mark.usefixtures("many_rows")
def test_a_plan_that_stops_too_early_is_mended_and_its_calibrator_stays(done):
    examples, found = done
    chosen = chosen_of(examples, found, "lightgbm")
    assert chosen.plan is not None
    (recipe, weight), *_ = chosen.plan.first
    early = replace(chosen.plan, first=((recipe.with_rounds(25), weight),))
    flat = Calibrator("logistic", 0.4, 0.0)
    final, _ = rehearsed(examples, found, replace(chosen, plan=early, calibrator=flat))
    assert final.plan is not None
    assert 25 < final.plan.first[0][0].rounds <= 75
    assert final.plan.first[0][0].settings == recipe.settings
    assert final.calibrator == flat


@pytest.mark.usefixtures("many_rows")
def test_the_weights_of_a_blend_stay_as_they_were_chosen(done):
    examples, found = done
    chosen = chosen_of(examples, found, "blend")
    final, _ = rehearsed(examples, found, chosen)
    assert chosen.plan is not None
    assert final.plan is not None
    assert [(r.name, w) for r, w in final.plan.first] == [(r.name, w) for r, w in chosen.plan.first]


@pytest.mark.usefixtures("many_rows")
def test_no_rehearsal_looks_at_a_label_that_was_unknown_when_its_period_began(done):
    examples, found = done
    schedule = examples.schedule
    for number in (schedule.judged[2], schedule.last):
        begin = schedule.periods[number].begin
        unknown = pl.col("as_of") + timedelta(days=HORIZON) > begin
        flipped = pl.when(unknown).then(1 - pl.col("churned")).otherwise("churned").cast(pl.Int8)
        others, again = run(table().with_columns(flipped.alias("churned")))
        (one, own), (other, anew) = (
            rehearsed(of, by, chosen_of(of, by, by.chosen[schedule.last]))
            for of, by in ((examples, found), (others, again))
        )
        here = found.period == number
        assert (own[here] == anew[here]).all()
        assert number != schedule.last or one.plan == other.plan


@pytest.mark.usefixtures("many_rows")
def test_the_backtest_tells_what_builds_on_many_rows_would_have_predicted(monkeypatch):
    monkeypatch.setattr(extent, "FOLD_ROWS", 150)
    examples, found = run(table(), ("lightgbm",))
    _, pipeline = rehearsed(examples, found, chosen_of(examples, found, "lightgbm"))
    few, many = (row_log_loss(found.y, p).mean() for p in (found.pipeline, pipeline))
    assert many < few - 0.01
