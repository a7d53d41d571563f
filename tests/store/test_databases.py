"""What holds on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from holdfast.errors import UsageError
from holdfast.store import StoreError, engine, open_store, reading, revision, snapshot, upgrade, writing
from holdfast.store import tables as t
from holdfast.store.schema import HEAD, REVISIONS

VERSION = dict.fromkeys(("contract_digest", "data_digest", "manifest_digest"), "0" * 64)


def test_both_ways_to_make_tables_give_the_same(database):
    assert revision(database) == HEAD
    assert set(sa.inspect(database).get_table_names()) == {*t.metadata.tables, "alembic_version"}


def test_many_may_upgrade_at_once_and_one_does(empty_database_url):
    start, done = threading.Barrier(6), []

    def run():
        opened = engine(empty_database_url)
        start.wait()
        done.append(upgrade(opened))
        opened.dispose()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [[]] * 5 + [list(REVISIONS)]


def test_a_snapshot_does_not_see_what_is_committed_after_its_start(database):
    count = sa.select(sa.func.count()).select_from(t.tombstones)
    with snapshot(database) as before:
        assert before.scalar(count) == 0
        with writing(database) as connection:
            row = {"customer_hash": "a", "at": sa.func.now()}
            connection.execute(sa.insert(t.tombstones).values(row))
        assert before.scalar(count) == 0
    with reading(database) as after:
        assert after.scalar(count) == 1


def test_a_row_that_breaks_a_rule_is_a_store_error_that_does_not_quote_it(database):
    row = {"name": "Ana Private", "role": "viewer", "password": "", "created": t.datetime.now(t.UTC)}
    with pytest.raises(StoreError) as caught, writing(database) as connection:
        connection.execute(sa.insert(t.users), [row, row])
    assert "Private" not in str(caught.value)


@pytest.mark.parametrize("older", REVISIONS[:-1])
def test_an_older_schema_is_refused_with_the_command_and_left_alone(database, database_url, tmp_path, older):
    with writing(database) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :older"), {"older": older})
    with pytest.raises(StoreError, match=r"older schema") as caught:
        open_store(tmp_path, database_url)
    assert "holdfast db upgrade" in caught.value.hint
    assert revision(database) == older


def test_a_newer_schema_is_refused_by_all(database, database_url, tmp_path):
    with writing(database) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v9999'"))
    for use in (lambda: open_store(tmp_path, database_url), lambda: upgrade(database)):
        with pytest.raises(StoreError, match="newer Holdfast"):
            use()
    assert revision(database) == "v9999"


def test_an_empty_postgresql_is_not_filled_by_opening_it(postgres, tmp_path):
    url = postgres.url()
    with pytest.raises(StoreError, match="no tables") as caught:
        open_store(tmp_path, url)
    assert caught.value.hint == "Run: holdfast db upgrade"
    opened = engine(url)
    assert sa.inspect(opened).get_table_names() == []
    opened.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_way_to_write_the_scheme_leads_to_the_same_driver(scheme):
    assert engine(f"{scheme}://ana@db/holdfast").url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url", ["mysql://ana:hidden@db/x", "nonsense hidden", "postgresql://ana:hidden@db:port/x"]
)
def test_a_url_that_is_none_is_a_usage_error_that_says_what_to_write(url):
    with pytest.raises(UsageError) as caught:
        engine(url)
    assert "postgresql://USER" in caught.value.hint
    assert "hidden" not in str(caught.value)


def test_what_the_url_says_of_the_connection_holds(postgres):
    opened = engine(f"{postgres.url()}?application_name=mine")
    with reading(opened) as connection:
        assert connection.scalar(sa.text("SHOW application_name")) == "mine"
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "30s"
    opened.dispose()


def test_a_server_that_is_not_there_is_one_error_without_the_password(tmp_path):
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path, "postgresql://ana:hidden@127.0.0.1:1/holdfast")
    assert "Is PostgreSQL running there?" in caught.value.hint
    assert "hidden" not in str(caught.value)
    assert caught.value.where == "postgresql://ana:***@127.0.0.1:1/holdfast"


def test_a_database_that_is_not_there_says_how_to_make_it(postgres, tmp_path):
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path, postgres.url() + "_not")
    assert "CREATE DATABASE" in caught.value.hint


def test_an_engine_works_again_after_the_server_was_killed(postgres):
    opened = engine(postgres.url())
    upgrade(opened)
    postgres.stop("immediate")
    try:
        with pytest.raises(StoreError):
            revision(opened)
    finally:
        postgres.start()
    assert revision(opened) == HEAD
    opened.dispose()


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(UsageError) as caught:
        engine("postgresql://db/holdfast")
    assert "holdfast[postgres]" in caught.value.hint
