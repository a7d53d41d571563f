"""Many clients in one process of little cost, so that what they wait for is the server and not each other.

Run as a program: on stdin a line of JSON with ``port``, ``clients`` and ``seconds``, then one body a line; on
stdout what `ask` found, as JSON. Each client asks again the moment it was answered, whatever the answer said.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ACCEPTED = 200
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_AGAIN = re.compile(rb"\r\nretry-after: \d+\r\n", re.IGNORECASE)


@dataclass
class _Client:
    connection: socket.socket
    asked: float = 0.0
    read: bytes = b""
    keeps_pace: bool = False
    """Whether its last request was accepted: who was turned away and asks on at once is let wait."""


@dataclass
class Found:
    """What became of the requests.

    Attributes:
        statuses: how often each came.
        took: seconds to each accepted answer of a client whose last request was accepted, too.
        rude: refusals that did not say when to ask again.
        busy: share of one processor that the clients needed themselves.
    """

    statuses: Counter = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    rude: int = 0
    busy: float = 0.0


def ask(port: int, clients: int, seconds: float, bodies: Sequence[bytes]) -> Found:
    """Ask ``POST /predict`` for so long. Raises `OSError` when a connection is broken."""
    found = Found()
    requests = cycle([_request(port, body) for body in bodies])
    ready = selectors.DefaultSelector()
    begun, used = time.perf_counter(), time.process_time()
    for _ in range(clients):
        one = _Client(socket.create_connection(("127.0.0.1", port)))
        ready.register(one.connection, selectors.EVENT_READ, one)
        one.asked = time.perf_counter()
        one.connection.sendall(next(requests))
    while time.perf_counter() < begun + seconds:
        for key, _ in ready.select(1):
            one = key.data
            if _answered(one, found):
                one.asked = time.perf_counter()
                one.connection.sendall(next(requests))
    found.busy = (time.process_time() - used) / (time.perf_counter() - begun)
    for key in list(ready.get_map().values()):
        key.data.connection.close()
    ready.close()
    return found


def _request(port: int, body: bytes) -> bytes:
    head = f"POST /predict HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def _answered(one: _Client, found: Found) -> bool:
    """Whether the answer is there; then it is noted."""
    piece = one.connection.recv(65_536)
    if not piece:
        raise ConnectionError("the server ended a connection")
    one.read += piece
    head, end, body = one.read.partition(b"\r\n\r\n")
    if not end or len(body) < int(_LENGTH.search(head + b"\r\n")[1]):
        return False
    status = int(head[9:12])
    found.statuses[status] += 1
    if status != ACCEPTED:
        found.rude += _AGAIN.search(head + b"\r\n") is None
    elif one.keeps_pace:
        found.took.append(time.perf_counter() - one.asked)
    one.read, one.keeps_pace = b"", status == ACCEPTED
    return True


def in_process(port: int, clients: int, seconds: float, bodies: Sequence[bytes]) -> Found:
    """As `ask`, in a process of its own, which inherits the processors of the calling thread."""
    told = json.dumps({"port": port, "clients": clients, "seconds": seconds}).encode()
    said = subprocess.run(  # noqa: S603 - this file
        [sys.executable, __file__], input=b"\n".join([told, *bodies]), stdout=subprocess.PIPE, check=True
    ).stdout
    facts = json.loads(said)
    facts["statuses"] = Counter({int(status): count for status, count in facts["statuses"].items()})
    return Found(**facts)


def _main() -> None:
    lines: Iterator[bytes] = iter(sys.stdin.buffer.read().split(b"\n"))
    found = ask(**json.loads(next(lines)), bodies=list(lines))
    json.dump(vars(found), sys.stdout)


if __name__ == "__main__":
    _main()
