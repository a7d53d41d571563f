"""Tables of customers that are in a database are used as files are."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from holdfast.cli.inputs import address, typed


@pytest.fixture
def elsewhere(trained, postgres, monkeypatch):
    """The customers of the shop in a database that the settings name."""
    from holdfast.store import engine  # noqa: PLC0415 - as the fixtures of databases do

    url = postgres.url()
    database = engine(url)
    trained.customers.write_database("customers", database)
    database.dispose()
    monkeypatch.setenv("HOLDFAST_SOURCE_URL", url)
    return "table:customers"


def test_a_table_of_a_database_is_checked_trained_on_and_measured(holdfast, trained, elsewhere, tmp_path):
    contract = tmp_path / "churn.toml"
    contract.write_text(trained.contract_file.read_text())
    far = holdfast("check", contract, "--data", elsewhere, "--json").json()
    near = holdfast("check", contract, "--data", trained.table, "--json").json()
    assert far["data"] == elsewhere
    assert {**far, "data": 0, "files": 0} == {**near, "data": 0, "files": 0}
    trained_far = holdfast(
        "train", contract, "--data", elsewhere, "--models", "logistic_regression", "--budget", "1s"
    )
    assert trained_far.code == 0, trained_far.err
    assert f"holdfast score {elsewhere}" in trained_far.out
    # A database has no order of rows, and intervals are resampled in that order: the figures are the same.
    measured = [
        holdfast("evaluate", t, "--home", trained.home, "--json").json() for t in (elsewhere, trained.table)
    ]
    there, here = ({name: one["value"] for name, one in told["metrics"].items()} for told in measured)
    assert there == pytest.approx(here)


def test_a_table_of_a_database_is_scored_as_the_file(holdfast, trained, elsewhere):
    told = holdfast("score", elsewhere, "-o", "far.parquet", "--home", trained.home, "--json").json()
    assert (told["source"], told["scored"]) == (elsewhere, 800)
    assert holdfast("score", trained.table, "-o", "near.parquet", "--home", trained.home).code == 0
    far, near = pl.read_parquet("far.parquet"), pl.read_parquet("near.parquet")
    assert_frame_equal(far.sort("customer_id"), near.sort("customer_id"), check_exact=True)


def test_what_is_wrong_is_told_of_the_table_and_not_of_its_copy(holdfast, trained, elsewhere):
    nowhere = holdfast("score", elsewhere, "--home", trained.home)
    assert nowhere.code == 2
    assert "--out" in nowhere.err
    missing = holdfast("score", "table:custmers", "-o", "o.csv", "--home", trained.home)
    assert missing.code == 2
    assert 'Did you mean "customers"?' in missing.err


def test_an_address_survives_being_a_path():
    assert address(Path("s3://bucket/a/b.csv")) == "s3://bucket/a/b.csv"
    assert typed(Path("s3://bucket/b.csv")) == "s3://bucket/b.csv"
    assert address(Path("table:crm.people")) == "table:crm.people"
    assert address(Path("tables/people.csv")) is None
