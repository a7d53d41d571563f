from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from holdfast.store import RefusedError, SteadyWriter, StoreError, impatient, insert_rows, reading, writing
from holdfast.store.tables import predictions

NOON = datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)


def row(id_: str, customer: str | None = "C-1", probability: float = 0.1) -> tuple:
    facts = ["request", NOON, customer, NOON, "m", "v1", "champion", '{"a":1}']
    return (id_, *facts, probability, 0.5, True, 1.5, None, "c")


def stored(database) -> list[tuple]:
    with reading(database) as connection:
        return [tuple(found) for found in connection.execute(sa.select(predictions).order_by("id"))]


def test_rows_come_back_as_they_were_to_the_last_bit(database):
    strange = ["naïve 客户 \U0001f600", 'quote " \\ and \\u0041', "line\nend\t", "", None, "%s :name ?"]
    numbers = [0.1, 1 / 3, math.nextafter(1, 2), 5e-324, 1.7976931348623157e308, 0.0]
    rows = [row(str(at), *both) for at, both in enumerate(zip(strange, numbers, strict=True))]
    with writing(database) as connection:
        insert_rows(connection, predictions, rows)
    assert stored(database) == rows


def test_a_time_of_another_zone_is_the_same_moment(database):
    there = NOON.astimezone(timezone(timedelta(hours=-5)))
    values = list(row("1"))
    values[2] = there
    with writing(database) as connection:
        insert_rows(connection, predictions, [tuple(values)])
    assert stored(database)[0][2] == NOON


def test_known_rows_are_left_out_or_refused(database):
    with writing(database) as connection:
        insert_rows(connection, predictions, [row("1", "first")])
        insert_rows(connection, predictions, [row("1", "again"), row("2")], skip_known=True)
    assert [found[3] for found in stored(database)] == ["first", "C-1"]
    with pytest.raises(StoreError), writing(database) as connection:
        insert_rows(connection, predictions, [row("3"), row("2")])
    assert len(stored(database)) == 2


def test_a_steady_writer_says_whether_the_values_are_at_fault_and_goes_on(database):
    opened = impatient(database, 2.0)
    writer = SteadyWriter(opened)
    for wrong in (row("1", "\ud800"), row("1", probability=None), (*row("1")[:-1], None)):
        with pytest.raises(RefusedError), writer.writing() as connection:
            insert_rows(connection, predictions, [row("0"), wrong])
    with writer.writing() as connection:
        insert_rows(connection, predictions, [row("1")])
    with pytest.raises(StoreError) as caught, writer.writing() as connection:
        connection.execute(sa.text("SELECT * FROM nothing"))
    assert not isinstance(caught.value, RefusedError)
    with writer.writing() as connection:
        insert_rows(connection, predictions, [row("2")])
    writer.close()
    opened.dispose()
    assert [found[0] for found in stored(database)] == ["1", "2"]


def test_an_impatient_engine_does_not_wait_for_another_writer(database):
    opened = impatient(database, 0.2)
    with writing(database) as first:
        insert_rows(first, predictions, [row("1")])
        with pytest.raises(StoreError), writing(opened) as second:
            insert_rows(second, predictions, [row("1")])
    opened.dispose()
    assert len(stored(database)) == 1
