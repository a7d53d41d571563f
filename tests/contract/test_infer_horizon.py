"""The horizon that is guessed where customers leave on certain days of a month, and what is said of ends."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from holdfast.contract.guess.history import infer_history
from holdfast.contract.guess.leaving import horizon_of_rate

N = 600
MONTHS = [date(2022, 1, 1) + timedelta(days=31 * n) for n in range(24)]
LAST_DAYS = [month.replace(day=1) - timedelta(days=1) for month in MONTHS[3:]]
FIRSTS = [day + timedelta(days=1) for day in LAST_DAYS]
ANY_DAYS = [date(2022, 4, 1) + timedelta(days=n) for n in range(600)]


def members(leave_on):
    """Half of the members leave, each on one of these days."""
    ends = [leave_on[n * 7 % len(leave_on)] if n % 2 else None for n in range(N)]
    begins = [date(2022, 1, 1) + timedelta(days=n % 60) for n in range(N)]
    return pl.DataFrame({"member": [f"m{n}" for n in range(N)], "from": begins, "to": ends})


def horizon(leave_on, **asked):
    inferred = infer_history({"memberships": members(leave_on)}, customer="member", **asked)
    return inferred.history.churn.horizon_days, inferred.notes["churn", "horizon_days"]


def test_where_many_leave_on_the_last_day_of_a_month_no_31st_is_left_out():
    days, why = horizon(LAST_DAYS)
    assert days == 31
    assert "of all who left did so on the 31st, which 30 days from the first of a month leave out" in why


@pytest.mark.parametrize("leave_on", [FIRSTS, ANY_DAYS], ids=["firsts", "any day"])
def test_elsewhere_the_horizon_stays_what_it_was(leave_on):
    days, why = horizon(leave_on)
    assert days == 30
    assert "31st" not in why


def test_a_horizon_that_is_asked_for_is_not_changed():
    assert horizon(LAST_DAYS, horizon_days=30) == (30, "as asked for")


def test_longer_horizons_leave_no_day_out():
    assert horizon_of_rate(0.0004, pl.Series(LAST_DAYS)) == (60, "")


def test_nobody_reads_of_more_ends_than_there_are_customers():
    """Contracts of ten years whose ends are known of the last four months alone."""
    firsts = [date(2023, 10, 1), date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
    ends = [firsts[n // 2 % 4] if n % 2 else None for n in range(N)]
    begins = [date(2013 + n % 9, 1 + n % 12, 1) for n in range(N)]
    table = pl.DataFrame({"member": [f"m{n}" for n in range(N)], "from": begins, "to": ends})
    inferred = infer_history({"contracts": table}, customer="member")
    assert inferred.history.clock.first == date(2023, 10, 1)
    assert inferred.notes["clock", "first"].startswith(
        "600 customers were there before 2023-10-01 and none of their rows ended until then"
    )
