"""What came of each request: counted, measured, traced and, where somebody should know, logged."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from holdfast.api import log, metrics
from holdfast.api.policy import POLICY, PUBLIC
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import Scope

    from holdfast.api.tracing import RequestTrace, Tracing
    from holdfast.settings import Settings

SERVER_FAULT = 500


class Traffic:
    """Follows requests from their arrival to their answer.

    Args:
        tracing: where their spans go, if anywhere.
        latest: so many requests count for the error rate.
    """

    def __init__(self, tracing: Tracing | None = None, latest: int = 1_000) -> None:
        self.started = time.monotonic()
        self.requests = 0
        self._tracing = tracing
        self._failed: deque[bool] = deque(maxlen=latest)

    def begin(self, scope: Scope) -> None:
        """A request is there; ``scope`` has its correlation id."""
        log.bind(scope["state"]["correlation_id"])
        if self._tracing is not None:
            scope["state"]["trace"] = self._tracing.request(scope)

    def count(self, scope: Scope, status: int) -> None:
        """It is answered."""
        self.requests += 1
        self._failed.append(status >= SERVER_FAULT)
        seconds = time.perf_counter() - scope["holdfast.started"]
        route, method, state = route_of(scope), scope["method"], scope["state"]
        metrics.answered(route, method, status, seconds)
        caller = state.get("caller")
        log.answered(method, route, status, seconds, caller and caller.id)
        trace: RequestTrace | None = state.get("trace")
        if trace is not None:
            trace.end(method, route, status)

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def error_rate(self) -> float:
        """Share of the latest requests that ended in a status from 500 on."""
        return sum(self._failed) / len(self._failed) if self._failed else 0.0


def route_of(scope: Scope) -> str:
    """The template of a request's path: paths hold ids, and callers may make up any number of them.

    >>> route_of({"path": "/wp-login.php", "method": "GET"})
    'other'
    """
    route = scope.get("route")
    if route is not None:
        template: str = route.path
        return template
    # Refused before it was routed, or so common that it is not routed.
    path, method = scope["path"], scope["method"]
    return path if (path, method) in POLICY or (path, method) in PUBLIC else metrics.OTHER


def open_tracing(settings: Settings) -> Tracing | None:
    """Where the settings want traces to go; without such a wish nothing of it is imported.

    Raises:
        UsageError: OpenTelemetry is not installed.
    """
    if settings.otlp_endpoint is None:
        return None
    try:
        from holdfast.api.tracing import Tracing  # noqa: PLC0415 - as the docstring says
    except ModuleNotFoundError as error:
        raise UsageError(
            "Traces need OpenTelemetry, which is not installed.",
            hint="Install it: pip install 'holdfast[otel]', or unset HOLDFAST_OTLP_ENDPOINT.",
        ) from error
    return Tracing(settings.otlp_endpoint)
