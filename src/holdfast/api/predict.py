"""The routes that ask the model about customers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from holdfast.api import wire
from holdfast.api.answers import Answer, BatchAnswer, Explanation, problems
from holdfast.api.fields import json_type
from holdfast.api.problems import BatchError, MediaTypeError, NotJsonError, RecordError
from holdfast.api.scoring import Outcome, explain, score

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.api.live import Live, Serving

T = TypeVar("T")

MAX_BATCH = 1_000
CUSTOMERS = "customers"

router = APIRouter(tags=["predictions"])
_FAILURES = problems(400, 413, 415, 422, 503)


@router.post("/predict", response_model=Answer, responses=_FAILURES)
async def predict(request: Request) -> Response:
    """Say how likely one customer is to leave, and what to do about it."""
    serving, body = await _asked(request)
    answer = await _work(request, lambda: _one(serving, body)[0])
    return wire.answer(answer | {"latency_ms": _latency(request)})


@router.post("/batch_predict", response_model=BatchAnswer, responses=_FAILURES)
@router.post("/predict/batch", response_model=BatchAnswer, responses=_FAILURES)
async def predict_batch(request: Request) -> Response:
    """Predict up to 1,000 customers. One that breaks the contract fails alone, with the reason."""
    serving, body = await _asked(request)
    received, outcome = await _work(request, lambda: _many(serving, body))
    latency = {"latency_ms": _latency(request)}
    rejected = [reject.as_dict() for reject in outcome.rejects]
    predicted = len(outcome.answers)
    return wire.answer(
        {
            "predictions": [{"index": at} | found | latency for at, found in outcome.answers.items()],
            "rejected": rejected,
            "counts": {"received": received, "predicted": predicted, "rejected": received - predicted},
            "model": {"name": serving.model.name, "version": serving.model.version},
            "timestamp": wire.utc_now(),
            **latency,
        }
    )


@router.post("/explain", response_model=Explanation, responses=_FAILURES)
async def explain_one(
    request: Request,
    reasons: Annotated[int, Query(ge=1, le=100, description="At most so many reasons each way.")] = 5,
) -> Response:
    """Predict one customer and say what speaks for and against their leaving, in the contract's own words."""
    serving, body = await _asked(request)

    def work() -> dict[str, Any]:
        answer, outcome = _one(serving, body)
        return answer | explain(serving, outcome.taken, reasons)

    answer = await _work(request, work)
    return wire.answer(answer | {"latency_ms": _latency(request)})


async def _asked(request: Request) -> tuple[Serving, bytes]:
    """The model that will answer this request, whatever is promoted meanwhile, and the request's body."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise MediaTypeError(
            f"The body is declared as {kind[:80] or 'nothing'}, not as JSON.",
            hint="Send the header  content-type: application/json",
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise MediaTypeError("Compressed bodies are not read.", hint="Send the JSON as it is.")
    body = await request.body()
    live: Live = request.app.state.live
    return live.serving(), body


async def _work(request: Request, work: Callable[[], T]) -> T:
    """Run ``work`` beside the event loop, which goes on taking requests."""
    return await asyncio.get_running_loop().run_in_executor(request.app.state.worker, work)


def _latency(request: Request) -> float:
    started: float = request.scope["holdfast.started"]
    return round((time.perf_counter() - started) * 1_000, 3)


def _parsed(body: bytes) -> Any:
    if not body.strip():
        raise NotJsonError("The body is empty.", hint="GET /docs shows an example of a body.")
    try:
        return wire.decode(body)
    except ValueError as error:
        raise NotJsonError(f"The body is not JSON: {error}.", hint="GET /docs shows an example.") from error


def _one(serving: Serving, body: bytes) -> tuple[dict[str, Any], Outcome]:
    """The answer to a body that is one record."""
    record = _parsed(body)
    if not isinstance(record, dict):
        raise RecordError(
            f"The body must be one JSON object, not {json_type(record)}.",
            hint="Several customers at a time go to /predict/batch.",
        )
    outcome = score(serving, [record])
    if not outcome.answers:
        many = len(outcome.rejects)
        raise RecordError(
            f"{many} {'fields break' if many > 1 else 'field breaks'} the contract.",
            hint="GET /docs shows what each field may hold.",
            errors=[reject.as_field() for reject in outcome.rejects],
        )
    return outcome.answers[0], outcome


def _many(serving: Serving, body: bytes) -> tuple[int, Outcome]:
    """How many customers a body holds, and what became of them."""
    document = _parsed(body)
    if not isinstance(document, dict):
        raise BatchError(
            f'The body must be an object with "{CUSTOMERS}", not {json_type(document)}.', hint=_FORM
        )
    records = document.get(CUSTOMERS)
    other = sorted(document.keys() - {CUSTOMERS})[:10]
    if other:
        unknown = [
            {"field": name[:80], "reason": f'unknown; "{CUSTOMERS}" is all there is'} for name in other
        ]
        raise BatchError("The body has fields that nobody knows.", hint=_FORM, errors=unknown)
    if not isinstance(records, list):
        given = json_type(records) if CUSTOMERS in document else "missing"
        wrong = {"field": CUSTOMERS, "reason": f"a list of customers is needed, not {given}"}
        raise BatchError("There is no list of customers.", hint=_FORM, errors=[wrong])
    if not 1 <= len(records) <= MAX_BATCH:
        wrong = {
            "field": CUSTOMERS,
            "reason": f"1 to {MAX_BATCH:,} customers are taken, not {len(records):,}",
        }
        hint = "Split it; for whole files use `holdfast score`." if records else _FORM
        raise BatchError(f"The batch has {len(records):,} customers.", hint=hint, errors=[wrong])
    outcome = score(serving, records)
    if not outcome.answers:
        raise BatchError(
            f"None of the {len(records):,} customers can be scored.",
            hint="GET /docs shows what each field may hold.",
            errors=[reject.as_dict() for reject in outcome.rejects],
        )
    return len(records), outcome


_FORM = f'Send {{"{CUSTOMERS}": [ … ]}}; GET /docs shows an example.'
