from __future__ import annotations

import polars as pl
import psycopg
import pytest

from holdfast.contract.load import load_history
from holdfast.errors import HoldfastError, UsageError
from holdfast.simulator.telco import World, copy_into, expect_room, write_world
from holdfast.simulator.telco.world import TABLES
from holdfast.store import StoreError

WORLD = World(120, 8, seed=3)


@pytest.fixture(scope="module", params=["parquet", "csv"])
def written(request, tmp_path_factory):
    return write_world(WORLD, tmp_path_factory.mktemp("telco"), suffix=request.param)


def asked(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_the_tables_are_there_row_for_row(written, postgres, tmp_path):
    url = postgres.url()
    assert copy_into(written, url) == url
    plain = write_world(WORLD, tmp_path).tables
    for name, columns in TABLES.items():
        table = pl.read_parquet(plain[name])
        rows = asked(url, f"SELECT * FROM {name}")  # noqa: S608 - our own table
        found = pl.DataFrame(rows, schema=columns, orient="row")
        key = [column for column in columns if column.endswith("_id")] + (
            ["known_at"] if "known_at" in columns else []
        )
        assert found.sort(key).equals(table.sort(key)), name


def test_keys_hold(written, postgres):
    url = postgres.url()
    copy_into(written, url)
    with psycopg.connect(url) as connection:
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO customers SELECT * FROM customers LIMIT 1")
        connection.rollback()
        for name in ("subscriptions", "transactions", "support_tickets"):
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                connection.execute(f"UPDATE {name} SET customer_id = 'C99999999'")  # noqa: S608 - as above
            connection.rollback()


def test_tables_that_are_there_are_overwritten_only_when_told_to(written, postgres):
    url = postgres.url()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE transactions AS SELECT 1 AS mine")
    for refused in (expect_room, lambda url: copy_into(written, url)):
        with pytest.raises(UsageError, match='already a table "transactions"'):
            refused(url)
    assert asked(url, "SELECT mine FROM transactions") == [(1,)]
    expect_room(url, overwrite=True)
    copy_into(written, url, overwrite=True)
    assert asked(url, "SELECT count(*) FROM transactions") == [(written.rows["transactions"],)]


def test_a_load_that_fails_leaves_the_database_as_it_was(written, postgres, tmp_path):
    url = postgres.url()
    broken = tmp_path / "support_tickets.csv"
    broken.write_text("ticket_id\nnone\n")
    half = type(written)(
        **{**vars(written), "tables": written.tables | {"support_tickets": broken}},
    )
    with pytest.raises(StoreError, match="support_tickets"):
        copy_into(half, url)
    expect_room(url)


def test_the_copys_contract_names_tables_of_the_database(written, postgres):
    copy_into(written, postgres.url())
    history = load_history(written.contract.with_name("churn-database.toml"))
    assert [table.source for table in history.tables.values()] == [f"table:{name}" for name in TABLES]
    assert history.churn == load_history(written.contract).churn


def test_only_postgresql_is_taken():
    with pytest.raises(UsageError, match="PostgreSQL alone"):
        expect_room("sqlite:///some.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/none", "refused"),
        ("postgresql://u:hunter2@127.0.0.1:port/none", "cannot be read"),
        ("mysql://u:hunter2@127.0.0.1:1/none", "no database that Holdfast knows"),
    ],
)
def test_what_cannot_be_copied_into_is_one_clear_error_about_the_option(url, said):
    with pytest.raises(HoldfastError, match=said) as told:
        expect_room(url)
    assert "--into postgresql://" in told.value.hint
    assert not any(word in str(told.value) for word in ("HOLDFAST_DATABASE_URL", "hunter2"))
