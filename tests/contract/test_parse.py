"""Text to values: the spellings people use, and text and typed columns alike."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from holdfast.contract import Churn, Column, Kind, parse

PLAIN = {
    "1": 1.0, " 1 ": 1.0, "+7": 7.0, "-3.5": -3.5, "1e3": 1000.0, "1.": 1.0, ".5": 0.5, "$1,234.50": 1234.5,
    "1,234": 1234.0, "12,34,567": 1234567.0, "€ 5.00": 5.0, "5 EUR": 5.0, "US$3": 3.0, "Rs. 500": 500.0,
    "12 %": 12.0, "12.5%": 12.5, "(1,234.50)": -1234.5, "-$5": -5.0, "$-5": -5.0, "5-": -5.0, "\u22127": -7.0,
    "1 234": 1234.0, "1\u00a0234.5": 1234.5, "1'000'000": 1e6, "12,5": 12.5, "0,125": 0.125, "00123": 123.0,
    "$1e-3": 0.001, "1e999": math.inf, "inf": math.inf, "-Infinity": -math.inf,
}  # fmt: skip
COMMA = {
    "1": 1.0, "12,5": 12.5, "1.234": 1234.0, "1.234,56": 1234.56, "1.234.567": 1234567.0,
    "-1.234,5 €": -1234.5,
    "12.5": 12.5, "0.125": 0.125, "1 234,5": 1234.5, ",5": 0.5, "1,": 1.0, "inf": math.inf, "(2,5)": -2.5,
}  # fmt: skip
NO_NUMBER = ["", " ", "abc", "nan", "NaN", "1 2", "12 34", "--5", "-(5)", "(5", "5)", "1,2,3", "212 555 1234",
             "5$5",
             "1.2.3", "0x10", "1_0", "one", "12 months", "-", "$", "٣", "1e", "5%%", "EUR"]  # fmt: skip


def number(values, **settings):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.String)})
    return frame.select(parse.number_expr("x", pl.String, **settings)).to_series()


def test_numbers_in_every_dress():
    assert number(list(PLAIN)).to_list() == list(PLAIN.values())


def test_numbers_with_a_decimal_comma():
    assert number(list(COMMA), decimal=",").to_list() == list(COMMA.values())


@pytest.mark.parametrize("decimal", [".", ","])
def test_what_is_no_number_is_null(decimal):
    assert number(NO_NUMBER, decimal=decimal).to_list() == [None] * len(NO_NUMBER)


@given(st.lists(st.floats(allow_nan=False) | st.none(), min_size=1), st.sampled_from([".", ","]))
def test_text_and_floats_give_the_same_numbers(values, decimal):
    typed = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    text = [None if value is None else repr(value).replace(".", decimal) for value in values]
    same = typed.select(parse.number_expr("x", pl.Float64, decimal=decimal)).to_series()
    assert_series_equal(number(text, decimal=decimal), same)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1))
def test_text_and_integers_give_the_same_integers(values):
    typed = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)})
    text = pl.DataFrame({"x": pl.Series([None if v is None else f" {v}" for v in values], dtype=pl.String)})
    assert_series_equal(
        text.select(parse.integer_expr("x", pl.String)).to_series(),
        typed.select(parse.integer_expr("x", pl.Int64)).to_series(),
    )


@given(st.lists(st.sampled_from([*PLAIN, *COMMA, *NO_NUMBER]), min_size=1), st.sampled_from([".", ","]))
def test_a_number_does_not_depend_on_its_neighbours(values, decimal):
    alone = [number([value], decimal=decimal)[0] for value in values]
    assert number(values, decimal=decimal).to_list() == alone


def test_integers_are_whole_and_fit():
    frame = pl.DataFrame(
        {"x": ["1", "2.0", "2.5", "1,234", "1e3", "9223372036854775807", "1e30", "inf", "x"]}
    )
    found = frame.select(parse.integer_expr("x")).to_series().to_list()
    assert found == [1, 2, None, 1234, 1000, 2**63 - 1, None, None, None]
    floats = pl.DataFrame({"x": [1.0, 1.5, math.inf, math.nan]})
    assert floats.select(parse.integer_expr("x", pl.Float64)).to_series().to_list() == [1, None, None, None]


def test_yes_and_no_in_every_spelling():
    yes = ["Yes", "Y", " TRUE", "t", "1", "1.0", "on", "True.", "ja", "Sí"]
    no = ["No", "n", "FALSE ", "f", "0", "0.0", "Off", "False.", "nein"]
    frame = pl.DataFrame({"x": [*yes, *no, "maybe", "", None, "2"]})
    found = frame.select(parse.boolean_expr("x")).to_series().to_list()
    assert found == [True] * len(yes) + [False] * len(no) + [None] * 4


def test_a_contracts_own_yes_and_no_win():
    frame = pl.DataFrame({"x": ["Active", "inactive", "yes", "0"]})
    found = frame.select(parse.boolean_expr("x", true="active", false="Inactive")).to_series().to_list()
    assert found == [True, False, True, False]
    turned = pl.DataFrame({"x": [1, 2, 0]})
    found = turned.select(parse.boolean_expr("x", pl.Int64, true="2", false="1")).to_series().to_list()
    assert found == [False, True, False]


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt32, pl.Float32, pl.Float64])
def test_numbers_are_yes_and_no_too(dtype):
    frame = pl.DataFrame({"x": pl.Series([1, 0, 2, None], dtype=dtype)})
    assert frame.select(parse.boolean_expr("x", dtype)).to_series().to_list() == [True, False, None, None]


ISO = ["2024-03-05", "2024/3/5", "2024.03.05", "20240305", "2024-03-05T10:00:00Z",
       "2024-03-05 10:00:00.5+02:00", " 2024-03-05 ", "5 Mar 2024", "05-Mar-24", "March 5, 2024",
       "Mar 5th 2024", "5-march-2024"]  # fmt: skip


def date(values, dtype=pl.String, **settings):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    return frame.select(parse.date_expr("x", dtype, **settings)).to_series().to_list()


@pytest.mark.parametrize("day_first", [True, False])
def test_dates_that_can_be_read_one_way(day_first):
    assert date(ISO, day_first=day_first) == [dt.date(2024, 3, 5)] * len(ISO)


def test_day_or_month_first():
    values = ["03/05/2024", "3.5.24", "03-05-2024 10:15", "25/12/2023", "12/25/2023"]
    third_of_may, fifth_of_march = dt.date(2024, 5, 3), dt.date(2024, 3, 5)
    assert date(values, day_first=True) == [third_of_may] * 3 + [dt.date(2023, 12, 25), None]
    assert date(values, day_first=False) == [fifth_of_march] * 3 + [None, dt.date(2023, 12, 25)]


def test_what_is_no_date_is_null():
    assert date(["", "13", "2024-02-30", "20241399", "10:30", "yesterday", "2024", "1/2"]) == [None] * 8


def test_years_of_two_digits():
    assert date(["1/2/69", "1/2/68", "1-Feb-99"]) == [
        dt.date(1969, 1, 2), dt.date(2068, 1, 2), dt.date(1999, 2, 1)
    ]  # fmt: skip


def test_typed_dates():
    assert date([dt.date(2024, 3, 5), None], pl.Date) == [dt.date(2024, 3, 5), None]
    assert date([dt.datetime(2024, 3, 5, 23)], pl.Datetime("us")) == [dt.date(2024, 3, 5)]  # noqa: DTZ001 - no zone meant
    assert date([20240305, 5], pl.Int64) == [dt.date(2024, 3, 5), None]
    assert date([20240305.0, None], pl.Float64) == [dt.date(2024, 3, 5), None]
    assert date([True], pl.Boolean) == [None]


@given(st.lists(st.dates(dt.date(1000, 1, 1), dt.date(2999, 12, 31)), min_size=1), st.booleans())
def test_text_and_dates_give_the_same_dates(values, day_first):
    assert date([str(value) for value in values], day_first=day_first) == values
    pattern = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    assert date([value.strftime(pattern) for value in values], day_first=day_first) == values


def test_levels_of_numbers_and_of_their_text_are_one():
    text = pl.DataFrame({"x": ["1", "1.0", " 2 ", "2.5", "NULL", "", "None", None]})
    assert text.select(parse.level_expr("x")).to_series().to_list() == [
        "1",
        "1",
        "2",
        "2.5",
        None,
        None,
        "None",
        None,
    ]
    floats = pl.DataFrame({"x": [1.0, 2.5, math.nan, None]})
    assert floats.select(parse.level_expr("x", pl.Float64)).to_series().to_list() == ["1", "2.5", None, None]
    assert pl.DataFrame({"x": [7]}).select(parse.level_expr("x", pl.Int64)).item() == "7"
    assert pl.DataFrame({"x": [True]}).select(parse.level_expr("x", pl.Boolean)).item() == "true"


def test_keys_forget_case_blanks_and_stray_dots():
    assert {parse.key_of(text) for text in (" False. ", "FALSE", "false")} == {"false"}
    assert parse.key_of("1.0") == "1"


def test_missing_depends_on_the_kind():
    frame = pl.DataFrame({"x": ["", " ", None, "NaN", "N/A", "None", "?", "0"]})

    def missing(kind):
        return frame.select(parse.missing_expr("x", pl.String, kind)).to_series().to_list()

    assert missing(Kind.NUMBER) == [True] * 7 + [False]
    assert missing(Kind.CATEGORY) == [True] * 4 + [False] * 4


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ("Yes", "No", [1, 0, 1, 0, 1, None, None]),
        ("1", "0", [1, 0, 1, 0, 1, None, None]),
        ("No", "Yes", [0, 1, 0, 1, 0, None, None]),
        ("yes", None, [1, 0, 0, 0, 0, 0, None]),
    ],
)
def test_labels_are_read_by_what_they_say(positive, negative, expected):
    churn = Churn(label="x", positive=positive, negative=negative)
    frame = pl.DataFrame({"x": [" YES", "no", "1.0", "False.", "true", "Joined", ""]})
    found = frame.select(parse.label_expr(churn)).to_series()
    assert found.dtype == pl.Int8
    assert found.to_list() == expected


def test_labels_of_other_words_are_held_to_them():
    churn = Churn(label="x", positive="Attrited Customer", negative="Existing Customer")
    frame = pl.DataFrame({"x": ["attrited customer", "Existing Customer", "1", None]})
    assert frame.select(parse.label_expr(churn)).to_series().to_list() == [1, 0, None, None]


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN, Kind.DATE, Kind.CATEGORY])
@pytest.mark.parametrize(
    "dtype", [pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.Date, pl.Datetime("us"), pl.Null]
)
def test_every_kind_takes_every_type_and_keeps_name_and_height(kind, dtype):
    frame = pl.DataFrame({"x": pl.Series([None, None], dtype=dtype)})
    found = frame.select(parse.typed_expr("x", Column(kind=kind), dtype))
    assert found.columns == ["x"]
    assert found["x"].to_list() == [None, None]
    assert frame.lazy().select(parse.typed_expr("x", Column(kind=kind), dtype)).collect().equals(found)


def test_a_fraction_of_zeros_is_left_out_after_ascii_digits_alone_as_databases_do():
    text = pl.DataFrame({"x": ["7.0", "-07.00", "\u0663.0"]})
    assert text.select(parse.level_expr("x")).to_series().to_list() == ["7", "-07", "\u0663.0"]
    assert [parse.key_of(level) for level in ("7.", "\u0663.00")] == ["7", "\u0663.00"]
