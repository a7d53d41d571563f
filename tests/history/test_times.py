from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.history.times import (
    Doubts,
    counts_from_epoch,
    day_begin,
    day_first_at,
    next_day,
    read_times,
    shows_day_first,
    to_utc,
    to_wall,
)

# In Berlin, day first: what is written, the instant in UTC, and whether it is a day alone.
WRITTEN = [
    ("2024-03-05", "2024-03-04 23:00:00", True),
    ("2024-07-05", "2024-07-04 22:00:00", True),
    ("2024-03-05 08:26", "2024-03-05 07:26:00", False),
    ("2024-03-05T08:26:01", "2024-03-05 07:26:01", False),
    ("2024-03-05 08:26:01.250", "2024-03-05 07:26:01.250000", False),
    ("2024-03-05T08:26:01.123456789", "2024-03-05 07:26:01.123456", False),
    ("2024-03-05T08:26:01Z", "2024-03-05 08:26:01", False),
    ("2024-03-05 08:26:01+02:00", "2024-03-05 06:26:01", False),
    ("2024-03-05T08:26:01-0530", "2024-03-05 13:56:01", False),
    ("2024-03-05T08:26:01+02", "2024-03-05 06:26:01", False),
    ("2024-03-05 08:26 UTC", "2024-03-05 08:26:00", False),
    ("1/12/2010 8:26", "2010-12-01 07:26:00", False),
    ("13.12.2010 08:26:30", "2010-12-13 07:26:30", False),
    ("13-12-10", "2010-12-12 23:00:00", True),
    ("5 March 2024", "2024-03-04 23:00:00", True),
    ("Mar 5, 2024 8:26 PM", "2024-03-05 19:26:00", False),
    ("05/03/2024 12:00 am", "2024-03-04 23:00:00", False),
    ("20240305", "2024-03-04 23:00:00", True),
    (" 2024-02-29 ", "2024-02-28 23:00:00", True),
    ("2024-03-31 02:30", "2024-03-31 01:30:00", False),  # skipped: by the offset before
    ("2024-10-27 02:30", "2024-10-27 00:30:00", False),  # twice: the first
    ("2023-02-29", "None", False),
    ("2024-03-05 25:00", "None", False),
    ("2024-03-05 08:61", "None", False),
    ("2024-03-05 13:00 pm", "None", False),
    ("08:26", "None", False),
    ("soon", "None", False),
    ("1700000000", "None", False),
    ("", "None", False),
]


@pytest.mark.parametrize(("written", "instant", "dated"), WRITTEN)
def test_a_time_is_read_as_it_is_written(written, instant, dated):
    for others in ([], ["2024-01-01", "soon", None]):  # alone as among others
        times = read_times(
            pl.Series([written, *others], dtype=pl.String), zone="Europe/Berlin", day_first=True
        )
        assert times is not None
        assert (str(times.instant[0]), times.dated[0]) == (instant, dated)


def test_the_month_comes_first_unless_told_otherwise():
    times = read_times(pl.Series(["1/12/2010 8:26"]), zone="UTC", day_first=False)
    assert times is not None
    assert times.instant[0] == datetime(2010, 1, 12, 8, 26)  # noqa: DTZ001 - canonical times are naive UTC


ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/St_Johns", "America/Sao_Paulo", "Australia/Lord_Howe"]
)
WALLS = st.datetimes(datetime(1995, 1, 1), datetime(2035, 1, 1))  # noqa: DTZ001 - of the wall


