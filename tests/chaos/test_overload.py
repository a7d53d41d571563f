"""Ten times as much as can be answered, and a long time of everything: what is accepted is answered."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from crowd import Found, in_process
from served import Client, Load
from waiting import wait_until

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(sys.platform != "linux", reason="reads memory and descriptors from /proc"),
]

MEBI = 1024 * 1024
CLIENTS = 64
"""As many as a server of one processor answers the most of."""
ROWS = 2
"""What the body of one customer counts for."""


def memory_of(served):
    """Bytes in memory."""
    return int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1]) * 4_096


def descriptors_of(served):
    return len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))


class Polite:
    """Notes refusals that do not say when to ask again."""

    def __init__(self):
        self.rude = []

    def __call__(self, status, headers, answer, _body):
        if status != 200 and (status not in (429, 503) or "retry-after" not in headers):
            self.rude.append((status, answer))


def test_ten_times_too_much_is_shed_and_what_is_accepted_is_answered_in_time(on_sqlite, bodies, size, told):
    """As many clients as the bound lets in, and ten times as many, in turns; none ever pauses.

    An accepted request meets as many others either way, so what it waits for longer is the work of saying no.
    """
    turns, seconds, least = size(2, 12), size(1, 5), size(100, 20_000)
    few, crowd = Found(), Found()
    mine, other = processors()
    with running_on(mine):
        served = on_sqlite.serve(queue_rows=CLIENTS * ROWS, cache_seconds=0)
    with served, running_on(other):
        in_process(served.port, CLIENTS, seconds, bodies)  # what is slow once is not measured
        before, most = memory_of(served), 0
        for _ in range(turns):
            add(few, in_process(served.port, CLIENTS, seconds, bodies))
            add(crowd, in_process(served.port, 10 * CLIENTS, seconds, bodies))
            most = max(most, memory_of(served))
        with Load(served.address, bodies, clients=2) as after:
            after.wait_for(100)  # what the crowd has left behind goes first
            shed = after.statuses[503]
            after.wait_for(200)
    told(f"{CLIENTS} clients: {figures(few)}")
    told(f"{10 * CLIENTS} clients: {figures(crowd)}; memory {(most - before) / MEBI:+.0f} MiB")
    assert few.rude + crowd.rude == 0
    assert set(crowd.statuses) == {200, 503}
    assert min(crowd.statuses.values()) >= least
    assert (set(after.statuses) - {503}, after.statuses[503], after.failures) == ({200}, shed, [])
    assert most < before + 150 * MEBI
    if size(small=False, big=True) and other != mine:  # only there is it more than noise
        assert p99(crowd) <= 3 * p99(few)


def processors():
    """One for the server, and one for its clients: they would wait for each other on the same."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, {usable[-1]}


@contextmanager
def running_on(processors):
    """Processes started here run on these alone."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def add(found, more):
    found.statuses += more.statuses
    found.took += more.took
    found.rude += more.rude
    found.busy = max(found.busy, more.busy)


def p99(found):
    return sorted(found.took)[int(len(found.took) * 0.99)]


def figures(found):
    took = [1_000 * sorted(found.took)[int(len(found.took) * part)] for part in (0.5, 0.95, 0.99)]
    return "p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms".format(*took) + (
        f"; {dict(found.statuses)}; clients busy {found.busy:.0%}"
    )


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
            time.sleep(size(0.1, 0.02))

    with (
        on_sqlite.serve(cache_entries=500) as served,
        # in `make test` the pauses leave the processors to the tests that run beside this one
        Load(served.address, bodies, clients=4, check=polite, pause=size(0.002, 0)) as load,
    ):
        thread = threading.Thread(target=others, args=(served,))
        thread.start()
        try:
            load.wait_for(500)
            time.sleep(seconds / 3)
            memory, descriptors, answered = memory_of(served), descriptors_of(served), load.answered
            for _ in range(6):
                time.sleep(seconds / 6)
                grown, opened = memory_of(served) - memory, descriptors_of(served) - descriptors
                change = f"memory {memory / MEBI:.0f} {grown / MEBI:+.1f} MiB, descriptors {opened:+}"
                told(f"{load.answered} answers: {change}")
        finally:
            stop.set()
            thread.join()
    assert (set(load.statuses), load.failures, polite.rude) == ({200}, [], [])
    assert load.answered >= answered + size(500, 50_000)
    assert grown < max(0.1 * memory, 32 * MEBI)
    assert abs(opened) <= 10
