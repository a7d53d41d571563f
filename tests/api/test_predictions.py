from __future__ import annotations

import csv
import io
import json
from urllib.parse import quote

import pyarrow as pa
import pytest
import sqlalchemy as sa
from pyarrow import parquet

from holdfast import audit
from holdfast.store import writing
from holdfast.store.tables import predictions

NAMED = "A/3 ü".encode()


@pytest.fixture
def asked(client, good):
    """Five customers were predicted, each in a request of its own; their answers."""
    answers = []
    for number in range(5):
        answer = client.post("/predict", json=good | {"Customer No.": f"A/{number} ü", "tenure": number})
        assert answer.status_code == 200
        answers.append(answer.json())
    return answers


def test_what_was_answered_is_listed_page_by_page(client, asked):
    found, cursor = [], None
    while True:
        given = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/predictions", params=given).json()
        found += page["predictions"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(found) == 5
    same = ("prediction_id", "customer_id", "churn_probability", "will_churn", "threshold")
    told = sorted([[each[name] for name in same] for each in asked])
    assert sorted([[each[name] for name in same] for each in found]) == told
    assert {each["version"] for each in found} == {"v1"}


def test_filters_leave_what_they_say(client, asked):
    def many(**given):
        answer = client.get("/predictions", params=given)
        assert answer.status_code == 200
        return len(answer.json()["predictions"])

    least = sorted(each["churn_probability"] for each in asked)[3]
    assert many(customer="A/3 ü") == 1
    assert many(min_probability=least) == 2
    assert many(version="v2") == 0
    assert many(will_churn=True) + many(will_churn=False) == 5
    assert many(since="2020-01-01T00:00:00Z", until="2100-01-01") == 5
    assert many(until="2020-01-01") == many(since="2100-01-01") == 0
    assert many(key="key:none") == 0


def test_one_prediction_is_shown_by_its_id(client, asked):
    shown = client.get(f"/predictions/{asked[0]['prediction_id']}").json()
    assert shown["customer_id"] == "A/0 ü"
    assert shown["record"]["tenure"] in (0, "0")
    missing = client.get("/predictions/019c13ec-9e00-7abc-8abc-000000000000")
    assert (missing.status_code, missing.json()["code"]) == (404, "prediction")


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/predictions", {"cursor": "AAAA"}),
        ("/predictions", {"limit": 0}),
        ("/predictions", {"limit": 1_001}),
        ("/predictions", {"min_probability": "nan"}),
        ("/predictions", {"since": "0001-01-01T00:00:00+14:00"}),
        ("/predictions", {"until": "9999-12-31T23:59:59-14:00"}),
        ("/predictions", {"customer": "a\0b"}),
        ("/predictions/export", {"format": "exe"}),
        ("/predictions/export", {"version": "\0"}),
        ("/predictions/not-an-id", {}),
    ],
)
def test_what_is_wrong_with_a_question_is_a_problem(client, path, given):
    refused = client.get(path, params=given)
    assert (refused.status_code, refused.json()["code"]) == (422, "query")


@pytest.mark.parametrize("layout", ["csv", "parquet", "ndjson"])
def test_an_export_is_downloaded(client, asked, layout):
    answer = client.get("/predictions/export", params={"format": layout})
    assert answer.headers["content-disposition"] == f'attachment; filename="predictions.{layout}"'
    content = answer.content
    if layout == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    elif layout == "ndjson":
        rows = [json.loads(line) for line in content.splitlines()]
    else:
        rows = parquet.read_table(pa.BufferReader(content)).to_pylist()
    assert sorted(row["prediction_id"] for row in rows) == sorted(each["prediction_id"] for each in asked)
    assert client.get("/predictions/export", params={"format": layout, "version": "v9"}).status_code == 200


