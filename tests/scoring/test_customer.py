from __future__ import annotations

import polars as pl
import pytest

from holdfast.errors import DataError, UsageError
from holdfast.scoring import UnknownCustomerError, find_customer, find_row


@pytest.fixture
def table(customers, tmp_path):
    customers(300).write_csv(tmp_path / "t.csv")
    return tmp_path / "t.csv"


def test_a_customer_is_found_by_id(model, customers, table):
    found = find_customer(table, model.contract, " c123 ")
    assert (found.row, found.others) == (124, 0)
    assert found.frame["age"].cast(pl.Float64).item() == customers(300)["age"][123]


def test_further_rows_of_the_same_customer_are_counted(model, customers, tmp_path):
    pl.concat([customers(9), customers(5)]).write_parquet(tmp_path / "t.parquet")
    found = find_customer(tmp_path / "t.parquet", model.contract, "c3")
    assert (found.row, found.others) == (4, 1)


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String])
def test_ids_that_are_numbers(model, customers, tmp_path, dtype):
    frame = customers(20).with_columns(pl.int_range(1000, 1020).cast(dtype).alias("id"))
    frame.write_parquet(tmp_path / "t.parquet")
    asked = "1007"
    found = find_customer(tmp_path / "t.parquet", model.contract, asked)
    assert found.row == 8
    assert model.conform(found.frame).ids.item() == asked


@pytest.mark.parametrize(("asked", "hint"), [("C77", '"c77"'), ("c1234", '"c123"'), ("zzz", "Check the id")])
def test_an_unknown_id_names_the_nearest(model, table, asked, hint):
    with pytest.raises(UnknownCustomerError, match="300 rows") as failed:
        find_customer(table, model.contract, asked)
    assert hint in failed.value.hint


def test_without_an_id_column_a_row_is_asked_for(model_without_id, table):
    with pytest.raises(UsageError) as failed:
        find_customer(table, model_without_id.contract, "c1")
    assert "--row" in failed.value.hint


def test_a_row_is_found_by_number_past_broken_lines(tmp_path):
    (tmp_path / "t.csv").write_text("id,age\na,1\nb\nc,3\n")
    assert find_row(tmp_path / "t.csv", 3).frame.row(0) == ("c", "3")
    with pytest.raises(DataError, match="cannot be read"):
        find_row(tmp_path / "t.csv", 2)


@pytest.mark.parametrize("number", [0, -1, 301])
def test_a_row_that_is_not_there(table, number):
    with pytest.raises(UnknownCustomerError, match="from 1 to 300"):
        find_row(table, number)
