"""What a backtest could judge, against what training does with the same snapshots."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_histories import history

from holdfast.history.judged import judged
from holdfast.history.periods import periods
from holdfast.history.prepare import prepare
from holdfast.history.sensitivity import sensitivity
from holdfast.quality.enough import LEAST_EACH
from holdfast.training.periods import MOST_JUDGED, PeriodsError, schedule

BEGIN = datetime(2024, 1, 1)  # noqa: DTZ001 - instants are naive UTC
COUNTS = st.sampled_from([0, 5, 12, 20, 40])
SNAPSHOT = st.tuples(st.integers(0, 300), COUNTS, COUNTS)


@given(
    st.lists(
        st.tuples(st.integers(0, 300), COUNTS, COUNTS), min_size=1, max_size=30, unique_by=lambda s: s[0]
    ),
    st.integers(1, 100),
)
def test_it_judges_what_training_judges(told, wait):
    """Of each snapshot: its day, and how many left and stayed; labels are known so many days after it."""
    kept = sorted(some for some in told if some[1] + some[2])
    if not kept:
        return
    as_of = [BEGIN + timedelta(days=day) for day, _, _ in kept]
    frame = pl.DataFrame(
        {
            "as_of": as_of,
            "label_known": [moment + timedelta(days=wait) for moment in as_of],
            "churned": [left for _, left, _ in kept],
            "stayed": [stayed for _, _, stayed in kept],
        }
    )
    able, chosen = judged(frame, "UTC", LEAST_EACH)
    found, numbered = periods(frame)
    number = dict(numbered.iter_rows())
    period = np.repeat([number[moment] for moment in as_of], [left + stayed for _, left, stayed in kept])
    y = np.concatenate([np.repeat(np.array([1, 0], np.int8), some[1:]) for some in kept])
    try:
        plan = schedule(found, period, y)
    except PeriodsError:
        assert (able, chosen) == (0, 0)
    else:
        assert able > 0
        assert min(chosen, MOST_JUDGED) == len(plan.judged)


def visits(folder, weeks, horizon, **clock):
    """200 customers who come each week; 3 % of those who are left stay away from each week on."""
    rng = np.random.default_rng(4)
    until = np.minimum(rng.geometric(0.03, 200), weeks)
    first = date(2023, 1, 2)
    lines = [f"c{n},{first + timedelta(days=7 * k + n % 7)}" for n in range(200) for k in range(until[n])]
    (folder / "visits.csv").write_text("\n".join(["customer,at", *lines]) + "\n")
    churn = {"event": "inactivity", "table": "visits", "horizon_days": horizon}
    contract = history({"visits": {"kind": "events", "time": "at"}}, churn, **clock)
    return "\n".join(sensitivity(contract, prepare(contract, folder, folder / "out")).warnings)


@pytest.mark.parametrize(
    ("weeks", "horizon", "clock", "said"),
    [
        (
            31,
            30,
            {"snapshots": "weekly"},
            'Only the last of the matured months .* Write snapshots = "monthly"',
        ),
        (31, 30, {"snapshots": "monthly"}, None),
        (24, 30, {"snapshots": "monthly"}, "No month can be judged .* A longer history would help"),
        (16, 7, {"snapshots": "weekly"}, "No month can be judged .* A longer history would help"),
    ],
)
def test_what_cannot_be_judged_is_told_with_what_helps(tmp_path, weeks, horizon, clock, said):
    told = visits(tmp_path, weeks, horizon, **clock)
    if said is None:
        assert "can be judged" not in told
    else:
        assert re.search(said, told)
