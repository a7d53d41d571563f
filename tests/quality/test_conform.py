from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from holdfast.quality import conform as room
from holdfast.quality.columns import ColumnsError
from holdfast.quality.conform import REJECTS, Conformed, conform
from holdfast.quality.counts import Counts

TYPES = {
    "charge": pl.Float64(),
    "tenure": pl.Int64(),
    "senior": pl.Boolean(),
    "partner": pl.Boolean(),
    "joined": pl.Date(),
    "plan": pl.Enum(["Basic", "Plus", "1"]),
    "city": pl.String(),
}


def assert_same(left: Conformed, right: Conformed) -> None:
    assert_frame_equal(left.frame, right.frame, check_exact=True)
    assert_series_equal(left.rows, right.rows)
    assert_series_equal(left.ids, right.ids)
    assert left.label is None if right.label is None else left.label.equals(right.label)


def test_the_result_is_typed_in_the_contracts_order(contract, text_frame):
    shuffled = text_frame.select(sorted(text_frame.columns))
    found = conform(shuffled, contract, with_label=True)
    assert dict(found.frame.schema) == TYPES
    assert found.frame.columns == list(contract.inputs)
    assert found.rows.to_list() == [1, 2, 3]
    assert found.ids.to_list() == ["a", "b", "c"]
    assert found.label.to_list() == [1, 0, 0]
    assert found.rejects.schema == REJECTS
    assert found.counts == Counts(rows=3)
    assert conform(text_frame, contract).label is None


def test_bad_cells_keep_their_rows_out_with_reasons(contract, text_frame):
    bad = text_frame.with_columns(
        charge=pl.Series(["-3", "x" * 200, "1"]),
        tenure=pl.Series(["3.5", "1", "2"]),
        id=pl.Series(["a", "b", " "]),
    )
    found = conform(bad, contract, first_row=101)
    assert found.frame.height == 0
    assert [row[:2] for row in found.rejects.rows()] == [
        (101, "charge"),
        (101, "tenure"),
        (102, "charge"),
        (103, "id"),
    ]
    assert found.rejects["value"].str.len_chars().to_list() == [2, 3, 80, 1]
    assert found.rejects["reason"].to_list() == [
        "outside the allowed range 0 to 1,200",
        "not a whole number",
        "not a number",
        "customer id missing",
    ]
    assert (found.counts.rows, found.counts.rejected, found.counts.kept) == (3, 3, 0)


def test_repairs_and_unseen_levels_are_counted_with_examples(contract, text_frame):
    odd = text_frame.with_columns(
        partner=pl.Series(["yes ", "0", None]),
        plan=pl.Series([" basic", "Gold", "Silver"]),
        charge=pl.Series(["$ 1,100.50", " ", "3"]),
        city=pl.Series([" Oslo", "", "null"]),
    )
    found = conform(odd, contract)
    assert found.frame["partner"].to_list() == [True, False, None]
    assert found.frame["plan"].to_list() == ["Basic", None, None]
    assert found.frame["charge"].to_list() == [1100.5, None, 3.0]
    assert found.frame["city"].to_list() == ["Oslo", None, None]
    assert found.counts.missing == {"charge": 1, "partner": 1, "city": 2}
    assert found.counts.repairs == {"charge": 1, "partner": 2, "plan": 1, "city": 1}
    assert found.counts.repair_examples["partner"] == (("yes ", "true"), ("0", "false"))
    assert found.counts.unseen == {"plan": 2}
    assert found.counts.unseen_examples == {"plan": ("Gold", "Silver")}
    assert found.rejects.height == 0


def test_optional_columns_may_be_absent_and_strangers_are_ignored(contract, text_frame):
    found = conform(text_frame.drop("partner", "city").with_columns(stranger=1), contract)
    assert found.frame.select("partner", "city").null_count().row(0) == (3, 3)
    assert dict(found.frame.schema) == TYPES
    assert found.counts.absent_columns == ("partner", "city")
    assert found.counts.ignored_columns == ("stranger",)


