"""Puts the service together."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from holdfast.access import Gate, Limiter
from holdfast.api import about, predict
from holdfast.api.docs import add_docs
from holdfast.api.guard import Guard, Traffic
from holdfast.api.live import POLL_SECONDS, PREPARE_SECONDS, import_libraries
from holdfast.api.log import fault
from holdfast.api.policy import GuardedRoute
from holdfast.api.problems import QueryError, http_problem, problem
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import sqlalchemy as sa
    from starlette.requests import Request
    from starlette.responses import Response

    from holdfast.api.live import Live
    from holdfast.settings import Settings


def create_app(live: Live, settings: Settings, engine: sa.Engine) -> FastAPI:
    """The service that answers with ``live``'s model, which it keeps up to date while it runs.

    Args:
        live: the model.
        settings: of this installation.
        engine: its database.
    """
    app = FastAPI(lifespan=_running, docs_url=None, redoc_url=None, redirect_slashes=False, openapi_url=None)
    app.router.route_class = GuardedRoute
    app.state.live = live
    app.state.settings = settings
    app.state.engine = engine
    app.state.traffic = Traffic()
    app.state.gate = Gate(engine, settings)
    app.state.limiter = Limiter(settings)
    app.include_router(predict.router)
    app.include_router(about.router)
    add_docs(app)
    app.add_exception_handler(HoldfastError, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _query_problem)
    app.add_middleware(
        Guard,
        traffic=app.state.traffic,
        settings=settings,
        gate=app.state.gate,
        limiter=app.state.limiter,
    )
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """From the first look at the registry to the last answer."""
    live: Live = app.state.live
    # One thread: a model need not be safe for several.
    with ThreadPoolExecutor(1, thread_name_prefix="predict") as app.state.worker:
        await asyncio.to_thread(live.refresh)
        await asyncio.to_thread(live.prepare)
        beside = asyncio.gather(_follow(live), asyncio.to_thread(import_libraries))
        try:
            yield
        finally:
            beside.cancel()
            with suppress(asyncio.CancelledError):
                await beside


async def _follow(live: Live) -> None:
    """Look after the champion for as long as the service runs."""
    for turn in count(1):
        await asyncio.sleep(POLL_SECONDS)
        try:
            await asyncio.to_thread(live.refresh)
            if turn % round(PREPARE_SECONDS / POLL_SECONDS) == 0:
                await asyncio.to_thread(live.prepare)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
            fault(error)


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HoldfastError):  # pragma: no cover - registered for nothing else
        raise error
    return problem(error)


async def _http_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover - as above
        raise error
    return http_problem(error)


async def _query_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):  # pragma: no cover - as above
        raise error
    wrong = [{"field": str(e["loc"][-1]), "reason": e["msg"]} for e in error.errors()]
    return problem(
        QueryError("A query parameter is wrong.", hint="GET /docs shows what it takes.", errors=wrong)
    )
