"""The Open Inference Protocol, version 2: the routes that KServe, Triton's clients and others ask.

The same door as /predict/batch in other words: the answers have the same bits and are logged alike. Failures
are told as the protocol wants it, except refusals before it is known what is asked (401, 403, 429).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

import holdfast
from holdfast.api import tensors, wire
from holdfast.api.answers import problems
from holdfast.api.facts import Inferred, Ready, ServerName, TensorModel
from holdfast.api.facts import Live as Alive
from holdfast.api.policy import GuardedRoute
from holdfast.api.predict import answered
from holdfast.api.problems import problem
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdfast.api.health import Health
    from holdfast.api.live import Live, Serving

TAG = "open inference protocol"


class Failure(BaseModel):
    """How the protocol tells of a failure."""

    error: str


class _Route(GuardedRoute):
    """Words failures as the protocol does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers."""
        answer = super().get_route_handler()

        async def worded(request: Request) -> Response:
            try:
                return await answer(request)
            except HoldfastError as error:
                return _failure(error)

        return worded


def _failure(error: HoldfastError) -> Response:
    """The same status and words as elsewhere, in one sentence."""
    told = problem(error)
    said = orjson.loads(told.body)
    rows = [": ".join(str(value) for value in one.values()) for one in said.get("errors", ())]
    words = " ".join(part for part in (said["detail"], "; ".join(rows), said.get("hint")) if part)
    failure = wire.answer({"error": words})
    failure.status_code = told.status_code
    if "retry-after" in told.headers:
        failure.headers["retry-after"] = told.headers["retry-after"]
    return failure


_FAILED: dict[str, Any] = {"model": Failure, "description": "What is wrong."}
_FAILURES: dict[int | str, dict[str, Any]] = problems(401, 403, 429) | {404: _FAILED, 503: _FAILED}
_NOT_READY: dict[str, Any] = {"model": Ready, "description": "Not ready."}
_IF_READY = _FAILURES | {503: {"model": Ready | Failure, "description": "Not ready."}}
_REFUSALS = _FAILURES | dict.fromkeys((400, 408, 409, 413, 415, 422), _FAILED)

router = APIRouter(tags=[TAG], route_class=_Route)


@router.get("/v2", response_model=ServerName, responses=problems(401, 403, 429))
async def server() -> Response:
    """Name the server."""
    return wire.answer({"name": "holdfast", "version": holdfast.__version__, "extensions": []})


@router.get("/v2/health/live", response_model=Alive)
async def live() -> Response:
    """Answer as long as the process does."""
    return wire.answer({"live": True})


@router.get("/v2/health/ready", response_model=Ready, responses={503: _NOT_READY})
async def ready(request: Request) -> Response:
    """Tell whether predictions can be asked for."""
    return _ready(request, {})


@router.get("/v2/models/{name}", response_model=TensorModel, responses=_FAILURES)
async def model(request: Request, name: str) -> Response:
    """Describe the model's tensors."""
    return wire.answer(tensors.described(_asked(request, name, None)))


@router.get("/v2/models/{name}/versions/{version}", response_model=TensorModel, responses=_FAILURES)
async def model_version(request: Request, name: str, version: str) -> Response:
    """Describe the tensors of a version."""
    return wire.answer(tensors.described(_asked(request, name, version)))


@router.get("/v2/models/{name}/ready", response_model=Ready, responses=_IF_READY)
async def model_ready(request: Request, name: str) -> Response:
    """Tell whether the model can be asked."""
    _asked(request, name, None)
    return _ready(request, {"name": name})


@router.get("/v2/models/{name}/versions/{version}/ready", response_model=Ready, responses=_IF_READY)
async def version_ready(request: Request, name: str, version: str) -> Response:
    """Tell whether a version can be asked."""
    _asked(request, name, version)
    return _ready(request, {"name": name})


@router.post("/v2/models/{name}/infer", response_model=Inferred, responses=_REFUSALS)
async def infer(request: Request, name: str) -> Response:
    """Predict up to 1,000 customers, one tensor a column."""
    _asked(request, name, None)
    return await answered(request.scope, request.receive, tensors.Tensors(name, None))


@router.post("/v2/models/{name}/versions/{version}/infer", response_model=Inferred, responses=_REFUSALS)
async def infer_version(request: Request, name: str, version: str) -> Response:
    """Predict as above, if this version is in charge."""
    _asked(request, name, version)
    return await answered(request.scope, request.receive, tensors.Tensors(name, version))


def _asked(request: Request, name: str, version: str | None) -> Serving:
    """The model in charge, if it is the one that is asked for."""
    following: Live = request.app.state.live
    serving = following.serving()
    tensors.check_asked(name, version, serving.model.name, serving.model.version)
    return serving


def _ready(request: Request, said: dict[str, Any]) -> Response:
    health: Health = request.app.state.health
    is_ready = health.status() in {"ready", "degraded"}
    answer = wire.answer(said | {"ready": is_ready})
    answer.status_code = 200 if is_ready else 503
    return answer
