"""A record gives the same bits through every door: HTTP, alone or in a batch, and tables of any kind."""

from __future__ import annotations

import json
import struct

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.contract import Contract, Kind
from holdfast.model import Model
from holdfast.registry import Registry
from holdfast.simulator import simulate
from holdfast.training import train


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A really trained, registered, loaded model, small."""
    home = tmp_path_factory.mktemp("home")
    customers = simulate(1_500, 11).customers
    contract = Contract.infer(customers, label="Churn")
    train(customers, contract, budget=3.0, models=["logistic_regression", "xgboost"], home=home)
    registry = Registry(home)
    version = registry.resolve("champion")
    registry.close()
    return Model.load(version.path, version=version.label)


@pytest.fixture(scope="module")
def client(serve_module, model):
    return serve_module(model)


def values(column):
    """Values of one column that a caller may send: good, missing, and levels that nobody knows."""
    if column.kind in (Kind.NUMBER, Kind.INTEGER):
        low, high = (
            column.min if column.min is not None else -1e6,
            column.max if column.max is not None else 1e6,
        )
        if column.kind is Kind.INTEGER:
            return st.none() | st.integers(int(low), int(high))
        return st.none() | st.floats(low, high) | st.integers(int(low) + 1, int(high))
    if column.kind is Kind.BOOLEAN:
        words = [word for word in (column.true, column.false) if word]
        return st.none() | st.booleans() | st.sampled_from([*words, 1, 0])
    if column.kind is Kind.DATE:
        return st.none() | st.dates().map(str)
    known = st.sampled_from(column.levels or ["a", "b"])
    anything = st.characters(codec="utf-8", exclude_characters="\0")  # which every door refuses
    return st.none() | known | known.map(str.upper) | st.text(anything, max_size=6)


def records(contract):
    fields = {name: values(column) for name, column in contract.inputs.items()}
    if contract.id_column is not None:
        fields[contract.id_column] = st.integers(1, 10**9).map(lambda number: f"C-{number}")
    return st.fixed_dictionaries(fields).flatmap(
        lambda record: st.permutations(list(record)).map(lambda names: {name: record[name] for name in names})
    )


def bits(probability):
    return struct.pack(">d", probability)


def table(contract, rows, *, typed):
    """Records as a table: numbers typed and the rest text, as in Parquet, or all text, as in CSV."""
    numbers = {Kind.NUMBER: pl.Float64, Kind.INTEGER: pl.Int64}
    made = {}
    for name in rows[0]:
        dtype = numbers.get(contract.columns[name].kind, pl.String) if typed else pl.String
        cells = [row[name] for row in rows]
        made[name] = pl.Series(cells if dtype != pl.String else [text(v) for v in cells], dtype=dtype)
    return pl.DataFrame(made)


def text(value):
    if value is None or isinstance(value, str):
        return value
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_every_door_gives_the_same_bits(client, model, data):
    rows = data.draw(st.lists(records(model.contract), min_size=1, max_size=4))
    alone = []
    for row in rows:
        answered = client.post(
            "/predict", content=json.dumps(row), headers={"content-type": "application/json"}
        )
        assert answered.status_code == 200, answered.text
        alone.append(answered.json())
    expected = [bits(answer["churn_probability"]) for answer in alone]
    together = client.post("/predict/batch", json={"customers": rows}).json()["predictions"]
    assert [bits(answer["churn_probability"]) for answer in together] == expected
    for typed in (True, False):
        scored = model.score(table(model.contract, rows, typed=typed)).frame
        assert [bits(p) for p in scored["churn_probability"]] == expected
        for name in ("customer_id", "will_churn", "risk_level", "recommendation"):
            assert scored[name].to_list() == [answer[name] for answer in alone]
    explained = client.post("/explain", json=rows[0]).json()
    assert bits(explained["churn_probability"]) == expected[0]
    assert explained["model"] == {"name": model.name, "version": "v1"}


def test_the_facts_of_a_trained_model_are_shown(client, model):
    info = client.get("/model_info").json()
    assert info["threshold"] == model.threshold
    assert info["created"]
    assert info["metrics"]["log_loss"] > 0
    assert client.get("/model_metrics").json()["test"] == info["metrics"]
    assert client.get("/feature_importance").json()["features"] == model.importance


def test_the_form_s_example_is_answered_and_explained(client):
    paths = client.get("/openapi.json").json()["paths"]
    example = paths["/explain"]["post"]["requestBody"]["content"]["application/json"]["example"]
    explained = client.post("/explain", json=example)
    assert explained.status_code == 200
    answer = explained.json()
    assert answer["warnings"] == []
    for way in ("up", "down"):
        reasons = answer[f"reasons_{way}"]
        sizes = [abs(reason["effect"]) for reason in reasons]
        assert sizes == sorted(sizes, reverse=True)
        assert {reason["direction"] for reason in reasons} <= {way}
