from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.training.split import assign, one_customer, repeated_rows

labels = st.lists(st.sampled_from([0, 0, 0, 1]), min_size=20, max_size=300).map(
    lambda values: np.array(values, dtype=np.int8)
)


@given(labels, st.integers(2, 6), st.integers(0, 99))
def test_every_part_has_its_share_of_either_outcome(y, parts, seed):
    part = assign(y, parts, seed=seed)
    assert part.min() >= 0
    assert part.max() < parts
    for value in (0, 1):
        counts = np.bincount(part[y == value], minlength=parts)
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(part, minlength=parts)
    assert sizes.max() - sizes.min() <= 2


@given(labels, st.integers(2, 5), st.integers(0, 9), st.data())
@settings(max_examples=50)
def test_groups_are_never_divided(y, parts, seed, data):
    groups = np.array(data.draw(st.lists(st.integers(0, 40), min_size=len(y), max_size=len(y))))
    part = assign(y, parts, seed=seed, groups=groups)
    for group in np.unique(groups):
        assert len(set(part[groups == group])) == 1


def test_the_same_seed_gives_the_same_parts_and_another_others():
    y = (np.arange(500) % 4 == 0).astype(np.int8)
    assert (assign(y, 5, seed=1) == assign(y, 5, seed=1)).all()
    assert (assign(y, 5, seed=1) != assign(y, 5, seed=2)).any()


def test_equal_rows_and_only_they_have_equal_numbers():
    frame = pl.DataFrame({"a": [1.0, 2.0, 1.0, None, None, 1.0], "b": ["x", "x", "x", "x", "x", None]})
    found = repeated_rows(frame)
    assert found[0] == found[2]
    assert found[3] == found[4]
    assert len(set(found)) == 4


def test_equal_rows_are_one_customer_as_long_as_half_of_the_rows_are_distinct_as_the_page_says():
    twice = pl.DataFrame({"a": [1, 2, 3, 1, 2, 3]})
    groups = one_customer(twice)
    assert groups is not None
    assert groups.tolist() == repeated_rows(twice).tolist()
    assert one_customer(pl.concat([twice, twice[:1]])) is None
    page = " ".join((Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8").split())
    assert "as long as there are at least half as many distinct rows as rows" in page
