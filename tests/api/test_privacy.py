"""What callers send stays out of logs and figures, and credentials out of every answer."""

from __future__ import annotations

import pytest

from holdfast.api import log

ID, CITY, KEY, PASSWORD = "Zoe-4711", "Secretville", "hf_abc_" + "S3cr3t" * 7, "Pa55w0rd-of-Zoe"


@pytest.fixture
def asked(client, shop, good, lines, monkeypatch):
    """All answers to requests full of secrets, right and wrong, and all that was logged meanwhile."""
    log.configure(debug=True)
    record = good | {"Customer No.": ID, "City": CITY, "Monthly Charges": 471147.25}
    known = good | {"Customer No.": ID, "City": CITY}
    bearer = {"authorization": f"Bearer eyJ.{KEY}"}

    def post(path, body, **headers):
        return client.post(
            path, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )

    answers = [
        post("/predict", known),
        post("/predict", known, idempotency_key=f"{ID}-{CITY}"),
        post("/predict", known, idempotency_key="\x7f"),
        post("/predict/batch", {"customers": [known, record]}),
        post("/explain", known),
        post("/predict", record),
        post("/predict", known | {CITY: CITY}),
        post("/predict", known, x_api_key=KEY),
        post("/predict", known, **bearer),
        post("/predict", known, x_request_id=f"{ID} {CITY}"),
        post("/predict", known, traceparent=f"00-{ID}"),
        post(f"/predict?as={ID}", known),
        client.post("/predict", content=f'{{"City": "{CITY}", "{ID}'.encode()),
        post("/auth/token", {"user": "zoe", "password": PASSWORD}),
        post("/auth/refresh", {"refresh_token": KEY}),
        post("/v2/models/customers/infer", {"inputs": [{"name": CITY, "data": [ID]}]}),
        client.get(f"/customers/{ID}/{CITY}"),
        client.get(f"/predictions?customer={ID}"),
        client.delete(f"/customers/{ID}"),
        client.get(f"/models/{CITY}"),
        client.get("/docs", headers={"host": f"{ID}.{CITY}.example"}),
    ]

    def fail(*_):
        raise ValueError(f"{ID} of {CITY} has {KEY}")

    monkeypatch.setattr(shop.models[1], "probability", fail)
    answers.append(post("/predict", known | {"tenure": 471}))
    log.configure()
    return answers, "\n".join(lines()), client.get("/metrics").text


def test_nothing_that_was_sent_is_logged_or_counted(asked):
    answers, logged, figures = asked
    assert {answer.status_code for answer in answers} >= {200, 400, 401, 404, 422, 500}
    assert logged.count('"request"') == len(answers)
    assert '"kind": "ValueError"' in logged
    for secret in (ID, CITY, KEY, PASSWORD, "471147.25", "S3cr3t", "Zoe", "zoe"):
        assert secret not in logged, secret
        assert secret not in figures, secret


def test_no_answer_repeats_a_credential_and_no_failure_tells_what_failed(asked):
    answers, _, _ = asked
    for answer in answers:
        for secret in (KEY, PASSWORD, "S3cr3t"):
            assert secret not in answer.text
            assert secret not in str(answer.headers)
    assert answers[-1].status_code == 500
    assert ID not in answers[-1].text
