"""Promotions and rollbacks under load: no request fails, and each answer is of the version that it names."""

from __future__ import annotations

import json
import threading

import polars as pl
import pytest
from served import Load
from waiting import wait_until

from holdfast.model import Model

pytestmark = pytest.mark.chaos


def test_each_score_recomputes_exactly_under_the_version_that_it_names(installation, bodies, size):
    changes, least = size(10, 200), size(100, 5_000)
    told = []
    lock = threading.Lock()

    def note(status, _headers, answer, body):
        if status == 200:
            found = json.loads(answer)
            with lock:
                told.append((body, found["model"]["version"], found["churn_probability"]))

    registry = installation.registry()
    with installation.serve() as served, Load(served.address, bodies, clients=4, check=note) as load:
        load.wait_for(20)
        for _ in range(changes // 2):
            registry.promote("v2")
            seen(told, "v2")
            registry.rollback()
            seen(told, "v1")
        load.wait_for(max(0, least - load.answered))
    assert (set(load.statuses), load.failures) == ({200}, [])
    assert len(told) >= least
    for name in ("v1", "v2"):
        model = Model.load(registry.resolve(name).path, version=name)
        asked = [(body, score) for body, version, score in told if version == name]
        assert len(asked) >= changes // 2
        table = pl.DataFrame([as_text(json.loads(body)) for body, _ in asked], infer_schema_length=None)
        conformed = model.conform(table)
        assert len(conformed.frame) == len(asked)
        expected = dict(zip((body for body, _ in asked), model.probability(conformed.frame), strict=True))
        assert [score for _, score in asked] == [expected[body] for body, _ in asked]
    registry.engine.dispose()


def seen(told, version):
    """Wait until answers come from a version."""
    before = len(told)
    wait_until(lambda: any(one[1] == version for one in told[before:]), f"an answer of {version}")


def as_text(record):
    return {name: str(value) for name, value in record.items()}
