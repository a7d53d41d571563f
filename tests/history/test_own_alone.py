from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.history.own_alone import insist_same
from holdfast.history.own_checks import QueryError


@given(st.dictionaries(st.text(max_size=3), st.floats(-1e9, 1e9), max_size=6), st.floats(-1e-10, 1e-10))
def test_sums_in_another_order_and_values_that_are_missing_both_times_are_the_same(among, off):
    insist_same(among, {who: value * (1 + off) for who, value in among.items()}, "mine")
    insist_same(dict.fromkeys(among), {}, "mine")


def test_what_is_added_to_nothing_may_leave_something_as_small_as_its_terms_allow():
    insist_same({"A": 0.0, "B": 5_000.0}, {"A": 4.5e-13, "B": 5_000.0}, "mine")


@pytest.mark.parametrize(
    ("among", "alone"),
    [
        (0.0667, 1.0),
        (2, 1),
        (2, None),
        (None, 0.0),
        ("a", "b"),
        (True, False),
        (1.0, 1.0 + 1e-8),
        (10**15, 10**15 + 1),
    ],
)
def test_another_value_is_told_with_the_customer_and_both_values(among, alone):
    with pytest.raises(QueryError, match='such as "B"') as told:
        insist_same({"A": None, "B": among}, {"B": alone}, "mine")
    assert told.value.where == "mine"
