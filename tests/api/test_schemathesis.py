"""The service does what its OpenAPI document says, whoever asks: all of schemathesis's checks.

`HYPOTHESIS_PROFILE=explore` tries far more, and other examples in every run.
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData, UnsupportedMethodResponse

from holdfast.access import Role
from holdfast.access.keys import create_key
from holdfast.api.app import create_app
from holdfast.api.live import Live
from holdfast.registry import Registry
from holdfast.settings import Settings

if TYPE_CHECKING:
    from schemathesis import Case, Response
    from schemathesis.core.failures import Failure

EXPLORE = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
ALL_PHASES = ("examples", "coverage", "fuzzing", "stateful")
DOOR = ("examples", "coverage")
"""For whom nothing is answered, one refusal is like another: the written-out cases are enough."""

BATCHES = ("POST /predict/batch", "POST /batch_predict")

NOT_DONE = {
    "GET /jobs/{job_id}/results": "no worker runs here, so no job is ever done",
    "GET /jobs/{job_id}/rejects": "as above",
    "DELETE /jobs/{job_id}": "as above; a job that waits is cancelled first",
    "POST /auth/refresh": "each token is taken once, and the login's password is not guessed",
    "POST /auth/token": "as above",
    "POST /auth/logout": "as above",
    "GET /predictions/{prediction_id}": "no generated id is one of a prediction",
    "POST /models/rollback": "whether there was another champion before depends on the order",
    "POST /v2/models/{name}/versions/{version}/infer": "the version in charge depends on the order",
}
"""What need not have succeeded in a run, and why."""


def excused(failure: Failure, case: Case, response: Response) -> str | None:
    """Why a failure is none, if it is none: what JSON Schema cannot say, and what is meant to be so."""
    label, status = case.operation.label, response.status_code
    said = response.content.decode(errors="replace")
    if label in BATCHES and status == 200 and response.json()["rejected"]:
        return "a customer that breaks the contract fails alone, and the answer says so"
    if isinstance(failure, RejectedPositiveData):
        if label == "GET /predictions" and "cursor" in said:
            return "a cursor is what a page gave, and no pattern says which texts those are"
        if label.startswith("GET /predictions") and "out of all reason" in said:
            return "a time before 1971 or after 9998 is none that the log could hold"
        if label.endswith("/infer") and status == 400:
            return "that tensors are as long as each other and are the contract's columns is beyond a schema"
    if isinstance(failure, UnsupportedMethodResponse) and status == 401:
        return "strangers are not told which methods there are"
    return None


def explored(client, *, headers=None, phases=ALL_PHASES, examples=5, off=(), leave_out=()):
    """Run the engine; gives what failed, and how often each operation was answered with which status."""
    document = client.get("/openapi.json", headers=client.headers_of_admin).json()

    async def from_here(scope, receive, send):
        if scope["type"] == "http":  # the service runs already
            await client.app(scope | {"client": ("127.0.0.1", 50_000)}, receive, send)

    told = {
        "headers": headers or {},
        "base-url": "http://127.0.0.1/",
        "continue-on-failure": True,
        "phases": {name: {"enabled": name in phases} for name in ALL_PHASES},
        "checks": {name: {"enabled": False} for name in off},
        "operations": [{"include-name": name, "enabled": False} for name in leave_out],
        "generation": {
            "deterministic": not EXPLORE,
            "max-examples": 40 * examples if EXPLORE else examples,
            "no-shrink": not EXPLORE,
        },
    }
    if not EXPLORE:
        told["seed"] = 1
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(told))
    schema.app = from_here

    @schema.hook("filter_failure")
    def keep(_context, failure, case, response):
        return excused(failure, case, response) is None

    failures, answers = {}, defaultdict(lambda: defaultdict(int))
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures["error", str(getattr(event, "value", None) or event.exception)] = ""
        if isinstance(event, events.ScenarioFinished):
            collect(event.recorder, failures, answers)
    return failures, answers


def collect(recorder, failures, answers):
    for ident, exchange in recorder.interactions.items():
        if exchange.response is not None:
            answers[recorder.cases[ident].value.operation.label][exchange.response.status_code] += 1
    for found in (check for checks in recorder.checks.values() for check in checks):
        if found.failure_info is not None:
            failure, sample = found.failure_info.failure, found.failure_info.code_sample
            failures.setdefault((found.name, failure.operation, failure.message[:300]), sample[:1_000])


@pytest.fixture
def service(installed):
    """A client of a service with two versions that were really trained."""
    with closing(Registry(installed)) as registry:
        told = Settings(home=installed, rate_limit=10**7, jobs_per_key=10**6)
        app = create_app(Live(registry), told, registry.engine)
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as client:
            client.headers_of_admin = {}
            yield client


@pytest.fixture
def keys(service):
    """A key of each role, by its name; from now on this machine's user is nobody."""
    made = {
        role.label: {
            "X-API-Key": create_key(service.app.state.engine, actor="test", name=role.label, role=role)[1]
        }
        for role in Role
    }
    service.app.state.gate.refresh()
    service.headers_of_admin = made["admin"]
    return made


def test_an_administrator_finds_the_service_as_described(service, keys):
    failures, answers = explored(service, headers=keys["admin"])
    assert not failures, "\n".join(map(str, failures.items()))
    succeeded = {label for label, found in answers.items() if any(200 <= status < 300 for status in found)}
    assert set(answers) - succeeded - NOT_DONE.keys() == set()
    assert service.get("/auth/me", headers=keys["admin"]).json()["role"] == "admin", "it revoked itself"


def test_this_machine_s_user_finds_it_as_described(service):
    failures, answers = explored(
        service,
        examples=3,
        off=["ignored_auth"],  # this user needs none, as long as there is no credential
        leave_out=["POST /keys", "POST /users"],  # the first credential ends this user's rights
    )
    assert not failures, "\n".join(map(str, failures.items()))
    assert sum(found[200] for found in answers.values()) > 40


def test_strangers_are_refused_as_described(service, keys):
    assert keys
    failures, answers = explored(service, phases=DOOR)
    assert not failures, "\n".join(map(str, failures.items()))
    assert sum(found[401] for found in answers.values()) > 500
    public = ("GET /", "GET /livez", "GET /readyz", "GET /v2/health/live", "GET /v2/health/ready")
    assert {label for label, found in answers.items() if found[200]} == set(public)


def test_a_low_role_is_refused_as_described(service, keys):
    failures, answers = explored(service, phases=DOOR, headers=keys["viewer"])
    assert not failures, "\n".join(map(str, failures.items()))
    assert sum(found[403] for found in answers.values()) > 300
    assert answers["GET /model_info"][200]
    assert not answers["POST /predict"][200]
