"""Secrets and personal data, seeded wherever they come in, come out nowhere that they should not."""

from __future__ import annotations

import json
import logging

import orjson
import pytest
import sqlalchemy as sa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from holdfast.access import Role
from holdfast.access.keys import create_key
from holdfast.api.log import formatter
from holdfast.store import writing
from holdfast.store.tables import audit, predictions

SECRET = "installation-secret-s3s3s3s3s3s3s3s3s3s3s3s3"  # noqa: S105 - of a test, as all here
PASSWORD = "correct horse battery"  # noqa: S105 - as above
NEW_PASSWORD = "staple of another kind"  # noqa: S105 - as above
WRONG_PASSWORD = "wrong-guess-of-ana"  # noqa: S105 - as above
FORGED = "hf_0123456789ab_" + "F0rged" * 7
CUSTOMER = "KUNDE-4711-Meier"
CITY = "Kleinkleckersdorf"
CHARGE = 87.654321
BALANCE = -31415.92653
FILE = "Kundenliste-Meier.csv"


@pytest.fixture
def busy(serve_model, make_model, database, database_url, tmp_path, good, collector, caplog, monkeypatch):  # noqa: PLR0917, PLR0915 - pytest passes them by name; a list of what happens
    """A service to which everything happened that lets something out somewhere; gives it and all it said."""
    caplog.set_level(logging.INFO)
    endpoint, spans = collector
    told = {"secret": SECRET, "otlp_endpoint": endpoint, "durability": "ack"}
    model = make_model()
    client = serve_model(model, home=tmp_path / "home", url=database_url, **told)
    _, admin = create_key(database, actor="test", name="ops", role=Role.ADMIN)
    client.app.state.gate.refresh()
    tokens, refusals, answers = [admin], [], []

    def ask(method, path, *, key=admin, **sent):
        headers = ({"x-api-key": key} if key else {}) | sent.pop("headers", {})
        answered = client.request(method, path, headers=headers, **sent)
        (refusals if answered.status_code >= 400 else answers).append(answered)
        return answered

    person = good | {"Customer No.": CUSTOMER, "City": CITY, "Monthly Charges": CHARGE, "Balance": BALANCE}
    ask("GET", "/auth/me", key=FORGED)
    ask("GET", f"/predictions?key={FORGED}", key=None)
    ask("GET", "/auth/me", key=None, headers={"authorization": f"Bearer {FORGED}"})
    ask("POST", "/users", json={"name": "ana", "role": "analyst", "password": PASSWORD})
    ask("POST", "/users", json={"name": "ana", "role": "analyst", "password": PASSWORD, "x": 1})
    ask("POST", "/auth/token", json={"user": "ana", "password": WRONG_PASSWORD})
    ask("POST", "/auth/token", json={"user": "ana", "password": [PASSWORD]})
    ask("POST", "/auth/token", content=f'{{"user": "ana", "password": "{PASSWORD}"')
    login = ask("POST", "/auth/token", json={"user": "ana", "password": PASSWORD}).json()
    again = ask("POST", "/auth/refresh", json={"refresh_token": login["refresh_token"]}).json()
    ask("POST", "/auth/refresh", json={"refresh_token": login["refresh_token"]})
    made = ask("POST", "/keys", json={"name": "crm", "role": "scorer"}).json()
    tokens += [made["key"], *(t[n] for t in (login, again) for n in ("access_token", "refresh_token"))]
    ask("PATCH", "/users/ana", json={"password": NEW_PASSWORD})
    ask("POST", "/predict", json=person, headers={"idempotency-key": f"order {CUSTOMER}"})
    ask("POST", "/predict", json=person | {"City": "x"}, headers={"idempotency-key": f"order {CUSTOMER}"})
    ask("POST", "/predict/batch", json={"customers": [person, {}]})
    ask("POST", "/explain", json=person)
    ask("GET", f"/predictions/{CUSTOMER}")
    ask("GET", f"/nowhere/{CUSTOMER}")
    ask("GET", "/predictions", params={"customer": CUSTOMER, "cursor": CUSTOMER})
    head = f'--b\r\ncontent-disposition: form-data; name="file"; filename="{FILE}"\r\n\r\n'
    form = f"{head}{CUSTOMER}\r\n--b--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=b"}
    ask("POST", "/jobs/score", content=form, headers=kind)
    ask("DELETE", f"/customers/{CUSTOMER}")

    def fail(*_):
        raise ZeroDivisionError(f"{CUSTOMER} of {CITY} with {CHARGE}")

    with monkeypatch.context() as patch:
        patch.setattr(model, "probability", fail)
        assert ask("POST", "/predict", json=person | {"tenure": 9}).status_code == 500
    with writing(database) as connection:
        connection.execute(sa.text(f"ALTER TABLE {predictions.name} RENAME TO elsewhere"))
    assert ask("POST", "/predict", json=person).status_code == 503
    assert ask("GET", "/predictions", params={"customer": CUSTOMER}).status_code == 503
    with writing(database) as connection:
        connection.execute(sa.text(f"ALTER TABLE elsewhere RENAME TO {predictions.name}"))
    metrics = ask("GET", "/metrics").text
    public = [
        ask("GET", path).text
        for path in ("/openapi.json", "/docs", "/health", "/", "/readyz", "/keys", "/users")
    ]
    client.app.state.tracing._provider.force_flush()
    ours = [
        one for one in caplog.records if not one.name.startswith("http")
    ]  # the test's own client logs, too
    lines = [formatter(for_people=style).format(one) for one in ours for style in (True, False)]
    with writing(database) as connection:
        trail = [dict(row) for row in connection.execute(sa.select(audit)).mappings()]
    return {
        "credentials": [SECRET, PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, FORGED, *tokens],
        "log": "\n".join(lines),
        "metrics": metrics,
        "public": "\n".join(public),
        "refusals": refusals,
        "answers": answers,
        "trail": json.dumps(trail, default=str),
        "spans": [ExportTraceServiceRequest.FromString(body) for _, body in spans],
    }


PERSONAL = [CUSTOMER, CITY, str(CHARGE), str(BALANCE), FILE, "Meier"]


def found_in(text, wanted):
    return [one for one in wanted if one in text or orjson.dumps(one).decode()[1:-1] in text]


def test_what_is_secret_or_personal_stays_where_it_belongs(busy):
    credentials = busy["credentials"]
    for where in ("log", "metrics", "trail", "public"):
        assert busy[where], where
        assert found_in(busy[where], credentials) == [], where
        assert found_in(busy[where], PERSONAL) == [], where
    spans = str(busy["spans"])
    assert "/predict" in spans
    assert found_in(spans, [*credentials, *PERSONAL]) == []
    assert "ZeroDivisionError" in busy["log"], "the fault was not logged"
    assert "customers.erase" in busy["trail"]


def test_a_refusal_tells_no_credential_and_of_people_only_what_was_wrong_in_the_request(busy):
    assert {one.status_code for one in busy["refusals"]} >= {401, 404, 409, 422, 500, 503}
    for refused in busy["refusals"]:
        said = refused.text + str(refused.headers)
        assert found_in(said, busy["credentials"]) == [], refused.url
        assert found_in(said, PERSONAL) == [], refused.url


def test_a_credential_is_shown_once_to_its_owner(busy):
    told = [one.text for one in busy["answers"]]
    for credential in busy["credentials"]:
        assert sum(credential in text for text in told) <= 1
