"""What probes are told: at once, whatever hangs, and without a word too much."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest
from tcp_proxy import TcpProxy
from waiting import wait_until

from holdfast.api.health import Health
from holdfast.predictions import PredictionLog
from holdfast.settings import Settings
from holdfast.store import engine

wait = partial(wait_until, what="the health to change")


@contextmanager
def watched(shop, database, **settings):
    """The health of a service with a real log on ``database``."""
    live = shop.live()
    live.refresh()
    log = PredictionLog(
        database,
        queue=100,
        spool=shop.home / "spool",
        keep=timedelta(hours=24),
        hashed=lambda customer: customer,
    )
    log.start()
    health = Health(live, Settings(home=shop.home, **settings), database, log)
    health.start()
    try:
        yield health
    finally:
        health.close()
        log.close()


@pytest.fixture
def proxied(postgres, postgres_ready):
    """A real PostgreSQL behind a proxy, and an engine that goes through it."""
    url = postgres.url(like=postgres_ready)
    parts = urlsplit(url)
    proxy = TcpProxy((parts.hostname, parts.port))
    opened = engine(url.replace(f"{parts.hostname}:{parts.port}", "{}:{}".format(*proxy.address)))
    yield proxy, opened
    opened.dispose()
    proxy.close()


@pytest.mark.parametrize(("durability", "without"), [("ack", "not ready"), ("async", "degraded")])
@pytest.mark.parametrize("failure", ["hang", "cut"])
def test_a_database_that_hangs_or_is_gone_is_named_and_its_return_seen(
    shop, proxied, durability, without, failure
):
    shop.add()
    proxy, database = proxied
    with watched(shop, database, durability=durability) as health:
        wait(lambda: health.status() == "ready")
        getattr(proxy, failure)()
        wait(lambda: health.dependencies()["database"].state == "down")
        assert health.status() == without
        found = health.dependencies()["database"]
        assert found.required == (durability == "ack")
        assert found.reason in {"The database does not answer.", "The database cannot be used."}
        proxy.restore()
        wait(lambda: health.status() == "ready")


def test_redis_that_hangs_or_is_gone_degrades_and_stops_nothing(shop, redis):
    shop.add()
    with watched(shop, shop.registry.engine, redis_url=redis.url) as health:
        wait(lambda: health.status() == "ready")
        redis.pause()
        try:
            wait(lambda: health.status() == "degraded")
            assert health.dependencies()["redis"].required is False
        finally:
            redis.resume()
        wait(lambda: health.status() == "ready")
        redis.stop()
        try:
            wait(lambda: health.status() == "degraded")
            reason = health.dependencies()["redis"].reason
            assert "Redis" in reason
            assert str(redis.port) not in reason
        finally:
            redis.start()
        wait(lambda: health.status() == "ready")


def test_readiness_names_each_dependency(client, shop):
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    well = {"state": "ok", "reason": None, "required": True}
    assert ready["dependencies"] == {"model": well, "database": well, "log": well}
    assert client.get("/health").json()["dependencies"] == ready["dependencies"]
    assert str(shop.home) not in client.get("/readyz").text


def test_without_a_model_readiness_is_red_and_names_what_is_well(shop, open_client):
    refused = open_client(shop).get("/readyz")
    assert (refused.status_code, refused.json()["code"]) == (503, "no_model")
    states = {name: one["state"] for name, one in refused.json()["dependencies"].items()}
    assert states == {"model": "down", "database": "ok", "log": "ok"}


def test_a_server_that_is_being_stopped_is_red_and_goes_on_answering(client, good):
    client.app.state.health.draining = True
    refused = client.get("/readyz")
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert "being stopped" in refused.json()["detail"]
    assert client.get("/livez").status_code == 200
    assert client.get("/health").json()["status"] == "draining"
    assert client.post("/predict", json=good).status_code == 200


def test_one_failure_in_twenty_makes_the_service_degraded(client, shop, good, monkeypatch):
    for _ in range(38):
        client.get("/livez")
    assert client.get("/health").json()["status"] == "ok"

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(shop.models[1], "probability", fail)
    for changed in range(2):
        assert client.post("/predict", json=good | {"tenure": 100 + changed}).status_code == 500
    found = client.get("/health").json()
    assert (found["error_rate"], found["status"]) == (pytest.approx(2 / 41), "ok")
    client.post("/predict", json=good | {"tenure": 200})
    found = client.get("/health").json()
    assert (found["error_rate"], found["status"]) == (pytest.approx(3 / 43), "degraded")


def test_what_goes_down_and_comes_back_is_logged_once(shop, proxied, caplog):
    caplog.set_level("INFO", "holdfast")
    shop.add()
    proxy, database = proxied

    def told():
        health.tell()
        found = [record.fields for record in caplog.records if record.getMessage() == "dependency"]
        return [(fields["dependency"], fields["state"]) for fields in found]

    with watched(shop, database) as health:
        wait(lambda: health.status() == "ready")
        assert told() == []
        proxy.cut()
        wait(lambda: sorted(told()) == [("database", "down"), ("log", "down")])
        proxy.restore()
        wait(lambda: sorted(told()[2:]) == [("database", "ok"), ("log", "ok")])
