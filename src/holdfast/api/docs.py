"""The OpenAPI document and the page that shows it as a form; both follow the champion's contract."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

import holdfast
from holdfast.api import built, tensors
from holdfast.api.answers import Problem, problems
from holdfast.api.forms import CUSTOMERS, MAX_BATCH
from holdfast.api.policy import ASSETS, PROBES, PUBLIC
from holdfast.api.wire import answer

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response

    from holdfast.api.live import Serving

_REF = "#/components/schemas/{model}"

DESCRIPTION = """Predicts which customers are about to leave, and says why.

Send a customer by the column names of the contract; open a route below and press **Execute** to try it with
the example. Required fields must be there, though any may be `null`. A level that the contract does not list
is scored as missing, with a warning. Every failure is a problem document (RFC 9457) with a stable `code`."""

_NO_MODEL = {
    "type": "object",
    "title": "Customer",
    "description": "There is no model yet, so no contract either.",
}


def add_docs(app: FastAPI) -> None:
    """Give ``app`` its ``/openapi.json`` and ``/docs``. The page needs no other server."""
    made: WeakKeyDictionary[Serving, dict[str, Any]] = WeakKeyDictionary()  # keeps no model in memory

    def openapi() -> dict[str, Any]:
        serving: Serving | None = app.state.live.current
        if serving is None:
            return document(app, None)
        if serving not in made:
            made[serving] = document(app, serving)
        return made[serving]

    shown = (resources.files("holdfast.api") / "static" / "docs.html").read_text(encoding="utf-8")

    async def page() -> HTMLResponse:
        return HTMLResponse(shown)

    async def described() -> Response:
        return answer(openapi())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to replace it
    app.add_api_route("/openapi.json", described, include_in_schema=False)
    app.add_api_route("/docs", page, include_in_schema=False)
    assets = StaticFiles(packages=[("fastapi_offline", "static"), ("holdfast.api", "static")])
    app.mount(ASSETS, assets, name="docs-assets")


def document(app: FastAPI, serving: Serving | None) -> dict[str, Any]:
    """The OpenAPI document for one model, or for none."""
    title = "Holdfast" if serving is None else f"Holdfast: {serving.model.name} {serving.model.version}"
    made = get_openapi(
        title=title, version=holdfast.__version__, description=DESCRIPTION, routes=app.routes, tags=_TAGS
    )
    _, problem = models_json_schema([(Problem, "serialization")], ref_template=_REF)
    components = made.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    components["headers"] = _HEADERS
    made["security"] = [{name: []} for name in _SCHEMES]
    schemas = components.setdefault("schemas", {})
    schemas |= problem["$defs"]
    schemas["Customer"] = _NO_MODEL if serving is None else _customer(serving)
    customer = {"$ref": _REF.format(model="Customer")}
    schemas["Customers"] = {
        "type": "object",
        "title": "Customers",
        "required": [CUSTOMERS],
        "additionalProperties": False,
        "properties": {CUSTOMERS: {"type": "array", "items": customer, "minItems": 1, "maxItems": MAX_BATCH}},
    }
    example = {} if serving is None else serving.intake.example
    for path, operations in made["paths"].items():
        if "post" in operations and operations["post"]["tags"] == ["predictions"]:
            several = "batch" in path
            body = {CUSTOMERS: [example, _another(example, serving)]} if several else example
            schema = {"$ref": _REF.format(model="Customers")} if several else customer
            content = {"application/json": {"schema": schema, "example": body}}
            operations["post"]["requestBody"] = {"required": True, "content": content}
        if path.endswith("/infer"):
            shown = {} if serving is None else tensors.example(serving)
            content = {"application/json": {"schema": tensors.SCHEMA, "example": shown}}
            operations["post"]["requestBody"] = {"required": True, "content": content}
        for method, operation in operations.items():
            if (path, method.upper()) in PUBLIC:
                operation["security"] = []
            _add_the_guards(path, operation)
            operation["summary"] = re.split(r"[.:,]\s|\.$", operation.get("description", ""))[0]
    return made


def _customer(serving: Serving) -> dict[str, Any]:
    whole = serving.intake.schema()
    return whole if serving.features is None else built.schema(whole)


def _add_the_guards(path: str, operation: dict[str, Any]) -> None:
    """What the guard may answer before a route does, and the headers of all answers."""
    own = operation["responses"]
    guard = problems(400, wrong="host") | problems(500, wrong="internal")
    if path not in PROBES:
        guard |= problems(429)
    if "requestBody" in operation:
        guard |= problems(413)
    if "security" not in operation:  # not public
        guard |= problems(401, 403) | problems(503, wrong="store")
    operation["responses"] = dict(
        sorted(({str(status): said for status, said in guard.items()} | own).items())
    )
    for status, said in operation["responses"].items():
        names = ["X-Request-ID", *_OF_STATUS.get(status, ())]
        if path not in PROBES:
            names += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
        if status == "202" and path == "/jobs/score":
            names.append("Location")
        if status == "200" and "Idempotency-Key" in str(operation.get("parameters")):
            names.append("Idempotency-Replayed")
        said["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _another(example: dict[str, Any], serving: Serving | None) -> dict[str, Any]:
    """The example with another id, where the contract has one."""
    own = serving.intake.contract.id_column if serving else None
    return example | {own: "C-0002"} if own in example else example


_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "token": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key."},
}

_NUMBER = {"type": "integer", "minimum": 0}
_HEADERS = {
    "X-Request-ID": {
        "description": "The request's own, or its trace's id, or a new one; stands in logs beside it.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
    "RateLimit-Limit": {"description": "Requests a minute.", "schema": _NUMBER},
    "RateLimit-Remaining": {"description": "How many are left of them.", "schema": _NUMBER},
    "RateLimit-Reset": {"description": "Seconds until there are more.", "schema": _NUMBER},
    "Retry-After": {"description": "Seconds to wait before asking again.", "schema": _NUMBER},
    "WWW-Authenticate": {"required": True, "schema": {"type": "string"}},
    "Location": {"required": True, "description": "Where the job is.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "These are the bytes of an earlier answer.",
        "schema": {"const": "true"},
    },
}
_OF_STATUS = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
    "507": ("Retry-After",),
}
"""Headers of answers with a status."""

_TAGS = [
    {"name": "predictions", "description": "Ask about customers."},
    {"name": "model", "description": "The model in charge."},
    {"name": "models", "description": "Every version, and which one is in charge."},
    {"name": "audit", "description": "Who changed what."},
    {"name": "access", "description": "Who may ask: logins, API keys, users."},
    {"name": "open inference protocol", "description": "The same predictions for clients of KServe."},
    {"name": "service", "description": "The service itself."},
]
