"""The routes that tell about the service and the model in charge."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

import holdfast
from holdfast.api import metrics, wire
from holdfast.api.answers import problems
from holdfast.api.facts import Alive, Condition, Importance, ModelInfo, ModelMetrics, Readiness, Service
from holdfast.api.policy import GuardedRoute
from holdfast.api.problems import NotReadyError, ProblemError

if TYPE_CHECKING:
    from starlette.datastructures import State

    from holdfast.api.health import Health
    from holdfast.api.live import Live
    from holdfast.api.traffic import Traffic
    from holdfast.model import Model
    from holdfast.predictions import PredictionLog
    from holdfast.scoring import AnswerCache

DEGRADED_FROM = 0.05
"""Share of failed requests from which the service calls itself degraded."""

LINKS = (
    "/docs",
    "/predict",
    "/predict/batch",
    "/explain",
    "/model_info",
    "/model_metrics",
    "/feature_importance",
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
)

router = APIRouter(route_class=GuardedRoute)


@router.get("/", response_model=Service, tags=["service"])
async def root(request: Request) -> Response:
    """Say what this is and where to go."""
    return wire.answer(
        {
            "service": "holdfast",
            "version": holdfast.__version__,
            "model": _name(_live(request)),
            "links": {link.strip("/").replace("/", "_"): link for link in LINKS},
        }
    )


@router.get("/health", response_model=Condition, tags=["service"])
async def health(request: Request) -> Response:
    """Tell how the service is: uptime, version, model, share of requests that failed, dependencies."""
    live, traffic = _live(request), _traffic(request)
    status: str = _health(request).status()
    if status == "ready":
        status = "ok"
    if status == "ok" and traffic.error_rate >= DEGRADED_FROM:
        status = "degraded"
    if live.current is None:
        status = "no model"
    return wire.answer(
        {
            "status": status,
            **_trouble(live),
            "uptime_seconds": round(traffic.uptime, 1),
            "version": holdfast.__version__,
            "model": _name(live),
            "requests": traffic.requests,
            "error_rate": traffic.error_rate,
            "dependencies": _dependencies(request),
        }
    )


@router.get("/livez", response_model=Alive, tags=["service"])
async def livez() -> Response:
    """Answer as long as the process does."""
    return wire.answer({"status": "alive"})


@router.get("/readyz", response_model=Readiness, responses=problems(503), tags=["service"])
async def readyz(request: Request) -> Response:
    """Tell whether predictions can be asked for, and how each thing is that they depend on.

    Degraded is ready: a champion that cannot be loaded leaves the one before it answering, which is better
    than nobody. Answers at once, whatever hangs.
    """
    live, health = _live(request), _health(request)
    status, dependencies = health.status(), _dependencies(request)
    if status in ("ready", "degraded"):
        return wire.answer(
            {"status": status, **_trouble(live), "model": _name(live), "dependencies": dependencies}
        )
    error = _why_not_ready(live, health)
    error.more = {"dependencies": dependencies}
    raise error


@router.get("/metrics", include_in_schema=False)
async def figures(request: Request) -> Response:
    """Give all figures to Prometheus."""
    sample(request.app.state)
    current = _live(request).current
    model = None if current is None else current.model
    # With several workers this reads files.
    written, media_type = await asyncio.to_thread(metrics.page, model, request.headers.get("accept", ""))
    return Response(written, media_type=media_type)


def sample(state: State) -> None:
    """Put what is measured now and then, not at each request, into the figures."""
    health: Health = state.health
    log: PredictionLog = state.log
    cache: AnswerCache | None = state.cache
    health.tell()
    metrics.sampled(
        queue=state.online.waiting + state.apart.waiting,
        log=log.state,
        cache=(cache.hits, cache.misses) if cache else (0, 0),
        up={name: found.state != "down" for name, found in health.dependencies().items()},
    )


@router.get("/model_info", response_model=ModelInfo, responses=problems(503), tags=["model"])
async def model_info(request: Request) -> Response:
    """Tell which model answers: version, recipe, threshold, contract, and its metrics on the test split."""
    model = _model(request)
    contract = model.contract
    facts = {key: model.manifest.get(key) for key in ("created", "recipe", "holdfast")}
    columns = [
        {"name": name, **column.model_dump(mode="json", exclude_none=True)}
        for name, column in contract.columns.items()
    ]
    return wire.answer(
        {
            "model": {"name": model.name, "version": model.version},
            **facts,
            "threshold": model.threshold,
            "contract": {
                "name": contract.name,
                "digest": contract.digest(),
                "id_column": contract.id_column,
                "columns": columns,
                "features": contract.features,
            },
            "metrics": model.metrics.get("test", {}),
        }
    )


@router.get("/model_metrics", response_model=ModelMetrics, responses=problems(503), tags=["model"])
async def model_metrics(request: Request) -> Response:
    """Tell how good the model was on its test split, each metric with its interval."""
    model = _model(request)
    return wire.answer({"model": {"name": model.name, "version": model.version}, **model.metrics})


@router.get("/feature_importance", response_model=Importance, responses=problems(503), tags=["model"])
async def feature_importance(request: Request) -> Response:
    """Tell what the model looks at most."""
    model = _model(request)
    return wire.answer(
        {"model": {"name": model.name, "version": model.version}, "features": model.importance}
    )


def _why_not_ready(live: Live, health: Health) -> ProblemError:
    if health.draining:
        return NotReadyError("This server is being stopped.", hint="Ask another one, or again in a moment.")
    try:
        live.serving()
    except ProblemError as error:
        return error
    down = [found for found in health.dependencies().values() if found.state == "down" and found.required]
    reason = down[0].reason if down else "A dependency was down a moment ago."
    return NotReadyError(reason or "A dependency is down.", hint="The server answers again once it is back.")


def _dependencies(request: Request) -> dict[str, dict[str, Any]]:
    return {name: found.as_dict() for name, found in _health(request).dependencies().items()}


def _health(request: Request) -> Health:
    health: Health = request.app.state.health
    return health


def _live(request: Request) -> Live:
    live: Live = request.app.state.live
    return live


def _traffic(request: Request) -> Traffic:
    traffic: Traffic = request.app.state.traffic
    return traffic


def _model(request: Request) -> Model:
    return _live(request).serving().model


def _trouble(live: Live) -> dict[str, str | None]:
    trouble = live.trouble
    return {"reason": trouble.reason, "hint": trouble.hint} if trouble else {"reason": None, "hint": None}


def _name(live: Live) -> dict[str, Any] | None:
    current = live.current
    return {"name": current.model.name, "version": current.model.version} if current else None
