from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from small_histories import history

from holdfast.history.moments import moments, snapshots
from holdfast.history.problems import HistoryError

SINCE, UNTIL = datetime(2024, 1, 1), datetime(2024, 7, 1)  # noqa: DTZ001 - canonical times are naive UTC
TABLES = {"sales": {"kind": "events", "time": "time"}}
CHURN = {"event": "inactivity", "table": "sales", "horizon_days": 30}


def chosen(**clock) -> list[str]:
    contract = history(TABLES, CHURN, **clock)
    return [f"{moment:%m-%d}" for moment in snapshots(contract.clock, SINCE, UNTIL)]


def test_the_first_snapshot_has_ninety_days_of_events_before_it_and_the_last_is_not_after_the_tables_end():
    assert chosen() == ["04-01", "05-01", "06-01", "07-01"]  # 31 March is the ninetieth day of a leap year


def test_weeks_begin_on_mondays():
    assert chosen(snapshots="weekly", first="2024-04-02", last="2024-04-22") == ["04-08", "04-15", "04-22"]


def test_given_days_need_no_events_before_them_and_are_sorted():
    assert chosen(snapshots=["2024-02-29", "2024-01-15"]) == ["01-15", "02-29"]
    assert chosen(snapshots=["2024-02-29", "2024-01-15"], first="2024-02-01") == ["02-29"]


def test_a_given_day_after_the_tables_end_is_refused():
    with pytest.raises(HistoryError, match="2024-07-02 lies after 2024-07-01"):
        chosen(snapshots=["2024-02-29", "2024-07-02"])


def test_without_any_snapshot_the_error_says_how_far_the_tables_reach():
    with pytest.raises(HistoryError, match="the tables reach from 2024-01-01 to 2024-07-01"):
        chosen(first="2024-08-01")


def test_snapshots_are_midnights_of_the_zone():
    contract = history(TABLES, CHURN, time_zone="Europe/Berlin")
    found = snapshots(contract.clock, SINCE, UNTIL)
    assert [moment.astimezone(UTC).strftime("%m-%d %H") for moment in found] == [
        "03-31 22",
        "04-30 22",
        "05-31 22",
        "06-30 22",
    ]


EDGES = [
    # zone, as_of, lead, horizon, grace, the edges as UTC
    ("UTC", "2024-02-29", 0, 365, 0, "2024-02-29 00", "2025-02-28 00", "2025-02-28 00"),
    ("UTC", "2023-02-28", 1, 1, 1, "2023-03-01 00", "2023-03-02 00", "2023-03-03 00"),
    ("UTC", "2024-02-28", 1, 1, 1, "2024-02-29 00", "2024-03-01 00", "2024-03-02 00"),
    ("Europe/Berlin", "2024-03-30", 1, 1, 1, "2024-03-30 23", "2024-03-31 22", "2024-04-01 22"),
    ("Europe/Berlin", "2024-10-26", 1, 1, 1, "2024-10-26 22", "2024-10-27 23", "2024-10-28 23"),
    ("America/Sao_Paulo", "2018-11-03", 1, 1, 1, "2018-11-04 03", "2018-11-05 02", "2018-11-06 02"),
]


@pytest.mark.parametrize(("zone", "as_of", "lead", "horizon", "grace", "begin", "end", "known"), EDGES)
def test_edges_are_so_many_days_of_the_wall_clock(zone, as_of, lead, horizon, grace, begin, end, known):  # noqa: PLR0917 - a table's columns
    churn = {
        "event": "end",
        "table": "plans",
        "horizon_days": horizon,
        "lead_days": lead,
        "grace_days": grace,
    }
    tables = {"plans": {"kind": "intervals", "begin": "begin", "end": "end"}}
    contract = history(tables, churn, time_zone=zone)
    row = moments(contract, [datetime.fromisoformat(as_of)]).row(0, named=True)
    found = [f"{row[name]:%Y-%m-%d %H}" for name in ("label_begin", "label_end", "label_known")]
    assert found == [begin, end, known]


def test_windows_and_tenure_reach_back_over_a_change_of_clocks():
    churn = CHURN | {"min_tenure_days": 90, "active_days": 7}
    contract = history(TABLES, churn, time_zone="Europe/Berlin", windows=[7, 365])
    row = moments(contract, [datetime(2024, 4, 1)]).row(0, named=True)  # noqa: DTZ001 - of the zone's wall
    assert {name: f"{at:%Y-%m-%d %H}" for name, at in row.items() if name[0] in "wat"} == {
        "as_of": "2024-03-31 22",
        "w7": "2024-03-24 23",
        "w365": "2023-04-01 22",
        "tenure_from": "2024-01-01 23",
        "active_from": "2024-03-24 23",
    }
    plain = moments(history(TABLES, CHURN), [datetime(2024, 4, 1)])  # noqa: DTZ001 - as above
    assert plain["active_from"].to_list() == [None]


