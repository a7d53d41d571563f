"""Requests that two servers could read differently, sent byte by byte to the real server."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import suppress

import pytest
from served import Served, bodies_of

HOST = "127.0.0.1"
SMUGGLED = "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory):
    home = shutil.copytree(trained.home, tmp_path_factory.mktemp("smuggling") / "home")
    with Served(home, rate_limit=10**6, request_seconds=2) as one:
        yield one


def said(served, raw, *, timeout=30):
    """All that the server answers until it closes, or until nothing more comes for a second."""
    with socket.create_connection(served.address, timeout=timeout) as connection:
        connection.sendall(raw)
        got = b""
        connection.settimeout(3)
        with suppress(TimeoutError, ConnectionResetError):
            while piece := connection.recv(65_536):
                got += piece
    return got


def answers(got):
    return got.count(b"HTTP/1.1 ")


def post(headers, body=""):
    begin = f"POST /predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{begin}{headers}\r\n{body}".encode("latin-1")


@pytest.fixture(scope="module")
def record(trained):
    return next(bodies_of(trained.customers)).decode()


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: {size}\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: {size}\r\n",
        "Content-Length: {size}\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: {size}\r\n",
        "Transfer-Encoding: chunked, identity\r\nContent-Length: {size}\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: {size}\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: {size}\r\n",
        "Transfer-Encoding:\x0bchunked\r\nContent-Length: {size}\r\n",
        "Content-Length: +{size}\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x10\r\n",
        "Content-Length: {size}, 5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "X: a\rContent-Length: 5\r\nContent-Length: {size}\r\n",
        " Folded: yes\r\nContent-Length: {size}\r\n",
    ],
    ids=lambda headers: headers.strip().replace("\r\n", " + ")[:60],
)
def test_a_request_with_two_lengths_is_refused_and_what_follows_it_is_not_read(served, record, headers):
    got = said(served, post(headers.format(size=len(record)), record) + SMUGGLED.encode())
    assert answers(got) <= 1, got
    assert b"openapi" not in got
    assert not got or b"HTTP/1.1 400" in got, got


@pytest.mark.parametrize(
    "body",
    [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-1\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2 \n{}\r\n0\r\n\r\n",
        "2\r\n{}XX\r\n0\r\n\r\n",
    ],
)
def test_a_broken_chunk_ends_the_connection(served, body):
    got = said(served, post("Transfer-Encoding: chunked\r\n", body) + SMUGGLED.encode())
    assert answers(got) <= 1, got
    assert b'"openapi"' not in got
    assert b"HTTP/1.1 200" not in got


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /model_info HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /model_info HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/model_info HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /model_info HTTP/1.1\r\nHost: 127.0.0.1\x00.evil\r\n\r\n",
        b"GET /model_info\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /keys HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: a\r\nX-API-Key: b\r\nConnection: close\r\n\r\n",
        b"GET /model_info HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /model_info HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: a\nx-injected: b\r\n\r\n",
    ],
    ids=lambda raw: raw[:60].decode("latin-1").strip().replace("\r\n", " + ")[:50],
)
def test_what_is_no_proper_request_is_not_answered_as_one(served, raw):
    got = said(served, raw)
    assert b"x-injected" not in got
    if not raw.endswith(b"x-injected: b\r\n\r\n"):
        assert b"HTTP/1.1 200" not in got, got


def test_the_server_still_answers(served, record):
    size = f"Content-Length: {len(record.encode())}\r\nConnection: close\r\n"
    got = said(served, post(size, record))
    assert b"HTTP/1.1 200" in got
    assert json.loads(got.partition(b"\r\n\r\n")[2])["model"]["version"] == "v1"