def test_required_columns_and_the_label_may_not_be_absent(contract, text_frame):
    with pytest.raises(ColumnsError):
        conform(text_frame.drop("charge"), contract)
    with pytest.raises(ColumnsError):
        conform(text_frame.drop("Churn"), contract, with_label=True)
    conform(text_frame.drop("Churn"), contract)


def test_without_an_id_column_the_rows_number_is_the_id(make_contract, text_frame):
    found = conform(text_frame, make_contract(columns={"id": None}), first_row=8)
    assert found.ids.to_list() == ["8", "9", "10"]
    optional = make_contract(columns={"id": {"kind": "id", "required": False}})
    found = conform(text_frame.drop("id"), optional)
    assert found.ids.to_list() == ["1", "2", "3"]
    assert "id" in found.counts.absent_columns


def test_excluded_columns_and_text_are_not_looked_at(contract, text_frame):
    with_leak = text_frame.with_columns(reason=pl.Series([[1], [2], [3]]), note=pl.Series([[1], [2], [3]]))
    found = conform(with_leak, contract)
    assert found.counts == Counts(rows=3)
    assert not {"reason", "note"} & set(found.frame.columns)


def test_no_rows_is_no_problem(contract, text_frame):
    found = conform(text_frame.clear(), contract, with_label=True)
    assert dict(found.frame.schema) == TYPES
    assert (found.frame.height, len(found.ids), len(found.label)) == (0, 0, 0)
    assert found.counts == Counts()


def test_columns_without_any_value_and_encoded_ones(contract, text_frame):
    frame = text_frame.with_columns(
        pl.lit(None).alias("charge"),
        pl.col("plan").cast(pl.Categorical),
        pl.col("city").cast(pl.Enum(["Oslo", "Rome", "Bonn"])),
    )
    found = conform(frame, contract)
    assert found.frame["charge"].to_list() == [None] * 3
    assert found.frame["plan"].to_list() == ["Basic", "Plus", "1"]
    assert found.frame["city"].to_list() == ["Oslo", "Rome", "Bonn"]
    assert found.counts.missing == {"charge": 3}


def test_the_callers_frame_is_left_alone(contract, text_frame):
    typed = conform(text_frame, contract).frame.with_columns(id=text_frame["id"])
    typed = typed.with_columns(
        charge=pl.Series([float("nan"), -5.0, 3.0]), city=pl.Series([" Oslo", "x", "y"])
    )
    before = typed.clone().rechunk()
    found = conform(typed, contract)
    assert found.frame["charge"].to_list() == [None, 3.0]
    assert_frame_equal(typed, before)


def test_infinite_and_missing_labels_keep_rows_out(contract, text_frame):
    frame = text_frame.with_columns(
        charge=pl.Series([float("inf"), 1, 2]), Churn=pl.Series(["Yes", None, "later"])
    )
    found = conform(frame, contract, with_label=True)
    assert found.rejects.select("row", "column", "value", "reason").rows() == [
        (1, "charge", "inf", "infinite"),
        (2, "Churn", None, "label missing"),
        (3, "Churn", "later", 'neither "Yes" (left) nor "No" (stayed)'),
    ]


def test_the_real_table(telco):
    frame, contract = telco
    found = conform(frame, contract, with_label=True)
    assert found.frame.height == 7043
    assert found.label.sum() == 1869
    assert found.counts == Counts(rows=7043, missing={"TotalCharges": 11})


