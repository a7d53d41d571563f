"""What is answered is in the log, once, as it was answered; and is given again to who repeats a request."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx2
import orjson
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.api.app import create_app
from holdfast.api.intake import Intake
from holdfast.api.live import Live, Serving
from holdfast.api.scoring import score
from holdfast.model import Model
from holdfast.registry import Registry
from holdfast.scoring import AnswerCache
from holdfast.settings import Settings
from holdfast.store import reading, writing
from holdfast.store.tables import predictions, replies


def rows_of(shop):
    with reading(shop.registry.engine) as connection:
        return [*connection.execute(sa.select(predictions).order_by(predictions.c.id)).mappings()]


def test_an_answer_is_one_row_with_all_that_it_was(client, shop, good):
    before = datetime.now(UTC) - timedelta(seconds=1)
    answered = client.post("/predict", json=good, headers={"x-request-id": "order-17"})
    said = answered.json()
    (row,) = rows_of(shop)
    assert row["id"] == said["prediction_id"]
    assert row["customer_id"] == said["customer_id"] == "A-17"
    assert (row["model"], row["version"], row["slot"]) == ("customers", "v1", "champion")
    assert json.loads(row["record"]) == good
    assert row["probability"] == said["churn_probability"]
    assert (row["threshold"], row["will_churn"]) == (said["threshold"], said["will_churn"])
    assert row["latency_ms"] == said["latency_ms"] > 0
    assert (row["key_id"], row["correlation_id"]) == ("local", "order-17")
    assert before <= row["as_of"] == row["at"] <= datetime.now(UTC)
    assert row["at"].isoformat(timespec="milliseconds")[:23] == said["timestamp"][:23]


def test_each_customer_of_a_batch_is_a_row_and_one_that_fails_is_none(client, shop, good):
    batch = [good, good | {"tenure": "long"}, good | {"Customer No.": "A-18"}]
    said = client.post("/predict/batch", json={"customers": batch}).json()
    rows = rows_of(shop)
    assert [row["id"] for row in rows] == [one["prediction_id"] for one in said["predictions"]]
    assert [row["customer_id"] for row in rows] == ["A-17", "A-18"]
    assert len({row["request"] for row in rows}) == 1


def test_an_explanation_is_logged_and_a_refusal_is_not(client, shop, good):
    assert client.post("/predict", json=good | {"Plan": 3.5, "tenure": -1}).status_code == 422
    assert client.post("/predict", content=b"{", headers=JSON).status_code == 400
    assert rows_of(shop) == []
    said = client.post("/explain", json=good).json()
    assert [row["id"] for row in rows_of(shop)] == [said["prediction_id"]]


JSON = {"content-type": "application/json"}


def test_the_same_key_and_body_give_the_same_bytes_and_one_row(client, shop, good):
    first, again = (client.post("/predict", json=good, headers={"idempotency-key": "k 1"}) for _ in "12")
    assert again.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(rows_of(shop)) == 1
    other = client.post("/predict", json=good, headers={"idempotency-key": "k 2"})
    assert other.json()["prediction_id"] != first.json()["prediction_id"]


def test_the_same_key_with_another_body_is_a_conflict(client, shop, good):
    for path in ("/predict", "/explain"):  # a key belongs to its route
        assert client.post(path, json=good, headers={"idempotency-key": "k"}).status_code == 200
    refused = client.post("/predict", json=good | {"tenure": 4}, headers={"idempotency-key": "k"})
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency")
    refused = client.post("/explain?reasons=1", json=good, headers={"idempotency-key": "k"})
    assert refused.status_code == 409
    assert len(rows_of(shop)) == 2


def test_a_refused_request_leaves_its_key_free(client, good):
    key = {"idempotency-key": "k"}
    assert client.post("/predict", json=good | {"tenure": "x"}, headers=key).status_code == 422
    assert client.post("/predict", json=good, headers=key).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb"])
def test_what_cannot_be_a_key_is_refused(client, shop, good, key):
    refused = client.post("/predict", json=good, headers={"idempotency-key": key})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key")
    assert rows_of(shop) == []


def test_a_key_is_forgotten_after_its_hours(client, shop, good):
    key = {"idempotency-key": "k"}
    first = client.post("/predict", json=good, headers=key)
    with writing(shop.registry.engine) as connection:
        connection.execute(sa.update(replies).values(at=datetime.now(UTC) - timedelta(hours=25)))
    assert client.post("/predict", json=good, headers=key).json() != first.json()
    assert len(rows_of(shop)) == 2


@pytest.mark.parametrize("durability", ["ack", "async"])
def test_a_race_of_requests_with_one_key_has_one_answer(shop, open_client, good, durability):
    shop.add()
    client = open_client(shop, durability=durability)
    start = threading.Barrier(8)

    def ask(n):
        start.wait()
        return client.post("/predict", json=good, headers={"idempotency-key": f"k{n % 2}"}).content

    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(ask, range(8))]
    assert len(set(answers)) == 2
    assert {json.loads(answer)["prediction_id"] for answer in answers} == {row["id"] for row in rows_of(shop)}


def test_where_the_log_may_wait_only_who_wants_to_repeat_hears_that_it_cannot(shop, open_client, good):
    shop.add()
    client = open_client(shop, durability="async")
    with closing(sqlite3.connect(shop.home / "holdfast.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else may write
        start = threading.Barrier(8)

        def ask(n):
            start.wait()
            key = {"idempotency-key": f"k{n}"} if n % 2 else {}
            return client.post("/predict", json=good, headers=key)

        with ThreadPoolExecutor(8) as pool:
            answers = [*pool.map(ask, range(8))]
        other.execute("ROLLBACK")
    assert [answer.status_code for answer in answers] == [200, 503] * 4
    assert answers[1].json()["code"] == "log"
    assert answers[1].headers["retry-after"] == "1"


def test_rows_that_nobody_waits_for_are_written_by_the_end(shop, open_client, good):
    shop.add()
    client = open_client(shop, durability="async")
    ids = [client.post("/predict", json=good).json()["prediction_id"] for _ in range(20)]
    client.__exit__(None, None, None)
    assert sorted(row["id"] for row in rows_of(shop)) == sorted(ids)  # two of one millisecond have no order


def test_batches_that_come_faster_than_they_are_logged_wait_and_none_is_lost(shop, open_client, good):
    shop.add()
    client = open_client(shop, durability="async", log_queue=700)
    batch = {"customers": [good] * 300}

    def ask(_):
        return client.post("/predict/batch", json=batch)

    with closing(sqlite3.connect(shop.home / "holdfast.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else may write
        with ThreadPoolExecutor(6) as pool:
            answers = pool.map(ask, range(12))
            answered_meanwhile = next(answers)
            single = client.post("/predict", json=good)  # has room all the same
            other.execute("ROLLBACK")
            answers = [answered_meanwhile, single, *answers]
    assert {answer.status_code for answer in answers} == {200}
    log = client.app.state.log
    while log.state.depth or log.state.spooled:  # which it is where the lock was held for long
        time.sleep(0.01)
    assert log.state.lost == 0
    told = [one["prediction_id"] for answer in answers for one in answer.json().get("predictions", ())]
    assert sorted([*told, single.json()["prediction_id"]]) == [row["id"] for row in rows_of(shop)]
    assert len(told) == 3_600


def test_each_logged_row_recomputes_to_the_bit(trained, installed):
    """The rows of a really trained model, asked alone, in batches and from the cache."""
    with_log = SimpleNamespace(registry=Registry(installed))
    live = Live(with_log.registry)
    app = create_app(live, Settings(home=installed), with_log.registry.engine)
    customers = orjson.loads(trained.customers.drop("Churn").head(40).write_json())

    async def run():
        transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1))
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            alone = await asyncio.gather(*(client.post("/predict", json=one) for one in customers))
            batch = await client.post("/predict/batch", json={"customers": customers})
            cached = await client.post("/predict", json=customers[0])
        return [*(one.json() for one in [*alone, cached]), *batch.json()["predictions"]]

    answers = {one["prediction_id"]: one for one in asyncio.run(run())}
    assert len(answers) == 81
    assert app.state.cache.hits > 0
    logged = {row["id"]: row for row in rows_of(with_log)}
    assert answers.keys() == logged.keys()
    for key, answer in answers.items():
        record = pl.DataFrame([json.loads(logged[key]["record"])])
        (probability,) = trained.model.score(record).frame["churn_probability"]
        assert probability == answer["churn_probability"] == logged[key]["probability"]
    with_log.registry.close()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_with_a_cache_every_answer_is_as_without(trained, data):
    serving = Serving(trained.model, Intake(trained.contract))
    pool = orjson.loads(trained.customers.drop("Churn").head(6).write_json())
    odd = st.sampled_from(
        [{}, {"Contract": "Never seen"}, {"tenure": -1}, {"TotalCharges": None}, {"SeniorCitizen": "x"}]
    ) | st.sampled_from([None, " 7 ", "12.0", "nan"]).map(lambda customer: {"customerID": customer})
    asked = st.lists(st.tuples(st.sampled_from(pool), odd).map(lambda pair: pair[0] | pair[1]), max_size=8)
    cache = AnswerCache(Settings(cache_seconds=60))
    for records in data.draw(st.lists(asked, max_size=4)):
        with_cache, without = score(serving, records, (), cache), score(serving, records)
        assert with_cache.answers == without.answers
        assert with_cache.rejects == without.rejects


def test_versions_of_other_homes_share_no_answers(trained):
    one, other = (Serving(model, Intake(trained.contract)) for model in (trained.model, trained.challenger))
    assert one.identity != other.identity
    again = Model.load(trained.model.path, version="v1")
    assert Serving(again, Intake(again.contract)).identity == one.identity
