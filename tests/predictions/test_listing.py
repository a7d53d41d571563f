from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from itertools import chain

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.predictions import listing
from holdfast.predictions.listing import Wanted, WantedError, blocks, count, one, page
from holdfast.store import writing
from holdfast.store.tables import predictions

MANY = 120
FIRST = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
LAST = datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))


def pages(engine, wanted, limit, between=lambda: None):
    cursor, found = None, []
    while True:
        got = page(engine, wanted, cursor=cursor, limit=limit)
        assert len(got.predictions) <= limit
        found += [each["prediction_id"] for each in got.predictions]
        if got.next is None:
            return found
        cursor = got.next
        between()


def meant(row, wanted):
    """The filter, told once more in Python."""
    return (
        (wanted.customer is None or row["customer_id"] == wanted.customer)
        and (wanted.since is None or row["at"] >= wanted.since)
        and (wanted.until is None or row["at"] < wanted.until)
        and (wanted.version is None or row["version"] == wanted.version)
        and (wanted.will_churn is None or row["will_churn"] == wanted.will_churn)
        and (wanted.min_probability is None or row["probability"] >= wanted.min_probability)
        and (wanted.key is None or row["key_id"] == wanted.key)
    )


def filters(noon):
    times = st.none() | st.integers(-5, MANY + 5).map(lambda second: noon + timedelta(seconds=second))
    return st.builds(
        Wanted,
        customer=st.none() | st.sampled_from(["C-0", "C-3", "nobody", "' OR 1=1 --"]),
        since=times,
        until=times,
        version=st.none() | st.sampled_from(["v1", "v2", "v9"]),
        will_churn=st.none() | st.booleans(),
        min_probability=st.none() | st.floats(0, 1),
        key=st.none() | st.just("key:crm"),
    )


def test_pages_of_any_filter_are_the_whole_while_rows_are_added(database, log_some, make_row, noon):
    rows = log_some(database, MANY)
    chance = random.Random(2)  # noqa: S311 - no secret, a repeatable test

    def add():
        late = make_row(chance, noon + timedelta(hours=1), "C-3")
        with writing(database) as connection:
            connection.execute(sa.insert(predictions), [late])

    @settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
    @given(wanted=filters(noon), limit=st.integers(1, MANY + 10))
    def check(wanted, limit):
        expected = sorted((row["id"] for row in rows if meant(row, wanted)), reverse=True)
        found = pages(database, wanted, limit, between=add)
        old = set(expected)
        assert [each for each in found if each in old] == expected
        assert len(set(found)) == len(found)
        with writing(database) as connection:
            connection.execute(sa.delete(predictions).where(predictions.c.at >= noon + timedelta(hours=1)))
        assert pages(database, wanted, limit) == expected
        assert count(database, wanted) == len(expected)
        found = [row.prediction_id for block in blocks(database, wanted) for row in block]
        assert found == expected

    check()


def test_blocks_join_without_gap_or_double(database, log_some, monkeypatch):
    rows = log_some(database, 95)
    for size in (1, 19, 95, 96):
        monkeypatch.setattr(listing, "BLOCK", size)
        found = [[row.prediction_id for row in block] for block in blocks(database, Wanted())]
        assert max(map(len, found)) <= size
        assert list(chain(*found)) == sorted((row["id"] for row in rows), reverse=True)


def test_a_prediction_comes_back_as_it_was_logged(database, log_some):
    (row,) = log_some(database, 1)
    found = one(database, row["id"])
    assert found == page(database, Wanted()).predictions[0]
    assert found["churn_probability"] == row["probability"]
    assert found["timestamp"] == "2026-01-31T12:00:00.000000Z"
    assert found["record"] == {"Customer No.": row["customer_id"], "City": 'Bonn, "Süd"\n', "tenure": 3}
    assert found["will_churn"] is row["will_churn"]
    assert list(found) == list(listing.NAMES)
    assert set(listing.NAMES.values()) == set(predictions.c.keys())
    assert one(database, "00000000-0000-7000-8000-000000000000") is None


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "A" * 23, "../../etc/passwd", "A" * 5_000])
def test_a_cursor_that_no_page_gave_is_refused(database, cursor):
    with pytest.raises(WantedError, match="cursor"):
        page(database, Wanted(), cursor=cursor)


def test_times_are_compared_in_any_zone(database, log_some, noon):
    log_some(database, 10)
    there = (noon + timedelta(seconds=5)).astimezone(timezone(timedelta(hours=-7)))
    assert count(database, Wanted(since=there)) == 5
    assert count(database, Wanted(until=there)) == 5


def test_a_page_of_a_long_log_sorts_nothing(database, log_some, noon):
    if database.dialect.name != "sqlite":
        pytest.skip("the same query and the same indexes; SQLite's plan can be read")
    log_some(database, 50)
    plans = []

    def explain(connection, _cursor, statement, parameters, *_):
        if "FROM predictions" in statement:
            plans.extend(connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    sa.event.listen(database, "before_cursor_execute", explain)
    first = page(database, Wanted(since=noon, until=noon + timedelta(days=1), version="v1"), limit=2)
    page(database, Wanted(since=noon, version="v1"), cursor=first.next, limit=2)
    told = " ".join(str(step) for step in plans)
    assert "USING INDEX" in told
    assert "TEMP B-TREE" not in told


@pytest.mark.parametrize("wrong", [{"since": FIRST}, {"until": LAST}, {"customer": "a\0"}])
def test_a_filter_that_no_database_takes_is_refused(wrong):
    with pytest.raises(WantedError):
        Wanted(**wrong)
