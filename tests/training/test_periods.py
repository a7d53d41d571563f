from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.history.periods import Period, periods
from holdfast.training.periods import MOST_JUDGED, PeriodsError, Schedule, schedule

BEGIN = datetime(2023, 1, 1)  # noqa: DTZ001 - naive UTC, as in built tables


def monthly(months, horizon):
    begins = [BEGIN.replace(year=2023 + at // 12, month=at % 12 + 1) for at in range(months)]
    return tuple(Period(f"{b:%Y-%m-%d}", b, b + timedelta(days=horizon)) for b in begins)


def labels(months, each=100, left=30):
    """Period and label of each row: ``left`` of ``each`` in every month."""
    return np.repeat(np.arange(months), each), np.tile(np.arange(each) < left, months).astype(np.int8)


@given(months=st.integers(2, 30), horizon=st.integers(1, 200))
def test_what_teaches_was_known_when_what_it_judges_began(months, horizon):
    found = monthly(months, horizon)
    try:
        plan = schedule(found, *labels(months))
    except PeriodsError:
        assert found[0].known > found[-1].begin
        return
    for number in (*plan.judged, plan.last):
        before = plan.before(number)
        assert len(before)
        assert all(found[k].known <= found[number].begin for k in before)
        assert all(found[k].known > found[number].begin for k in range(months) if k not in before)
    # the last period is judged by a pipeline that was decided on the others, so they were known before it
    assert all(found[k].known <= found[plan.last].begin for k in plan.judged)
    assert plan.last == months - 1
    assert len(plan.judged) <= MOST_JUDGED


def test_a_label_known_the_very_moment_a_period_begins_teaches_it():
    found = (
        Period("a", BEGIN, BEGIN + timedelta(days=90)),
        Period("b", BEGIN + timedelta(days=89), BEGIN + timedelta(days=179)),
        Period("c", BEGIN + timedelta(days=90), BEGIN + timedelta(days=180)),
    )
    plan = Schedule(found, (), 2)
    assert plan.before(2).tolist() == [0]
    assert plan.before(1).tolist() == []


def test_weekly_snapshots_of_a_month_are_one_period_that_is_known_with_the_last_of_them():
    as_of = [BEGIN + timedelta(days=7 * week) for week in range(8)]
    found, numbered = periods(
        pl.DataFrame({"as_of": as_of, "label_known": [moment + timedelta(days=30) for moment in as_of]})
    )
    assert [period.name for period in found] == ["2023-01", "2023-02"]
    assert numbered["period"].to_list() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert found[0].begin == as_of[0]
    assert found[0].known == as_of[4] + timedelta(days=30)


@pytest.mark.parametrize(
    ("zone", "hour"), [("Europe/Berlin", 23), ("America/Toronto", 5), ("Asia/Tokyo", 15)]
)
def test_a_midnight_of_the_zone_lies_in_the_month_that_the_zone_has(zone, hour):
    """Weeks of 2024: Monday, 1 January, ends no December that is 2023 in UTC alone."""
    first = datetime(2024, 1, 1, hour) - timedelta(days=hour > 12)  # noqa: DTZ001 - naive UTC
    as_of = [first + timedelta(days=7 * week) for week in range(6)]
    looks = pl.DataFrame({"as_of": as_of, "label_known": [moment + timedelta(days=30) for moment in as_of]})
    found, numbered = periods(looks, zone)
    assert [period.name for period in found] == ["2024-01", "2024-02-05"]
    assert found[0].begin == first
    assert numbered["period"].to_list() == [0, 0, 0, 0, 0, 1]


def test_a_history_too_short_for_its_horizon_is_refused_with_what_to_change():
    with pytest.raises(PeriodsError, match="No period can be judged") as caught:
        schedule(monthly(3, 90), *labels(3))
    assert "horizon_days" in caught.value.hint


def test_periods_with_hardly_a_leaver_are_not_judged():
    period, y = labels(6)
    y[(period == 3) & (np.arange(len(y)) % 100 > 5)] = 0
    plan = schedule(monthly(6, 20), period, y)
    assert 3 not in plan.judged
    assert plan.last == 5
