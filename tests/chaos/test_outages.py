"""Redis and PostgreSQL slow, hanging, cut, reset and restarted under load."""

from __future__ import annotations

import json
import threading

import pytest
import sqlalchemy as sa
from redis import Redis
from served import Load
from tcp_proxy import TcpProxy
from waiting import wait_until

from holdfast.store.tables import predictions

pytestmark = pytest.mark.chaos

RED = ("slow", "hang", "cut", "restart")
"""Outages that last. A reset is over at once."""

WORKERS = 2


class Witness:
    """Remembers every acknowledged prediction, and each refusal that does not say when to ask again."""

    def __init__(self):
        self.acknowledged = []
        self.rude = []
        self._lock = threading.Lock()

    def __call__(self, status, headers, answer, _body):
        with self._lock:
            if status == 200:
                self.acknowledged.append(json.loads(answer)["prediction_id"])
            elif status != 503 or "retry-after" not in headers:
                self.rude.append((status, answer))


class Trouble(TcpProxy):
    """Stands before a real server, and makes trouble."""

    def __init__(self, server):
        super().__init__((server.host, server.port))
        self.behind = server

    def begin(self, trouble):
        if trouble == "slow":
            self.delay = 8.0
        elif trouble == "restart":
            self.behind.stop()
        else:
            getattr(self, trouble)()

    def end(self, trouble):
        if trouble == "restart":
            self.behind.start()
        self.restore()


@pytest.fixture
def database(postgres):
    proxy = Trouble(postgres)
    yield proxy
    proxy.close()


@pytest.fixture
def shared_cache(redis):
    proxy = Trouble(redis)
    yield proxy
    proxy.close()


def logged(installation):
    opened = installation.engine()
    with opened.begin() as connection:
        ids = list(connection.execute(sa.select(predictions.c.id)).scalars())
    opened.dispose()
    return ids


def through(url, proxy):
    head, _, name = url.rpartition("/")
    return f"{head.rpartition('@')[0]}@{proxy.address[0]}:{proxy.address[1]}/{name}"


def answers_well(client, body):
    return client.ask("POST", "/predict", body)[0] == 200 and client.ask("GET", "/readyz")[0] == 200


def test_without_its_database_a_server_refuses_what_it_cannot_log(
    on_postgres, database, bodies, client, size
):
    witness = Witness()
    rounds, recovery = size(1, 10), size(60, 10)
    url = through(on_postgres.url, database)
    with (
        on_postgres.serve(database=url, cache_seconds=0) as served,
        Load(served.address, bodies, clients=4, check=witness, pause=0.01) as load,
    ):
        one = client(served)
        for trouble in ("slow", "hang", "cut", "reset", "restart") * rounds:
            load.wait_for(20)
            before = len(witness.acknowledged)
            database.begin(trouble)
            if trouble in RED:
                refused = load.statuses[503]
                wait_until(lambda n=refused: load.statuses[503] > n + 5, f"503 while it is {trouble}")
                wait_until(lambda: one.ask("GET", "/readyz")[0] == 503, f"red while it is {trouble}")
                assert one.ask("GET", "/livez")[0] == 200
            database.end(trouble)
            wait_until(lambda: answers_well(one, bodies[0]), f"recovery from {trouble}", recovery)
            wait_until(lambda n=before: len(witness.acknowledged) > n + 20, "more answers")
    assert (witness.rude, load.failures) == ([], [])
    assert set(load.statuses) == {200, 503}
    assert len(witness.acknowledged) >= 100 * rounds
    assert set(witness.acknowledged) <= set(logged(on_postgres))


def test_without_its_database_async_workers_answer_and_log_later_exactly_once(
    on_postgres, database, bodies, size
):
    witness = Witness()
    url = through(on_postgres.url, database)
    rounds, recovery = size(1, 10), size(60, 10)
    asked_of_both = {"connection": "close"}
    with on_postgres.serve(
        "--workers", str(WORKERS), database=url, durability="async", cache_seconds=0
    ) as served:
        with Load(
            served.address, bodies, clients=4, check=witness, pause=0.02, headers=asked_of_both
        ) as load:
            for trouble in ("slow", "hang", "cut", "reset", "restart") * rounds:
                load.wait_for(20)
                database.begin(trouble)
                if trouble in RED:
                    wait_until(lambda: spools(on_postgres) == WORKERS, f"each to spool while it is {trouble}")
                load.wait_for(100)
                database.end(trouble)
                wait_until(lambda: spools(on_postgres) == 0, f"recovery from {trouble}", recovery)
        assert (set(load.statuses), load.failures) == ({200}, [])
        wait_until(lambda: len(logged(on_postgres)) >= len(witness.acknowledged), "all to be logged")
        assert served.stop() == 0
    assert len(witness.acknowledged) >= 500 * rounds
    assert sorted(logged(on_postgres)) == sorted(witness.acknowledged)


def spools(installation):
    """How many processes have rows waiting on the disk."""
    return len(list((installation.home / "spool").glob("*.rows")))


def test_trouble_with_redis_fails_no_request(on_sqlite, shared_cache, bodies, client, size):
    witness = Witness()
    url = "redis://{}:{}/0".format(*shared_cache.address)
    headers = {"x-api-key": on_sqlite.api_key()}
    rounds, recovery = size(1, 10), size(60, 10)
    # Nobody reaches the limit, and most answers are not in memory: both kinds of question go to Redis.
    with on_sqlite.serve(redis_url=url, rate_limit=1_000_000, cache_entries=10) as served:
        one = client(served)
        with Load(served.address, bodies[:50], clients=4, check=witness, headers=headers) as load:
            for _ in range(rounds):
                for trouble in ("slow", "hang", "cut", "reset", "restart"):
                    load.wait_for(50)
                    shared_cache.begin(trouble)
                    load.wait_for(100)
                    assert one.ask("GET", "/readyz")[0] == 200
                    shared_cache.end(trouble)
                    wait_until(lambda: redis_is(one) == "ok", f"recovery from {trouble}", recovery)
                emptied(shared_cache.behind)
                wait_until(
                    lambda: kept_in(shared_cache.behind) == {"answer", "rate"}, "answers and counts", recovery
                )
        assert (set(load.statuses), load.failures) == ({200}, [])
    assert len(witness.acknowledged) >= 750 * rounds
    assert len(set(witness.acknowledged)) == len(witness.acknowledged)


def redis_is(client):
    return json.loads(client.ask("GET", "/readyz")[2])["dependencies"]["redis"]["state"]


def emptied(redis):
    with Redis.from_url(redis.url) as opened:
        opened.flushall()


def kept_in(redis):
    """What servers have written there."""
    with Redis.from_url(redis.url) as opened:
        return {kind for kind in ("answer", "rate") if opened.keys(f"holdfast:{kind}:*")}
