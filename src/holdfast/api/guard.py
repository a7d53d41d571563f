"""What every request passes first: a check of the name it uses and of its size, and a net under all else."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from holdfast.api.log import fault
from holdfast.api.problems import HostError, InternalError, TooLargeError, problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 8 * 1024 * 1024
"""Bytes. A batch of 1,000 customers with 100 columns is about half of it."""

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

SERVER_FAULT = 500
CLIENT_GONE = 499
"""Nobody is left to answer. Not HTTP's, but what proxies call it."""


class Traffic:
    """Counts requests, and how many of the latest failed through our fault."""

    def __init__(self, latest: int = 1_000) -> None:
        self.started = time.monotonic()
        self.requests = 0
        self._failed: deque[bool] = deque(maxlen=latest)

    def count(self, status: int) -> None:
        """One more request is answered."""
        self.requests += 1
        self._failed.append(status >= SERVER_FAULT)

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def error_rate(self) -> float:
        """Share of the latest 1,000 requests that ended in a status from 500 on."""
        return sum(self._failed) / len(self._failed) if self._failed else 0.0


class Guard:
    """ASGI middleware around the whole service.

    Pages of other sites cannot reach a server on this machine by a name of their own (DNS rebinding), no body
    is read beyond the limit, and no failure leaves as anything but a problem.
    """

    def __init__(self, app: ASGIApp, traffic: Traffic, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._traffic = traffic
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websockets here
        scope["holdfast.started"] = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            headers = dict(scope["headers"])
            refused = self._refused(headers)
            if refused is not None:
                await problem(refused)(scope, receive, watched)
            else:
                await self._app(scope, self._limited(receive), watched)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the net: a caller gets a problem, the log the fault
            fault(error, method=scope["method"])
            if not status:
                await problem(InternalError())(scope, receive, watched)
            status = SERVER_FAULT
        finally:
            self._traffic.count(status or SERVER_FAULT)

    def _refused(self, headers: dict[bytes, bytes]) -> HostError | TooLargeError | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host[: host.rfind(":")] if not host.endswith("]") and ":" in host else host
        if name not in LOCAL_NAMES:
            return HostError("This server answers only to localhost.", hint="Ask http://127.0.0.1.")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._max_body:
            return self._too_large()
        return None

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"The body has more than {self._max_body:,} bytes.",
            hint="Send fewer customers at a time; for whole files use `holdfast score`.",
        )

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body:
                raise self._too_large()
            return message

        return limited
