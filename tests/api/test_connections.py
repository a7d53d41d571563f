from __future__ import annotations

import asyncio
import shutil
import socket
import time

import pytest
from served import Client, Served

from holdfast.api import connections, guard

HEAD = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory):
    """A server that is patient for a second."""
    home = shutil.copytree(trained.home, tmp_path_factory.mktemp("patient") / "home")
    with Served(home, request_seconds=1) as one:
        yield one


def everything(connection):
    """What is answered until the connection ends."""
    answer = b""
    try:
        while piece := connection.recv(65_536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"POST /pre", b""),
        (HEAD + b"x-much:", b""),
        (HEAD + b"content-length: 100\r\n\r\n{", b"HTTP/1.1 408 "),
        (HEAD.replace(b"/predict", b"/auth/token") + b"content-length: 100\r\n\r\n{", b""),
    ],
    ids=["nothing", "first line", "header", "body", "body elsewhere"],
)
def test_a_request_that_never_ends_is_not_waited_for(served, sent, answer):
    with socket.create_connection(served.address, timeout=60) as connection:
        connection.sendall(sent)
        assert everything(connection).startswith(answer)


@pytest.mark.parametrize(
    "piece",
    [b"x-a: " + b"a" * 4_096 + b"\r\n", b"a" * 4_096],
    ids=["many headers", "one header"],
)
def test_endless_headers_are_not_kept(served, piece):
    with socket.create_connection(served.address, timeout=60) as connection:
        connection.sendall(HEAD + b"x-b: ")
        answer = b""
        with pytest.raises(OSError):  # noqa: PT012, PT011 - whichever way the connection ends
            for _ in range(10_000):
                connection.sendall(piece)
            answer = everything(connection)
            raise ConnectionResetError
    assert answer in (b"", connections._TOO_LARGE)


def test_a_kept_connection_goes_on_after_a_pause_longer_than_a_request_may_take(served):
    client = Client(served.address)
    assert client.ask("GET", "/livez")[0] == 200
    own = client._connection.sock
    with socket.create_connection(served.address, timeout=60) as other:
        everything(other)  # ends once a request took too long
    assert client.ask("GET", "/livez")[0] == 200
    assert client._connection.sock is own
    client.close()


def test_beyond_the_most_connections_requests_are_shed_and_it_recovers(served):
    kept = [Client(served.address) for _ in range(connections.MOST_CONNECTIONS)]
    for client in kept:
        assert client.ask("GET", "/livez")[0] == 200
    one_more = Client(served.address)
    status, headers, _ = one_more.ask("GET", "/livez")
    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    assert kept[0].ask("GET", "/livez")[0] == 200
    for client in kept:
        client.close()
    assert one_more.ask("GET", "/livez")[0] in (200, 503)
    one_more.close()


def test_who_asks_on_at_once_after_being_turned_away_is_heard_later(tmp_path):
    (tmp_path / "home").mkdir()
    with Served(tmp_path / "home") as served:  # it has no model
        asking = Client(served.address)
        begun = time.monotonic()
        for _ in range(4):
            status, headers, _ = asking.ask("POST", "/predict", b"{}")
            assert status == 503
            assert "retry-after" in headers
        # However slow all else is, three rests cannot take less.
        assert time.monotonic() - begun >= 3 * connections.SHORTEST_REST
        assert asking.ask("GET", "/livez")[0] == 200
        asking.close()


def test_bodies_that_do_not_end_fill_no_memory(serve_model, make_model):
    app = serve_model(make_model()).app
    piece = bytes(4 * guard.MEBI)
    many = guard.MOST_HELD // len(piece)
    answers = []

    async def ask(end):
        sent = iter([{"type": "http.request", "body": piece, "more_body": True}])

        async def receive():
            if (message := next(sent, None)) is not None:
                return message
            await end.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            answers.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "query_string": b"",
            "headers": headers,
        }
        await app(scope | {"client": ("127.0.0.1", 50_000)}, receive, send)

    async def crowd():
        end = asyncio.Event()
        waiting = [asyncio.create_task(ask(end)) for _ in range(many)]
        await asyncio.sleep(0)
        while app.guard._held < many * len(piece):  # noqa: ASYNC110 - the guard has no event to wait for
            await asyncio.sleep(0.01)
        assert answers == []
        await ask(end)
        end.set()
        await asyncio.gather(*waiting)

    asyncio.run(crowd())
    assert answers[0]["status"] == 503
    assert dict(answers[0]["headers"])[b"retry-after"] == b"1"
    assert app.guard._held == 0
