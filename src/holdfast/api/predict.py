"""The routes that ask the model about customers."""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from holdfast.api.answers import Answer, BatchAnswer, Explanation, problems
from holdfast.api.desk import Question, Told, again
from holdfast.api.forms import Many, One
from holdfast.api.policy import GuardedRoute, allow
from holdfast.api.problems import KeyFormError, MediaTypeError, SlowBodyError, problem
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from holdfast.api.forms import Form
    from holdfast.predictions import Reply
    from holdfast.scoring import MicroBatcher

ROW_BYTES = 512
"""A record has about so many; by it a body is taken for so many rows of a batch."""

_KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
"""An Idempotency-Key: up to 255 printable characters."""

_ONE, _MANY = One(), Many()

router = APIRouter(tags=["predictions"], route_class=GuardedRoute)
_FAILURES = problems(400, 401, 403, 409, 413, 415, 422, 429, 503) | problems(404, wrong="customer")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        # Only for the documentation: one place checks it, for all ways in.
        json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
        description="Up to 255 characters of your choice. Sent again with the same body, the request gets "
        "the same answer, byte for byte, for at least 24 hours; with another body, a 409.",
    ),
]


@router.post("/predict", response_model=Answer, responses=_FAILURES)
async def predict(request: Request, _key: IdempotencyKey = None) -> Response:
    """Say how likely one customer is to leave, and what to do about it."""
    return await answered(request.scope, request.receive, _ONE)


@router.post("/batch_predict", response_model=BatchAnswer, responses=_FAILURES)
@router.post("/predict/batch", response_model=BatchAnswer, responses=_FAILURES)
async def predict_batch(request: Request, _key: IdempotencyKey = None) -> Response:
    """Predict up to 1,000 customers. One that breaks the contract fails alone, with the reason."""
    return await answered(request.scope, request.receive, _MANY)


@router.post("/explain", response_model=Explanation, responses=_FAILURES)
async def explain_one(
    request: Request,
    reasons: Annotated[int, Query(ge=1, le=100, description="At most so many reasons each way.")] = 5,
    _key: IdempotencyKey = None,
) -> Response:
    """Predict one customer and say what speaks for and against their leaving, in the contract's own words."""
    return await answered(request.scope, request.receive, One(reasons))


async def quick_predict(scope: Scope, receive: Receive, send: Send) -> None:
    """``POST /predict`` without the framework's routing, which takes longer than the answer does."""
    try:
        allow(scope["state"].get("caller"), "/predict", "POST")
        response = await answered(scope, receive, _ONE)
    except HoldfastError as error:
        response = problem(error)
    await response(scope, receive, send)


async def answered(scope: Scope, receive: Receive, form: Form) -> Response:
    """Put a request to the model, together with whatever else is asked at the moment.

    Raises:
        ProblemError: the request is wrong, or there is no model.
        OverloadedError: too much is asked.
        LogError: the answer could not be logged, so it is not given.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if headers.get(b"content-type") != b"application/json" or b"content-encoding" in headers:
        _check_media_type(headers)
    app_state = scope["app"].state
    app_state.live.serving()  # without a model there is nothing to read a body for
    body = await _body(receive, app_state.settings.request_seconds)
    state: dict[str, Any] = scope["state"]
    question = Question(
        form,
        body,
        state["caller"].id,
        state["correlation_id"],
        scope["holdfast.started"],
        trace=state.get("trace"),
    )
    key = headers.get(b"idempotency-key")
    told: Told | None = None
    if key is not None:
        told = await _recalled(app_state.recall, question, key, scope)
    if told is None:
        quick = form is _ONE and (key is None or app_state.settings.durability == "ack")
        batcher: MicroBatcher[Question, Told] = app_state.online if quick else app_state.apart
        told = await batcher.ask(question, 1 + len(body) // ROW_BYTES)
    response = Response(told.body, media_type="application/json")
    if told.replayed:
        response.headers["idempotency-replayed"] = "true"
    return response


async def _recalled(
    recall: MicroBatcher[str, Reply | None], question: Question, key: bytes, scope: Scope
) -> Told | None:
    """What this caller was answered under this key, if it was used before; ``question`` remembers the key."""
    if not _KEY.fullmatch(key):
        raise KeyFormError(
            "The Idempotency-Key is empty, too long or not printable.", hint="Send up to 255 characters."
        )
    route = b"/predict/batch" if scope["path"] == "/batch_predict" else scope["path"].encode()
    parts = (question.caller.encode(), route, key)
    question.scope = sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).hexdigest()
    question.digest = sha256(scope["query_string"] + b"\n" + question.body).hexdigest()
    reply = await recall.ask(question.scope)
    return None if reply is None else again(question, reply)


def _check_media_type(headers: dict[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise MediaTypeError(
            f"The body is declared as {kind[:80] or 'nothing'}, not as JSON.",
            hint="Send the header  content-type: application/json",
        )
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise MediaTypeError("Compressed bodies are not read.", hint="Send the JSON as it is.")


async def _body(receive: Receive, seconds: float) -> bytes:
    """The whole body; usually it is there already."""
    message = await receive()
    if not message.get("more_body") and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        return body
    parts = []
    try:
        async with asyncio.timeout(seconds):
            while message["type"] == "http.request":
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    return b"".join(parts)
                message = await receive()
    except TimeoutError as error:
        raise SlowBodyError(
            f"The body did not arrive within {seconds:g} s.", hint="Send it faster, or in smaller parts."
        ) from error
    raise ClientDisconnect
