from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from holdfast.quality.association import auc, correlations, cramers_v, wilson


@given(whole=st.integers(1, 10_000), data=st.data())
def test_the_wilson_interval_is_scipys(whole, data):
    part = data.draw(st.integers(0, whole))
    wanted = stats.binomtest(part, whole).proportion_ci(method="wilson")
    low, high = wilson(part, whole)
    assert low == pytest.approx(wanted.low, abs=1e-12)
    assert high == pytest.approx(wanted.high, abs=1e-12)
    assert 0 <= low <= part / whole <= high + 1e-12 <= 1 + 1e-12


def test_nobody_says_nothing():
    assert wilson(0, 0) == (0, 1)


@given(rows=st.lists(st.tuples(st.sampled_from([0.0, 1.5, 2.0, None]), st.booleans()), max_size=30))
def test_the_auc_is_sklearns(rows):
    values = pl.Series([value for value, _ in rows], dtype=pl.Float64)
    label = pl.Series([int(left) for _, left in rows], dtype=pl.Int8)
    known = [(value, left) for value, left in rows if value is not None]
    if len({left for _, left in known}) < 2:
        assert auc(values, label) is None
    else:
        wanted = roc_auc_score([left for _, left in known], [value for value, _ in known])
        assert auc(values, label) == pytest.approx(wanted)


def test_cramers_v_runs_from_nothing_to_everything():
    assert cramers_v(np.array([50.0, 0.0]), np.array([0.0, 50.0])) == pytest.approx(1, abs=0.01)
    assert cramers_v(np.array([50.0, 50.0]), np.array([70.0, 70.0])) == 0
    assert cramers_v(np.array([50.0]), np.array([70.0])) is None
    assert cramers_v(np.array([50.0, 3.0]), np.array([0.0, 0.0])) is None
    assert cramers_v(np.array([]), np.array([])) is None


def test_a_level_for_every_customer_knows_nothing():
    left = np.array([1.0, 0.0] * 500)
    assert cramers_v(left, 1 - left) == pytest.approx(0, abs=0.05)


@given(
    rows=st.lists(
        st.tuples(*[st.one_of(st.none(), st.integers(-5, 5).map(float))] * 3), min_size=3, max_size=30
    )
)
def test_correlations_use_the_rows_where_both_have_a_value(rows):
    frame = pl.DataFrame(rows, schema={"a": pl.Float64, "b": pl.Float64, "c": pl.Float64}, orient="row")
    found = correlations(frame)
    assert np.array_equal(found, found.T, equal_nan=True)
    both = frame.select("a", "b").drop_nulls()
    if both.height > 1 and both["a"].n_unique() > 1 and both["b"].n_unique() > 1:
        assert found[0, 1] == pytest.approx(stats.pearsonr(both["a"], both["b"])[0], abs=1e-9)


def test_spearman_is_scipys_where_nothing_is_missing():
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    frame = pl.DataFrame({"a": a, "b": np.exp(a + rng.normal(size=200)).round(1), "still": 1.0})
    found = correlations(frame, ranked=True)
    assert found[0, 1] == pytest.approx(stats.spearmanr(frame["a"], frame["b"])[0])
    assert found[0, 0] == 1
    assert np.isnan(found[2]).all()
