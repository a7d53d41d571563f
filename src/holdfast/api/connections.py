"""What one connection may take: header bytes, time to send them, and its place among the others."""

from __future__ import annotations

import random
import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from holdfast.api.guard import ON_ANSWERS
from holdfast.api.policy import STREAMED
from holdfast.api.problems import problem
from holdfast.scoring import OverloadedError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MOST_CONNECTIONS = 1_000
"""Requests on further ones are answered 503; twice as many are not even let in."""

MOST_HEADER_BYTES = 65_536
"""Of a request's first line and headers, of which the parser itself would keep any number."""

KEEP_ALIVE_SECONDS = 75
"""Longer than balancers and clients keep idle connections: who sends must not be the one who is cut off."""

SHORTEST_REST = 0.2
LONGEST_REST = 0.5
"""Seconds, by chance so that not all come back at once, for which no more is read of a connection that was
just turned away (503). To say no costs half as much as to answer: those who ask on at once, and not when they
were told to, would take the time of those who are answered."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP connection with limits that it lacks."""

    _waits_since: float | None = None
    """When it began to be waited for a request's first line and headers, on the loop's clock."""

    _unread = 0
    """Bytes of them so far."""

    _incomplete = False
    """Whether a request has begun and not yet arrived whole, be it answered or not."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        count = len(self.connections)
        if count > 2 * MOST_CONNECTIONS:
            transport.abort()
        elif count > MOST_CONNECTIONS:
            self.app = _full

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        super().data_received(data)
        if self._waits_since is None:
            return
        self._unread += len(data)
        if self._unread > MOST_HEADER_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Take note of a request's first byte."""
        super().on_message_begin()
        self._waits_since, self._unread, self._incomplete = self.loop.time(), 0, True

    def on_headers_complete(self) -> None:
        """Let the request be answered; its body may still be on its way."""
        self._waits_since = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take note of a request's last byte."""
        self._incomplete = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, but not at once if this one was turned away."""
        super().on_response_complete()
        if "holdfast.turned_away" in self.scope and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(random.uniform(SHORTEST_REST, LONGEST_REST), self._read_on)  # noqa: S311 - no secret

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def is_stuck(self, now: float, seconds: float) -> bool:
        """Whether a request is still not there: its headers after so many seconds, all of it after twice."""
        if self._waits_since is not None:
            return now - self._waits_since > seconds
        if not self._incomplete or (self.scope["path"], self.scope["method"]) in STREAMED:
            return False
        begun: float = self.scope.setdefault("holdfast.seen", now)  # type: ignore[typeddict-item]  # our own
        return now - begun > 2 * seconds


def raise_descriptor_limit() -> None:
    """Let this process have as many connections as it takes; the usual limit is made for other programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS + 500
    if soft != resource.RLIM_INFINITY and soft < wanted:
        reach = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (reach, hard))


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(OverloadedError())
    response.raw_headers += [*ON_ANSWERS, (b"connection", b"close")]
    await response(scope, receive, send)
