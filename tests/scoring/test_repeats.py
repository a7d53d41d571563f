from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.scoring.repeats import RepeatedIds


@given(st.lists(st.lists(st.integers(0, 30), max_size=40), max_size=8))
def test_it_is_exact_while_the_ids_fit(parts):
    found = RepeatedIds(most=64)
    for part in parts:
        found.add(np.array(part, dtype=np.uint64))
    ids = [one for part in parts for one in part]
    assert found.exact
    assert found.count() == len(ids) - len(set(ids))


def batches(rows):
    return np.array_split(rows, 50)


def test_no_repeats_are_never_taken_for_some():
    rows = np.random.default_rng(1).permutation(np.arange(200_000, dtype=np.uint64)) * np.uint64(2**46)
    found = RepeatedIds(most=1_000)
    for part in batches(rows):
        found.add(part)
    assert (found.exact, found.count()) == (False, 0)


def test_many_are_estimated_from_a_bounded_sample():
    draw = np.random.default_rng(2)
    ids = draw.integers(0, 2**64, 100_000, dtype=np.uint64)
    rows = draw.permutation(np.concatenate([ids, ids[:30_000], ids[:10_000]]))
    found = RepeatedIds(most=5_000)
    for part in batches(rows):
        found.add(part)
        assert len(found._seen) <= 5_000
        assert found._waiting <= 5_000 + len(part)
    assert found.count() == pytest.approx(40_000, rel=0.1)
