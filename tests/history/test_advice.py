"""What is said of leavers between windows, of ends on firsts of months and of silence before a snapshot."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

import pytest
from small_histories import history

from holdfast.history.prepare import prepare
from holdfast.history.sensitivity import sensitivity

END = {"event": "end", "table": "plans", "horizon_days": 30}
YEAR = {"first": "2024-01-01", "until": "2025-01-01"}
LAST_DAYS = [date(2024, month, monthrange(2024, month)[1]) for month in range(1, 13)]
FIRSTS = [date(2024, month, 1) for month in range(1, 13)]
ANY_DAYS = [date(2024, 1, 1) + timedelta(days=3 * n) for n in range(120)]


def checked(folder, leave_on, churn, clock):
    """480 customers, of whom 240 leave, each on one of these days; every second of them dies."""
    lines = ["customer,begin,end,reason"]
    for n in range(480):
        end = f"{leave_on[n // 2 % len(leave_on)]},{'death' if n % 4 else 'price'}" if n % 2 == 0 else ","
        lines.append(f"c{n},2023-01-01,{end}")
    (folder / "plans.csv").write_text("\n".join(lines) + "\n")
    columns = {"reason": {"kind": "category", "levels": ["death", "price"]}}
    tables = {"plans": {"kind": "intervals", "begin": "begin", "end": "end", "columns": columns}}
    contract = history(tables, churn, **clock)
    found = sensitivity(contract, prepare(contract, folder, folder / "out"))
    return found, "\n".join(found.warnings)


def test_who_leaves_on_a_31st_lies_in_no_window_of_30_days_and_that_is_told(tmp_path):
    found, told = checked(tmp_path, LAST_DAYS, END, YEAR)
    assert "140 of 240 who left lie in no snapshot's window" in told  # 20 in each of the long months
    assert "so the 31st of a month is in none. Write horizon_days = 31 under [churn], or snapshots" in told
    assert "threefold" not in told
    assert [s.between for s in found.snapshots if s.as_of.month in (1, 4)] == [20, 0, 0]
    assert found.variants[0].churned == 100


@pytest.mark.parametrize(
    ("leave_on", "changed"),
    [(LAST_DAYS, {"horizon_days": 31}), (ANY_DAYS, {})],
    ids=["31 days", "any day"],
)
def test_where_hardly_anybody_leaves_between_windows_nothing_is_said(tmp_path, leave_on, changed):
    _, told = checked(tmp_path, leave_on, END | changed, YEAR)
    assert "no snapshot's window" not in told


def test_who_leaves_for_a_cause_that_does_not_count_is_not_missed(tmp_path):
    _, told = checked(tmp_path, LAST_DAYS, END | {"cause": "reason", "causes": ["price"]}, YEAR)
    assert "80 of 120 who left lie in no snapshot's window" in told  # in odd months, of which four are long


def test_dates_far_apart_leave_out_what_lies_between_on_purpose(tmp_path):
    clock = {"snapshots": ["2024-01-01", "2024-06-01", "2024-09-01"], "until": "2025-01-01"}
    _, told = checked(tmp_path, LAST_DAYS, END, clock)
    assert "no snapshot's window" not in told


def test_months_that_are_missing_are_told_of_though_windows_leave_some_out(tmp_path):
    gap = [day for day in LAST_DAYS if day.month not in (6, 7)]
    _, told = checked(tmp_path, gap, END, YEAR)
    assert "no snapshot's window" in told
    assert "The churn rate changes threefold" in told


def test_for_ends_on_firsts_the_day_to_which_they_are_recorded_is_given(tmp_path):
    later = {"first": "2024-01-01", "until": "2025-02-10"}  # the ends of 1 January and 1 February are missing
    _, told = checked(tmp_path, FIRSTS, END, later)
    assert "240 of the 260 who churn leave on the first day that counts" in told  # and 20 on 1 March too
    assert (
        "lead_days = 1 and horizon_days = 31 look at the next one instead; then write until = 2025-01-01"
        in told
    )
    half = END | {"lead_days": 1, "horizon_days": 31}
    _, told = checked(tmp_path, FIRSTS, half, later)
    assert "Nobody leaves in the windows of the last 2 of 13 matured snapshots" in told
    assert "the last left on 2024-12-01. If so, write until = 2025-01-01 under [clock]." in told
    found, told = checked(tmp_path, FIRSTS, half, later | {"until": "2025-01-01"})
    assert all(s.churned == 20 for s in found.snapshots if s.mature)
    assert "write until" not in told


@pytest.mark.parametrize(("active", "said"), [({}, True), ({"active_days": 60}, False)])
def test_customers_who_are_silent_long_before_they_are_judged_are_told_of(tmp_path, active, said):
    """Half of all were last seen in 2022, the others come every ten days."""
    lines = [f"c{n},2022-11-05" for n in range(100)]
    lines += [f"c{n},{date(2023, 1, 1) + timedelta(days=10 * k)}" for n in range(50) for k in range(60)]
    (tmp_path / "visits.csv").write_text("\n".join(["customer,at", *lines]) + "\n")
    churn = {"event": "inactivity", "table": "visits", "horizon_days": 30} | active
    contract = history({"visits": {"kind": "events", "time": "at"}}, churn)
    told = "\n".join(sensitivity(contract, prepare(contract, tmp_path, tmp_path / "out")).warnings)
    words = (
        "50% of those judged last have been silent for longer than the horizon already. Write active_days ="
    )
    assert (words in told) is said
