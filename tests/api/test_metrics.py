"""What Prometheus reads: counted for each request and batch, right across workers, of bounded size."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families

from holdfast import __version__
from holdfast.api import metrics
from holdfast.predictions import LogState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


def samples(text):
    """Every sample of a page, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def grown(client):
    """Gives by how much each figure has grown since it was last asked."""
    before = samples(client.get("/metrics").text)

    def since():
        nonlocal before
        now = samples(client.get("/metrics").text)
        found = {name: value - before.get(name, 0) for name, value in now.items()}
        before = now
        return {name: value for name, value in found.items() if value}

    return since


def test_predictions_are_counted_by_risk_level_and_probability(client, grown, good):
    batch = [good | {"tenure": tenure} for tenure in range(50)]
    said = client.post("/predict/batch", json={"customers": batch}).json()["predictions"]
    said.append(client.post("/predict", json=good).json())
    found = grown()
    for level in ("low", "high"):
        expected = sum(one["risk_level"] == level for one in said)
        assert found.get(("churn_predictions_total", level), 0) == expected
    probabilities = [one["churn_probability"] for one in said]
    bounds = [twentieth / 20 for twentieth in range(21)]
    cumulated = [found.get(("churn_prediction_probability_bucket", str(bound)), 0) for bound in bounds]
    for (low, high), (begin, end) in zip(pairwise(bounds), pairwise(cumulated), strict=True):
        assert end - begin == sum(low < p <= high for p in probabilities)
    assert found["churn_prediction_probability_sum",] == pytest.approx(sum(probabilities))
    assert (found["holdfast_batch_rows_count",], found["holdfast_batch_rows_sum",]) == (2, 51)
    assert found["churn_prediction_latency_seconds_count",] == 2
    assert found["churn_prediction_latency_seconds_sum",] >= said[-1]["latency_ms"] / 1_000


def test_requests_are_counted_by_route_and_never_by_what_callers_make_up(client, grown, good):
    client.post("/predict", json=good)
    client.post("/predict", json=good | {"tenure": "long"})
    client.delete("/customers/A-17")
    client.get("/models/v1")
    client.get("/wp-login.php?user=A-17")
    client.request("BREW", "/coffee")
    found = grown()
    counted = {name[1:]: value for name, value in found.items() if name[0] == "holdfast_requests_total"}
    assert counted[tuple(sorted(["/predict", "POST", "200"]))] == 1
    assert counted[tuple(sorted(["/predict", "POST", "422"]))] == 1
    assert counted[tuple(sorted(["other", "GET", "404"]))] >= 1
    assert not any(
        "A-17" in part or part in {"BREW", "/coffee", "/wp-login.php"} for n in counted for part in n
    )
    assert found["holdfast_problems_total", "record"] == 1
    assert found["holdfast_problems_total", "not_found"] >= 2
    assert found["holdfast_request_seconds_count", "/predict"] == 2


def test_the_cache_is_counted(client, grown, good):
    client.post("/predict", json=good)
    client.post("/predict", json=good)
    found = grown()
    assert (found["holdfast_cache_misses_total",], found["holdfast_cache_hits_total",]) == (1, 1)


def test_how_the_log_and_the_queue_are_is_told():
    state = LogState(writable=True, reason=None, depth=7, lag_seconds=1.5, lost=3, spooled=11)
    given_before = samples(metrics.page(None)[0].decode())
    metrics.sampled(queue=5, log=state, cache=(0, 0), up={"database": False, "model": True})
    metrics.sampled(queue=5, log=state, cache=(0, 0), up={"database": False, "model": True})
    found = samples(metrics.page(None)[0].decode())
    assert found["holdfast_queue_rows",] == 5
    assert found["holdfast_log_waiting_rows",] == 7
    assert found["holdfast_log_lag_seconds",] == 1.5
    assert found["holdfast_log_spooled_rows",] == 11
    assert found["holdfast_log_lost_total",] - given_before["holdfast_log_lost_total",] <= 3
    assert found["holdfast_dependency_up", "database"] == 0
    assert found["holdfast_dependency_up", "model"] == 1
    assert found["process_resident_memory_bytes",] > 1_000_000
    assert found["process_open_fds",] > 0
    assert found["process_cpu_seconds_total",] > 0


def test_the_model_in_charge_and_its_accuracy_are_told(trained):
    found = samples(metrics.page(trained.model)[0].decode())
    name, version = trained.model.name, trained.model.version
    assert found["churn_model_accuracy", name, version] == trained.model.metrics["test"]["accuracy"]
    assert found["churn_model_info", name, version] == 1
    assert found["holdfast_build_info", __version__] == 1


def test_open_metrics_are_given_to_who_asks_for_them(client):
    wanted = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = client.get("/metrics", headers=wanted)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


@given(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.05, 0.1, 0.95, 1.0])), max_size=60))
def test_many_values_observed_at_once_are_each_observed(values):
    bounds = [0.05, 0.1, 0.5, 0.95]
    one_by_one = Histogram("h", "h", buckets=bounds, registry=None)
    at_once = metrics._Histogram("h", "h", buckets=bounds, registry=None)
    for value in values:
        one_by_one.observe(value)
    at_once.observe_many(values)
    expected, found = ([(s.labels, s.value) for s in h._child_samples()] for h in (one_by_one, at_once))
    assert found[:-1] == expected[:-1]
    assert found[-1][1] == pytest.approx(expected[-1][1])


WORKER = """
import os, sys
from prometheus_client.multiprocess import mark_process_dead
from holdfast.api import metrics
from holdfast.predictions import LogState

depth, up, ended = map(int, sys.argv[1:])
metrics.predicted([0.1, 0.9], ["low", "high"])
metrics.answered("/predict", "POST", 200, 0.002)
state = LogState(writable=True, reason=None, depth=depth, lag_seconds=depth, lost=depth, spooled=depth)
metrics.sampled(queue=depth, log=state, cache=(depth, 1), up={"database": bool(up)})
print(os.getpid())
print(metrics.page(None)[0].decode())
if ended:
    mark_process_dead(ended)
    print("---")
    print(metrics.page(None)[0].decode())
"""


def test_any_worker_tells_the_figures_of_all(tmp_path):
    def worker(depth, up, ended=0):
        line = [sys.executable, "-c", WORKER, str(depth), str(up), str(ended)]
        environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own program
        pid, _, pages = done.stdout.partition("\n")
        return int(pid), [samples(page) for page in pages.split("---\n")]

    first, _ = worker(2, 1)
    _, (found, afterwards) = worker(3, 0, ended=first)
    assert found["churn_predictions_total", "low"] == found["churn_predictions_total", "high"] == 2
    assert found["churn_prediction_probability_count",] == 4
    assert found["holdfast_requests_total", "/predict", "200", "POST"] == 2
    assert found["holdfast_log_lost_total",] == found["holdfast_cache_hits_total",] == 5
    assert found["holdfast_queue_rows",] == found["holdfast_log_spooled_rows",] == 5
    assert found["holdfast_log_lag_seconds",] == 3
    assert found["holdfast_dependency_up", "database"] == 0
    assert afterwards["churn_predictions_total", "low"] == 2  # what an ended worker counted stays
    assert afterwards["holdfast_queue_rows",] == 3  # what it had is gone


def test_every_figure_is_in_the_documentation_as_the_code_words_it(trained):
    written = PAGE.read_text(encoding="utf-8")
    families = list(text_string_to_metric_families(metrics.page(trained.model)[0].decode()))
    assert len(families) >= 20
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert re.search(rf"\| `{name}[`{{].*\| {re.escape(family.documentation)} \|", written), name
