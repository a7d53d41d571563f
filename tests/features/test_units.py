from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.contract import Column, Kind, Meaning
from holdfast.features import RECORD_FEATURES, units
from holdfast.features.units import NOT_KNOWN, Measured, Unit, phrase, unit_of, written

CHARGE = Column(kind=Kind.NUMBER, meaning=Meaning.MONTHLY_CHARGE)
UNITS = [value for value in vars(units).values() if isinstance(value, Unit)]
WORDS = {NOT_KNOWN, "over 10^15", "under -10^15", "nearly 0"}
NUMBER = re.compile(r"-?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]*[1-9])?")


def write(values, unit=units.PLAIN, column=None, dtype=None):
    return written(pl.Series("x", values, dtype=dtype).to_frame(), {"x": Measured(unit, column)})


def said(value, unit=units.PLAIN, column=None, dtype=None):
    return write([value], unit, column, dtype).phrases.item()


@pytest.mark.parametrize(
    ("value", "unit", "phrase"),
    [
        (0, units.MONTHS, "0 months"),
        (1, units.MONTHS, "1 month"),
        (1.0, units.MONTHS, "1 month"),
        (0.9999, units.MONTHS, "1 month"),
        (2, units.MONTHS, "2 months"),
        (0.25, units.CALLS_A_MONTH, "0.25 calls a month"),
        (1.0, units.CALLS_A_MONTH, "1 call a month"),
        (1, units.SERVICES, "1 service"),
        (70.35, units.MONEY_A_MONTH, "70.4 a month"),
        (11.6917, units.MONEY_A_SERVICE, "11.7 per service"),
        (2283.3004, units.MONEY, "2,283"),
        (1.0, units.RATIO, "1"),
        (0.0979167, units.SCORE, "0.0979"),
        (0.25, units.SHARE, "25 %"),
        (1, units.SHARE, "100 %"),
        (0.285, units.SHARE, "28.5 %"),
        (0.26537, units.CHURN_RATE, "26.5 %"),
        (-0.0, units.PLAIN, "0"),
        (0.00001, units.PLAIN, "0.00001"),
        (3e-9, units.PLAIN, "nearly 0"),
        (4e18, units.MONEY_A_MONTH, "over 10^15 a month"),
        (-4e18, units.PLAIN, "under -10^15"),
        (None, units.MONTHS, "not known"),
        (math.nan, units.MONTHS, "not known"),
        (math.inf, units.MONTHS, "not known"),
        (-math.inf, units.SHARE, "not known"),
        ("0-12", units.MONTHS, "0-12"),
        (date(2024, 1, 31), units.PLAIN, "2024-01-31"),
        (Decimal("12.50"), units.PLAIN, "12.5"),
        (2019, units.PLAIN, "2019"),
        (20_190, units.PLAIN, "20,190"),
        (1_889, units.CALLS, "1,889 calls"),
        (-1_234_567, units.PLAIN, "-1,234,567"),
    ],
)
def test_values_read_like_a_person_wrote_them(value, unit, phrase):
    assert said(value, unit) == phrase


@pytest.mark.parametrize(
    ("value", "phrase"),
    [
        (70.35, "70.35 a month"),
        (1889.5, "1,889.5 a month"),
        (70.357, "70.36 a month"),
        (20.0, "20 a month"),
        (0.012345, "0.0123 a month"),
    ],
)
def test_a_tables_own_money_keeps_its_cents(value, phrase):
    assert said(value, unit_of(CHARGE), CHARGE) == phrase


@pytest.mark.parametrize(
    ("spelled", "told"),
    [
        (("Yes", "No"), ["Yes", "No"]),
        (("Active", "Paused"), ["Active", "Paused"]),
        (("1", "0"), ["Yes", "No"]),
        (("TRUE", "FALSE"), ["Yes", "No"]),
        ((None, None), ["Yes", "No"]),
    ],
)
def test_flags_read_as_words(spelled, told):
    column = Column(kind=Kind.BOOLEAN, true=spelled[0], false=spelled[1])
    found = write([True, False, None], unit_of(column), column)
    assert found.phrases.to_list() == [*told, "not known"]
    assert found.units["x"].to_list() == ["", "", ""]


def test_a_unit_follows_numbers_only():
    assert unit_of(Column(kind=Kind.CATEGORY, meaning=Meaning.CONTRACT_TERM)) == units.PLAIN
    assert unit_of(Column(kind=Kind.INTEGER, meaning=Meaning.CONTRACT_TERM)) == units.MONTHS
    assert unit_of(Column(kind=Kind.INTEGER)) == units.PLAIN


def test_what_a_record_feature_is_measured_in_has_a_name():
    assert all(feature.unit.name for feature in RECORD_FEATURES.values())
    assert len(UNITS) > 20
    for unit in UNITS:
        assert not {"ratio", "score", "money", "band", "type"} & {unit.one, unit.many}


numbers = st.one_of(st.floats(), st.floats(-1e6, 1e6), st.integers(-(10**9), 10**9).map(lambda n: n / 100))


@given(value=numbers | st.none(), unit=st.sampled_from(UNITS), column=st.sampled_from([CHARGE, None]))
@example(value=1e308, unit=units.SHARE, column=None)
@example(value=5e-324, unit=units.PLAIN, column=CHARGE)
@example(value=999_999_999_999_999.9, unit=units.PLAIN, column=None)
def test_any_number_is_written_in_digits_or_in_words(value, unit, column):
    found = write([value], unit, column, pl.Float64)
    text, follows = found.values.item(), found.units.item()
    assert text in WORDS or NUMBER.fullmatch(text)
    assert found.phrases.item() == phrase(text, follows)
    assert follows == ("" if text == NOT_KNOWN else unit.one if text == "1" else unit.many)
    if text in WORDS:
        return
    meant = value * unit.times
    near = float(text.replace(",", ""))
    tolerance = 0.005 if column else 0.5
    assert abs(near - meant) <= min(tolerance, 0.005 * abs(meant)) * (1 + 1e-9) + 1e-9 * abs(meant)
    decimals = text.partition(".")[2]
    if column is None and decimals:
        assert len((text.partition(".")[0] + decimals).lstrip("-0")) <= 3
    assert column is None or abs(meant) < 1 or len(decimals) <= 2


@given(value=st.integers(-(2**63), 2**63 - 1), unit=st.sampled_from(UNITS))
def test_whole_numbers_are_written_in_full(value, unit):
    text = write([value], unit, None, pl.Int64).values.item()
    assert NUMBER.fullmatch(text) or text in WORDS
    if unit.times == 1:
        assert int(text.replace(",", "")) == value


@given(values=st.lists(st.text() | st.none(), max_size=5))
def test_texts_stay_as_they_are(values):
    found = write(values, units.MONTHS, dtype=pl.String)
    assert found.phrases.to_list() == [NOT_KNOWN if value is None else value for value in values]


@given(values=st.lists(numbers | st.none(), min_size=1, max_size=8))
def test_a_value_reads_the_same_alone_and_among_others(values):
    together = write(values, units.MONTHS, CHARGE, pl.Float64).phrases
    alone = [said(value, units.MONTHS, CHARGE, pl.Float64) for value in values]
    assert together.to_list() == alone


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int8, pl.UInt64, pl.Boolean, pl.String, pl.Null, pl.Date])
def test_no_values_and_unknown_ones_of_any_type(dtype):
    assert write([], units.MONTHS, dtype=dtype).phrases.to_list() == []
    assert write([None], units.MONTHS, dtype=dtype).phrases.to_list() == [NOT_KNOWN]
