from __future__ import annotations

import polars as pl
import pytest

from holdfast.quality.conform import REJECTS
from holdfast.quality.table import TableError, clean_table, left_out, training_table
from holdfast.sources import RawTable


def test_a_clean_table_comes_through_whole(contract, text_frame):
    found = training_table(RawTable(text_frame), contract)
    assert found.frame.height == 3
    assert found.rejects.height == 0


def test_each_customer_is_let_in_once(contract, text_frame):
    raw = RawTable(pl.concat([text_frame, text_frame[1:], text_frame[:1]]))
    found = training_table(raw, contract)
    assert found.rows.to_list() == [1, 2, 3]
    assert found.ids.to_list() == ["a", "b", "c"]
    assert found.rejects.rows() == [
        (4, "id", "b", "the same customer id as row 2"),
        (5, "id", "c", "the same customer id as row 3"),
        (6, "id", "a", "the same customer id as row 1"),
    ]
    assert found.counts.rejected == 3


def test_what_is_left_out_is_told_with_the_commonest_reason(contract, text_frame):
    whole = RawTable(text_frame)
    assert left_out(whole, training_table(whole, contract)) is None
    more = RawTable(
        pl.concat([text_frame, text_frame[1:], text_frame[:1].with_columns(charge=pl.lit("much"))])
    )
    said = left_out(more, training_table(more, contract))
    assert said.startswith("3 of 6 rows are left out; most often: ")
    assert "holdfast check" in said


def test_the_first_usable_row_of_a_customer_counts(contract, text_frame):
    broken = text_frame[:1].with_columns(charge=pl.lit("much"))
    found = training_table(RawTable(pl.concat([broken, text_frame])), contract)
    assert found.rows.to_list() == [2, 3, 4]


def test_lines_that_could_not_be_split_are_among_the_rejects(contract, text_frame):
    malformed = pl.DataFrame([(2, None, "x,y", "9 fields, not 10")], schema=REJECTS, orient="row")
    bad = text_frame.with_columns(charge=pl.Series(["1", "-1", "much"]))
    raw = RawTable(bad, malformed, numbered=pl.Series([1, 3, 4]))
    found = training_table(RawTable(text_frame, malformed, numbered=raw.numbered), contract)
    assert found.rejects.rows() == malformed.rows()
    assert found.rows.to_list() == [1, 3, 4]
    assert clean_table(raw, contract).rejects["row"].to_list() == [2, 3, 4]


def test_without_an_id_nothing_repeats(make_contract, text_frame):
    raw = RawTable(pl.concat([text_frame, text_frame]))
    assert training_table(raw, make_contract(columns={"id": None})).frame.height == 6


def test_no_rows_and_one_outcome_are_refused(contract, text_frame):
    with pytest.raises(TableError, match="a header but no rows"):
        training_table(RawTable(text_frame.clear()), contract)
    with pytest.raises(TableError, match=r"Not one of 3 rows.*label missing \(3\)"):
        training_table(RawTable(text_frame.with_columns(Churn=pl.lit(""))), contract)
    with pytest.raises(TableError, match="All 3 usable rows are of customers who left"):
        training_table(RawTable(text_frame.with_columns(Churn=pl.lit("Yes"))), contract)
    with pytest.raises(TableError, match='stayed: none has Churn = "Yes"'):
        training_table(RawTable(text_frame.with_columns(Churn=pl.lit("No"))), contract)
    assert clean_table(RawTable(text_frame.clear()), contract).frame.height == 0
