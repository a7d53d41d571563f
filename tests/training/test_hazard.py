from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from holdfast.contract import Contract
from holdfast.contract.history import History
from holdfast.model.survival import MONTHS
from holdfast.training.examples import load_examples
from holdfast.training.hazard import Ahead, Lookout, fit_survival

BEGIN = datetime(2022, 1, 1)  # noqa: DTZ001 - naive UTC, as in built tables
SNAPSHOTS, CUSTOMERS, HORIZON = 12, 1_500, 90
FINAL = BEGIN + timedelta(days=30 * 24)

ENDS = {
    "name": "t",
    "churn": {"event": "end", "table": "contracts", "horizon_days": HORIZON},
    "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
    "tables": {
        "contracts": {
            "kind": "intervals", "source": "c.csv", "customer": "c", "begin": "b", "end": "e",
            "columns": {"fee": {"kind": "number"}},
        }
    },
}  # fmt: skip
SILENCE = ENDS | {
    "churn": {"event": "inactivity", "table": "visits", "horizon_days": HORIZON},
    "tables": {"visits": {"kind": "events", "source": "v.csv", "customer": "c", "time": "t"}},
}


def as_ofs():
    return [BEGIN + timedelta(days=30 * at) for at in range(SNAPSHOTS)]


def moments():
    ends = [moment + timedelta(days=HORIZON) for moment in as_ofs()]
    return pl.DataFrame({"as_of": as_ofs(), "label_begin": as_ofs(), "label_end": ends, "label_known": ends})


def examples(left_day):
    """Each customer at each snapshot until leaving, ``left_day`` days after the first (infinite: never)."""
    rows = []
    for at, moment in enumerate(as_ofs()):
        day = 30 * at
        there = np.flatnonzero(left_day >= day)
        gone = [None if d == np.inf else BEGIN + timedelta(days=float(d)) for d in left_day[there]]
        known = [moment_ if moment_ is not None and moment_ < FINAL else None for moment_ in gone]
        rows.append(
            pl.DataFrame(
                {
                    "customer": [f"c{who}" for who in there],
                    "as_of": [moment] * len(there),
                    "x": np.zeros(len(there)),
                    "churned": (left_day[there] < day + HORIZON).astype(np.int8),
                    "left_at": pl.Series(known, dtype=pl.Datetime("us")),
                }
            )
        )
    return pl.concat(rows)


def contract():
    return Contract.model_validate(
        {
            "name": "t",
            "churn": {"label": "churned", "positive": "1", "negative": "0"},
            "economics": ENDS["economics"],
            "columns": {"customer": {"kind": "id"}, "x": {"kind": "number", "required": False}},
        }
    )


def world(seed=0, monthly=0.05):
    """Customers who leave at a constant hazard a month, the same for all."""
    draw = np.random.default_rng(seed)
    return draw.exponential(-30 / np.log(1 - monthly), CUSTOMERS)


def test_months_at_risk_end_where_the_customer_left_or_the_tables_do():
    left = np.array([0.0, 29.9, 30.0, 95.0, np.inf, *np.linspace(1, 700, 300), *[np.inf] * 60])
    loaded = load_examples(examples(left), contract(), moments(), seed=1)
    lookout = Lookout(History.model_validate(ENDS), loaded, moments(), 1)
    first = np.flatnonzero((loaded.as_of == BEGIN).to_numpy())
    by_name = {loaded.ids[int(at)]: at for at in first}
    rows = np.array([by_name[f"c{who}"] for who in range(5)])
    seen = lookout.ahead(rows, FINAL)
    assert seen.seen.tolist() == [1, 1, 2, 4, MONTHS]
    assert seen.left.tolist() == [True, True, True, True, False]
    cut = lookout.ahead(rows, BEGIN + timedelta(days=89))
    assert cut.seen.tolist() == [1, 1, 2, 2, 2]
    assert cut.left.tolist() == [True, True, True, False, False]
    row, month, event = seen.person_months()
    assert len(row) == 1 + 1 + 2 + 4 + MONTHS
    assert month[row == 3].tolist() == [1, 2, 3, 4]
    assert event[row == 3].tolist() == [0, 0, 0, 1]
    assert event[row == 4].sum() == 0


