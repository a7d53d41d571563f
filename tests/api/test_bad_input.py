"""Each wrong request is a problem that names the field; none is a crash, none shows a trace or a path."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.api.intake import Intake
from holdfast.api.log import formatter

JSON = {"content-type": "application/json"}
POSTS = ["/predict", "/predict/batch", "/batch_predict", "/explain"]


def problem_of(answered, status, code):
    assert answered.status_code == status, answered.text
    assert answered.headers["content-type"] == "application/problem+json"
    document = answered.json()
    assert document.keys() >= {"type", "title", "status", "detail", "code"}
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"urn:holdfast:problem:{code}"
    assert not any(sign in answered.text for sign in ("Traceback", "/site-packages", ".py", "pydantic"))
    return document


def raw(record, **values):
    """JSON text of a record with single values as they stand."""
    text = json.dumps(record | dict.fromkeys(values, "@@"))
    for name, value in values.items():
        text = text.replace(f'{json.dumps(name)}: "@@"', f"{json.dumps(name)}: {value}")
    return text


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("Monthly Charges", '"29.85"', "a number is needed, not text"),
        ("Monthly Charges", "true", "a number is needed, not true or false"),
        ("Monthly Charges", "[1]", "a number is needed, not a list"),
        ("Monthly Charges", '{"a": 1}', "a number is needed, not an object"),
        ("Monthly Charges", "NaN", "infinite or not a number"),
        ("Monthly Charges", "Infinity", "infinite or not a number"),
        ("Monthly Charges", "-Infinity", "infinite or not a number"),
        ("Monthly Charges", "1e400", "infinite or not a number"),
        ("Monthly Charges", "9" * 400, "too large for a number"),
        ("Monthly Charges", "1e300", "outside the allowed range 0 to 1,200"),
        ("Monthly Charges", "-0.01", "outside the allowed range 0 to 1,200"),
        ("tenure", "3.5", "not a whole number"),
        ("tenure", "NaN", "infinite or not a number"),
        ("tenure", "1e30", "too large for an integer"),
        ("tenure", str(2**63), "too large for an integer"),
        ("tenure", "9" * 400, "too large for an integer"),
        ("tenure", str(2**62), "outside the allowed range 0 to 720"),
        ("tenure", "true", "a whole number is needed, not true or false"),
        ("Senior?", '"perhaps"', 'neither "Yes" nor "No"'),
        ("Senior?", "2", 'neither "Yes" nor "No"'),
        ("Senior?", "NaN", 'neither "Yes" nor "No"'),
        ("Senior?", "[]", "true or false is needed, not a list"),
        ("Plan", "false", "text is needed, not true or false"),
        ("Plan", '["Basic"]', "text is needed, not a list"),
        ("Plan", "NaN", "infinite or not a number"),
        ("City", "9" * 400, "too large for an integer; write it as text"),
        ("Joined", "20240305", "text is needed, not a number"),
        ("Joined", '"31 June"', "not a date"),
        ("Customer No.", "null", "customer id missing"),
        ("Customer No.", '"  "', "customer id missing"),
    ],
)
def test_a_wrong_value_is_named_with_its_field_and_the_reason(client, good, field, value, reason):
    answered = client.post("/predict", content=raw(good, **{field: value}), headers=JSON)
    found = problem_of(answered, 422, "record")
    assert [(error["field"], error["reason"]) for error in found["errors"]] == [(field, reason)]


def test_all_that_is_wrong_is_named_at_once(client, good):
    del good["tenure"]
    record = good | {"Monthly Charges": "x", "plan": "Basic", "tenure_": 3}
    found = problem_of(client.post("/predict", json=record), 422, "record")
    assert {error["field"]: error["reason"] for error in found["errors"]} == {
        "plan": 'not in the contract. Did you mean "Plan"?',
        "tenure_": 'not in the contract. Did you mean "tenure"?',
        "Monthly Charges": "a number is needed, not text",
        "tenure": "required by the contract, but not there",
    }


def test_unknown_fields_alone_are_a_problem_too(client, good):
    many = {f"field {at}": 1 for at in range(5_000)}
    found = problem_of(client.post("/predict", json=good | many), 422, "record")
    assert len(found["errors"]) == 11
    assert found["errors"][-1] == {"reason": "4,990 more unknown fields"}


def test_a_million_unknown_fields_take_no_time_to_refuse(client):
    customers = [{f"{at}-{field}": None for field in range(20)} for at in range(1_000)]
    found = problem_of(client.post("/predict/batch", json={"customers": customers}), 422, "batch")
    assert len(found["errors"]) == 100
    assert found["more_errors"] > 0


def test_a_hopeless_batch_is_not_explained_to_the_last_field(make_contract):
    contract = make_contract({f"c{at}": {"kind": "number"} for at in range(100)})
    rejects = Intake(contract).take([{}] * 1_000).rejects
    assert {reject.index for reject in rejects} == set(range(1_000))
    assert len(rejects) == 21 * 100 + 979
    assert rejects[-1].reason == "100 fields break the contract"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json"),
        (b"  \n", 400, "json"),
        (b"{", 400, "json"),
        (b"{'a': 1}", 400, "json"),
        (b'{"a": 1,}', 400, "json"),
        (b'{"a": "\xff"}', 400, "json"),
        (b"\xff\xfe{\x00}\x00", 400, "json"),
        (b'"\\ud800"', 400, "json"),
        (b"[" * 100_000, 400, "json"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400, "json"),
        (b'{"customers":' + b"[" * 5_000 + b"]" * 5_000 + b"}", 400, "json"),
        (b"9" * 5_000, 400, "json"),
    ],
    ids=lambda value: value[:16].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_what_is_no_json_is_refused(client, path, body, status, code):
    problem_of(client.post(path, content=body, headers=JSON), status, code)


@pytest.mark.parametrize("body", ["[]", "null", "3", "NaN", '"text"', "[" * 150 + "]" * 150])
def test_json_that_is_no_object_is_refused(client, body):
    problem_of(client.post("/predict", content=body, headers=JSON), 422, "record")
    problem_of(client.post("/explain", content=body, headers=JSON), 422, "record")
    problem_of(client.post("/predict/batch", content=body, headers=JSON), 422, "batch")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"customers": None},
        {"customers": {}},
        {"customers": []},
        {"customers": [{}] * 1_001},
        {"customers": [{}], "model": "v3"},
        {"Customers": [{}]},
        {"customers": [{}]},
        {"customers": [None, 3, []]},
    ],
    ids=lambda body: str(body)[:30],
)
def test_a_batch_of_the_wrong_form_is_refused_with_the_field(client, body):
    found = problem_of(client.post("/batch_predict", json=body), 422, "batch")
    assert found["errors"]


def test_a_thousand_customers_are_taken_and_one_more_is_not(client, good):
    assert (
        client.post("/predict/batch", json={"customers": [good] * 1_000}).json()["counts"]["predicted"]
        == 1_000
    )
    found = problem_of(client.post("/predict/batch", json={"customers": [good] * 1_001}), 422, "batch")
    assert found["errors"][0]["field"] == "customers"
    assert "1,001" in found["detail"]


@pytest.mark.parametrize("path", [*POSTS, "/", "/nowhere"])
def test_a_body_of_ten_megabytes_is_refused_declared_or_not(client, path):
    body = b'{"a": "' + b"x" * 10_000_000 + b'"}'
    problem_of(client.request("POST", path, content=body, headers=JSON), 413, "too_large")
    if path in POSTS:
        pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
        problem_of(client.post(path, content=pieces, headers=JSON), 413, "too_large")


@pytest.mark.parametrize("length", ["-1", "ten", "9" * 40])
def test_a_length_that_is_none_is_no_crash(client, good, length):
    answered = client.post("/predict", json=good, headers={"content-length": length})
    assert answered.status_code in (200, 413)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "text/json"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
    ids=str,
)
def test_another_media_type_is_refused(client, good, path, headers):
    problem_of(client.post(path, content=json.dumps(good), headers=headers), 415, "media_type")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"]
)
def test_every_name_of_json_is_taken(client, good, kind):
    assert (
        client.post("/predict", content=json.dumps(good), headers={"content-type": kind}).status_code == 200
    )


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_and_the_right_one_named(client, path, method):
    answered = client.request(method, path)
    problem_of(answered, 405, "method")
    assert answered.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/predict/", "/docs/assets/../../app.py", "/docs/assets/x", "/redoc"]
)
def test_an_unknown_address_is_a_problem(client, path):
    problem_of(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "[::2]:8000"]
)
def test_a_name_that_leads_here_by_a_trick_is_refused(client, host):
    problem_of(client.get("/model_info", headers={"host": host}), 400, "host")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000", "[::1]", "LOCALHOST"]
)
def test_the_machine_s_own_names_are_taken(client, host):
    assert client.get("/model_info", headers={"host": host}).status_code == 200


def test_other_sites_get_no_leave_to_read(client, good):
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    posted = client.post("/predict", json=good, headers={"origin": "https://evil.example"})
    for answered in (posted, client.options("/predict", headers=asked)):
        problem_of(answered, 403, "origin")
        assert not [name for name in answered.headers if name.startswith("access-control")]


def test_a_fault_of_ours_tells_nothing_but_is_logged_without_data(client, shop, good, caplog, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("customer A-17 in /home/secret")

    monkeypatch.setattr(shop.models[1], "probability", fail)
    found = problem_of(client.post("/predict", json=good), 500, "internal")
    assert "A-17" not in str(found)
    faults = [record for record in caplog.records if record.getMessage() == "fault"]
    (told,) = map(formatter(for_people=False).format, faults)
    assert '"kind": "ZeroDivisionError"' in told
    assert "A-17" not in told
    assert client.get("/health").json()["status"] == "degraded"


@pytest.mark.parametrize("field", ["Plan", "City", "Joined", "Customer No."])
def test_a_text_longer_than_any_level_or_id_is_refused(client, good, field):
    found = problem_of(client.post("/predict", json=good | {field: "x" * 1_001}), 422, "record")
    assert found["errors"][0]["reason"] == "longer than 1,000 characters"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def calm(serve_module, make_model):
    return serve_module(make_model())


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_json_whatsoever_is_a_crash(calm, columns, data):
    names = st.sampled_from([*columns, "Churn", "nonsense"])
    record = st.dictionaries(names, json_values, max_size=10)
    path = data.draw(st.sampled_from(POSTS))
    body = data.draw(
        record | json_values | st.fixed_dictionaries({"customers": st.lists(record, max_size=4)})
    )
    try:
        text = json.dumps(body).encode()
    except UnicodeEncodeError:
        return
    answered = calm.post(path, content=text, headers=JSON)
    assert answered.status_code in (200, 400, 422)
    answered.json()
