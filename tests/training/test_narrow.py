from __future__ import annotations

import numpy as np
import polars as pl

from holdfast.contract import Contract
from holdfast.training.narrow import LEAST_KEPT, MOST_KEPT, narrow

N = 4_000


def world(seed):
    draw = np.random.default_rng(seed)
    signal = draw.normal(size=N)
    hardly = [None] * (N - 4) + [1.0, 2.0, 3.0, 4.0]
    told = {
        "signal": signal,
        "again": signal,
        "same": np.ones(N),
        "hardly": hardly,
        **{f"noise_{at}": draw.normal(size=N) for at in range(60)},
        **{f"weak_{at}": signal + draw.normal(size=N) for at in range(12)},
    }
    frame = pl.DataFrame(told)
    y = (
        draw.random(N)
        < 1 / (1 + np.exp(-1.2 * frame.select(pl.mean_horizontal("^weak_.*$")).to_series().to_numpy()))
    ).astype(np.int8)
    return frame, np.asarray(y)


def contract(frame):
    return Contract.model_validate(
        {
            "name": "t",
            "churn": {"label": "churned", "positive": "1"},
            "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
            "columns": {name: {"kind": "number", "required": False} for name in frame.columns},
        }
    )


def test_what_says_nothing_or_repeats_another_is_dropped_with_its_reason():
    frame, y = world(1)
    found = narrow(contract(frame), frame, y, seed=1)
    assert found.dropped["same"] == "one value"
    assert found.dropped["again"] == "equal to signal"
    assert found.dropped["hardly"].startswith("missing on more than")
    assert "signal" in found.contract.inputs
    assert not set(found.dropped) & set(found.contract.inputs)
    assert found.contract.columns["same"].exclude == "dropped in training: one value"


def test_what_tells_is_kept_and_what_trees_use_least_goes_where_there_is_much():
    frame, y = world(1)
    found = narrow(contract(frame), frame, y, seed=1)
    assert {f"weak_{at}" for at in range(12)} <= set(found.contract.inputs)
    assert len(found.contract.inputs) == MOST_KEPT
    assert (
        sum(why == f"trees use {MOST_KEPT} others more" for why in found.dropped.values()) == 73 - MOST_KEPT
    )


def test_what_trees_do_not_use_is_dropped():
    draw = np.random.default_rng(2)
    told = {f"weak_{at}": draw.normal(size=N) for at in range(LEAST_KEPT)}
    rare = np.where(np.arange(N) < 10, 1.0, 0.0)  # fewer rows than a leaf needs
    frame = pl.DataFrame(told | {"rare": rare})
    y = (draw.random(N) < 1 / (1 + np.exp(-frame["weak_0"].to_numpy()))).astype(np.int8)
    assert narrow(contract(frame), frame, y, seed=1).dropped == {"rare": "trees do not use it"}


def test_the_same_rows_and_seed_drop_the_same():
    frame, y = world(3)
    assert (
        narrow(contract(frame), frame, y, seed=5).dropped == narrow(contract(frame), frame, y, seed=5).dropped
    )


def test_a_few_features_are_kept_whether_trees_use_them_or_not():
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({f"noise_{at}": draw.normal(size=N) for at in range(LEAST_KEPT)})
    found = narrow(contract(frame), frame, (draw.random(N) < 0.3).astype(np.int8), seed=1)
    assert found.dropped == {}
