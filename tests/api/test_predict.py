from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

FIELDS = {
    "customer_id", "prediction", "churn_probability", "will_churn", "confidence", "risk_level",
    "recommendation", "threshold", "model", "prediction_id", "timestamp", "latency_ms", "warnings",
}  # fmt: skip


def test_an_answer_has_all_its_fields_and_they_agree(client, shop, good):
    answered = client.post("/predict", json=good)
    assert answered.status_code == 200
    assert answered.headers["content-type"] == "application/json"
    answer = answered.json()
    assert answer.keys() == FIELDS
    probability = answer["churn_probability"]
    assert probability == shop.models[1].score(pl.DataFrame([good]))["churn_probability"].item()
    assert answer["customer_id"] == "A-17"
    assert answer["threshold"] == 0.3
    assert answer["will_churn"] is (probability >= 0.3)
    assert answer["prediction"] == int(answer["will_churn"])
    assert answer["confidence"] == probability
    assert answer["model"] == {"name": "customers", "version": "v1"}
    assert answer["warnings"] == []
    assert uuid.UUID(answer["prediction_id"]).version == 7
    when = datetime.fromisoformat(answer["timestamp"])
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)
    assert answer["latency_ms"] > 0


def test_confidence_is_the_chance_that_the_stated_prediction_is_right(serve_model, make_model, good):
    answer = serve_model(make_model(bias=-8.0)).post("/predict", json=good).json()
    assert not answer["will_churn"]
    assert answer["confidence"] == 1 - answer["churn_probability"]


def test_predictions_are_numbered_in_order_of_time_and_never_twice(client, good):
    answers = client.post("/predict/batch", json={"customers": [good] * 1_000}).json()["predictions"]
    ids = [uuid.UUID(answer["prediction_id"]) for answer in answers]
    assert len(set(ids)) == 1_000
    stamps = [number.int >> 80 for number in ids]
    assert stamps == sorted(stamps)
    assert abs(stamps[0] / 1_000 - datetime.now(UTC).timestamp()) < 60


@pytest.mark.parametrize("path", ["/predict/batch", "/batch_predict"])
def test_a_bad_customer_in_a_batch_fails_alone(client, good, path):
    customers = [
        good | {"Customer No.": "first"},
        good | {"Monthly Charges": "70"},
        good | {"tenure": -5, "Joined": "never"},
        "not a customer",
        good | {"Customer No.": "last"},
    ]
    answered = client.post(path, json={"customers": customers})
    assert answered.status_code == 200
    document = answered.json()
    assert [(p["index"], p["customer_id"]) for p in document["predictions"]] == [(0, "first"), (4, "last")]
    assert all(p.keys() == {*FIELDS, "index"} for p in document["predictions"])
    assert document["rejected"] == [
        {"index": 1, "column": "Monthly Charges", "value": "70", "reason": "a number is needed, not text"},
        {"index": 2, "column": "tenure", "value": "-5", "reason": "outside the allowed range 0 to 720"},
        {"index": 2, "column": "Joined", "value": "never", "reason": "not a date"},
        {"index": 3, "column": None, "value": None, "reason": "an object is needed, not text"},
    ]
    assert document["counts"] == {"received": 5, "predicted": 2, "rejected": 3}
    assert document["model"] == {"name": "customers", "version": "v1"}
    alone = client.post("/predict", json=customers[0]).json()["churn_probability"]
    assert document["predictions"][0]["churn_probability"] == alone


def test_a_batch_without_a_good_customer_is_a_problem(client, good):
    customers = [good | {"tenure": "x"}, good | {"tenure": 721}]
    answered = client.post("/predict/batch", json={"customers": customers})
    assert answered.status_code == 422
    problem = answered.json()
    assert problem["code"] == "batch"
    assert [error["index"] for error in problem["errors"]] == [0, 1]


def test_a_level_that_nobody_knows_is_scored_as_missing_with_a_warning(client, good):
    unseen = client.post("/predict", json=good | {"Plan": "Platinum"}).json()
    missing = client.post("/predict", json=good | {"Plan": None}).json()
    assert unseen["churn_probability"] == missing["churn_probability"]
    assert missing["warnings"] == []
    reason = "not among the contract's levels; scored as missing"
    assert unseen["warnings"] == [{"column": "Plan", "value": "Platinum", "reason": reason}]


def test_warnings_belong_to_their_customer(client, good):
    plans = ["Basic", "Gold", None, "n/a", " plus ", "Silver"]
    bad = good | {"tenure": "x"}
    customers = [bad, *[good | {"Plan": plan} for plan in plans]]
    answers = client.post("/predict/batch", json={"customers": customers}).json()["predictions"]
    told = {answer["index"]: [w["value"] for w in answer["warnings"]] for answer in answers}
    assert told == {1: [], 2: ["Gold"], 3: [], 4: ["n/a"], 5: [], 6: ["Silver"]}


