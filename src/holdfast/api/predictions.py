"""The routes about what was answered: pages of the log, exports, and the erasure of a customer."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID  # noqa: TC003 - as above

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from holdfast.api import wire
from holdfast.api.answers import Probability, problems
from holdfast.api.policy import GuardedRoute
from holdfast.api.problems import NoPredictionError, QueryError
from holdfast.predictions.erasure import erase
from holdfast.predictions.formats import MEDIA_TYPES, Format, export
from holdfast.predictions.listing import MOST, Wanted, WantedError, one, page

if TYPE_CHECKING:
    from collections.abc import Iterator

router = APIRouter(tags=["log"], route_class=GuardedRoute)

LONGEST = 1_000
"""Characters of a filter."""
NO_NUL = {"pattern": "^[^\\u0000]*$"}
"""For the documentation: no text in the log has one."""


class Logged(BaseModel):
    """One prediction as it was logged."""

    prediction_id: UUID
    request_id: str = Field(description="One for all predictions of a batch.")
    timestamp: datetime = Field(description="UTC.")
    customer_id: str | None
    as_of: datetime = Field(description="The time that the record describes.")
    model: str = Field(examples=["customers"])
    version: str = Field(examples=["v3"])
    slot: str = Field(examples=["champion"])
    record: Any = Field(description="As it was scored.")
    churn_probability: Probability
    threshold: Probability
    will_churn: bool
    latency_ms: float
    key_id: str | None = Field(description="Who asked.", examples=["key:4f2a"])
    correlation_id: str


class LoggedPage(BaseModel):
    """Some predictions, newest first."""

    predictions: list[Logged]
    next: str | None = Field(description="The `cursor` of the next page; null on the last.")


class Removed(BaseModel):
    """How many were removed."""

    predictions: int = Field(description="Rows of the log.")
    replies: int = Field(description="Answers that were kept for an Idempotency-Key.")
    archived: int = Field(description="Rows of the archive.")
    exported: int = Field(description="Rows of exports in the home folder.")
    job_rows: int = Field(description="Rows of the results of jobs.")


class ErasedCustomer(BaseModel):
    """What an erasure removed, and what it could not reach."""

    customer_hash: str = Field(description="Keyed; under it the audit trail holds the proof.")
    erased_before: datetime = Field(description="What was recorded up to then does not come back.")
    removed: Removed
    complete: bool = Field(description="Whether nothing is left.")
    left: list[str] = Field(description="What could not be reached now, and what to do; mostly nothing.")
    elsewhere: str = Field(description="What is beyond reach in any case.")


def _wanted(
    *,
    customer: Annotated[
        str | None, Query(max_length=LONGEST, json_schema_extra=NO_NUL, description="Only this one's.")
    ] = None,
    since: Annotated[datetime | None, Query(description="Not before this; UTC unless it says.")] = None,
    until: Annotated[datetime | None, Query(description="Before this; UTC unless it says.")] = None,
    version: Annotated[
        str | None, Query(max_length=20, json_schema_extra=NO_NUL, description="Such as `v3`.")
    ] = None,
    will_churn: Annotated[bool | None, Query(description="Only this decision.")] = None,
    min_probability: Annotated[float | None, Query(ge=0, le=1, description="At least this.")] = None,
    key: Annotated[
        str | None, Query(max_length=LONGEST, json_schema_extra=NO_NUL, description="Only this caller's.")
    ] = None,
) -> Wanted:
    """The filters that pages and exports share."""
    with _as_query():
        return Wanted(customer, since, until, version, will_churn, min_probability, key)


Filters = Annotated[Wanted, Depends(_wanted)]


@router.get("/predictions", response_model=LoggedPage, responses=problems(401, 403, 422, 503, wrong="query"))
def predictions(
    request: Request,
    wanted: Filters,
    limit: Annotated[int, Query(ge=1, le=MOST, description="So many at most.")] = 100,
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
) -> Response:
    """List what was answered, newest first. Predictions that were archived are not listed."""
    with _as_query():
        found = page(request.app.state.engine, wanted, cursor=cursor, limit=limit)
    return wire.answer({"predictions": found.predictions, "next": found.next})


@router.get(
    "/predictions/export",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The file.", "content": {kind: {} for kind in MEDIA_TYPES.values()}},
        **problems(401, 403, 422, 503, wrong="query"),
    },
)
def exported(
    request: Request,
    wanted: Filters,
    layout: Annotated[Format, Query(alias="format", description="What to write.")] = "csv",
) -> Response:
    """Download all that the filters leave, newest first, as CSV, Parquet or NDJSON."""
    parts = export(request.app.state.engine, wanted, layout, request.state.caller.id)
    first = next(parts, b"")  # a database that cannot be read is a problem, not half a file
    return StreamingResponse(
        chain([first], parts),
        media_type=MEDIA_TYPES[layout],
        headers={"content-disposition": f'attachment; filename="predictions.{layout}"'},
    )


@router.get(
    "/predictions/{prediction_id}",
    response_model=Logged,
    responses=problems(401, 403, 422, 503, wrong="query") | problems(404, wrong="prediction"),
)
def prediction(request: Request, prediction_id: UUID) -> Response:
    """Show one prediction."""
    found = one(request.app.state.engine, str(prediction_id))
    if found is None:
        raise NoPredictionError("The log holds no such prediction.", hint="It may have been archived.")
    return wire.answer(found)


@router.delete(
    "/customers/{customer_id:path}",
    response_model=ErasedCustomer,
    responses={
        202: {"model": ErasedCustomer, "description": "Something is left: erase again."},
        **problems(401, 403, 422, 503, wrong="query"),
    },
)
def erased(request: Request, customer_id: str) -> Response:
    """Erase a customer from log, cache, archive, exports and results of jobs, for good.

    Write the id percent-encoded. Status 202 says that something could not be reached now (`left`).
    Whether the log knows the customer or not, the answer is the same.
    """
    state = request.app.state
    with _as_query():
        done = erase(state.engine, state.settings, customer_id, request.state.caller.id)
    complete = not done.left
    return wire.answer(done.as_dict() | {"complete": complete}, status=200 if complete else 202)


@contextmanager
def _as_query() -> Iterator[None]:
    """What is wrong with a filter, a cursor or an id, told to the caller."""
    try:
        yield
    except WantedError as error:
        raise QueryError(error.message, hint=error.hint) from error
