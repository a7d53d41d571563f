from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract import Contract
from holdfast.history.periods import Period
from holdfast.training.examples import Examples
from holdfast.training.extent import FOLD_ROWS, FULL, ORDER, REHEARSAL_ROWS, extent_of
from holdfast.training.periods import Schedule
from holdfast.training.recipes import NAMES

MONTHS, HORIZON = 12, timedelta(days=60)
COLUMNS = {f"x{at}": {"kind": "number", "required": False} for at in range(80)}
CONTRACT = Contract.model_validate(
    {
        "name": "t",
        "churn": {"label": "churned", "positive": "1", "negative": "0"},
        "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
        "columns": COLUMNS,
    }
)


def examples(a_month):
    """Labelled rows of twelve months; only how many there are matters."""
    begins = [datetime(2023, month + 1, 1) for month in range(MONTHS)]  # noqa: DTZ001 - naive UTC, as in built tables
    periods = tuple(Period(f"{begin:%Y-%m}", begin, begin + HORIZON) for begin in begins)
    n = MONTHS * a_month
    nothing = pl.Series([None] * n)
    return Examples(
        frame=pl.DataFrame(),
        customer=np.tile(np.arange(a_month), MONTHS),
        ids=nothing,
        as_of=nothing,
        y=np.zeros(n, np.int8),
        period=np.repeat(np.arange(MONTHS), a_month),
        draw=np.random.default_rng(0).random(n),
        schedule=Schedule(periods, tuple(range(3, 9)), MONTHS - 1),
        counts={"rows": n, "customers": a_month},
        totals=np.zeros((MONTHS, 2), np.int64),
        left_at=nothing,
        keys=pl.DataFrame(),
        otherwise=pl.DataFrame(),
    )


SIZES = {size: examples(size) for size in (100, 5_000, 40_000)}


@given(st.sampled_from(sorted(SIZES)), st.floats(1, 2_000), st.floats(1, 2_000))
def test_a_larger_budget_never_tries_less(size, one, other):
    small, large = (extent_of(SIZES[size], CONTRACT, NAMES, budget) for budget in sorted((one, other)))
    assert large.names[: len(small.names)] == small.names
    assert large.fold_rows >= small.fold_rows
    assert large.rehearsal_rows >= small.rehearsal_rows
    assert len(large.rehearsed) >= len(small.rehearsed) or large.fold_rows > small.fold_rows
    assert small.left_out or (small.names, small.rehearsed) == (large.names, large.rehearsed)


def test_by_default_the_build_is_rehearsed_at_full_size_wherever_many_more_rows_are_known():
    found = extent_of(SIZES[40_000], CONTRACT, NAMES, FULL)
    assert (found.fold_rows, found.rehearsal_rows) == (FOLD_ROWS, REHEARSAL_ROWS) == (40_000, 150_000)
    assert found.rehearsed == (4, 5, 6, 7, 8)  # before the one before only January's labels were known
    # 5,000 a month: 35,000 before the last of them, which its fold has learned from
    assert extent_of(SIZES[5_000], CONTRACT, NAMES, FULL).rehearsed == ()
    assert extent_of(SIZES[5_000], CONTRACT, NAMES, 1_000).left_out == ()


def test_what_a_small_budget_leaves_out_is_said():
    found = extent_of(SIZES[40_000], CONTRACT, NAMES, 60)
    assert found.rehearsed == ()
    assert found.names == ORDER[: len(found.names)] != ORDER
    (said,) = found.warnings(60)
    assert said.startswith("A budget of 60 s has no room for:")
    assert "catboost" in said
    assert "rehearsing the build" in said
    (said,) = extent_of(SIZES[40_000], CONTRACT, ("lightgbm",), 120).warnings(120)
    assert said == "A budget of 120 s has no room for: rehearsals on more than 100,000 examples."
    (said,) = extent_of(SIZES[40_000], CONTRACT, ("lightgbm",), 5).warnings(5)
    assert "folds of more than" in said


def test_a_small_table_is_tried_in_full_within_seconds():
    found = extent_of(SIZES[100], CONTRACT, NAMES, 30)
    assert found.names == ORDER
    assert found.left_out == ()
