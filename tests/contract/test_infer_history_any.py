"""Whatever the tables hold, a history is guessed that holds together, or the reason is one clear error."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, timedelta

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contract.guess.history import infer_history
from holdfast.contract.load import parse_history
from holdfast.contract.write_history import render_history
from holdfast.errors import DataError, UsageError

ROWS = 24
WORDS = """
    customer_id id user order_id date created_at updated_at begin end start_date end_date known_at status
    event_type amount closed_at note churned is_cancel total_charges
"""
NAMES = st.sampled_from(WORDS.split()) | st.text(max_size=4)
TABLES = st.sampled_from(["customers", "orders", "subscriptions", "x.csv"])
DAYS = st.dates(date(2020, 1, 1), date(2023, 1, 1))
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2023, 1, 1))  # noqa: DTZ001 - as files have them
VALUES = st.one_of(
    st.integers(0, 9),
    st.integers(-(2**62), 2**62),
    st.floats(),
    st.booleans(),
    DAYS,
    MOMENTS,
    DAYS.map(str),
    DAYS.map(lambda day: f"{day:%d/%m/%y}"),
    MOMENTS.map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(["No", "", " ", "none", "cancelled", "failed", "paid", "1,5", "20200101", "\x00\x1b"]),
    st.text(max_size=4),
    st.timedeltas(timedelta(0), timedelta(9)),
    st.lists(st.integers(0, 3), max_size=2),
)


@st.composite
def column(draw):
    """Values of mostly one type: a few different ones, or a counter."""
    if draw(st.integers(0, 3)) == 0:
        return pl.Series(range(ROWS))
    first = draw(VALUES)
    alike = VALUES.filter(lambda value: type(value) is type(first))
    pool = [first, *draw(st.lists(alike, max_size=3)), *draw(st.sampled_from([[], [None]]))]
    return pl.Series([pool[place % len(pool)] for place in range(ROWS)], strict=False)


@st.composite
def table(draw):
    """A table with a key and times, most of the time, and columns of anything."""
    whose = draw(st.sampled_from([ROWS, 6, 6]))
    times = draw(
        st.lists(st.sampled_from(["date", "start_date", "end_date", "known_at", "closed_at"]), max_size=3)
    )
    columns = {"customer_id": pl.Series([f"c{place % whose}" for place in range(ROWS)])}
    for name in times:
        days = draw(st.lists(DAYS, min_size=2, max_size=5)) + draw(st.sampled_from([[], [None]]))
        written = draw(st.sampled_from([None, "%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%Y-%m-%d 10:00:00"]))
        values = pl.Series([days[place * 7 % len(days)] for place in range(ROWS)])
        columns[name] = values if written is None else values.dt.strftime(written).fill_null("No")
    columns |= draw(st.dictionaries(NAMES, column(), max_size=3))
    return pl.DataFrame(columns)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(TABLES, table(), min_size=1, max_size=3))
def test_any_tables_give_a_contract_that_loads_or_a_clear_error(tables):
    try:
        inferred = infer_history(tables)
    except (UsageError, DataError):
        return
    history = inferred.history
    text = render_history(history, inferred.notes, inferred.left_out)
    assert parse_history(tomllib.loads(text)) == history
    assert set(history.tables).isdisjoint(inferred.left_out)
