from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from holdfast.contract.history import ChurnEvent
from holdfast.contract.load import load_history
from holdfast.store import engine

FIRST = date(2022, 1, 1)


@pytest.fixture
def shop(tmp_path):
    """A folder of a small shop: customers, a membership that some end, and visits in two files."""
    folder = tmp_path / "shop"
    (folder / "visits").mkdir(parents=True)
    days = [FIRST + timedelta(days=10 * place) for place in range(60)]
    pl.DataFrame({"customer_id": range(60), "city": ["A", "B"] * 30}).write_csv(folder / "customers.csv")
    ends = ["No" if at % 3 else str(day + timedelta(days=90)) for at, day in enumerate(days)]
    members = pl.DataFrame({"customer_id": range(60), "begin_date": days, "end_date": ends})
    members.write_csv(folder / "memberships.csv")
    for part in (1, 2):
        seen = [days[(at * part) % 60] for at in range(300)]
        visits = pl.DataFrame({"customer_id": [at % 60 for at in range(300)], "day": seen})
        visits.write_csv(folder / "visits" / f"part{part}.csv")
    (folder / "notes.md").write_text("no table")
    return folder


@pytest.mark.usefixtures("shop")
def test_a_folder_of_tables_becomes_a_contract_that_loads(process, tmp_path):
    done = process("init", "--tables", "shop")
    assert done.code == 0, done.err
    assert "Churn: end in memberships" in done.out
    assert "holdfast check churn.toml" in done.out
    assert "Reading visits" in done.err
    history = load_history(tmp_path / "churn.toml")
    assert history.name == "shop"
    assert {name: table.source for name, table in history.tables.items()} == {
        "customers": "shop/customers.csv",
        "memberships": "shop/memberships.csv",
        "visits": "shop/visits",
    }
    assert history.tables["memberships"].ongoing == ("No",)


@pytest.mark.usefixtures("shop")
def test_json_says_what_was_found_and_why(process):
    done = process("init", "--tables", "shop", "--json")
    assert (done.code, done.err) == (0, "")
    document = done.json()
    assert document["tables"]["visits"]["rows"] == 600
    assert document["tables"]["visits"]["time"] == "day"
    assert document["churn"]["event"] == "end"
    assert all(note["key"] and note["note"] for note in document["notes"])


@pytest.mark.usefixtures("shop")
def test_what_a_person_knows_goes_before_the_guess(holdfast, tmp_path):
    line = ["--churn", "inactivity", "--horizon", "45", "--time-zone", "Europe/Berlin", "--id", "customer_id"]
    done = holdfast("init", "--tables", "shop", "--out", "contracts/a.toml", *line)
    assert done.code == 0, done.err
    history = load_history(tmp_path / "contracts" / "a.toml")
    assert history.churn.event is ChurnEvent.INACTIVITY
    assert (history.churn.table, history.churn.horizon_days) == ("visits", 45)
    assert history.clock.time_zone == "Europe/Berlin"
    assert history.tables["visits"].source == "../shop/visits"


def test_one_file_of_events(holdfast, shared_data, tmp_path):
    log = (shared_data / "cdnow_transactions.csv").resolve()
    without_label = holdfast("init", log)
    assert without_label.code == 2
    assert f"holdfast init --tables {log}" in without_label.err
    assert not (tmp_path / "churn.toml").exists()
    assert holdfast("init", "--tables", log).code == 0
    history = load_history(tmp_path / "churn.toml")
    assert (history.name, list(history.tables)) == ("cdnow_transactions", ["cdnow_transactions"])
    assert (tmp_path / history.tables["cdnow_transactions"].source).resolve() == log.resolve()


def test_tables_without_times_are_to_be_joined(holdfast, shared_data, tmp_path):
    refused = holdfast("init", "--tables", shared_data / "telco_churn_extended_tables")
    assert refused.code == 3
    assert 'Join them on "Customer ID" into one table' in refused.err
    assert "--label" in refused.err
    assert not (tmp_path / "churn.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "holdfast init --tables FOLDER"),
        (["--tables", "nowhere"], 2, "nowhere"),
        (["--tables", "shop", "--label", "city"], 2, "--label belongs to a single table"),
        (["shop/customers.csv", "--tables", "shop"], 2, "TABLE belongs to a single table"),
        (["shop/customers.csv", "--label", "city", "--horizon", "30"], 2, "--horizon belongs to a history"),
        (["shop/customers.csv"], 2, '--label COLUMN; the table has "customer_id", "city"'),
        (["--tables", "shop", "--horizon", "0"], 2, "--horizon"),
        (["--tables", "shop", "--time-zone", "Mars/Base"], 2, '"Mars/Base" is no time zone'),
        (["--tables", "shop", "--churn", "cancellation"], 2, "no event says that a customer leaves"),
        (["--tables", "shop", "--id", "custmer_id"], 2, 'Did you mean "customer_id"?'),
        (["--tables", "empty"], 3, "empty"),
        (["shop"], 2, "holdfast init --tables shop"),
        (["shop", "--label", "city"], 2, "holdfast init --tables shop"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_bad_input_is_one_block_and_writes_nothing(holdfast, tmp_path, arguments, code, said):
    (tmp_path / "empty").mkdir()
    failed = holdfast("init", *arguments)
    assert failed.code == code, failed.err
    assert said in failed.err
    assert failed.err.count("Error: ") == 1
    assert not (tmp_path / "churn.toml").exists()


@pytest.mark.usefixtures("shop")
def test_a_contract_that_was_edited_is_not_lost(holdfast, tmp_path):
    (tmp_path / "churn.toml").write_text("mine")
    assert holdfast("init", "--tables", "shop").code == 2
    assert (tmp_path / "churn.toml").read_text() == "mine"
    assert holdfast("init", "--tables", "shop", "--force").code == 0
    assert load_history(tmp_path / "churn.toml").name == "shop"


@pytest.mark.usefixtures("shop")
def test_of_long_tables_the_first_rows_are_looked_at_and_that_is_said(holdfast, monkeypatch):
    monkeypatch.setattr("holdfast.cli.tables.MOST_CELLS", 800)
    done = holdfast("init", "--tables", "shop")
    assert "visits: only the first 400 rows were looked at" in done.out


def test_tables_of_a_database_are_named_without_its_password(holdfast, postgres, tmp_path, shop):
    url = postgres.url()
    database = engine(url)
    for name, file in (("members", "memberships.csv"), ("customers", "customers.csv")):
        pl.read_csv(shop / file).write_database(name, database)
    database.dispose()
    done = holdfast("init", "--tables", url.replace("postgres@", "postgres:hunter2@"))
    assert done.code == 0, done.err
    assert "HOLDFAST_SOURCE_URL" in done.out
    assert "hunter2" not in f"{done.out} {done.err} {(tmp_path / 'churn.toml').read_text()}"
    history = load_history(tmp_path / "churn.toml")
    assert {table.source for table in history.tables.values()} == {"table:customers", "table:members"}
    assert history.churn.table == "members"
    assert "://" not in (tmp_path / "churn.toml").read_text()
