"""The Open Inference Protocol: the same answers as /predict/batch in the protocol's words."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from holdfast.store import reading
from holdfast.store.tables import predictions

INFER = "/v2/models/customers/infer"


def tensors_of(records):
    """Customers as one tensor a column, as a client of the protocol sends them."""
    types = {str: "BYTES", int: "INT64", float: "FP64", bool: "BOOL"}
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    return [
        {
            "name": name,
            "shape": [len(records)],
            "datatype": next(types[type(value)] for value in values if value is not None),
            "data": values,
        }
        for name, values in columns.items()
    ]


@pytest.fixture
def records(good):
    return [
        good,
        good | {"Customer No.": "B-2", "Monthly Charges": 0.1 + 0.2, "Balance": None, "City": None},
        good | {"Customer No.": "C-3", "tenure": None, "Balance": -1e-17, "Plan": "Plus"},
    ]


def data_of(answer):
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def test_answers_are_those_of_predict_bit_for_bit_and_are_logged(client, shop, records):
    batch = client.post("/predict/batch", json={"customers": records}).json()["predictions"]
    answer = client.post(INFER, json={"id": "42", "inputs": tensors_of(records)})
    found = answer.json()
    assert (answer.status_code, found["model_name"], found["model_version"], found["id"]) == (
        200,
        "customers",
        "v1",
        "42",
    )
    assert found["parameters"] == {"threshold": 0.3}
    assert [(out["name"], out["datatype"], out["shape"]) for out in found["outputs"]] == [
        ("churn_probability", "FP64", [3]),
        ("will_churn", "BOOL", [3]),
        ("risk_level", "BYTES", [3]),
        ("prediction_id", "BYTES", [3]),
    ]
    told = data_of(answer)
    for name in ("churn_probability", "will_churn", "risk_level"):
        assert told[name] == [one[name] for one in batch], name
    with reading(shop.registry.engine) as connection:
        wanted = predictions.c.id.in_(told["prediction_id"])
        rows = connection.execute(
            sa.select(predictions.c.customer_id, predictions.c.probability).where(wanted)
        ).all()
    expected = zip(["A-17", "B-2", "C-3"], told["churn_probability"], strict=True)
    assert sorted(map(tuple, rows)) == sorted(expected)


def test_columns_may_be_written_as_n_by_1_and_outputs_chosen(client, records):
    wide = tensors_of(records)
    for tensor in wide:
        tensor["shape"] = [3, 1]
        tensor["data"] = [[value] for value in tensor["data"]]
    flat = [tensor | {"shape": [3, 1]} for tensor in tensors_of(records)]
    chosen = {"outputs": [{"name": "risk_level"}]}
    found = [client.post(INFER, json=chosen | {"inputs": inputs}).json() for inputs in (wide, flat)]
    assert found[0] == found[1]
    assert [output["name"] for output in found[0]["outputs"]] == ["risk_level"]
    assert "id" not in found[0]


def test_the_metadata_describe_what_infer_takes_and_gives(client):
    found = client.get("/v2/models/customers").json()
    assert (found["name"], found["versions"], found["platform"]) == ("customers", ["v1"], "holdfast")
    types = {tensor["name"]: tensor["datatype"] for tensor in found["inputs"]}
    assert types == {
        "Customer No.": "BYTES",
        "Monthly Charges": "FP64",
        "tenure": "INT64",
        "Senior?": "BOOL",
        "Plan": "BYTES",
        "City": "BYTES",
        "Joined": "BYTES",
        "Balance": "FP64",
    }
    assert all(tensor["shape"] == [-1] for tensor in found["inputs"] + found["outputs"])
    assert client.get("/v2/models/customers/versions/v1").json() == found
    assert client.get("/v2").json()["name"] == "holdfast"


def test_health_is_told_in_the_protocol_s_words(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/customers/ready", "/v2/models/customers/versions/1/ready"):
        assert client.get(path).json() == {"name": "customers", "ready": True}
    client.app.state.health.draining = True
    for path in ("/v2/health/ready", "/v2/models/customers/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["ready"]) == (503, False)


def test_what_is_not_in_charge_is_not_found(client, records):
    inputs = {"inputs": tensors_of(records)}
    for path in ("/v2/models/other", "/v2/models/customers/versions/v2"):
        answers = [client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer", json=inputs)]
        for answer in answers:
            assert (answer.status_code, list(answer.json())) == (404, ["error"]), path


def test_without_a_model_the_protocol_says_so(shop, open_client):
    client = open_client(shop)
    for path in ("/v2/models/customers", "/v2/models/customers/ready"):
        answer = client.get(path)
        assert (answer.status_code, list(answer.json())) == (503, ["error"])
        assert "holdfast train" in answer.json()["error"]
    assert client.get("/v2/health/ready").status_code == 503


def one(**changes):
    return [{"name": "tenure", "shape": [1], "datatype": "INT64", "data": [3]} | changes]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "an object"),
        ({}, '"inputs"'),
        ({"inputs": {}}, '"inputs"'),
        ({"inputs": []}, "one tensor"),
        ({"inputs": [1]}, "no tensor with a name"),
        ({"inputs": one(name=None)}, "no tensor with a name"),
        ({"inputs": one() * 2}, "one tensor"),
        ({"inputs": [*one(), *one(name="City", shape=[2], datatype="BYTES", data=["a", "b"])]}, "one tensor"),
        ({"inputs": one(data=None)}, "Binary data"),
        ({"inputs": one(datatype="INT3")}, "datatype"),
        ({"inputs": one(datatype=["INT64"])}, "datatype"),
        ({"inputs": one(shape=[2])}, "shape"),
        ({"inputs": one(shape=[1, 2])}, "shape"),
        ({"inputs": one(shape="1")}, "shape"),
        ({"inputs": one(data=[True])}, "not INT64"),
        ({"inputs": one(data=[0.5])}, "not INT64"),
        ({"inputs": one(data=[[3]])}, "not INT64"),
        ({"inputs": one(data=[])}, "shape"),
        ({"inputs": one(shape=[0], data=[])}, "1 to 1,000"),
        ({"inputs": one(shape=[1001], data=[3] * 1001)}, "1 to 1,000"),
        ({"inputs": one(), "outputs": [{"name": "logit"}]}, "logit"),
        ({"inputs": one(), "outputs": [[]]}, "no output"),
        ({"inputs": one()}, "required by the contract"),
        ({"inputs": one(name="nobody")}, "not in the contract"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(client, body, words):
    answer = client.post(INFER, json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert words in answer.json()["error"]


def test_a_customer_that_breaks_the_contract_fails_the_request_and_nothing_is_logged(client, shop, records):
    records[1]["Monthly Charges"] = -5.0
    answer = client.post(INFER, json={"inputs": tensors_of(records)})
    assert answer.status_code == 400
    assert "1: Monthly Charges: " in answer.json()["error"]
    with reading(shop.registry.engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(predictions)) == 0


@pytest.mark.parametrize("spelled", [("Yes", "No"), ("1", "0")])
def test_the_example_of_the_documentation_is_answered(shop, open_client, make_contract, columns, spelled):
    own = columns["Senior?"] | {"true": spelled[0], "false": spelled[1]}
    shop.add(make_contract(columns | {"Senior?": own}))
    client = open_client(shop)
    paths = client.get("/openapi.json").json()["paths"]
    described = [path for path in paths if path.endswith("/infer")]
    assert len(described) == 2
    for path in described:
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        asked = path.replace("{name}", "customers").replace("{version}", "1")
        assert client.post(asked, json=body).status_code == 200