@given(walls=st.lists(WALLS, min_size=1, max_size=20), zone=ZONES, half=st.booleans())
def test_wall_clock_times_are_the_instants_that_zoneinfo_says(walls, zone, half):
    if half:  # where clocks change
        walls = [wall.replace(minute=30 * (wall.minute // 30), second=0, microsecond=0) for wall in walls]
    expected = [w.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) for w in walls]
    instants = to_utc(pl.Series(walls, dtype=pl.Datetime("us")), zone)
    assert instants.to_list() == expected
    back = [i.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for i in expected]
    assert to_wall(instants, zone).to_list() == back


@given(day=st.dates(date(2015, 1, 1), date(2030, 1, 1)), zone=ZONES)
def test_a_day_begins_where_the_one_before_ends(day, zone):
    begin = to_utc(pl.Series([day]).cast(pl.Datetime("us")), zone)
    after = to_utc(pl.Series([day + timedelta(days=1)]).cast(pl.Datetime("us")), zone)
    assert next_day(begin, zone).to_list() == after.to_list()
    last = after - timedelta(microseconds=1)
    assert day_begin(last, zone).to_list() == begin.to_list()


@given(walls=st.lists(WALLS, min_size=1, max_size=10), zone=ZONES)
def test_text_and_typed_columns_give_the_same_times(walls, zone):
    typed = pl.Series(walls, dtype=pl.Datetime("us"))
    zoned = to_utc(typed, zone).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    forms = [
        typed,
        zoned,
        typed.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"),
        zoned.dt.strftime("%Y-%m-%d %H:%M:%S%.6f%:z"),
    ]
    found = [read_times(form, zone=zone, day_first=False) for form in forms]
    assert all(
        times is not None and times.instant.to_list() == to_utc(typed, zone).to_list() for times in found
    )


def test_a_date_column_is_days_alone():
    times = read_times(pl.Series([date(2024, 3, 5), None]), zone="Europe/Berlin", day_first=False)
    assert times is not None
    assert times.dated.to_list() == [True, False]
    assert str(times.instant[0]) == "2024-03-04 23:00:00"


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ([1_700_000_000, 1_700_000_060], True),
        (["1700000000", "1700000060.5", None], True),
        ([1.7e9], True),
        ([20_240_305, 20_240_306], False),
        (["2024-03-05", "1700000000", "2024-03-06"], False),
    ],
)
def test_numbers_that_count_from_an_epoch_are_told(values, epoch):
    assert counts_from_epoch(pl.Series(values)) is epoch


def test_values_show_whether_the_day_comes_first():
    assert shows_day_first(pl.Series(["1/12/2010", "13/12/2010 8:26", None]))
    assert not shows_day_first(pl.Series(["1/12/2010"]))
    assert not shows_day_first(pl.Series([*["2010-12-01"] * 30, "13/12/2010"]))  # a slip, to be rejected
    assert shows_day_first(pl.Series([*["2010-12-01"] * 6, "1/12/2010", "13/12/2010", "2 Dec 2010"]))
    assert not shows_day_first(pl.Series(["12/13/2010", "13/12/2010"]))
    assert not shows_day_first(pl.Series(["2024-13-12"]))


def test_where_the_day_is_shown_to_come_first_is_told():
    assert day_first_at(pl.Series([None, "2010-12-01", "1/12/2010", " 13/12/2010 8:26", "14/12/2010"])) == 3
    assert day_first_at(pl.Series(["1/12/2010", "12/13/2010"])) is None


DATES = st.dates(date(2020, 1, 1), date(2024, 12, 31))
SPELT = st.tuples(DATES, st.sampled_from(["%Y-%m-%d"] * 4 + ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y"]))
COLUMNS = st.lists(st.none() | st.just("soon") | SPELT.map(lambda one: one[0].strftime(one[1])), max_size=40)


@given(column=COLUMNS, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_which_columns_leave_open_what_they_mean_does_not_depend_on_the_batches(column, cuts):
    series = pl.Series("at", column, dtype=pl.String)
    whole, parts = Doubts(), Doubts()
    bounds = [0, *sorted(cuts), len(column)]
    for doubts, batches in (
        (whole, [series]),
        (parts, [series[one:other] for one, other in pairwise(bounds)]),
    ):
        for batch in batches:
            doubts.look("at", batch, read_times(batch, zone="UTC", day_first=False).instant.is_not_null())
    assert parts.found() == whole.found()
    assert parts.day_first() == whole.day_first()


ISO = ["2021-05-18", "2021-06-30 08:00", "20210701", "Mar 5, 2024"]


@pytest.mark.parametrize(
    ("written", "open_"),
    [
        ("03/04/2021", True),
        (" 3.4.21 8:26", True),
        ("03-04-2021", True),
        ("04/04/2021", False),  # both readings are one
        ("13/04/2021", False),
        ("04/13/2021", False),
        ("00/04/2021", False),
        ("2021/03/04", False),
    ],
)
def test_a_value_is_in_doubt_that_can_be_read_in_two_ways_where_others_cannot(written, open_):
    def look(column, *names):
        doubts = Doubts(frozenset(names))
        return doubts, doubts.look("at", column, pl.repeat(value=True, n=len(column), eager=True))

    among = pl.Series("at", [*ISO, written])
    assert look(among)[0].found() == (frozenset({"at"}) if open_ else frozenset())
    assert look(among)[1] is None  # not known before the end
    told = look(among, "at")[1]
    assert told is None or told.to_list() == [False] * 4 + [open_]
    usual = pl.Series("at", [*ISO, *["12/25/2021"] * 4, written])
    assert not look(usual)[0].found()