def test_of_an_hour_that_clocks_show_twice_the_very_moment_that_is_asked_for_is_taken():
    contract = history(TABLES, CHURN, time_zone="Europe/Berlin")
    asked = [datetime(2024, 10, 27, 0, 30, tzinfo=UTC), datetime(2024, 10, 27, 1, 30, tzinfo=UTC)]
    assert [f"{at:%H:%M}" for at in moments(contract, asked)["as_of"]] == ["00:30", "01:30"]


@pytest.mark.parametrize(
    ("zone", "as_of", "day"),
    [
        ("UTC", "2024-04-01T00:00+00:00", "04-01 00"),
        ("UTC", "2024-04-01T23:59:59.999999+00:00", "04-01 00"),
        ("Europe/Berlin", "2024-04-01", "03-31 22"),
        ("Europe/Berlin", "2024-03-31T22:00+00:00", "03-31 22"),  # the same
        ("Europe/Berlin", "2024-03-31T21:59+00:00", "03-30 23"),
        ("America/Sao_Paulo", "2018-11-04T09:00", "11-04 03"),  # its clocks skipped that midnight
        ("America/Sao_Paulo", "2018-11-04T03:00+00:00", "11-04 03"),
        ("America/Havana", "2024-11-03T12:00", "11-03 04"),  # its clocks showed that midnight twice
    ],
)
def test_the_day_begins_at_its_first_moment_by_the_zone_s_clock_and_not_after_as_of(zone, as_of, day):
    found = moments(history(TABLES, CHURN, time_zone=zone), [datetime.fromisoformat(as_of)])
    assert f"{found['day'].item():%m-%d %H}" == day
    assert found["day"].item() <= found["as_of"].item()


SKIPPED = {
    "Africa/Cairo": "2024-04-26",
    "America/Sao_Paulo": "2018-11-04",
    "America/Asuncion": "2020-10-04",
    "America/Havana": "2024-03-10",
    "Asia/Beirut": "2022-03-27",
    "Asia/Tehran": "2022-03-22",
    "Pacific/Apia": "2011-12-30",  # the whole day
}
"""Days that began at one o'clock: the clocks had no midnight."""


@given(
    st.sampled_from([*SKIPPED]), st.integers(-400, 400), st.integers(-7 * 1440, 7 * 1440), st.integers(0, 365)
)
@example("Africa/Cairo", 0, 0, 7)
@example("America/Sao_Paulo", 0, 30, 90)
def test_edges_are_the_same_however_a_moment_is_written(zone, days, minutes, lead):
    contract = history(TABLES, CHURN | {"lead_days": lead}, time_zone=zone, windows=[1, 7, 30])
    there = ZoneInfo(zone)
    wall = datetime.fromisoformat(SKIPPED[zone]) + timedelta(days=days if minutes % 2 else 0, minutes=minutes)
    aware = wall.replace(tzinfo=there)
    utc = aware.astimezone(UTC)
    local = utc.astimezone(there)
    ways = [wall, aware, utc, local, local.replace(tzinfo=None, fold=local.fold)]
    ways.append(utc.astimezone(ZoneInfo("Asia/Kathmandu")))
    rows = {moments(contract, [way]).row(0) for way in ways}
    assert len(rows) == 1
    assert moments(contract, ways).height == 1


@pytest.mark.parametrize("zone", sorted({*SKIPPED} - {"Pacific/Apia"}))
def test_windows_of_a_day_without_a_midnight_reach_from_day_to_day(zone):
    there, day = ZoneInfo(zone), datetime.fromisoformat(SKIPPED[zone])
    contract = history(TABLES, CHURN, time_zone=zone, windows=[1, 2, 3])
    row = moments(contract, [day.replace(tzinfo=there)]).row(0, named=True)
    edges = [row[name].replace(tzinfo=UTC).astimezone(there) for name in ("w3", "w2", "w1", "as_of")]
    assert [edge.hour for edge in edges] == [0, 0, 0, 1]
    assert [(b.date() - a.date()).days for a, b in pairwise(edges)] == [1, 1, 1]


def test_a_moment_that_is_given_twice_is_there_once():
    contract = history(TABLES, CHURN, time_zone="Europe/Berlin")
    wall, same = datetime(2024, 4, 1), datetime(2024, 3, 31, 22, tzinfo=UTC)  # noqa: DTZ001 - of the zone's wall
    assert moments(contract, [wall, same, wall]).height == 1


@pytest.mark.parametrize("day", [datetime(1, 1, 1), datetime(9999, 12, 31)])  # noqa: DTZ001 - of the zone's wall
def test_a_day_at_the_end_of_the_calendar_is_refused(day):
    with pytest.raises(HistoryError, match="too near to an end of the calendar"):
        moments(history(TABLES, CHURN), [day])


def test_snapshots_on_given_dates_need_one():
    with pytest.raises(ValidationError, match="at least 1 item"):
        history(TABLES, CHURN, snapshots=[])
