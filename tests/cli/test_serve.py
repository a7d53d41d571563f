from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx2
import pytest


@contextmanager
def serving(folder, *options):
    """A server in a process of its own on a free port, once it answers."""
    line = [sys.executable, "-m", "holdfast.cli", "serve", "--port", "0", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=folder, **pipes) as process:  # noqa: S603 - our own program
        try:
            yield process
        finally:
            process.kill()


def told(process):
    """What the server says with --json once it is ready."""
    lines = []
    while not lines or lines[-1] != "}\n":
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    return json.loads("".join(lines))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop_and_that_is_no_failure(tmp_path, sent):
    with serving(tmp_path, "--json") as process:
        document = told(process)
        assert document["model"] is None
        assert httpx2.get(document["url"] + "/livez").json() == {"status": "alive"}
        assert httpx2.get(document["url"] + "/readyz").status_code == 503
        assert httpx2.get(document["docs"]).status_code == 200
        process.send_signal(sent)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "", "")


def test_in_words_it_says_where_it_is_and_what_to_do_next(tmp_path):
    with serving(tmp_path) as process:
        first, second = process.stdout.readline(), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert first == "There is no model yet; train one with `holdfast train churn.toml`.\n"
    assert "http://127.0.0.1:" in second
    assert "Ctrl-C" in second
    *events, last = err.splitlines()
    assert (out, last) == ("", "Stopped.")
    assert all("event" in json.loads(line) for line in events)


def test_a_large_body_is_answered_on_a_real_connection_which_goes_on(tmp_path, installed):
    def pieces():
        for _ in range(160):
            yield b" " * 65_536

    with serving(tmp_path, "--json", "--home", str(installed)) as process:
        url = told(process)["url"]
        with httpx2.Client(base_url=url, headers={"content-type": "application/json"}) as client:
            for body in (b" " * 10_000_000, pieces()):
                refused = client.post("/predict", content=body)
                assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
            assert client.get("/health").json()["requests"] == 2


def test_alone_it_outlives_a_sighup_and_says_what_a_restart_without_a_gap_needs(tmp_path):
    with serving(tmp_path, "--debug") as process:
        url = re.search(r"http://[\d.:]+\d", process.stdout.readline() + process.stdout.readline())[0]
        process.send_signal(signal.SIGHUP)
        while "not renewed" not in (line := process.stderr.readline()):
            assert line, "it ended"
        assert "--workers 2" in line
        assert httpx2.get(url + "/livez").status_code == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == 0


def test_what_is_no_http_is_no_crash(tmp_path):
    with serving(tmp_path, "--json") as process:
        url = told(process)["url"]
        port = int(url.rsplit(":", 1)[1])
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 1_000):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(junk)
        assert httpx2.get(url + "/livez").status_code == 200
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_one_clear_block(process, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = process("serve", "--port", port)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"Error: Port {port} is taken by another program.\n  do: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["192.0.2.7", "name.invalid", ""])
def test_an_address_of_another_machine_is_refused(holdfast, host):
    refused = holdfast("serve", "--host", host)
    assert refused.code == 2
    assert "no address of this machine" in refused.err


@pytest.mark.parametrize("workers", [1, 2])
def test_beyond_this_machine_it_answers_only_guarded(process, tmp_path, monkeypatch, workers):
    line = ("serve", "--host", "0.0.0.0", "--port", "0", "--workers", workers)  # noqa: S104 - it must be refused
    refused = process(*line)
    assert refused.code == 2
    assert "needs a secret of its own" in refused.err
    monkeypatch.setenv("HOLDFAST_SECRET", "s" * 40)
    refused = process(*line)
    assert refused.code == 2
    assert "somebody who may administer it" in refused.err
    key = process("keys", "create", "--role", "admin", "--name", "ops", "--json").json()["key"]["key"]
    with serving(tmp_path, "--json", *map(str, line[1:])) as server:
        url = told(server)["url"].replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where it said it answers
        assert httpx2.get(url + "/health").status_code == 401
        assert httpx2.get(url + "/health", headers={"x-api-key": key}).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_every_loopback_address_is_served(tmp_path, host):
    if host == "::1" and not has_ipv6_loopback():
        pytest.skip("this machine has no IPv6 loopback")
    with serving(tmp_path, "--json", "--host", host) as process:
        assert httpx2.get(told(process)["url"] + "/livez").status_code == 200


def has_ipv6_loopback():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
