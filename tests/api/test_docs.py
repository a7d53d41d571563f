from __future__ import annotations

import re

import pytest

from holdfast.api.intake import Intake
from holdfast.api.live import Serving
from holdfast.api.policy import POLICY, PUBLIC

POSTS = ["/predict", "/predict/batch", "/batch_predict", "/explain"]


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def test_every_route_is_described(document):
    unseen = {"/docs", "/openapi.json", "/metrics"}
    routes = {(path.replace(":path", ""), method) for path, method in {*POLICY, *PUBLIC}}
    assert document["paths"].keys() == {path for path, _ in routes} - unseen
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert (path, method.upper()) in routes
            assert operation["summary"]
            assert any(status.startswith("2") for status in operation["responses"])


def test_each_route_that_is_not_public_says_how_to_prove_who_asks_and_how_it_refuses(document):
    assert document["security"] == [{"key": []}, {"token": []}]
    assert document["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            public = (path, method.upper()) in PUBLIC
            assert ("security" in operation) is public
            assert public or {"401", "403", "429"} <= operation["responses"].keys()


def test_every_reference_leads_somewhere(client, document):
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', client.get("/openapi.json").text):
        assert reference in document["components"]["schemas"]


@pytest.mark.parametrize("path", POSTS)
def test_the_example_of_each_form_is_answered_without_a_warning(client, document, path):
    example = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    answered = client.post(path, json=example)
    assert answered.status_code == 200
    assert '"warnings":[{' not in answered.text
    assert answered.json().get("rejected", []) == []


def test_the_schema_says_what_the_contract_says(document):
    customer = document["components"]["schemas"]["Customer"]
    fields = customer["properties"]
    assert list(fields)[:3] == ["Customer No.", "Monthly Charges", "tenure"]
    assert set(fields) - set(customer["required"]) == {"City", "Balance"}
    assert customer["additionalProperties"] is False
    charge = fields["Monthly Charges"]
    assert (charge["type"], charge["minimum"], charge["maximum"]) == (["number", "null"], 0, 1200)
    assert fields["tenure"]["type"] == ["integer", "null"]
    assert fields["Plan"]["anyOf"][0] == {"enum": ["Basic", "Plus", "2"]}
    assert fields["Senior?"]["anyOf"][1] == {"enum": ["Yes", "No", 1, 0]}
    assert fields["Joined"]["format"] == "date"
    assert "Churn Reason" not in fields
    assert "Churn" not in fields
    assert document["components"]["schemas"]["Customers"]["properties"]["customers"]["maxItems"] == 1_000


def test_the_page_and_all_it_loads_come_from_this_server(client):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in re.sub(r"<!--.*?-->", "", page.text)
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(loaded) == 4
    assert "<script>" not in page.text
    assert (
        "'unsafe-inline'" not in page.headers["content-security-policy"].split("script-src")[1].split(";")[0]
    )
    for address in loaded:
        assert client.get(address).status_code == 200


def test_the_document_is_of_the_model_in_charge_even_where_it_lies_in_the_place_of_an_earlier_one(
    serve_model, make_model
):
    first = make_model()
    client = serve_model(first)
    live, intake = client.app.state.live, Intake(first.contract)
    for number in range(2, 20):
        model = make_model(version=f"v{number}")
        live.current = None
        live.current = Serving(model, intake)
        assert client.app.openapi()["info"]["title"].endswith(model.version)


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ({"min": 0, "max": 1200}, 0, 1200),
        ({"min": 5}, 5, 25),
        ({"max": -3}, -100, -3),
        ({"min": -10, "max": 10}, -10, 10),
        ({"min": 0.25, "max": 1.75}, 0.25, 1.75),
        ({"min": 2_000, "max": 2_030}, 2_000, 2_030),
        ({"min": 7, "max": 7}, 7, 7),
        ({}, 0, 100),
    ],
)
@pytest.mark.parametrize("kind", ["number", "integer"])
def test_examples_lie_within_the_bounds(make_contract, make_model, kind, bounds, low, high):  # noqa: PLR0917 - pytest passes them by name
    contract = make_contract({"id": {"kind": "id"}, "x": {"kind": kind, **bounds}})
    intake = Intake(contract)
    assert low <= intake.example["x"] <= high
    conformed = make_model(contract).conform(intake.take([intake.example]).table)
    assert conformed.rejects.height == 0