def test_an_export_leaves_a_trace_that_names_no_customer(client, asked, shop):
    least = sorted(each["churn_probability"] for each in asked)[3]
    given = {"format": "ndjson", "customer": "A/3 ü", "since": "2020-01-01", "min_probability": least}
    assert client.get("/predictions/export", params={"format": "csv"}).status_code == 200
    assert client.get("/predictions/export", params=given).status_code == 200
    one, every = audit.entries(shop.registry.engine, action="predictions.export")
    assert (every.actor, every.subject, every.detail) == ("local", "csv", {"predictions": 5, "filters": {}})
    filters = {"customer": "one", "since": "2020-01-01T00:00:00+00:00", "min_probability": least}
    assert one.detail["filters"] == filters
    assert one.detail["predictions"] <= 1


def test_a_customer_with_any_letters_is_erased(client, asked, shop, good):
    refused = client.delete("/customers/")
    assert (refused.status_code, refused.json()["code"]) == (422, "query")
    done = client.delete(f"/customers/{quote('A/3 ü', safe='')}")
    assert done.status_code == 200
    assert done.json()["removed"]["predictions"] == 1
    assert done.json()["left"] == []
    assert "A/3" not in done.text
    assert [path for path in shop.home.rglob("*") if path.is_file() and NAMED in path.read_bytes()] == []
    left = {each["customer_id"] for each in client.get("/predictions").json()["predictions"]}
    assert left == {each["customer_id"] for each in asked} - {"A/3 ü"}
    proof = audit.entries(shop.registry.engine, action="customers.erased")[0]
    assert proof.subject == done.json()["customer_hash"]
    assert proof.actor == "local"
    again = client.post("/predict", json=good | {"Customer No.": "A/3 ü"})
    assert again.status_code == 200
    back = client.get("/predictions", params={"customer": "A/3 ü"}).json()["predictions"]
    assert [each["prediction_id"] for each in back] == [again.json()["prediction_id"]]


def test_an_erasure_that_leaves_something_does_not_say_that_it_is_complete(client, asked, shop):
    del asked
    damaged = shop.home / "archive" / "predictions-2020-01-01.parquet"
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(b"PAR1 damaged")
    part = client.delete("/customers/A%2F3%20%C3%BC")
    assert (part.status_code, part.json()["complete"], len(part.json()["left"])) == (202, False, 1)
    assert part.json()["removed"]["predictions"] == 1
    damaged.unlink()
    whole = client.delete("/customers/A%2F3%20%C3%BC")
    assert (whole.status_code, whole.json()["complete"], whole.json()["left"]) == (200, True, [])
    said = client.get("/openapi.json").json()["paths"]["/customers/{customer_id}"]["delete"]["responses"]
    assert said["202"]["content"] == said["200"]["content"]


@pytest.mark.parametrize("given", ["../../etc/passwd", "..", "%", "a?b#c", "x" * 2_000, " ", "\u202e"])
def test_an_id_that_nobody_has_erases_nothing(client, asked, given):
    del asked
    done = client.delete(f"/customers/{quote(given, safe='').replace('.', '%2E')}")
    assert done.status_code == 200
    assert set(done.json()["removed"].values()) == {0}
    assert len(client.get("/predictions").json()["predictions"]) == 5


def test_an_erased_batch_takes_its_stored_reply_with_it(client, good):
    batch = {"customers": [good | {"Customer No.": name} for name in ("A", "B")]}
    headers = {"Idempotency-Key": "k-1"}
    first = client.post("/predict/batch", json=batch, headers=headers)
    assert client.post("/predict/batch", json=batch, headers=headers).content == first.content
    assert client.delete("/customers/A").json()["removed"]["replies"] == 1
    assert client.post("/predict/batch", json=batch, headers=headers).content != first.content


def test_a_database_that_cannot_be_read_is_a_problem_before_the_first_byte(client, asked, shop):
    del asked
    with writing(shop.registry.engine) as connection:
        connection.execute(sa.text(f"DROP TABLE {predictions.name}"))
    for path in ("/predictions", "/predictions/export", "/predictions/export?format=ndjson"):
        failed = client.get(path)
        assert (failed.status_code, failed.json()["code"]) == (503, "store")
        assert (failed.headers["retry-after"], failed.json()["hint"]) == ("1", "Try again in a moment.")
