"""The routes about the audit trail."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from holdfast.api import wire
from holdfast.api.answers import problems
from holdfast.api.policy import GuardedRoute
from holdfast.audit import entries, verify

router = APIRouter(tags=["audit"], route_class=GuardedRoute)

MOST_NUMBER = 2**31 - 1


class EntryFacts(BaseModel):
    """One change."""

    number: int
    at: str = Field(description="UTC.")
    actor: str = Field(examples=["key:crm"])
    action: str = Field(examples=["models.promote"])
    subject: str = Field(examples=["v3"])
    detail: dict[str, Any]
    previous: str = Field(description="Hash of the entry before.")
    hash: str


class Entries(BaseModel):
    """A page of the trail, newest first."""

    entries: list[EntryFacts]
    next: int | None = Field(description="What `before` must be for the next page; null at the end.")


class FaultFacts(BaseModel):
    """What is wrong with an entry, or with those from `number` to `last`."""

    number: int
    last: int | None
    what: Literal["edited", "removed", "moved", "added"]
    reason: str


class VerdictFacts(BaseModel):
    """Whether the trail is as it was recorded."""

    sound: bool
    entries: int
    head: str = Field(description="Hash of the newest entry; keep it elsewhere to notice a rewritten trail.")
    found: int = Field(description="How many faults; the first 100 are listed.")
    faults: list[FaultFacts]


@router.get("/audit", response_model=Entries, responses=problems(401, 403, 422, 503, wrong="query"))
def trail(
    request: Request,
    *,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
    before: Annotated[
        int | None, Query(ge=1, le=MOST_NUMBER, description="Only entries before this.")
    ] = None,
    actor: Annotated[str | None, Query(max_length=200, description="Only this one's.")] = None,
    action: Annotated[
        str | None,
        Query(max_length=60, description="Such as `models.promote`, or `models` for all of these."),
    ] = None,
) -> Response:
    """List who changed what, newest first."""
    found = entries(request.app.state.engine, limit=limit, before=before, actor=actor, action=action)
    following = found[-1].number if len(found) == limit else None
    return wire.answer({"entries": [entry.as_dict() for entry in found], "next": following})


@router.get("/audit/verify", response_model=VerdictFacts, responses=problems(401, 403, 503))
def verified(request: Request) -> Response:
    """Recompute every hash of the trail, and name each entry that is not as it was recorded."""
    return wire.answer(verify(request.app.state.engine).as_dict())
