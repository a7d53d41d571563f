"""Traces for OpenTelemetry. Imported only where HOLDFAST_OTLP_ENDPOINT names a collector.

A request is a span with two parts: ``score``, the work of its micro-batch, and ``commit``, its wait for the
log. Spans name routes, never paths, and tell nothing about customers. They leave in the background; a
collector that is slow or away costs spans, no request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import holdfast

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer
    from starlette.types import Scope

EXPORT_SECONDS = 5.0
"""How long the collector may take for a batch of spans."""

SERVER_FAULT = 500
_PATH = "/v1/traces"


class RequestTrace:
    """The span of one request, from its arrival to `end`."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span

    def part(self, name: str, began: float, ended: float, **attributes: int) -> None:
        """Add what took from ``began`` to ``ended``, both by `time.perf_counter`. From any thread."""
        within = set_span_in_context(self._span)
        span = self._tracer.start_span(name, within, attributes=attributes, start_time=_clock(began))
        span.end(_clock(ended))

    def end(self, method: str, route: str, status: int) -> None:
        """The request is answered."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= SERVER_FAULT:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Tracing:
    """Collects spans and sends them.

    Args:
        endpoint: of the collector, such as ``http://localhost:4318``.
    """

    def __init__(self, endpoint: str) -> None:
        said = {"service.name": "holdfast", "service.version": holdfast.__version__}
        self._provider = TracerProvider(resource=Resource.create(said), shutdown_on_exit=False)
        url = endpoint.rstrip("/").removesuffix(_PATH) + _PATH
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("holdfast")
        self._context = TraceContextTextMapPropagator()

    def request(self, scope: Scope) -> RequestTrace:
        """Begin the span of a request, within the trace that its ``traceparent`` names, if it has one."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {
            "http.request.method": scope["method"],
            "holdfast.correlation_id": scope["state"]["correlation_id"],
        }
        began = _clock(scope["holdfast.started"])
        within = self._context.extract(headers)
        span = self._tracer.start_span(scope["method"], within, SpanKind.SERVER, attributes, start_time=began)
        return RequestTrace(self._tracer, span)

    def close(self) -> None:
        """Send what is left, or give it up where the collector does not take it."""
        self._provider.shutdown()


def _clock(moment: float) -> int:
    """A `time.perf_counter` as nanoseconds since 1970."""
    return time.time_ns() - int((time.perf_counter() - moment) * 1e9)
