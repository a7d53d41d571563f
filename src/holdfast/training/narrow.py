"""Which features a training needs: a rule that looks only at rows it may learn from.

Dropped are features that say nothing (one value, or hardly any), exact copies of an earlier one, and those
that boosted trees do not use. Of the rest the most used are kept. Nothing more: penalised learners live with
noise better than without what one round of trees missed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.features import Encoder, FeatureProgram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Contract

ABSENT = 0.995
"""A feature without a value on a larger share of rows than this is dropped."""

LEAST_KEPT = 10
"""So many of the most used are kept whether they are used or not."""

MOST_KEPT = 60
"""Of those left so many are kept at the most: the others add time, and hardly anything to the quality."""

ROWS = 20_000
"""Looked at."""

_ROUNDS = 60


@dataclass(frozen=True)
class Narrowed:
    """What is left of a contract's features.

    Attributes:
        contract: with the others excluded.
        dropped: name to reason, in the contract's order.
    """

    contract: Contract
    dropped: dict[str, str]


def narrow(contract: Contract, frame: pl.DataFrame, y: NDArray[np.int8], *, seed: int) -> Narrowed:
    """Drop what is not needed.

    Args:
        contract: whose features.
        frame: conformed rows to learn from.
        y: their labels.
        seed: of the sample and the shuffles.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(y))[:ROWS])
    seen, y = frame[rows], y[rows]
    dropped = _silent(seen)
    if y.min() != y.max():
        kept = _excluding(contract, dropped)
        dropped |= _unused(kept, seen, y, random)
    ordered = {name: dropped[name] for name in contract.inputs if name in dropped}
    return Narrowed(_excluding(contract, ordered), ordered)


def _excluding(contract: Contract, dropped: dict[str, str]) -> Contract:
    """The contract with the features ``dropped`` excluded; unchanged where nothing would be left."""
    if set(contract.inputs) <= set(dropped):
        return contract
    columns = {
        name: column.model_copy(update={"exclude": f"dropped in training: {dropped[name]}"})
        if name in dropped
        else column
        for name, column in contract.columns.items()
    }
    return contract.model_copy(update={"columns": columns})


def _silent(frame: pl.DataFrame) -> dict[str, str]:
    """Features with one value, hardly any value, or the values of an earlier one."""
    dropped: dict[str, str] = {}
    first: dict[bytes, str] = {}
    for column in frame.get_columns():
        if column.null_count() > ABSENT * len(column):
            dropped[column.name] = f"missing on more than {ABSENT:.1%} of rows"
        elif column.n_unique() == 1:
            dropped[column.name] = "one value"
        else:
            values = column.cast(pl.Float64, strict=False) if column.dtype.is_numeric() else column
            same = hashlib.sha256(values.hash(seed=0).to_numpy().tobytes()).digest()
            if same in first:
                dropped[column.name] = f"equal to {first[same]}"
            first.setdefault(same, column.name)
    return dropped


def _unused(
    contract: Contract, frame: pl.DataFrame, y: NDArray[np.int8], random: np.random.Generator
) -> dict[str, str]:
    """Features that boosted trees do not use, or use less than the `MOST_KEPT` they use most."""
    import lightgbm  # noqa: PLC0415 - slow to import

    program = FeatureProgram(contract)
    encoder = Encoder(program)
    seed = int(random.integers(2**31))
    X = encoder.fit_transform(program.frame(frame), y, seed=seed)
    settings = {
        "objective": "binary", "num_leaves": 15, "learning_rate": 0.1, "min_child_samples": 20,
        "colsample_bytree": 0.3, "verbosity": -1, "num_threads": 1, "deterministic": True,
        "force_row_wise": True, "seed": seed,
    }  # fmt: skip
    data = lightgbm.Dataset(X, label=y, params=settings)
    gain = lightgbm.train(settings, data, num_boost_round=_ROUNDS).feature_importance("gain")
    used = dict.fromkeys(program.names, 0.0)
    for slot, value in zip(encoder.slots, gain, strict=True):
        used[slot.feature] += float(value)
    ranked = sorted(used, key=lambda name: -used[name])
    dropped = dict.fromkeys(ranked[MOST_KEPT:], f"trees use {MOST_KEPT} others more")
    return dropped | {name: "trees do not use it" for name in ranked[LEAST_KEPT:] if used[name] == 0}