def test_a_label_and_the_months_ahead_never_disagree():
    loaded = load_examples(examples(world()), contract(), moments(), seed=1)
    seen = Lookout(History.model_validate(ENDS), loaded, moments(), 1).ahead(np.arange(len(loaded.y)), FINAL)
    assert ((seen.left & (seen.seen <= HORIZON // 30)) == (loaded.y == 1)).all()


def test_a_silent_customer_is_gone_when_the_horizon_is_over_as_later_snapshots_tell():
    # churned at a snapshot means silent for the whole horizon after it
    frame = examples(world()).with_columns(left_at=pl.lit(None, dtype=pl.Datetime("us")))
    loaded = load_examples(frame, contract(), moments(), seed=1)
    seen = Lookout(History.model_validate(SILENCE), loaded, moments(), 1).ahead(
        np.arange(len(loaded.y)), FINAL
    )
    assert seen.first == 3
    assert (seen.seen[loaded.y == 1] == 3).all()
    assert seen.left[loaded.y == 1].all()
    assert not (seen.left & (seen.seen <= 3))[loaded.y == 0].any()
    _, month, _ = seen.person_months()
    assert month.min() == 3


def test_silence_is_known_when_the_days_of_the_wall_clock_are_over():
    hour = timedelta(hours=1)  # clocks went back within each horizon: its last day has 25 hours
    looks = moments().with_columns(pl.col("label_end", "label_known") + hour)
    frame = examples(world()).with_columns(left_at=pl.lit(None, dtype=pl.Datetime("us")))
    loaded = load_examples(frame, contract(), looks, seed=1)
    lookout = Lookout(History.model_validate(SILENCE), loaded, looks, 1)
    first = np.flatnonzero((loaded.as_of == BEGIN).to_numpy())
    over = BEGIN + timedelta(days=HORIZON)
    assert lookout.ahead(first, over).seen.max() == 0
    assert lookout.ahead(first, over + hour).seen.min() == HORIZON // 30


def test_a_constant_hazard_is_found_again():
    monthly = 0.05
    loaded = load_examples(examples(world(monthly=monthly)), contract(), moments(), seed=1)
    lookout = Lookout(History.model_validate(ENDS), loaded, moments(), 1)
    matrix = lambda frame: frame.to_numpy().astype(np.float32)  # noqa: E731 - all that is asked of a scorer
    rows = np.arange(len(loaded.y))
    p = np.full(len(rows), 1 - (1 - monthly) ** 3)
    found = lookout.fit(SimpleNamespace(matrix=matrix), rows, p, FINAL)
    X = np.zeros((1, 1), dtype=np.float32)
    curve = found.curve(X, p[:1])[0]
    # the standard error of survival at 12 months from 1,500 customers is .013; three of them
    assert curve == pytest.approx((1 - monthly) ** np.arange(1, MONTHS + 1), abs=0.04)
    assert found.expected_months(X, p[:1])[0] == pytest.approx(-1 / np.log(1 - monthly), rel=0.15)


def test_the_measured_hazard_learns_of_no_leaving_that_was_not_final_when_the_last_period_began():
    grace = 60
    looks = moments().with_columns(pl.col("label_known") + timedelta(days=grace))
    frame = examples(world(monthly=0.1))
    described = ENDS | {"churn": ENDS["churn"] | {"grace_days": grace}}
    scorer = SimpleNamespace(matrix=lambda frame: frame.to_numpy().astype(np.float32))

    def measured(given):
        loaded = load_examples(given, contract(), looks, seed=1)
        plan = loaded.schedule
        rows = loaded.sample(plan.before(plan.last), len(loaded.y))
        last = loaded.sample(np.array([plan.last]), len(loaded.y))
        y = loaded.y[rows]
        backtest = SimpleNamespace(
            rows=rows, pipeline=np.full(len(rows), 0.3), labelled=y >= 0, known={loaded.schedule.last: y}
        )
        lookout = Lookout(History.model_validate(described), loaded, looks, 1)
        found = fit_survival(lookout, backtest, (scorer, scorer), (last, np.full(len(last), 0.3)), FINAL)
        return plan.periods[plan.last].begin, found.metrics

    begin, metrics = measured(frame)
    pending = pl.col("left_at").is_between(begin - timedelta(days=grace), begin, closed="left")
    back = frame.with_columns(left_at=pl.when(~pending).then(pl.col("left_at")))
    assert frame.filter(pending).height > 100
    assert measured(back) == (begin, metrics)


def test_customers_who_all_stay_teach_no_hazard():
    left = np.r_[world()[:500], np.full(200, np.inf)]
    loaded = load_examples(examples(left), contract(), moments(), seed=1)
    lookout = Lookout(History.model_validate(ENDS), loaded, moments(), 1)
    stay = np.flatnonzero(loaded.ids.is_in([f"c{who}" for who in range(500, 700)]).to_numpy())
    assert lookout.fit(SimpleNamespace(), stay, np.full(len(stay), 0.1), FINAL) is None


def test_months_before_the_first_that_can_be_are_at_no_risk():
    row, month, event = Ahead(
        3, np.array([0, 2, 3, 5]), np.array([False, False, True, False])
    ).person_months()
    assert row.tolist() == [2, 3, 3, 3]
    assert month.tolist() == [3, 3, 4, 5]
    assert event.tolist() == [1, 0, 0, 0]
