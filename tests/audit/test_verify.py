from __future__ import annotations

from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.audit import record, verify
from holdfast.audit.trail import digest
from holdfast.audit.verify import MOST_FAULTS
from holdfast.store import writing
from holdfast.store.tables import audit, audit_head

LENGTH = 7
OTHERS = {
    "at": sa.func.now(),
    "actor": "key:other",
    "action": "keys.create",
    "subject": "v9",
    "detail": {"before": 7},
    "previous": "f" * 64,
    "hash": "e" * 64,
}
"""A value that no entry of the test has, for each column but the number."""


@pytest.fixture
def trail(database):
    with writing(database) as connection:
        for number in range(1, LENGTH + 1):
            record(connection, "cli:ana", "models.promote", f"v{number}", {"before": number - 1, "€": 0.1})
    return database


@contextmanager
def tampered(database):
    """A connection to change the trail with; at the end it is as it was."""
    with database.begin() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(audit)).mappings()]
        head = dict(connection.execute(sa.select(audit_head)).mappings().one())
    yield database.begin
    with database.begin() as connection:
        connection.execute(sa.delete(audit))
        connection.execute(sa.delete(audit_head))
        connection.execute(sa.insert(audit), rows)
        connection.execute(sa.insert(audit_head), head)


def named(database):
    return [(fault.number, fault.what) for fault in verify(database).faults]


def test_a_trail_as_recorded_is_sound_and_tells_its_head(trail):
    verdict = verify(trail)
    with trail.connect() as connection:
        head = connection.scalar(sa.select(audit_head.c.hash))
    assert (verdict.sound, verdict.entries, verdict.head, verdict.faults) == (True, LENGTH, head, [])


def test_an_empty_trail_is_sound(database):
    assert verify(database).sound


anywhere = st.integers(1, LENGTH)
property_test = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@property_test
@given(number=anywhere, column=st.sampled_from(sorted(OTHERS)))
def test_any_edit_is_named_and_nothing_else(trail, number, column):
    with tampered(trail) as change:
        with change() as connection:
            connection.execute(
                sa.update(audit).where(audit.c.number == number).values({column: OTHERS[column]})
            )
        assert named(trail) == [(number, "edited")]


@property_test
@given(number=anywhere, column=st.sampled_from(sorted(OTHERS.keys() - {"hash", "at"})))
def test_an_edit_with_a_hash_that_fits_is_named_too(trail, number, column):
    with tampered(trail) as change:
        with change() as connection:
            row = dict(connection.execute(sa.select(audit).where(audit.c.number == number)).mappings().one())
            row |= {column: OTHERS[column]}
            row["hash"] = digest(**{name: value for name, value in row.items() if name != "hash"})
            connection.execute(sa.update(audit).where(audit.c.number == number).values(row))
        assert number in {fault for fault, _ in named(trail)}


@property_test
@given(numbers=st.sets(anywhere, min_size=1))
def test_any_removal_is_named_also_from_the_end(trail, numbers):
    with tampered(trail) as change:
        with change() as connection:
            connection.execute(sa.delete(audit).where(audit.c.number.in_(numbers)))
        faults = verify(trail).faults
    found = {number for fault in faults for number in range(fault.number, fault.last + 1)}
    assert found == numbers
    assert {fault.what for fault in faults} == {"removed"}


@property_test
@given(pair=st.lists(anywhere, min_size=2, max_size=2, unique=True))
def test_any_two_that_change_places_are_both_named(trail, pair):
    one, other = pair
    with tampered(trail) as change:
        with change() as connection:
            for here, there in ((one, -1), (other, one), (-1, other)):
                connection.execute(sa.update(audit).where(audit.c.number == here).values(number=there))
        found = named(trail)
    assert {number for number, _ in found} == {one, other}
    assert {what for _, what in found} == ({"moved"} if abs(one - other) == 1 else {"edited"})


@pytest.mark.parametrize("number", [0, -3, LENGTH + 1, 900])
def test_an_entry_that_the_head_does_not_know_is_named(trail, number):
    with trail.begin() as connection:
        last = dict(connection.execute(sa.select(audit).where(audit.c.number == LENGTH)).mappings().one())
        facts = {name: value for name, value in last.items() if name != "hash"}
        facts |= {"number": number, "previous": last["hash"]}
        connection.execute(sa.insert(audit).values(facts | {"hash": digest(**facts)}))
    assert named(trail) == [(number, "added")]


def test_a_head_that_was_changed_or_removed_is_named(trail):
    with tampered(trail) as change:
        with change() as connection:
            connection.execute(sa.update(audit_head).values(hash="f" * 64))
        assert named(trail) == [(LENGTH, "edited")]
    with trail.begin() as connection:
        connection.execute(sa.delete(audit_head))
    assert named(trail) == [(LENGTH, "removed")]


@pytest.mark.parametrize(("column", "rubbish"), [("at", "yesterday"), ("detail", "{")])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_even_be_read_is_named(trail, column, rubbish):
    """PostgreSQL refuses such values by itself."""
    statement = f"UPDATE audit SET {column} = :rubbish WHERE number = 4"  # noqa: S608 - a column named above
    with trail.begin() as connection:
        connection.execute(sa.text(statement), {"rubbish": rubbish})
    assert named(trail) == [(4, "edited")]


def test_of_very_many_faults_the_first_are_named_and_all_counted(database):
    with writing(database) as connection:
        for _ in range(MOST_FAULTS + 20):
            record(connection, "cli:ana", "models.promote", "v1")
        connection.execute(sa.update(audit).values(actor="nobody"))
    verdict = verify(database)
    assert (len(verdict.faults), verdict.found) == (MOST_FAULTS, MOST_FAULTS + 20)
