"""Ten times as much as can be answered, and a long time of everything: what is accepted is answered."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import pytest
from served import Client, Load, wait_until

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(sys.platform != "linux", reason="reads memory and descriptors from /proc"),
]

MEBI = 1024 * 1024
CLIENTS = 8


def memory_of(served):
    """Bytes in memory."""
    return int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1]) * 4_096


def descriptors_of(served):
    return len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))


class Stopwatch:
    """Asks on one connection and keeps how long each accepted answer took, in seconds."""

    def __init__(self, served, body):
        self._client, self._body = Client(served.address), body

    def p99(self, seconds, least):
        took, until = [], time.monotonic() + seconds
        while time.monotonic() < until or len(took) < least:
            started = time.perf_counter()
            if self._client.ask("POST", "/predict", self._body)[0] == 200:
                took.append(time.perf_counter() - started)
        return sorted(took)[int(len(took) * 0.99)]

    def close(self):
        self._client.close()


class Polite:
    """Notes refusals that do not say when to ask again."""

    def __init__(self):
        self.rude = []

    def __call__(self, status, headers, answer, _body):
        if status != 200 and (status not in (429, 503) or "retry-after" not in headers):
            self.rude.append((status, answer))


def test_ten_times_too_much_is_shed_and_what_is_accepted_is_answered(on_sqlite, bodies, size, told):
    seconds, least = size(4, 60), size(200, 5_000)
    polite = Polite()
    with on_sqlite.serve(queue_rows=4 * CLIENTS, cache_seconds=0) as served:
        with Load(served.address, bodies, clients=CLIENTS) as load:
            load.wait_for(200)
        assert (set(load.statuses), load.failures) == ({200}, [])
        watch, before = Stopwatch(served, bodies[0]), memory_of(served)
        alone = watch.p99(seconds / 4, 100)
        with Load(served.address, bodies, clients=10 * CLIENTS, check=polite) as load:
            crowded = watch.p99(seconds, 50)
            wait_until(lambda: load.statuses[200] >= least, f"{least} accepted answers")
            wait_until(lambda: load.statuses[503] >= 50, "shed requests")
            most = memory_of(served)
        watch.close()
        with Load(served.address, bodies, clients=2) as after:
            after.wait_for(50)
    assert (polite.rude, load.failures) == ([], [])
    assert (set(after.statuses), after.failures) == ({200}, [])
    assert most < before + 150 * MEBI
    told(f"p99 {alone * 1_000:.1f} ms alone, {crowded * 1_000:.1f} ms at 10x; {dict(load.statuses)}")
    if size(small=False, big=True):  # only there is it more than noise
        assert crowded < 20 * alone


def test_whoever_asks_too_often_is_told_when_to_ask_again(on_sqlite, bodies):
    polite = Polite()
    headers = {"x-api-key": on_sqlite.api_key()}
    with (
        on_sqlite.serve(rate_limit=100) as served,
        Load(served.address, bodies, clients=2, check=polite, headers=headers, pause=0.001) as load,
    ):
        wait_until(lambda: load.statuses[429] >= 50, "refusals")
    assert (polite.rude, load.failures) == ([], [])
    assert 100 <= load.statuses[200] <= 200  # the window may have moved on


def test_memory_and_descriptors_stay_flat(on_sqlite, bodies, size, told):
    seconds = size(60, 1_800)
    polite = Polite()
    stop = threading.Event()

    def others(served):
        """All the rest of what is asked, each on a connection of its own, some of which end badly."""
        turn = 0
        while not stop.is_set():
            turn += 1
            client = Client(served.address)
            batch = json.dumps({"customers": [json.loads(body) for body in bodies[:20]]}).encode()
            client.ask("POST", "/predict/batch", batch)
            client.ask("POST", "/explain", bodies[turn % len(bodies)])
            client.ask("POST", "/predict", b"{", idempotency_key=f"bad {turn}")
            client.ask("POST", "/predict", bodies[0], idempotency_key=f"good {turn}")
            client.ask("GET", f"/nothing/{turn}")
            client.ask("GET", "/metrics")
            client.close()
            time.sleep(0.02)

    with (
        on_sqlite.serve(cache_entries=500) as served,
        Load(served.address, bodies, clients=4, check=polite) as load,
    ):
        thread = threading.Thread(target=others, args=(served,))
        thread.start()
        try:
            load.wait_for(500)
            time.sleep(seconds / 4)
            memory, descriptors, answered = memory_of(served), descriptors_of(served), load.answered
            time.sleep(seconds)
            wait_until(lambda: load.answered >= answered + size(500, 50_000), "enough answers")
            grown, opened = memory_of(served) - memory, descriptors_of(served) - descriptors
            change = f"memory {memory / MEBI:.0f} {grown / MEBI:+.1f} MiB, descriptors {opened:+}"
            told(f"{load.answered} answers: {change}")
        finally:
            stop.set()
            thread.join()
    assert (set(load.statuses), load.failures, polite.rude) == ({200}, [], [])
    assert grown < max(0.1 * memory, 32 * MEBI)
    assert abs(opened) <= 10
