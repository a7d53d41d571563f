"""What one connection may take: header bytes, time to send them, and its place among the others."""

from __future__ import annotations

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

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP connection with limits that it lacks."""

    waits_since: float | None = None
    """When it began to be waited for a request's first line and headers, on the loop's clock."""

    _unread = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.waits_since = self.loop.time()
        count = len(self.connections)
        if count > 2 * MOST_CONNECTIONS:
            transport.abort()
        elif count > MOST_CONNECTIONS:
            self.app = _full

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self.waits_since, self._unread = None, 0
            return
        if self.waits_since is None:
            self.waits_since = self.loop.time()
        self._unread += len(data)
        if self._unread > MOST_HEADER_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def is_stuck(self, now: float, seconds: float) -> bool:
        """Whether a request has not arrived whole, though it had so many seconds and twice as many by now."""
        if self.waits_since is not None:
            return now - self.waits_since > seconds
        cycle = self.cycle
        if cycle is None or not cycle.more_body or cycle.response_complete:
            return False
        if (cycle.scope["path"], cycle.scope["method"]) in STREAMED:
            return False
        return now - _begun(cycle, now) > 2 * seconds


def raise_descriptor_limit() -> None:
    """Let this process have as many connections as it takes; the usual limit is made for other programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS + 500
    if soft != resource.RLIM_INFINITY and soft < wanted:
        reach = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (reach, hard))


def _begun(cycle: Any, now: float) -> float:
    """When a request was first seen to be under way."""
    begun: float = cycle.scope.setdefault("holdfast.seen", now)
    return begun


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(OverloadedError())
    response.raw_headers += [*ON_ANSWERS, (b"connection", b"close")]
    await response(scope, receive, send)
