"""No feature depends on anything that happened, ended or became known after as_of."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from feature_worlds import (
    AS_OF,
    BEGIN,
    CONTRACT,
    INSTANT,
    SCHEMAS,
    bits,
    cut_down,
    everyone,
    features_of,
    versions,
    worlds,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.history.compile import features_sql
from holdfast.history.engines.duck import Duck
from holdfast.history.moments import moments


@settings(max_examples=20, deadline=None)
@given(worlds(), st.sampled_from(AS_OF))
def test_features_of_all_equal_those_of_what_was_known_then_bit_for_bit(tables, as_of):
    spine = everyone([as_of])
    assert bits(features_of(tables, spine)) == bits(features_of(cut_down(tables, as_of), spine))


@settings(max_examples=10, deadline=None)
@given(worlds(), worlds(), st.sampled_from(AS_OF))
def test_rows_of_the_future_change_nothing(tables, later, as_of):
    def moved(name, frame):
        start = "_time" if name == "payments" else "_begin"
        by = pl.lit(as_of).cast(INSTANT) - pl.lit(BEGIN).cast(INSTANT)
        happened = frame.with_columns(pl.col(start, "_known") + by, pl.col("_id") + " later")
        told = frame.with_columns(pl.lit(as_of + timedelta(microseconds=1)).cast(INSTANT).alias("_known"))
        return pl.concat([happened.filter(pl.col(start) >= as_of), told])

    more = {name: versions(pl.concat([frame, moved(name, later[name])])) for name, frame in tables.items()}
    spine = everyone([as_of])
    assert bits(features_of(tables, spine)) == bits(features_of(more, spine))


@settings(max_examples=8, deadline=None)
@given(worlds())
def test_features_have_one_row_for_each_row_of_the_spine_and_zeros_where_nothing_happened(tables):
    spine = everyone()
    found = features_of(tables, spine)
    assert found.select("_customer", "as_of").equals(spine.sort("_customer", "as_of"))
    nobody = found.filter(pl.col("_customer") == "D")
    counts = [name for name in found.columns if "_count_" in name and not name.endswith("_trend")]
    assert nobody.select(counts).sum().sum_horizontal().item() == 0
    assert nobody["payments_amount_mean_90d"].null_count() == nobody.height


@pytest.fixture(scope="module")
def large():
    """A world large enough for threads to add up partial sums in an order of their own."""
    chance = np.random.default_rng(5)
    events, customers = 300_000, 40
    names = np.array([f"C{n:02}" for n in range(customers)])
    at = chance.integers(0, 170 * 86_400, events)
    frame = pl.DataFrame(
        {
            "_customer": names[chance.integers(0, customers, events)],
            "_id": np.arange(events).astype(str),
            "_known": at + chance.choice([0, 0, 864_000], events),
            "_time": at,
            "amount": np.exp(chance.normal(3, 2, events)),
            "items": chance.integers(0, 9, events),
            "status": np.array(["paid", "failed"])[chance.integers(0, 2, events)],
        }
    ).with_columns(
        (pl.lit(BEGIN).cast(INSTANT) + pl.duration(seconds=pl.col("_known"))).alias("_known"),
        (pl.lit(BEGIN).cast(INSTANT) + pl.duration(seconds=pl.col("_time"))).alias("_time"),
    )
    empty = {column: kind for column, kind in SCHEMAS["payments"].items() if column not in frame.columns}
    payments = frame.with_columns(pl.lit(None, kind).alias(column) for column, kind in empty.items())
    tables = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()}
    spine = pl.DataFrame({"_customer": names}).join(
        pl.DataFrame({"as_of": [AS_OF[1]]}, {"as_of": INSTANT}), how="cross"
    )
    return tables | {"payments": payments.select(*SCHEMAS["payments"])}, spine


def run_on_files(tables, spine, folder):
    folder.mkdir()
    for name, frame in tables.items():
        frame.sort("_customer").write_parquet(folder / f"{name}.parquet", row_group_size=7_001)
    with Duck(folder, list(tables), threads=4) as engine:
        engine.store("moments", moments(CONTRACT, [AS_OF[1]]))
        engine.store("spine", spine)
        return engine.query(features_sql(CONTRACT)).sort("_customer", "as_of")


def test_sums_of_many_threads_are_the_same_bits_whatever_else_the_files_hold(large, tmp_path):
    tables, spine = large
    whole = run_on_files(tables, spine, tmp_path / "whole")
    known = run_on_files(cut_down(tables, AS_OF[1]), spine, tmp_path / "known")
    assert whole["payments_count_ever"].min() > 3_000
    assert bits(whole) == bits(known)


def test_an_end_that_is_not_yet_past_is_as_good_as_none():
    plan = {"_customer": "A", "_id": "1", "_begin": BEGIN, "_known": BEGIN, "plan": "S", "price": 9.0}
    ends = {"open": None, "planned": AS_OF[1], "past": AS_OF[1] - timedelta(microseconds=1)}
    force = {}
    for word, end in ends.items():
        plans = versions(pl.DataFrame([plan | {"_end": end}], SCHEMAS["plans"]))
        tables = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()} | {"plans": plans}
        found = features_of(tables, everyone([AS_OF[1]]).filter(pl.col("_customer") == "A"))
        force[word] = (
            found["plans_in_force"].item(),
            found["plans_price"].item(),
            found["plans_ended_7d"].item(),
        )
    assert force == {"open": (1, 9.0, 0), "planned": (1, 9.0, 0), "past": (0, None, 1)}
