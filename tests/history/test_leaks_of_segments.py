from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from small_histories import history

from holdfast.history.leaks import find_leaks
from holdfast.history.leaks_of_segments import segment_of_today
from holdfast.history.prepare import prepare

DAYS, EARLY = 700, 250
START = datetime(2022, 1, 1)  # noqa: DTZ001 - canonical times are naive UTC
WORDS = {"number": "the number of sales", "last": "the last sales.at", "sum": "the sum of sales.amount"}
SEEDS = range(20)


def world(seed, customers=1_500, stays=(3_000, 200)):
    """Purchases of heavy buyers, who mostly stay, and light ones, who soon go; who is which, and when.

    Rates differ from 3 to 40 times, from seed to seed, and half of the worlds vary them among customers, too.
    """
    rng = np.random.default_rng(seed)
    joined = np.floor((DAYS - 30) * rng.random(customers) ** (1.0, 0.5, 2.0)[seed % 3])
    heavy = rng.random(customers) < 0.4
    ratio = (3, 5, 10, 20, 40)[seed % 5]
    rate = np.where(heavy, ratio**0.5, ratio**-0.5) / (30, 60, 90)[seed % 3]
    rate *= rng.gamma(4, 1 / 4, customers) if seed % 2 else 1
    stays = rng.exponential(np.where(heavy, *stays))
    gaps = rng.exponential(1 / rate[:, None], (customers, 200))
    times = joined[:, None] + np.concatenate([np.zeros((customers, 1)), gaps.cumsum(axis=1)], axis=1)
    who, _ = np.nonzero(times < np.minimum(DAYS, joined + stays)[:, None])
    at = times[times < np.minimum(DAYS, joined + stays)[:, None]]
    amount = rng.lognormal(3, 0.5, len(at)) * np.where(heavy[who], 2, 1)
    sales = pl.DataFrame({"_customer": who, "at": at, "amount": amount})
    return rng, sales, heavy, joined, rate


def totals(sales, by):
    seconds = (pl.lit(START).dt.epoch("s") + pl.col("at").max() * 86_400).alias("last")
    known = sales.filter(pl.col("at") < by)
    return known.group_by("_customer").agg(
        pl.len().alias("number"), seconds, pl.col("amount").sum().alias("sum")
    )


def judged(sales, levels):
    """Why each of the categories is a segment of today, or None."""
    now, then = totals(sales, DAYS), totals(sales, EARLY)
    today = START + timedelta(days=DAYS)
    return {
        name: segment_of_today(
            levels.select("_customer", _value=pl.col(name).cast(pl.String)), now, then, WORDS, today
        )
        for name in levels.columns
        if name != "_customer"
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_true_categories_are_no_segments_of_today_however_they_go_with_activity(seed):
    rng, sales, heavy, joined, rate = world(seed)
    n = len(heavy)
    first = sales.sort("at").group_by("_customer", maintain_order=True).first().sort("_customer")["amount"]
    levels = {
        "sort of buyer": heavy,
        "nearly so": heavy ^ (rng.random(n) < 0.05),
        "rate": np.digitize(rate, np.quantile(rate, [0.25, 0.5, 0.75])),
        "joined": joined // 60,
        "first basket": first.to_numpy() > 30,
        "province": rng.integers(0, 30, n),
        "rare": rng.random(n) < 0.03,
        "asked of few": np.where(rng.random(n) < 0.5, None, "yes"),
    }
    levels = pl.DataFrame({"_customer": np.arange(n), **{k: v.astype(str) for k, v in levels.items()}})
    assert {name: why for name, why in judged(sales, levels).items() if why} == {}


RECENCY = DAYS - pl.col("last")
MANY = pl.col("number") >= 4
SEGMENTS = {
    "the last sales.at": [
        RECENCY < 90,
        pl.when(RECENCY < 60).then(pl.lit("Champion")).when(RECENCY < 180).then(pl.lit("At risk")),
        pl.concat_str(pl.when(RECENCY < 90).then(pl.lit("a")).otherwise(pl.lit("b")), MANY.cast(pl.String)),
    ],
    "the number of sales": [pl.col("number") > 1, pl.min_horizontal(pl.col("number") // 3, 2)],
    "the sum of sales.amount": [pl.col("sum").rank() * 3 // (pl.len() + 1)],
}


@pytest.mark.parametrize("seed", [3, 6, 9, 12])
@pytest.mark.parametrize("said", SEGMENTS)
def test_a_segment_that_is_cut_out_of_what_customers_did_by_today_is_told_with_its_rule(seed, said):
    _, sales, *_ = world(seed, customers=4_000, stays=(600, 400))
    own = totals(sales, DAYS).with_columns((pl.col("last") - pl.lit(START).dt.epoch("s")) / 86_400)
    made = own.select("_customer", *[s.cast(pl.String).alias(str(n)) for n, s in enumerate(SEGMENTS[said])])
    for why in judged(sales, made).values():
        assert why is not None
        assert why.startswith("the state of today: it is ")


def test_a_segment_that_was_cut_at_the_early_snapshot_is_honest():
    _, sales, *_ = world(1, customers=4_000)
    then = totals(sales, EARLY).select(
        "_customer", many=pl.col("number") >= 3, spent=pl.col("sum").rank() * 3 // (pl.len() + 1)
    )
    assert judged(sales, then) == {"many": None, "spent": None}


def test_check_names_the_column_and_says_what_to_do(tmp_path):
    _, sales, heavy, *_ = world(1, customers=3_000, stays=(600, 400))
    last = sales.group_by("_customer").agg(pl.col("at").max())
    people = last.select(
        customer="_customer",
        segment=pl.when(pl.col("at") > DAYS - 90).then(pl.lit("Active")).otherwise(pl.lit("Lost")),
        kind=pl.col("_customer").replace_strict(dict(enumerate(heavy.tolist())), return_dtype=pl.Boolean),
    )
    people.write_csv(tmp_path / "people.csv")
    at = START + pl.duration(minutes=(pl.col("at") * 1_440).cast(pl.Int64))
    sales.select(customer="_customer", at=at, amount="amount").write_csv(tmp_path / "sales.csv")
    columns = {"segment": {"kind": "category"}, "kind": {"kind": "boolean"}}
    contract = history(
        {
            "people": {"kind": "customers", "columns": columns},
            "sales": {"kind": "events", "time": "at", "columns": {"amount": {"kind": "number"}}},
        },
        {"event": "inactivity", "table": "sales", "horizon_days": 90},
    )
    (leak,) = find_leaks(contract, prepare(contract, tmp_path, tmp_path / "out"), tmp_path)
    assert leak.place == "people.segment"
    assert 'it is "Active" where the last sales.at by today is after 2023-09-0' in leak.reason
    assert 'exclude = "leak: the state of today"' in leak.advice
