"""Puts the service together."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from holdfast.access import Gate, Limiter
from holdfast.api import about, audit, auth, jobs, models, oip, predict, predictions
from holdfast.api.desk import Desk
from holdfast.api.docs import add_docs
from holdfast.api.guard import Guard
from holdfast.api.health import Health
from holdfast.api.policy import GuardedRoute, methods_of
from holdfast.api.problems import BodyError, NotJsonError, QueryError, http_problem, problem
from holdfast.api.traffic import Traffic, open_tracing
from holdfast.api.upkeep import upkeep
from holdfast.errors import HoldfastError
from holdfast.predictions import PredictionLog
from holdfast.predictions.erasure import customer_hash
from holdfast.scoring import AnswerCache, MicroBatcher
from holdfast.settings import secret_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import sqlalchemy as sa
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from holdfast.api.live import Live
    from holdfast.settings import Settings

METHOD_NOT_ALLOWED = 405

BATCHES_QUEUE = 4
"""So many times as many customers may wait in batches as one by one: who sends a thousand waits longer."""

WAY_SECONDS = 0.002
"""So long, at most, does each step of a batch wait for single predictions."""


class Service(FastAPI):
    """The framework's application inside the guard: what the guard answers never comes to the framework."""

    guard: Guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self
        await self.guard(scope, receive, send)


def create_app(live: Live, settings: Settings, engine: sa.Engine) -> Service:
    """The service that answers with ``live``'s model, which it keeps up to date while it runs.

    Args:
        live: the model.
        settings: of this installation.
        engine: its database.
    """
    app = Service(lifespan=_running, docs_url=None, redoc_url=None, redirect_slashes=False, openapi_url=None)
    app.router.route_class = GuardedRoute
    app.state.live = live
    app.state.settings = settings
    app.state.engine = engine
    app.state.tracing = open_tracing(settings)
    app.state.traffic = Traffic(app.state.tracing)
    app.state.gate = Gate(engine, settings)
    app.state.limiter = Limiter(settings)
    app.state.log = PredictionLog(
        engine,
        queue=settings.log_queue,
        spool=settings.home / "spool",
        keep=timedelta(hours=settings.idempotency_hours),
        hashed=partial(customer_hash, secret_of(settings)),
    )
    app.state.health = Health(live, settings, engine, app.state.log)
    app.state.cache = AnswerCache(settings) if settings.cache_seconds else None
    desk = Desk(live, app.state.log, wait_for_log=settings.durability == "ack", cache=app.state.cache)
    batcher = partial(
        MicroBatcher,
        rows=settings.batch_rows,
        queue=settings.queue_rows,
        patience=settings.request_seconds,
    )
    app.state.online = batcher(desk.work, wait=settings.batch_wait_ms / 1_000)
    # What takes long must not keep single predictions waiting: it has a thread of its own, gives way, and
    # waits where it is quicker than the log.
    slow = partial(
        desk.work,
        give_way=partial(app.state.online.let_pass, WAY_SECONDS),
        patience=settings.request_seconds,
    )
    app.state.apart = batcher(slow, queue=BATCHES_QUEUE * settings.queue_rows)
    app.state.recall = batcher(desk.recall)
    app.include_router(predict.router)
    app.include_router(about.router)
    app.include_router(oip.router)
    app.include_router(auth.router)
    app.include_router(models.router)
    app.include_router(audit.router)
    app.include_router(predictions.router)
    app.include_router(jobs.router)
    add_docs(app)
    app.add_exception_handler(HoldfastError, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _query_problem)
    app.guard = Guard(
        super(Service, app).__call__,
        traffic=app.state.traffic,
        settings=settings,
        gate=app.state.gate,
        limiter=app.state.limiter,
        quick={("/predict", "POST"): predict.quick_predict},
    )
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """From the first look at the registry to the last answer."""
    live: Live = app.state.live
    log: PredictionLog = app.state.log
    await asyncio.to_thread(live.refresh)
    await asyncio.to_thread(live.prepare)
    await asyncio.to_thread(log.start)
    app.state.health.start()
    # What is there by now stays; without this the collector looks through all of it, 100 ms at a time.
    gc.collect()
    gc.freeze()
    beside = asyncio.create_task(upkeep(app))
    try:
        yield
    finally:
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside
        for batcher in (app.state.online, app.state.apart, app.state.recall):
            await asyncio.to_thread(batcher.close)
        await asyncio.to_thread(log.close)
        await asyncio.to_thread(live.close)
        if app.state.cache is not None:
            await asyncio.to_thread(app.state.cache.close)
        await app.state.limiter.close()
        await asyncio.to_thread(app.state.health.close)
        if app.state.tracing is not None:
            await asyncio.to_thread(app.state.tracing.close)
        gc.unfreeze()  # or DuckDB takes what is never collected for a leak, and says so at the end


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HoldfastError):  # pragma: no cover - registered for nothing else
        raise error
    return problem(error)


async def _http_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover - as above
        raise error
    if error.status_code == METHOD_NOT_ALLOWED:  # the framework names those of the first route it tried
        error.headers = {"allow": ", ".join(methods_of(request.url.path))}
    return http_problem(error)


async def _query_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):  # pragma: no cover - as above
        raise error
    found = error.errors()
    wrong = [{"field": str(e["loc"][-1])[:80], "reason": e["msg"]} for e in found]
    hint = "GET /docs shows what it takes."
    if any(e["type"] == "json_invalid" for e in found):
        return problem(NotJsonError("The body is not JSON.", hint=hint))
    if any(e["loc"][0] == "body" for e in found):
        return problem(BodyError("The body is wrong.", hint=hint, errors=wrong))
    return problem(QueryError("A query parameter is wrong.", hint=hint, errors=wrong))
