"""A small HTTP client that asks one address over and over, and times each answer. Used by speed.py."""

from __future__ import annotations

import asyncio
import re
import time
from urllib.parse import urlsplit

import numpy as np

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class _Asker(asyncio.Protocol):
    """One kept-alive connection: asks, waits for the answer, asks again until time is up."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[list[float]]) -> None:
        self._request, self._until, self._done = request, until, done
        self._seen, self._wanted, self._times = b"", 0, []
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._seen, self._wanted, self._asked = b"", 0, time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if not self._wanted and b"\r\n\r\n" in self._seen:
            head = self._seen.split(b"\r\n\r\n", 1)[0]
            if not head.startswith(b"HTTP/1.1 200"):
                self._end(RuntimeError(self._seen.decode()))
                return
            self._wanted = len(head) + 4 + int(_LENGTH.search(head)[1])
        if self._wanted and len(self._seen) >= self._wanted:
            now = time.perf_counter()
            self._times.append(now - self._asked)
            if now < self._until:
                self._ask()
            else:
                self._end(None)

    def connection_lost(self, _: Exception | None) -> None:
        self._end(ConnectionError("the server hung up"))

    def _end(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error) if error else self._done.set_result(self._times)
            self._transport.close()


async def _load(url: str, body: bytes, connections: int, seconds: float) -> list[float]:
    place = urlsplit(url)
    head = f"POST {place.path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    waiting = [loop.create_future() for _ in range(connections)]
    for done in waiting:
        await loop.create_connection(
            lambda done=done: _Asker(request, until, done), place.hostname, place.port
        )
    return [spent for times in await asyncio.gather(*waiting) for spent in times]


def load(url: str, body: bytes, *, connections: int, seconds: float) -> dict[str, float]:
    """Requests a second, and milliseconds of an answer at the median, 95 % and 99 %."""
    begin = time.perf_counter()
    times = asyncio.run(_load(url, body, connections, seconds))
    spent = time.perf_counter() - begin
    p50, p95, p99 = np.quantile(times, [0.5, 0.95, 0.99]) * 1e3
    return {"rate": len(times) / spent, "p50": float(p50), "p95": float(p95), "p99": float(p99)}
