from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.pages import words

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (7043, "7,043"),
        (-2.5, f"{MINUS}2.5"),
        (0.84912, "0.849"),
        (2283.3, "2,283"),
        (1e-9, f"1e{MINUS}09"),
        (1.5e20, "1.5e+20"),
        (math.inf, "∞"),
        (-math.inf, f"{MINUS}∞"),
        (math.nan, words.NONE),
        (None, words.NONE),
    ],
)
def test_numbers_are_written_for_people(value, said):
    assert words.number(value) == said


def test_counts_take_the_right_number():
    assert words.count(1, "row") == "1 row"
    assert words.count(1234, "row") == "1,234 rows"
    assert words.count(None) == words.NONE


def test_shares_and_percents():
    assert words.share(1869, 7043) == "1,869 of 7,043 = 26.5 %"
    assert words.share(0, 0) == "0 of 0"
    assert [words.percent(x) for x in (0, 1e-6, 0.5, 1 - 1e-6, 1, None)] == [
        "0 %", "< 0.1 %", "50.0 %", "> 99.9 %", "100 %", words.NONE,
    ]  # fmt: skip


def test_money_fixed_and_compact():
    assert [words.money(x) for x in (1234.5, 12.5, 12, -3, None)] == [
        "1,235",
        "12.50",
        "12",
        f"{MINUS}3",
        words.NONE,
    ]
    assert words.fixed(-0.5) == f"{MINUS}0.50"
    assert [words.compact(x) for x in (1500, 20_000, 3e6, 2e9, 4e12)] == ["1,500", "20k", "3M", "2G", "4T"]


@given(value=st.floats())
def test_any_float_can_be_said(value):
    for say in (words.number, words.percent, words.fixed, words.compact):
        assert say(value)
