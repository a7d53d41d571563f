"""Traces, read by a real collector: they follow the caller's, tell times, and nothing about customers."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from holdfast.api.tracing import Tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def spans_of(bodies):
    found = []
    for _, body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def test_a_request_is_a_span_of_the_caller_s_trace_with_what_it_waited_for(
    shop, open_client, good, collector
):
    endpoint, bodies = collector
    shop.add()
    client = open_client(shop, otlp_endpoint=endpoint)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "order-17"}
    assert client.post("/predict", json=good, headers=headers).headers["x-request-id"] == "order-17"
    client.delete("/customers/A-17")
    client.app.state.tracing.close()
    assert {path for path, _ in bodies} == {"/v1/traces"}
    spans = {span.name: span for span in spans_of(bodies)}
    request, score, commit = spans["POST /predict"], spans["score"], spans["commit"]
    assert {span.trace_id.hex() for span in (request, score, commit)} == {TRACE}
    assert request.parent_span_id.hex() == PARENT
    assert score.parent_span_id == commit.parent_span_id == request.span_id
    moments = [request.start_time_unix_nano, score.start_time_unix_nano, score.end_time_unix_nano]
    moments += [commit.end_time_unix_nano, request.end_time_unix_nano]
    assert all(late - early >= -1_000_000 for early, late in pairwise(moments))
    said = {each.key: each.value for each in request.attributes}
    assert said["http.response.status_code"].int_value == 200
    assert said["holdfast.correlation_id"].string_value == "order-17"
    erasure = spans["DELETE /customers/{customer_id:path}"]
    assert erasure.trace_id.hex() != TRACE
    assert not any(b"A-17" in body for _, body in bodies)


def test_a_collector_that_is_away_costs_no_request(shop, open_client, good, monkeypatch):
    monkeypatch.setattr("holdfast.api.tracing.EXPORT_SECONDS", 0.2)
    shop.add()
    client = open_client(shop, otlp_endpoint="http://127.0.0.1:9/v1/traces")
    assert client.post("/predict", json=good).status_code == 200


@pytest.mark.parametrize("given", ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"])
def test_an_endpoint_may_be_named_with_or_without_its_path(given):
    tracing = Tracing(given)
    (processor,) = tracing._provider._active_span_processor._span_processors
    assert processor.span_exporter._endpoint == "http://c:4318/v1/traces"
    tracing.close()


def test_without_a_collector_the_sdk_is_not_imported():
    program = (
        "import sys, holdfast.api; sys.exit(any(m.startswith('opentelemetry.sdk') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own program
