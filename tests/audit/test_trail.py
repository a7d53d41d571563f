from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from holdfast.audit import entries, hold, record, verify
from holdfast.audit.trail import START, digest
from holdfast.store import engine, reading, writing
from holdfast.store.tables import audit, audit_head, tombstones


def add(database, *actions, actor="cli:ana"):
    with writing(database) as connection:
        return [
            record(connection, actor, action, "v1", {"n": number}) for number, action in enumerate(actions)
        ]


def test_each_entry_holds_the_hash_of_the_one_before_and_the_head_that_of_the_last(database):
    first, second = add(database, "models.promote", "models.rollback")
    assert (first.number, first.previous) == (1, START)
    assert (second.number, second.previous) == (2, first.hash)
    with reading(database) as connection:
        assert connection.execute(sa.select(audit_head)).one() == (1, 2, second.hash)
    assert entries(database) == [second, first]


def test_the_hash_covers_every_column(database):
    add(database, "models.promote")
    (entry,) = entries(database)
    facts = {name: getattr(entry, name) for name in audit.c.keys() if name != "hash"}  # noqa: SIM118 - no mapping
    assert digest(**facts) == entry.hash
    others = {"number": 2, "at": entry.at.replace(year=1999), "detail": {"n": 1}}
    for name in facts:
        assert digest(**facts | {name: others.get(name, "other")}) != entry.hash


def test_a_change_that_fails_leaves_no_entry(database):
    class StopError(Exception):
        pass

    with pytest.raises(StopError), writing(database) as connection:  # noqa: PT012 - both happen in the transaction
        record(connection, "local", "models.promote", "v1")
        raise StopError
    assert entries(database) == []
    assert verify(database).sound


def test_entries_are_chosen_and_paged_newest_first(database):
    add(database, "models.register", "models.promote", "keys.create")
    add(database, "models_x", "models", actor="key:crm")

    def actions(**chosen):
        return [entry.action for entry in entries(database, **chosen)]

    assert actions(limit=2) == ["models", "models_x"]
    assert actions(limit=2, before=4) == ["keys.create", "models.promote"]
    assert actions(actor="key:crm") == ["models", "models_x"]
    assert actions(action="models") == ["models", "models.promote", "models.register"]
    assert actions(action="models.promote") == ["models.promote"]
    assert actions(action="mod%") == []


def test_many_writers_never_fork_the_chain(database_url):
    writers, each = 6, 15

    def write(name):
        opened = engine(database_url)
        for number in range(each):
            with writing(opened) as connection:
                record(connection, f"key:{name}", "models.promote", f"v{number}")
        opened.dispose()

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    opened = engine(database_url)
    found = entries(opened, limit=1_000)
    assert [entry.number for entry in found] == list(range(writers * each, 0, -1))
    assert verify(opened).sound
    opened.dispose()


def test_whoever_holds_the_trail_is_alone_until_the_transaction_ends(database_url):
    """Each reads the number of rows and then adds one of that number: two at once would read the same."""

    def add_next(_):
        opened = engine(database_url)
        with writing(opened) as connection:
            head = hold(connection)
            count = connection.scalar(sa.select(sa.func.count()).select_from(tombstones))
            connection.execute(sa.insert(tombstones).values(customer_hash=str(count), at=sa.func.now()))
        opened.dispose()
        return head.number

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(add_next, range(18))) == [0] * 18
    opened = engine(database_url)
    with reading(opened) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tombstones)) == 18
    opened.dispose()