def test_what_nearly_everyone_had_in_training_is_missed_with_a_warning(client, good):
    customers = [good, good | {"tenure": "x"}, good | {"tenure": None, "Balance": None}, good]
    answers = client.post("/predict/batch", json={"customers": customers}).json()["predictions"]
    told = {answer["index"]: [w["column"] for w in answer["warnings"]] for answer in answers}
    assert told == {0: [], 2: ["tenure"], 3: []}


def test_a_whole_row_of_the_training_table_can_be_sent(client, good):
    """The label and excluded columns are known, and not used."""
    row = good | {"Churn": "Yes", "Churn Reason": "Competitor"}
    answer = client.post("/predict", json=row).json()
    assert answer["churn_probability"] == client.post("/predict", json=good).json()["churn_probability"]
    assert [warning["column"] for warning in answer["warnings"]] == ["Churn", "Churn Reason"]


def test_optional_columns_may_be_left_out_and_any_value_may_be_missing(client, good):
    nothing = dict.fromkeys(good) | {"Customer No.": "A-17"}
    assert client.post("/predict", json=nothing).status_code == 200
    without = client.post("/predict", json={k: v for k, v in good.items() if k != "City"}).json()
    null = client.post("/predict", json=good | {"City": None, "Balance": None}).json()
    assert without["churn_probability"] == null["churn_probability"]


@pytest.mark.parametrize(
    ("field", "spellings"),
    [
        ("Senior?", [True, "Yes", "yes", " TRUE ", 1, 1.0, "1"]),
        ("Senior?", [False, "No", "n", 0, "off"]),
        ("Senior?", [None, "", "n/a"]),
        ("Plan", ["2", 2, 2.0, " 2"]),
        ("tenure", [12, 12.0, 1.2e1]),
        ("Joined", ["2024-03-05", "2024-03-05T10:00:00Z", "20240305"]),
    ],
)
def test_spellings_of_one_value_are_one_value(client, good, field, spellings):
    answers = [client.post("/predict", json=good | {field: value}) for value in spellings]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["churn_probability"] for answer in answers}) == 1
    assert all(answer.json()["warnings"] == [] for answer in answers)


def test_without_an_id_column_an_id_may_be_carried(serve_model, make_model, make_contract, columns, good):
    contract = make_contract({name: c for name, c in columns.items() if c["kind"] != "id"})
    client = serve_model(make_model(contract))
    del good["Customer No."]
    assert client.post("/predict", json=good).json()["customer_id"] is None
    assert client.post("/predict", json=good | {"customer_id": 17}).json()["customer_id"] == "17"
    two = {"customers": [good, good | {"tenure": "x"}, good | {"customer_id": "A-18"}]}
    answers = client.post("/predict/batch", json=two).json()["predictions"]
    assert [answer["customer_id"] for answer in answers] == [None, "A-18"]


def test_an_id_that_the_contract_does_not_require_may_be_left_out(
    serve_model, make_model, make_contract, columns, good
):
    optional = columns | {"Customer No.": {"kind": "id", "required": False}}
    client = serve_model(make_model(make_contract(optional)))
    assert client.post("/predict", json=good).json()["customer_id"] == "A-17"
    del good["Customer No."]
    assert client.post("/predict", json=good).json()["customer_id"] is None


def test_explain_gives_the_prediction_and_reasons_both_ways(client, good):
    answer = client.post("/explain?reasons=1", json=good).json()
    assert answer.keys() == {*FIELDS, "reasons_up", "reasons_down"}
    assert [r["feature"] for r in answer["reasons_up"]] == ["tenure"]
    assert answer["reasons_down"] == [
        {
            "feature": "Monthly Charges",
            "value": "70.35",
            "unit": "a month",
            "effect": -0.5,
            "points": -0.1,
            "direction": "down",
        }
    ]
    assert answer["churn_probability"] == client.post("/predict", json=good).json()["churn_probability"]
    wrong = client.post("/explain?reasons=many", json=good)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "reasons")
    assert client.post("/explain", json=good | {"tenure": "x"}).json()["code"] == "record"


def test_the_fields_order_does_not_matter(client, good):
    turned = dict(reversed(good.items()))
    left, right = (
        client.post("/predict", content=json.dumps(record), headers=JSON) for record in (good, turned)
    )
    assert left.json()["churn_probability"] == right.json()["churn_probability"]


JSON = {"content-type": "application/json"}


def test_what_takes_long_keeps_no_single_prediction_waiting(client, shop, good, monkeypatch):
    model = shop.models[1]
    explain, began, go = model.explain, threading.Event(), threading.Event()

    def slow(frame):
        began.set()
        assert go.wait(30)
        return explain(frame)

    monkeypatch.setattr(model, "explain", slow)
    with ThreadPoolExecutor(1) as pool:
        explanation = pool.submit(client.post, "/explain", json=good)
        assert began.wait(30)
        assert client.post("/predict", json=good).status_code == 200
        go.set()
        assert explanation.result().status_code == 200
