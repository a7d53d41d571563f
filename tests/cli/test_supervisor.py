from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
from http.client import HTTPException
from pathlib import Path

import pytest
from served import Client, Load, Served, bodies_of
from tcp_proxy import TcpProxy
from waiting import wait_until

from holdfast.cli.supervisor import Kept

LOAD = 8


@pytest.fixture(scope="module")
def bodies(trained):
    return list(bodies_of(trained.customers.head(50)))


def servers_of(served):
    """Ids of the processes that answer."""
    found = set()
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--inherited" in words and str(served.home).encode() in words:
            found.add(int(line.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_several_workers_answer_and_those_that_die_are_replaced(installed, bodies):
    with Served(installed, "--workers", "2") as served:
        first = servers_of(served)
        assert len(first) == 2
        asked = []
        with Load(served.address, bodies, clients=4, check=lambda *answer: asked.append(answer[0])) as load:
            load.wait_for(50)
            os.kill(min(first), signal.SIGKILL)
            wait_until(lambda: len(servers_of(served) - first) == 1, "another worker")
            load.wait_for(50)
        assert len(load.failures) <= 4  # what the one was at, and no more
        assert served.stop() == 0
        assert servers_of(served) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_hangup_replaces_every_worker_and_fails_no_request(installed, bodies):
    with Served(installed, "--workers", "2") as served:
        first = servers_of(served)
        with Load(served.address, bodies, clients=LOAD) as load:
            load.wait_for(100)
            served.send(signal.SIGHUP)
            wait_until(
                lambda: len(servers_of(served)) == 2 and not servers_of(served) & first, "two new workers"
            )
            load.wait_for(100)
        assert (set(load.statuses), load.failures) == ({200}, [])
        client = Client(served.address)
        figures = client.ask("GET", "/metrics")[2].decode()
        client.close()
        counted = re.findall(r"^churn_predictions_total\{.*\} ([0-9.]+)$", figures, re.MULTILINE)
        assert sum(map(float, counted)) == load.answered  # also by those that are gone


def test_servers_behind_a_balancer_are_restarted_one_after_the_other_without_a_failure(installed, bodies):
    turn = iter(range(10**9))

    def ready(served):
        client = Client(served.address, timeout=5)
        try:
            return client.ask("GET", "/readyz")[0] == 200
        except (OSError, HTTPException):
            return False
        finally:
            client.close()

    with Served(installed, linger_seconds=2) as one, Served(installed, linger_seconds=2) as other:
        healthy = {one.address, other.address}
        stopped = threading.Event()

        def probe():
            while not stopped.wait(0.1):
                for served in (one, other):
                    (healthy.add if ready(served) else healthy.discard)(served.address)

        def choose():
            candidates = sorted(healthy)
            return candidates[next(turn) % len(candidates)] if candidates else None

        prober = threading.Thread(target=probe)
        prober.start()
        balancer = TcpProxy(choose)
        try:
            with Load(balancer.address, bodies, clients=LOAD) as load:
                for served in (one, other):
                    load.wait_for(100)
                    assert served.stop() == 0
                    load.wait_for(100)
                    served.start()
                    wait_until(lambda served=served: served.address in healthy, "it to be ready again")
        finally:
            stopped.set()
            prober.join()
            balancer.close()
        assert (set(load.statuses), load.failures) == ({200}, [])


def test_while_it_drains_it_is_red_answers_and_ends_each_connection(installed, bodies):
    with Served(installed, linger_seconds=1) as served:
        client, probe = Client(served.address), Client(served.address)
        assert client.ask("POST", "/predict", bodies[0])[0] == 200
        assert probe.ask("GET", "/readyz")[0] == 200
        served.send(signal.SIGTERM)
        wait_until(lambda: probe.ask("GET", "/readyz")[0] == 503, "red")
        status, headers, answer = probe.ask("GET", "/readyz")
        assert (status, headers["connection"]) == (503, "close")
        assert b"being stopped" in answer
        status, headers, _ = client.ask("POST", "/predict", bodies[0])
        assert (status, headers["connection"]) == (200, "close")
        assert served.process.wait(60) == 0
        client.close()
        probe.close()


def test_a_request_that_has_begun_is_finished_after_the_server_was_told_to_stop(installed, bodies):
    with Served(installed) as served, socket.create_connection(served.address, timeout=60) as connection:
        head = "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(bodies[0])}\r\n\r\n"
        connection.sendall(head.encode() + bodies[0][:20])
        probe = Client(served.address)
        assert probe.ask("GET", "/livez")[0] == 200
        probe.close()
        served.send(signal.SIGTERM)
        wait_until(lambda: refused(served.address), "the server to take nothing new")
        connection.sendall(bodies[0][20:])
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert served.process.wait(60) == 0


def refused(address):
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_outlives_a_supervisor_that_is_killed(installed):
    with Served(installed, "--workers", "2") as served:
        assert len(servers_of(served)) == 2
        served.process.kill()
        wait_until(lambda: not servers_of(served), "the workers to end")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_files_are_scored_beside_the_predictions_from_the_first_on(installed, trained):
    with Served(installed) as served, Client(served.address) as client:
        assert not (installed / "jobs").exists()
        form = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n%b\r\n--b--\r\n'
        sent = form % trained.table.read_bytes()
        kind = {"content_type": "multipart/form-data; boundary=b"}
        status, _, accepted = client.ask("POST", "/jobs/score", sent, **kind)
        assert status == 202
        here = json.loads(accepted)["links"]["self"]
        wait_until(lambda: json.loads(client.ask("GET", here)[2])["state"] == "done", "its answers")


def test_a_worker_that_cannot_begin_ends_the_command_with_its_reason(installed, process):
    for file in installed.glob("holdfast.db*"):
        file.write_bytes(b"no database " * 1_000)
    refused = process("serve", "--home", installed, "--port", "0", "--workers", "2", "--json")
    assert (refused.code, refused.json()["error"]["code"]) == (1, "store")


class Process:
    """A child of the test's own making."""

    def __init__(self):
        self.code = None

    def poll(self):
        return self.code

    def stop(self):
        self.code = 0
        return 0


def test_what_is_kept_is_started_again_but_not_at_once_if_it_ends_soon():
    started = []

    def start():
        started.append(Process())
        return started[-1]

    kept = Kept(start)
    kept.tend()
    kept.tend()
    assert len(started) == 1
    started[0].code = 1
    kept.tend()
    assert len(started) == 1  # it ended too soon to be started at once
    wait_until(lambda: kept.tend() or len(started) == 2, "the next")
    kept.stop()
    assert started[1].code == 0


def test_what_has_nothing_to_do_is_not_started_yet():
    started, wanted = [], []
    kept = Kept(lambda: started.append(Process()) or started[-1], lambda: bool(wanted))
    kept.tend()
    assert started == []
    wanted.append("something")
    kept.tend()
    kept.tend()
    assert len(started) == 1
