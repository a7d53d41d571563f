"""What Prometheus reads at /metrics. Counting costs a request a few microseconds.

With several workers, `prometheus_client` keeps the figures in files of the folder that
PROMETHEUS_MULTIPROC_DIR names, which must be set before this module is imported; any worker then tells the
figures of all.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter as Tally
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

import holdfast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from holdfast.model import Model
    from holdfast.predictions import LogState

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

REGISTRY = CollectorRegistry()

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ASKING = frozenset(
    {
        "/predict",
        "/predict/batch",
        "/batch_predict",
        "/explain",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}/infer",
    }
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""A route or method that the service does not have: what callers make up gets no series of its own."""


class _Histogram(Histogram):
    """A histogram that takes many values at once: a thousand at the price of a few."""

    def observe_many(self, values: Sequence[float]) -> None:
        """Observe each of ``values``."""
        bounds = self._upper_bounds
        self._sum.inc(sum(values))
        for place, count in Tally([bisect_left(bounds, value) for value in values]).items():
            self._buckets[place].inc(count)


predictions = Counter("churn_predictions_total", "Predictions made.", ["risk_level"], registry=REGISTRY)
prediction_seconds = Histogram(
    "churn_prediction_latency_seconds",
    "From a request about customers to its answer, the log's commit included.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
probabilities = _Histogram(
    "churn_prediction_probability",
    "Probabilities of the predictions made.",
    buckets=[twentieth / 20 for twentieth in range(1, 21)],
    registry=REGISTRY,
)
batches = Histogram(
    "holdfast_batch_rows",
    "Customers that were scored together.",
    buckets=[2**power for power in range(14)],
    registry=REGISTRY,
)
queue_rows = Gauge(
    "holdfast_queue_rows", "Customers that wait to be scored.", multiprocess_mode="livesum", registry=REGISTRY
)
requests = Counter(
    "holdfast_requests_total",
    "Answered requests by route, method and status.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
request_seconds = Histogram(
    "holdfast_request_seconds",
    "From a request's arrival to the end of its answer.",
    ["route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
problems = Counter(
    "holdfast_problems_total",
    "Requests that ended in a problem, by its code; `rate` was sent too often, `overloaded` was shed.",
    ["code"],
    registry=REGISTRY,
)
cache_hits = Counter("holdfast_cache_hits_total", "Answers found in the cache.", registry=REGISTRY)
cache_misses = Counter("holdfast_cache_misses_total", "Answers not found in the cache.", registry=REGISTRY)
log_rows = Gauge(
    "holdfast_log_waiting_rows",
    "Predictions that wait to be logged.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
log_lag = Gauge(
    "holdfast_log_lag_seconds",
    "Age of the oldest prediction that waits to be logged.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
log_spooled = Gauge(
    "holdfast_log_spooled_rows",
    "Predictions in files of this machine until the database is back.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
log_lost = Counter(
    "holdfast_log_lost_total", "Predictions that were answered and could not be logged.", registry=REGISTRY
)
dependency_up = Gauge(
    "holdfast_dependency_up",
    "1 where the model, the database, the log or Redis does what it should, for every worker.",
    ["dependency"],
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
memory = Gauge(
    "process_resident_memory_bytes", "Memory of all workers.", multiprocess_mode="livesum", registry=REGISTRY
)
descriptors = Gauge(
    "process_open_fds",
    "Open file descriptors of all workers.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
cpu = Counter("process_cpu_seconds_total", "CPU time of all workers.", registry=REGISTRY)

# As it is with several workers; nobody asks when a series began.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's has no types

_process = ProcessCollector(registry=None)
_followed: dict[Counter, float] = {}
_requests: dict[tuple[str, str, int], Any] = {}
_seconds: dict[str, Any] = {}
_levels: dict[str, Any] = {}


def predicted(probability: Sequence[float], risk_levels: Sequence[str]) -> None:
    """Count the customers that were scored together. Called once for each micro-batch.

    Args:
        probability: of each customer.
        risk_levels: of each customer.
    """
    if not probability:
        return
    batches.observe(len(probability))
    probabilities.observe_many(probability)
    for level, count in Tally(risk_levels).items():
        if level not in _levels:
            _levels[level] = predictions.labels(level)
        _levels[level].inc(count)


def answered(route: str, method: str, status: int, seconds: float) -> None:
    """Count an answered request.

    Args:
        route: the template of its path, or `OTHER`.
        method: of HTTP.
        status: of the answer.
        seconds: from its arrival to the end of its answer.
    """
    key = (route, method, status)
    if key not in _requests:  # looking a series up costs more than counting
        _requests[key] = requests.labels(route, method if method in _METHODS else OTHER, status)
        _seconds[route] = request_seconds.labels(route)
    _requests[key].inc()
    _seconds[route].observe(seconds)
    if route in _ASKING and status == 200:  # noqa: PLR2004 - HTTP's OK
        prediction_seconds.observe(seconds)


def refused(code: str) -> None:
    """Count a request that ended in a problem of this code."""
    problems.labels(code).inc()


def page(model: Model | None, accept: str = "") -> tuple[bytes, str]:
    """All figures, and the media type that they are written in. Reads files when there are several workers.

    Args:
        model: in charge, if there is one.
        accept: the request's ``Accept`` header; OpenMetrics is written where it is asked for.
    """
    registry = CollectorRegistry()
    if os.environ.get(FOLDER_VARIABLE):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's has no types
    else:
        registry.register(REGISTRY)
    registry.register(_InCharge(model))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def sampled(*, queue: int, log: LogState, cache: tuple[int, int], up: Mapping[str, bool]) -> None:
    """Set what this worker looks up now and then.

    Args:
        queue: customers that wait to be scored.
        log: how the log is.
        cache: answers that were found in it since the start, and answers that were not.
        up: whether each dependency does what it should.
    """
    queue_rows.set(queue)
    log_rows.set(log.depth)
    log_lag.set(log.lag_seconds)
    log_spooled.set(log.spooled)
    _count_up(log_lost, log.lost)
    _count_up(cache_hits, cache[0])
    _count_up(cache_misses, cache[1])
    for name, is_up in up.items():
        dependency_up.labels(name).set(is_up)
    found = {sample.name: sample.value for family in _process.collect() for sample in family.samples}
    if found:  # Linux has them
        memory.set(found["process_resident_memory_bytes"])
        descriptors.set(found["process_open_fds"])
        _count_up(cpu, found["process_cpu_seconds_total"])


def _count_up(counter: Counter, total: float) -> None:
    """Let a counter follow a total that is counted elsewhere."""
    counter.inc(max(0, total - _followed.get(counter, 0)))
    _followed[counter] = total


class _InCharge(Collector):
    """What is the same in all workers: the version of Holdfast and the model in charge."""

    def __init__(self, model: Model | None) -> None:
        self._model = model

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        build = GaugeMetricFamily("holdfast_build_info", "Version of Holdfast.", labels=["version"])
        build.add_metric([holdfast.__version__], 1)
        yield build
        if self._model is None:
            return
        name = [self._model.name, self._model.version]
        info = GaugeMetricFamily("churn_model_info", "The model in charge.", labels=["model", "version"])
        info.add_metric(name, 1)
        yield info
        accuracy = self._model.metrics.get("test", {}).get("accuracy")
        if accuracy is not None:
            words = "Share of right predictions on the test split of the model in charge."
            found = GaugeMetricFamily("churn_model_accuracy", words, labels=["model", "version"])
            found.add_metric(name, accuracy)
            yield found
