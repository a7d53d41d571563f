"""A period learns from labels as they were known when it began, whatever was told since."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from holdfast.contract import Contract
from holdfast.contract.history import History
from holdfast.progress import NullProgress
from holdfast.training.buildintime import build_twice
from holdfast.training.byperiod import BASE_RATE, figures_by_period
from holdfast.training.clock import Clock
from holdfast.training.examples import NO_LABEL, described, digest_of, load_examples
from holdfast.training.extent import extent_of
from holdfast.training.hazard import Lookout, fit_survival
from holdfast.training.leaderboard import why_chosen
from holdfast.training.periods import PeriodsError
from holdfast.training.rehearse import rehearse
from holdfast.training.rolling import backtest, fold_of

CONTRACT = Contract.model_validate(
    {
        "name": "t",
        "churn": {"label": "churned", "positive": "1", "negative": "0"},
        "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
        "columns": {
            "customer": {"kind": "id"},
            "x": {"kind": "number"},
            "days_since_last": {"kind": "number"},
        },
    }
)
MONTHS, CUSTOMERS, HORIZON = 9, 200, 30
AS_OF = [datetime(2023, month + 1, 1) for month in range(MONTHS)]  # noqa: DTZ001 - naive UTC, as in built tables
ENDS = [moment + timedelta(days=HORIZON) for moment in AS_OF]
MOMENTS = pl.DataFrame({"as_of": AS_OF, "label_end": ENDS, "label_known": ENDS})
FINAL = ENDS[-1] + timedelta(days=150)
INSTANT = pl.Datetime("us")
HISTORY = {
    "name": "t",
    "churn": {"event": "end", "table": "contracts", "horizon_days": HORIZON},
    "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
    "tables": {
        "contracts": {"kind": "intervals", "source": "c.csv", "customer": "c", "begin": "b", "end": "e"},
    },
}


def table(seed=0):
    draw = np.random.default_rng(seed)
    n = MONTHS * CUSTOMERS
    x = draw.normal(size=n)
    left = draw.random(n) < 1 / (1 + np.exp(0.5 - 1.5 * x))
    days = np.where(left, 10, draw.integers(HORIZON, 200, n))
    begin = np.repeat(np.array(AS_OF, dtype="datetime64[us]"), CUSTOMERS)
    return pl.DataFrame(
        {
            "customer": np.tile([f"c{at:03}" for at in range(CUSTOMERS)], MONTHS),
            "as_of": begin,
            "x": x,
            "days_since_last": draw.normal(size=n),
            "churned": left.astype(np.int8),
            "left_at": pl.Series(
                np.where(days < 150, begin + days * np.timedelta64(1, "D"), np.datetime64("NaT"))
            ),
        }
    )


def told_late(frame, *, nulls=False, seed=1):
    """The table as it was known until after its end: some who left were not known to have left."""
    chance = pl.Series(np.random.default_rng(seed).random(frame.height))
    flipped = chance < 0.2
    told = frame.with_columns(
        churned=pl.when(flipped).then(1 - pl.col("churned")).otherwise("churned").cast(pl.Int8),
        left_at=pl.when(flipped).then(None).otherwise("left_at"),
    )
    return without(told, 7) if nulls else told


def without(frame, which):
    """The table with no label in one of thirty rows."""
    return frame.with_columns(
        churned=pl.when(pl.int_range(pl.len()) % 30 == which).then(None).otherwise("churned")
    )


def pair(*, nulls):
    """The table now and then; with nulls some had a label only then, some have one only now."""
    frame = table()
    return without(frame, 0) if nulls else frame, told_late(frame, nulls=nulls)


def as_known(frame, told):
    """What `labels_as_known` gives where ``told`` is what was known at every moment that is asked for."""

    def given(at):
        same = pl.col("churned").eq_missing(pl.col("churned_then")) & pl.col("left_at").eq_missing(
            pl.col("left_at_then")
        )
        both = frame.join(told, on=["customer", "as_of"], suffix="_then").filter(~same)
        rows = both.select("customer", "as_of", churned="churned_then", left_at="left_at_then")
        rows = rows.join(pl.DataFrame({"at": at}, {"at": INSTANT}), how="cross")
        return rows.filter(pl.col("as_of") + timedelta(days=HORIZON) <= pl.col("at"))

    return given


def loaded(frame, told=None):
    given = None if told is None else as_known(frame, told)
    return load_examples(frame, CONTRACT, MOMENTS, seed=1, as_known=given)


def run(examples):
    models = ("logistic_regression", "lightgbm", "blend")
    space = extent_of(examples, CONTRACT, models, 600)
    given = {"blend": True, "seed": 1, "clock": Clock(600), "progress": NullProgress()}
    return space, backtest(examples, CONTRACT, space, **given)


def of_then(examples):
    """The labelled rows, by customer and as_of."""
    keep = examples.y != NO_LABEL
    return pl.DataFrame(
        {
            "customer": examples.ids,
            "as_of": examples.as_of,
            "y": examples.y,
            "period": examples.period,
            "left_at": examples.left_at,
            "x": examples.frame["x"],
        }
    ).filter(keep)


@pytest.mark.parametrize("nulls", [False, True])
def test_examples_as_known_are_those_of_the_table_as_it_was_known(nulls):
    frame, told = pair(nulls=nulls)
    now, then = loaded(frame, told), loaded(told)
    assert_frame_equal(of_then(now), of_then(loaded(frame)))
    last = now.schedule.last
    before = now.schedule.before(last)
    seen = now.as_known(last)
    in_time = pl.col("period").is_in(before.tolist())
    assert_frame_equal(of_then(seen).filter(in_time), of_then(then).filter(in_time))
    assert (seen.totals[before] == then.totals[before]).all()
    assert seen.known_before(last) == then.known_before(last)
    keys = [each.keys.filter(in_time).sort("number", "as_of") for each in (seen, then)]
    assert_frame_equal(*keys)
    assert (seen.keys["label_known"] <= now.schedule.periods[last].begin).all()
    own, others = (fold_of(each, CONTRACT, last, 10_000, seed=1)[0].train for each in (now, then))
    assert (own.X == others.X).all()
    assert (own.y == others.y).all()


def named(examples, rows, **columns):
    """What is said of rows, by customer and as_of."""
    return pl.DataFrame({"customer": examples.ids[rows], "as_of": examples.as_of[rows], **columns})


@pytest.mark.parametrize("nulls", [False, True])
def test_the_backtest_is_that_of_the_labels_which_were_known(nulls):
    frame, told = pair(nulls=nulls)
    now, then = loaded(frame, told), loaded(told)
    (space, found), (_, other) = run(now), run(then)
    assert space.names == ("lightgbm", "logistic_regression")
    plan = now.schedule
    known = found.known[plan.last] != NO_LABEL
    assert_frame_equal(
        named(now, found.rows[known], p=found.pipeline[known], y=found.known[plan.last][known]),
        named(then, other.rows, p=other.pipeline, y=other.y),
    )
    assert (found.chosen, found.within, found.decided) == (other.chosen, other.within, other.decided)
    judged = frame.drop_nulls("churned").filter(pl.col("as_of").is_in([AS_OF[at] for at in plan.judged]))
    assert found.labelled.sum() == judged.height
    assert (found.y[found.labelled & known] != found.known[plan.last][found.labelled & known]).mean() > 0.1
    boards = [each.candidates(plan.last) for each in (found, other)]
    whys = [
        why_chosen(next(c for c in board if c.name == each.chosen[plan.last]), board, labels)
        for each, board, labels in (
            (found, boards[0], found.known[plan.last][known]),
            (other, boards[1], other.y),
        )
    ]
    assert whys[0] == whys[1]
    chosen = next(each for each in boards[0] if each.name == found.chosen[plan.last])
    builds = [build_twice(chosen, each, CONTRACT, seed=1, progress=NullProgress()) for each in (now, then)]
    measured = [each.measured.probability(now.frame) for each in builds]
    deployed = [each.deployed.probability(now.frame) for each in builds]
    assert (measured[0] == measured[1]).all()
    # the one to deploy learns from what is known today
    assert np.abs(deployed[0] - deployed[1]).mean() > 0.02


def test_a_period_is_judged_by_the_labels_of_today_beside_rules_of_then():
    frame, told = pair(nulls=False)
    now, then = loaded(frame, told), loaded(told)
    (_, found), (_, other) = run(now), run(then)
    plan = now.schedule
    last = now.sample(np.array([plan.last]), 10_000)
    rows, others = (
        figures_by_period(
            each, CONTRACT, backtested, last, np.full(len(last), 0.3),
            rule="days_since_last", threshold=0.2, economics=CONTRACT.economics,
        )
        for each, backtested in ((now, found), (then, other))
    )  # fmt: skip
    assert rows["mean_predicted"].equals(others["mean_predicted"])
    assert not rows["log_loss"].equals(others["log_loss"])
    naive = rows.filter((pl.col("who") == BASE_RATE) & pl.col("last")).row(0, named=True)
    early = told.filter(pl.col("as_of") + timedelta(days=HORIZON) <= AS_OF[plan.last])
    assert naive["mean_predicted"] == pytest.approx(early["churned"].mean())
    assert naive["base_rate"] == pytest.approx(
        frame.filter(pl.col("as_of") == AS_OF[plan.last])["churned"].mean()
    )


def test_who_has_no_label_any_more_is_neither_judged_nor_counted_nor_described(monkeypatch):
    frame, told = pair(nulls=True)
    now, plain = loaded(frame, told), loaded(frame)
    # a few rows more before the last judged period would be enough to rehearse it
    known, _ = plain.known_before(now.schedule.judged[-1])
    monkeypatch.setattr("holdfast.training.extent.FOLD_ROWS", int(known / 1.5) + 1)
    assert len(now.y) > len(plain.y)
    space, found = run(now)
    last = now.sample(np.array([now.schedule.last]), 10_000)
    rows = figures_by_period(
        now, CONTRACT, found, last, np.full(len(last), 0.3),
        rule=None, threshold=0.2, economics=CONTRACT.economics,
    )  # fmt: skip
    labelled = frame.drop_nulls("churned")
    for row in rows.filter(pl.col("who") == "model").iter_rows(named=True):
        month = labelled.filter(pl.col("as_of").dt.strftime("%Y-%m-%d") == row["period"])["churned"]
        assert (row["rows"], row["left"]) == (month.len(), month.sum())
    assert space == extent_of(plain, CONTRACT, ("logistic_regression", "lightgbm", "blend"), 600)
    assert described(now, CONTRACT, seed=1).as_dict() == described(plain, CONTRACT, seed=1).as_dict()


def test_the_digest_tells_what_was_known_otherwise():
    frame, told = pair(nulls=True)
    one, other = told_late(frame), told_late(frame, seed=2)
    kinds = [
        loaded(frame),
        loaded(frame, one),
        loaded(frame, other),
        loaded(frame, told),
        loaded(table(), told),
    ]
    assert len({digest_of(each) for each in kinds}) == len(kinds)
    assert digest_of(loaded(frame, one)) == digest_of(kinds[1])


def test_rehearsals_decide_by_what_was_known(monkeypatch):
    monkeypatch.setattr("holdfast.training.extent.FOLD_ROWS", 300)
    frame, told = pair(nulls=False)
    decided = []
    for examples in (loaded(frame, told), loaded(told)):
        space, found = run(examples)
        assert space.rehearsed
        booster = next(each for each in found.candidates(examples.schedule.last) if each.name == "lightgbm")
        final = rehearse(booster, found, examples, CONTRACT, space, seed=1, progress=NullProgress())
        decided.append((final.plan, found.pipeline))
    assert decided[0][0] == decided[1][0]
    assert (decided[0][1] == decided[1][1]).all()


@pytest.mark.parametrize("nulls", [False, True])
def test_the_time_until_churn_is_measured_by_a_hazard_of_what_was_known(nulls):
    frame, told = pair(nulls=nulls)
    scorer = SimpleNamespace(matrix=lambda rows: rows.to_numpy().astype(np.float32))
    looks = MOMENTS.with_columns(label_begin="as_of")
    history = History.model_validate(HISTORY)
    curves, seen = [], []
    for examples in (loaded(frame, told), loaded(told)):
        plan = examples.schedule
        rows = np.concatenate([examples.judged(number) for number in plan.judged])
        last = np.flatnonzero(
            (examples.period == plan.last) & (examples.customer % 30 != 0) & (examples.customer % 30 != 7)
        )
        rolling = SimpleNamespace(
            rows=rows,
            pipeline=np.full(len(rows), 0.3),
            labelled=examples.y[rows] != NO_LABEL,
            known={plan.last: examples.as_known(plan.last).y[rows]},
        )
        known = (last, np.full(len(last), 0.3))
        lookout = Lookout(history, examples, looks, 1)
        months = fit_survival(lookout, rolling, (scorer, scorer), known, FINAL).metrics["months"]
        curves.append([month["predicted"] for month in months])
        seen.append([month["seen"] for month in months])
    # trees see rows in the order of their draws, which differs where other rows have labels: sums round
    assert curves[0] == pytest.approx(curves[1], abs=0.001 * nulls)
    assert seen[0] != seen[1]


def test_a_period_before_which_nobody_was_known_to_have_left_is_not_judged():
    frame = table()
    nobody = frame.with_columns(churned=pl.lit(0, pl.Int8), left_at=pl.lit(None, INSTANT))
    since = AS_OF[5]

    def late(at):
        return as_known(frame, nobody)([moment for moment in at if moment < since])

    assert min(loaded(frame).schedule.judged) < 5
    examples = load_examples(frame, CONTRACT, MOMENTS, seed=1, as_known=late)
    assert min(examples.schedule.judged) == 5
    with pytest.raises(PeriodsError, match=r"only 0 were known to have left, 1,\d00 to have stayed"):
        loaded(frame, nobody)
