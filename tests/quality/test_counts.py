from __future__ import annotations

import json

from holdfast.quality.counts import MOST_EXAMPLES, Counts


def test_counts_of_batches_add_up():
    first = Counts(
        rows=10,
        rejected=1,
        missing={"a": 1},
        unseen={"b": 2},
        unseen_examples={"b": ("x",)},
        absent_columns=("c",),
    )
    second = Counts(
        rows=5,
        missing={"a": 2, "d": 1},
        unseen={"b": 1},
        unseen_examples={"b": ("y", "x")},
        absent_columns=("c",),
    )
    both = first + second
    assert (both.rows, both.rejected, both.kept) == (15, 1, 14)
    assert both.missing == {"a": 3, "d": 1}
    assert both.unseen == {"b": 3}
    assert both.unseen_examples == {"b": ("x", "y")}
    assert both.absent_columns == ("c",)
    assert first + Counts() == first == Counts() + first


def test_examples_are_capped():
    many = Counts(unseen_examples={"b": tuple(map(str, range(MOST_EXAMPLES)))})
    assert (many + Counts(unseen_examples={"b": ("new",)})).unseen_examples == many.unseen_examples


def test_counts_are_json():
    text = json.dumps(Counts(rows=1, repair_examples={"a": (("yes ", "Yes"),)}).as_dict())
    assert json.loads(text)["repair_examples"] == {"a": [{"from": "yes ", "to": "Yes"}]}