CUSTOMERS = st.fixed_dictionaries(
    {
        "id": st.text("abcXYZ-", min_size=1, max_size=5),
        "charge": st.one_of(st.none(), st.floats(-10, 1300)),
        "tenure": st.one_of(st.none(), st.integers(-5, 1005)),
        "senior": st.one_of(st.none(), st.booleans()),
        "partner": st.one_of(st.none(), st.booleans()),
        "joined": st.one_of(
            st.none(), st.integers(0, 20000).map(lambda days: date(1970, 1, 1) + timedelta(days))
        ),
        "plan": st.one_of(st.none(), st.sampled_from(["Basic", "Plus", "1", "basic ", "Gold"])),
        "city": st.one_of(st.none(), st.sampled_from(["Oslo", "Rome ", "90003", "", "n"])),
    }
)
SCHEMA = {**TYPES, "id": pl.String, "plan": pl.String}


def as_text(customer: dict[str, Any]) -> dict[str, Any]:
    flags = {"senior": {True: "1", False: "0"}, "partner": {True: "Yes", False: "No"}}
    return {
        name: None if value is None else flags[name][value] if name in flags else str(value)
        for name, value in customer.items()
    }


def as_json(customer: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in customer.items()}


@given(customers=st.lists(CUSTOMERS, min_size=1, max_size=12))
def test_text_typed_and_json_conform_equal(contract, customers):
    typed = pl.DataFrame(customers, schema=SCHEMA)
    text = pl.DataFrame([as_text(c) for c in customers], schema=dict.fromkeys(SCHEMA, pl.String))
    json = pl.DataFrame([as_json(c) for c in customers], infer_schema_length=None)
    wanted = conform(typed, contract)
    for other in (text, json):
        found = conform(other, contract)
        assert_same(found, wanted)
        assert found.rejects.drop("value").equals(wanted.rejects.drop("value"))
        assert (found.counts.missing, found.counts.unseen) == (wanted.counts.missing, wanted.counts.unseen)


@given(customers=st.lists(CUSTOMERS, min_size=1, max_size=12), data=st.data())
def test_a_row_alone_conforms_as_among_many(contract, customers, data):
    place = data.draw(st.integers(0, len(customers) - 1))
    frame = pl.DataFrame([as_text(c) for c in customers], schema=dict.fromkeys(SCHEMA, pl.String))
    many = conform(frame, contract)
    alone = conform(frame[place : place + 1], contract, first_row=place + 1)
    here = many.rows == place + 1
    assert_frame_equal(alone.frame, many.frame.filter(here), check_exact=True)
    assert alone.ids.to_list() == many.ids.filter(here).to_list()
    assert alone.rejects.equals(many.rejects.filter(pl.col("row") == place + 1))


@given(customers=st.lists(CUSTOMERS, max_size=12), cut=st.integers(0, 12))
def test_batches_conform_as_the_whole(contract, customers, cut):
    frame = pl.DataFrame([as_text(c) for c in customers], schema=dict.fromkeys(SCHEMA, pl.String))
    whole = conform(frame, contract)
    first, second = (
        conform(frame[:cut], contract),
        conform(frame[cut:], contract, first_row=min(cut, len(customers)) + 1),
    )
    assert pl.concat([first.frame, second.frame]).equals(whole.frame)
    assert pl.concat([first.rejects, second.rejects]).equals(whole.rejects)
    assert pl.concat([first.rows, second.rows]).equals(whole.rows)
    assert first.counts + second.counts == whole.counts


def test_many_schemas_and_contracts_are_never_mixed_up(make_contract, text_frame):
    for most in range(1, 200):
        contract = make_contract(columns={"charge": {"kind": "number", "max": most}})
        found = conform(text_frame.with_columns(charge=pl.lit("100")), contract)
        assert found.counts.rejected == (3 if most < 100 else 0)
        assert len(room._PROGRAMS._held) <= 64


def test_row_numbers_may_have_gaps(contract, text_frame):
    bad = text_frame.with_columns(charge=pl.Series(["1", "x", "2"]))
    found = conform(bad, contract, rows=pl.Series([4, 7, 9]))
    assert found.rows.to_list() == [4, 9]
    assert found.rejects["row"].to_list() == [7]
