"""Promotions and rollbacks while requests come in: taken up at once, no request fails, no answer lies."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import polars as pl
import pytest
from waiting import LONGEST, wait_until

from holdfast.api.live import Live
from holdfast.errors import HoldfastError
from holdfast.model import Model
from holdfast.registry import Registry

WITHIN = 1.0
"""Seconds in which a promotion must show."""


def version_of(client, good):
    return client.post("/predict", json=good).json()["model"]["version"]


@contextmanager
def becomes_true(seconds=LONGEST):
    """Gives a function that waits until what it is given is true."""

    yield partial(wait_until, what="it to show", seconds=seconds)


def test_promote_and_rollback_show_within_a_second_without_loading_what_is_known(client, shop, good):
    shop.add(promote=False)
    time.sleep(0.4)
    assert version_of(client, good) == "v1"
    with becomes_true(WITHIN) as wait:
        shop.registry.promote("v2")
        wait(lambda: version_of(client, good) == "v2")
        shop.registry.rollback()
        wait(lambda: version_of(client, good) == "v1")
        shop.registry.promote("v2")
        wait(lambda: version_of(client, good) == "v2")
    assert shop.loads == ["v1", "v2"]


def test_the_challenger_is_loaded_before_it_is_promoted(client, shop, good):
    shop.add(promote=False)
    with becomes_true() as wait:
        wait(lambda: shop.loads == ["v1", "v2"])
    shop.registry.promote("v2")
    with becomes_true() as wait:
        wait(lambda: version_of(client, good) == "v2")
    assert shop.loads == ["v1", "v2"]


def test_a_challenger_that_cannot_be_loaded_changes_nothing(client, shop, good):
    shop.broken.add(2)
    shop.add(promote=False)
    with becomes_true() as wait:
        wait(lambda: shop.loads.count("v2") == 1)
    assert client.get("/readyz").json()["status"] == "ready"
    assert version_of(client, good) == "v1"


def test_no_more_than_a_few_models_are_kept(shop):
    live = shop.live()
    shop.add()
    live.refresh()
    for _ in range(5):
        shop.add(promote=False)
        live.prepare()
    assert len(live._kept) == 3
    shop.registry.promote("v2")
    live.refresh()
    assert live.current.model.version == "v2"
    assert len(live._kept) <= 3
    shop.registry.rollback()
    live.refresh()
    assert live.current.model.version == "v1"
    assert shop.loads.count("v1") == 1


def test_while_versions_change_every_answer_is_right_under_the_version_it_names(client, shop, good):
    shop.add(promote=False)
    expected = {
        m.version: m.score(pl.DataFrame([good]))["churn_probability"].item() for m in shop.models.values()
    }
    assert len(set(expected.values())) == 2
    answers, stop = [], threading.Event()

    def ask(path, body):
        while not stop.is_set():
            answers.append(client.post(path, json=body))

    asking = [("/predict", good), ("/predict/batch", {"customers": [good] * 20}), ("/explain", good)]
    threads = [threading.Thread(target=ask, args=each) for each in asking]
    for thread in threads:
        thread.start()
    try:
        for turn in range(8):
            shop.registry.promote("v2") if turn % 2 == 0 else shop.registry.rollback()
            time.sleep(0.3)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(answers) >= 100
    assert {answer.status_code for answer in answers} == {200}
    documents = [answer.json() for answer in answers]
    for document in documents:
        for answer in document.get("predictions", [document]):
            assert answer["churn_probability"] == expected[answer["model"]["version"]]
            assert answer["model"] == document["model"]
    assert {document["model"]["version"] for document in documents} == {"v1", "v2"}


def test_without_a_model_the_service_lives_and_says_what_to_do_and_takes_the_first_one_up(
    shop, open_client, good
):
    client = open_client(shop)
    assert client.get("/livez").status_code == 200
    assert client.get("/health").json()["status"] == "no model"
    assert client.get("/").json()["model"] is None
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").status_code == 200
    for method, path in [
        ("GET", "/readyz"),
        ("POST", "/predict"),
        ("POST", "/predict/batch"),
        ("POST", "/explain"),
        ("GET", "/model_info"),
        ("GET", "/model_metrics"),
        ("GET", "/feature_importance"),
    ]:
        refused = client.request(method, path, **({"json": good} if method == "POST" else {}))
        assert (refused.status_code, refused.json()["code"]) == (503, "no_model"), path
        assert "holdfast train" in refused.json()["hint"]
    shop.add()
    with becomes_true() as wait:
        wait(lambda: client.get("/readyz").status_code == 200)
    assert version_of(client, good) == "v1"


def test_a_champion_that_cannot_be_loaded_leaves_the_old_one_answering(client, shop, good, caplog):
    shop.broken.add(2)
    shop.add()
    with becomes_true() as wait:
        wait(lambda: client.get("/readyz").json()["status"] == "degraded")
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["reason"] == "v2 could not be loaded; v1 goes on. A file was changed."
        assert str(shop.home) not in ready.text
        assert client.get("/health").json()["status"] == "degraded"
        assert version_of(client, good) == "v1"
        time.sleep(0.6)
        assert shop.loads.count("v2") == 1  # not again and again
        told = [record.fields for record in caplog.records if record.getMessage() == "trouble"]
        assert [(fields["code"], fields["where"]) for fields in told] == [("artefact", str(shop.home))]
        shop.registry.rollback()
        wait(lambda: client.get("/readyz").json()["status"] == "ready")
    assert version_of(client, good) == "v1"


def test_a_champion_that_is_mended_is_taken_up(client, shop, good, monkeypatch):
    monkeypatch.setattr("holdfast.api.live.RETRY_SECONDS", 0.3)
    shop.broken.add(2)
    shop.add()
    with becomes_true() as wait:
        wait(lambda: client.get("/readyz").json()["status"] == "degraded")
        shop.broken.clear()
        wait(lambda: version_of(client, good) == "v2")
        wait(
            lambda: (
                client.get("/readyz").json().items()
                >= {
                    "status": "ready",
                    "reason": None,
                    "hint": None,
                    "model": {"name": "customers", "version": "v2"},
                }.items()
            )
        )


def test_a_first_champion_that_cannot_be_loaded_is_told_with_the_reason(shop, open_client, good):
    shop.broken.add(1)
    shop.add()
    client = open_client(shop)
    refused = client.get("/readyz")
    assert refused.status_code == 503
    assert refused.json()["detail"] == "v1 could not be loaded; no model answers. A file was changed."
    for command in ("holdfast models verify", "holdfast models rollback"):
        assert command in refused.json()["hint"]
    assert refused.json()["dependencies"]["model"]["state"] == "down"
    assert client.post("/predict", json=good).json().items() <= refused.json().items()
    health = client.get("/health").json()
    assert (health["reason"], health["hint"]) == (refused.json()["detail"], refused.json()["hint"])


def test_files_that_were_really_changed_are_named_and_where_they_are_is_not(trained, tmp_path, open_client):
    home = tmp_path / "the home"
    shutil.copytree(trained.home, home)
    registry = Registry(home)
    folder = registry.resolve("champion").path
    (folder / "model.json").write_text("{}")
    (folder / "contract.toml").unlink()
    live = Live(registry)
    client = open_client(SimpleNamespace(live=lambda: live, home=home, registry=registry))
    for path in ("/readyz", "/health", "/model_info"):
        body = client.get(path).text
        assert "contract.toml is missing; model.json was changed" in body
        assert "holdfast models rollback" in body
        assert str(tmp_path) not in body
        assert "the home" not in body
    registry.close()


def test_another_model_under_a_manifest_of_its_own_is_not_what_was_registered(trained, tmp_path, open_client):
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    registry = Registry(home)
    folder = registry.resolve("champion").path
    card, manifest = folder / "model_card.md", folder / "manifest.json"
    before = hashlib.sha256(card.read_bytes()).hexdigest()
    card.write_text("Trust me.")
    after = hashlib.sha256(card.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(before, after))
    Model.load(folder)  # in itself it is whole
    live = Live(registry)
    client = open_client(SimpleNamespace(live=lambda: live, home=home, registry=registry))
    assert "not the one that was registered" in client.get("/readyz").json()["detail"]
    registry.close()


def test_an_error_that_names_paths_is_told_without_them(shop, open_client, monkeypatch):
    version = shop.add()

    def fail(_version):
        raise HoldfastError(f"{version.path}/members/0.json cannot be read: see /etc/secret or C:\\x\\y.")

    monkeypatch.setattr(shop, "load", fail)
    refused = open_client(shop).get("/readyz")
    assert refused.json()["detail"].endswith("its folder/members/0.json cannot be read: see … or …")


def test_any_failure_of_a_new_model_leaves_the_old_one_answering(client, shop, good, monkeypatch):
    """Also one of a kind that nobody foresaw, and only when the model is first asked."""
    shop.add(promote=False)

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(shop.models[2], "answer", fail)
    shop.registry.promote("v2")
    with becomes_true() as wait:
        wait(lambda: client.get("/readyz").json()["status"] == "degraded")
    assert version_of(client, good) == "v1"


def test_a_database_that_fails_leaves_the_model_answering(shop):
    shop.add()
    live = shop.live()
    live.refresh()
    shop.registry.close()
    database = shop.home / "holdfast.db"
    sound = database.read_bytes()
    for leftover in shop.home.glob("holdfast.db-*"):
        leftover.unlink()
    database.write_bytes(b"not a database" * 100)
    live.refresh()
    assert "registry cannot be read" in live.trouble.reason
    assert live.serving().model.version == "v1"
    shop.registry.close()
    database.write_bytes(sound)
    live.refresh()
    assert live.trouble is None


def test_the_request_schema_follows_the_champion_s_contract(client, shop, good, make_contract, columns):
    before = client.get("/openapi.json").json()
    assert "Region" not in before["components"]["schemas"]["Customer"]["properties"]
    assert client.post("/predict", json=good | {"Region": "North"}).status_code == 422
    levels = {"kind": "category", "levels": ["North", "South"]}
    shop.add(make_contract(columns | {"Region": levels}))
    with becomes_true() as wait:
        wait(lambda: client.post("/predict", json=good | {"Region": "North"}).status_code == 200)
    after = client.get("/openapi.json").json()
    assert after["components"]["schemas"]["Customer"]["properties"]["Region"]["anyOf"][0] == {
        "enum": levels["levels"]
    }
    assert "v2" in after["info"]["title"]
    assert client.post("/predict", json=good).json()["errors"] == [
        {"field": "Region", "reason": "required by the contract, but not there"}
    ]


@pytest.mark.parametrize(
    "path", ["/", "/health", "/readyz", "/model_info", "/model_metrics", "/feature_importance"]
)
def test_every_page_names_the_version(client, path):
    assert client.get(path).json()["model"] == {"name": "customers", "version": "v1"}
