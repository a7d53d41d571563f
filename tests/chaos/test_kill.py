"""What was acknowledged is in the log, whatever dies and whenever."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from http.client import HTTPException

import pytest
import sqlalchemy as sa
from served import Client
from waiting import wait_until

from holdfast.store.tables import predictions

pytestmark = pytest.mark.chaos

CLIENTS = 4


class Journal:
    """Clients that ask again under the same Idempotency-Key until they are answered, and write that down.

    Attributes:
        answers: the bytes of each acknowledged answer, by key; every key is asked twice once it was answered.
        statuses: how often each came.
    """

    def __init__(self, address, bodies, seed):
        self.answers = defaultdict(set)
        self.statuses = Counter()
        self.wrong = []
        self._address, self._bodies, self._seed = address, bodies, seed
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number):
        client = Client(self._address, timeout=20)
        turn = 0
        while not self._stop.is_set():
            turn += 1
            key = f"{self._seed}-{number}-{turn}"
            body = self._bodies[(number + turn * CLIENTS) % len(self._bodies)]
            if self._until_answered(client, key, body) and turn % 10 == 0:
                self._until_answered(client, key, body)
        client.close()

    def _until_answered(self, client, key, body):
        while not self._stop.is_set():
            try:
                status, headers, answer = client.ask("POST", "/predict", body, idempotency_key=key)
            except (OSError, HTTPException):
                time.sleep(0.02)
                continue
            self.statuses[status] += 1
            if status == 200:
                self.answers[key].add(answer)
                return True
            if status != 503 or "retry-after" not in headers:
                self.wrong.append((status, answer))
                return False
            time.sleep(0.05)
        return False


def assert_kept(installation, journal, least):
    """Acknowledged ⊆ log, no id twice, one key never two answers, database sound."""
    assert journal.wrong == []
    assert len(journal.answers) >= least
    assert {len(found) for found in journal.answers.values()} == {1}
    acknowledged = [json.loads(next(iter(found))) for found in journal.answers.values()]
    ids = [answer["prediction_id"] for answer in acknowledged]
    assert len(set(ids)) == len(ids)
    opened = installation.engine()
    with opened.begin() as connection:
        rows = connection.execute(sa.select(predictions.c.id, predictions.c.probability)).all()
        if installation.kind == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    opened.dispose()
    logged = dict(map(tuple, rows))
    assert len(logged) == len(rows)
    missing = [answer for answer in acknowledged if answer["prediction_id"] not in logged]
    assert missing == []
    assert all(answer["churn_probability"] == logged[answer["prediction_id"]] for answer in acknowledged)


def test_a_killed_server_has_logged_all_that_it_acknowledged(installation, bodies, size):
    moments = random.Random(3)  # noqa: S311 - no secret, a repeatable test
    kills, least = size(5, 50), size(500, 5_000)
    with installation.serve() as served, Journal(served.address, bodies, "kill") as journal:
        for kill in range(kills):
            wanted = least * (kill + 1) // (kills + 1)
            wait_until(
                lambda wanted=wanted: len(journal.answers) >= wanted, f"{wanted} answers {journal.wrong[:1]}"
            )
            time.sleep(moments.uniform(0, 0.3))
            served.kill()
            served.start()
        wait_until(lambda: len(journal.answers) >= least, f"{least} answers")
    assert_kept(installation, journal, least)


def test_with_a_database_that_crashes_nothing_acknowledged_is_lost(on_postgres, postgres, bodies, size):
    moments = random.Random(4)  # noqa: S311 - as above
    crashes, least = size(3, 50), size(300, 5_000)
    with on_postgres.serve() as served, Journal(served.address, bodies, "crash") as journal:
        for crash in range(crashes):
            wanted = least * (crash + 1) // (crashes + 1)
            wait_until(lambda wanted=wanted: len(journal.answers) >= wanted, f"{wanted} answers")
            time.sleep(moments.uniform(0, 0.3))
            postgres.stop("immediate")
            time.sleep(moments.uniform(0, 0.5))
            postgres.start()
        wait_until(lambda: len(journal.answers) >= least, f"{least} answers")
    assert_kept(on_postgres, journal, least)
