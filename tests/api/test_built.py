"""A customer's id is enough where the model's tables are in PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from database_worlds import contract, world
from fastapi.testclient import TestClient

from holdfast.api.app import create_app
from holdfast.api.built import NO_TABLES, NOT_ELIGIBLE, completed, open_features
from holdfast.api.intake import Intake
from holdfast.api.live import Live, Serving
from holdfast.cli.serve import announced
from holdfast.history.build import record_contract
from holdfast.history.build_in_place import build_in_postgres
from holdfast.history.live import LiveFeatures
from holdfast.registry import Registry
from holdfast.settings import Settings
from holdfast.training import train

AS_OF = "2024-07-01"


@pytest.fixture(scope="module")
def shop(postgres, tmp_path_factory):
    """A server with a model that learned from tables, and their features in a batch."""
    folder, url = tmp_path_factory.mktemp("built"), postgres.url()
    world(5, customers=700).into(url)
    history = contract("inactivity", "Europe/Berlin")
    settings = Settings(home=folder / "home", source_url=url, source_retries=0)
    midnight = datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    built, _ = build_in_postgres(history, folder / "b.parquet", settings=settings, as_of=[midnight])
    frame = built.frame().filter(pl.col("churned").is_not_null())
    trained = train(
        frame,
        record_contract(history),
        budget=1.0,
        models=["logistic_regression"],
        seed=1,
        home=settings.home,
    ).model
    trained.history = history  # as if it had learned from it in time, which takes longer
    model = trained
    with closing(Registry(settings.home)) as registry:
        live = Live(registry, lambda _version: model, settings)
        app = create_app(live, settings, registry.engine)
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as client:
            yield client, built.frame().sort("customer"), model


def test_an_id_gives_what_the_batch_gives_for_the_same_moment_to_the_last_bit(shop):
    client, frame, model = shop
    some = frame.head(20)
    expected = model.probability(model.conform(some.drop("as_of")).frame)
    names = some["customer"].to_list()
    alone = [client.post("/predict", json={"customer_id": name, "as_of": AS_OF}).json() for name in names]
    assert [one["churn_probability"] for one in alone] == expected.tolist()
    asked = [{"customer_id": name, "as_of": AS_OF} for name in names]
    batch = client.post("/predict/batch", json={"customers": asked}).json()["predictions"]
    assert [one["churn_probability"] for one in batch] == expected.tolist()
    assert [one["customer_id"] for one in batch] == names
    assert {one["as_of"] for one in [*alone, *batch]} == {"2024-06-30T22:00:00.000Z"}


def test_without_as_of_it_is_now(shop):
    client, _, model = shop
    asked = [{"customer_id": f" {name} "} for name in shop[1]["customer"]]
    before = datetime.now(UTC)
    told = client.post("/predict/batch", json={"customers": asked}).json()
    assert told["code"] == "batch"  # nobody has been active for so long
    assert {one["reason"] for one in told["errors"]} == {NOT_ELIGIBLE}
    history = contract("inactivity", "Europe/Berlin")
    ever = history.model_copy(update={"churn": history.churn.model_copy(update={"active_days": None})})
    with closing(LiveFeatures(ever, client.app.state.settings, model.contract.inputs)) as features:
        moments = completed(features, "customer", asked).moments.values()
    assert moments
    assert all(before <= moment <= datetime.now(UTC) for moment in moments)


def test_what_was_built_is_logged_with_its_moment(shop):
    client, frame, _ = shop
    name = frame["customer"][0]
    told = client.post("/predict", json={"customer_id": name, "as_of": "2024-07-01T00:00:00+02:00"}).json()
    row = client.get(f"/predictions/{told['prediction_id']}").json()
    assert row["as_of"].startswith("2024-06-30T22:00:00")
    assert row["record"]["payments_count_ever"] == frame["payments_count_ever"][0]


@pytest.mark.parametrize(
    ("asked", "status", "code", "words"),
    [
        ({"customer_id": "nobody"}, 404, "customer", "no such customer"),
        ({"customer_id": "the first", "as_of": "2001-01-01"}, 404, "customer", "no customer at that moment"),
        ({"customer_id": "C2", "as_of": "2999-01-01"}, 422, "record", "still to come"),
        ({"customer_id": "C2", "as_of": "soon"}, 422, "record", "no moment such as"),
        ({"customer_id": "C2", "as_of": 7}, 422, "record", "no moment such as"),
        ({"customer_id": " "}, 422, "record", "no customer id"),
        ({"customer_id": "a\x00b"}, 422, "record", "no customer id"),
        ({"customer_id": True}, 422, "record", "an id is needed"),
        ({"customer_id": "C2", "colour": 1}, 422, "record", "not in the contract"),
        ({"shopper_no": "C2", "as_of": "2024-06-01"}, 422, "record", "an id alone goes by the name"),
    ],
)
def test_who_cannot_be_built_is_one_clear_problem(shop, asked, status, code, words):
    if asked.get("customer_id") == "the first":
        asked = asked | {"customer_id": shop[1]["customer"][0]}
    told = shop[0].post("/predict", json=asked)
    assert (told.status_code, told.json()["code"]) == (status, code)
    assert words in told.text


def test_in_a_batch_each_fails_alone_and_whole_records_go_with_ids(shop):
    client, frame, model = shop
    whole = frame.select(list(model.contract.inputs)).row(1, named=True) | {"customer": frame["customer"][1]}
    asked = [{"customer_id": frame["customer"][1], "as_of": AS_OF}, {"customer_id": "nobody"}, whole]
    told = client.post("/predict/batch", json={"customers": asked}).json()
    assert [one["index"] for one in told["predictions"]] == [0, 2]
    assert told["predictions"][0]["churn_probability"] == told["predictions"][1]["churn_probability"]
    assert [(one["index"], one["column"]) for one in told["rejected"]] == [(1, "customer_id")]


def test_the_documents_show_that_an_id_is_enough(shop):
    customer = shop[0].get("/openapi.json").json()["components"]["schemas"]["Customer"]
    assert customer["anyOf"][0]["required"] == ["customer_id"]
    assert "payments_count_ever" in customer["anyOf"][1]["properties"]


def test_what_a_new_day_needs_of_everybody_is_begun_before_anybody_asks(shop, monkeypatch):
    live = shop[0].app.state.live
    features = live.current.features
    before = set(features._medians._days)
    monkeypatch.setattr(features, "now", lambda: datetime(2024, 3, 3, 12, tzinfo=UTC))
    live.prepare()
    assert set(features._medians._days) - before == {datetime(2024, 3, 2, 23)}  # noqa: DTZ001 - naive UTC


def test_a_database_that_is_down_is_told_apart_and_whole_records_go_on(shop, monkeypatch):
    client, frame, model = shop
    gone = Settings(source_url="postgresql://u@127.0.0.1:1/none", source_retries=0)
    serving = Serving(model, Intake(model.contract), open_features(model, gone))
    monkeypatch.setattr(client.app.state.live, "current", serving)
    with closing(serving.features):
        told = client.post("/predict", json={"customer_id": "C2"})
        assert (told.status_code, told.json()["code"], told.headers["retry-after"]) == (503, "tables", "1")
        whole = frame.select(list(model.contract.inputs)).row(1, named=True) | {"customer": "C2"}
        assert client.post("/predict", json=whole).status_code == 200
        batch = client.post("/predict/batch", json={"customers": [{"customer_id": "C2"}]})
        assert batch.json()["code"] == "tables"


def test_without_a_database_whole_records_are_needed(shop):
    model = shop[2]
    assert open_features(model, Settings()) is None
    assert open_features(model, Settings(source_url="mysql://u@h/d")) is None


@pytest.mark.parametrize("name", ["customer_id", "customer"])
def test_an_id_that_nothing_can_be_built_of_is_no_customer_of_whom_nothing_is_known(shop, monkeypatch, name):
    client, frame, model = shop
    monkeypatch.setattr(client.app.state.live, "current", Serving(model, Intake(model.contract)))
    told = client.post("/predict", json={name: frame["customer"][0]})
    assert told.status_code == 422
    assert [(one["field"], one["reason"]) for one in told.json()["errors"]] == [(name, NO_TABLES)]
    whole = frame.select(list(model.contract.inputs)).row(1, named=True) | {"customer": "C2"}
    assert client.post("/predict", json=whole).status_code == 200


def test_the_server_announces_an_id_where_that_is_enough_and_no_endless_record_where_not(shop, monkeypatch):
    live = shop[0].app.state.live
    assert announced(live, "http://x")[1].splitlines()[2].endswith("""'{"customer_id": "C-0001"}'""")
    monkeypatch.setattr(live, "current", Serving(shop[2], Intake(shop[2].contract)))
    document, words = announced(live, "http://x")
    assert "holdfast score churn.toml" in words
    assert "curl" not in words
    assert document["example"].count(":") > len(shop[2].contract.inputs)
