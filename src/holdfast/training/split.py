"""Which rows learn, which judge: a test split that nothing touches, and folds inside the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray


MOST_REPEATS = 0.5
"""Where a larger share of rows repeats an earlier one, few columns of few values make customers alike."""


def one_customer(frame: pl.DataFrame) -> NDArray[np.int64] | None:
    """`repeated_rows`, or none where repeats are the rule.

    Four kinds of rows are four kinds of customers, not four customers. Kept undivided, a fold would hold a
    single kind, and its churn rate would say nothing of the others'.
    """
    groups = repeated_rows(frame)
    return groups if len(np.unique(groups)) >= (1 - MOST_REPEATS) * len(groups) else None


def repeated_rows(frame: pl.DataFrame) -> NDArray[np.int64]:
    """A number for each row, equal for rows that are equal in every column; shape (n,).

    Where customers have no id, equal rows may be one customer twice. They are kept on the same side of every
    split: else a model is judged on rows that it has seen.
    """
    return frame.hash_rows(seed=0).rank("dense").cast(pl.Int64).to_numpy()


def assign(
    y: NDArray[np.int8], parts: int, *, seed: int, groups: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Part 0 to ``parts`` - 1 of each row, shape (n,): the same share of leavers in each, groups undivided.

    Args:
        y: labels.
        parts: how many.
        seed: of the shuffle.
        groups: number of each row's group; without it each row is its own.
    """
    random = np.random.default_rng(seed)
    if groups is None:
        return _stratified(y, parts, random)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return _stratified(y[first], parts, random)[inverse]


def _stratified(y: NDArray[np.int8], parts: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Deal each class out in turn, in random order."""
    part = np.empty(len(y), dtype=np.int64)
    start = 0
    for value in np.unique(y):
        rows = random.permutation(np.flatnonzero(y == value))
        part[rows] = (np.arange(len(rows)) + start) % parts
        start += len(rows)
    return part
