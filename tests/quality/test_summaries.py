from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract import Column, Kind
from holdfast.quality.summaries import level_segments, number_summary, range_segments, segment

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def labels(count: int) -> pl.Series:
    return pl.Series([place % 3 == 0 for place in range(count)]).cast(pl.Int8)


@given(values=st.lists(st.one_of(st.none(), FINITE, st.sampled_from([0.0, 1.0])), max_size=40))
def test_a_summary_of_any_numbers(values):
    series = pl.Series(values, dtype=pl.Float64)
    found = number_summary(series, labels(len(values)))
    known = [value for value in values if value is not None]
    if not known:
        assert found is None
        return
    assert (found.min, found.max) == (min(known), max(known))
    if max(map(abs, known)) < 1e100:
        assert found.mean == pytest.approx(np.mean(known))
        assert found.p25 == pytest.approx(np.quantile(known, 0.25))
        assert found.p99 == pytest.approx(np.quantile(known, 0.99))
    if found.histogram is not None:
        inside = sum(found.histogram.left) + sum(found.histogram.stayed)
        assert inside + found.histogram.below + found.histogram.above == len(known)
        assert len(found.histogram.edges) == len(found.histogram.left) + 1


@given(values=st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40), st.integers(0, 9)), max_size=40))
def test_a_summary_of_whole_numbers(values):
    found = number_summary(pl.Series(values, dtype=pl.Int64), labels(len(values)))
    if found is not None and found.histogram is not None:
        counted = sum(found.histogram.left) + sum(found.histogram.stayed)
        known = len([value for value in values if value is not None])
        assert counted + found.histogram.below + found.histogram.above == known
        width = found.histogram.edges[1] - found.histogram.edges[0]
        assert width == round(width)


def test_outliers_by_three_rules():
    values = pl.Series([float(value) for value in range(100)] + [1000.0])
    found = number_summary(values, labels(101)).outliers
    assert (found.iqr, found.z, found.percentile) == (1, 1, 2)


def test_a_long_tail_does_not_squeeze_the_histogram():
    values = pl.Series(np.append(np.random.default_rng(0).normal(size=5000), 1e9))
    found = number_summary(values, labels(5001)).histogram
    assert found.edges[-1] < 10
    assert found.above >= 1


@given(values=st.lists(st.one_of(st.none(), FINITE, st.sampled_from([0.0, 1.0, 2.0])), max_size=60))
def test_segments_of_a_range_hold_everyone_once(values):
    series = pl.Series(values, dtype=pl.Float64)
    label = labels(len(values))
    found = range_segments(series, label)
    known = series.is_not_null()
    assert sum(each.rows for each in found) == known.sum()
    assert sum(each.left for each in found) == label.filter(known).sum()
    assert all(each.rows for each in found)
    assert all(each.low <= each.rate <= each.high + 1e-12 for each in found)


def test_segments_are_named_by_the_values_in_them():
    series = pl.Series(range(100), dtype=pl.Int64)
    assert [each.name for each in range_segments(series, labels(100))] == [
        "0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 99",
    ]  # fmt: skip
    assert [each.name for each in range_segments(series % 3, labels(100))] == ["0", "1", "2"]
    days = pl.Series(range(0, 1000, 100), dtype=pl.Int32).cast(pl.Date)
    assert range_segments(days, labels(10))[0].name == "1970-01-01 to 1970-04-11"


def test_levels_most_frequent_first_and_the_rest_together():
    values = pl.Series(["a"] * 3 + ["b"] * 5 + [None] + [f"x{place}" for place in range(60)])
    found, others = level_segments(values, labels(len(values)), Column(kind=Kind.CATEGORY))
    assert [each.name for each in found[:2]] == ["b", "a"]
    assert found[-1].name == "(all other levels)"
    assert others == 12
    assert sum(each.rows for each in found) == 68


def test_booleans_are_named_as_the_file_names_them():
    values = pl.Series([True, False, True])
    found, _ = level_segments(values, labels(3), Column(kind=Kind.BOOLEAN, true="ja", false="nein"))
    assert [each.name for each in found] == ["ja", "nein"]
    found, _ = level_segments(values, labels(3), Column(kind=Kind.BOOLEAN))
    assert [each.name for each in found] == ["Yes", "No"]


def test_an_empty_segment_has_no_rate():
    assert segment("x", 0, 0).rate is None
    assert math.isclose(segment("x", 4, 1).rate, 0.25)
