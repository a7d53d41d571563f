"""The routes about files that are scored in the background."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, Response

from holdfast.access import Role
from holdfast.api import wire
from holdfast.api.answers import problems
from holdfast.api.policy import GuardedRoute
from holdfast.api.problems import BodyError
from holdfast.api.upload import MEBI, Upload
from holdfast.jobs import JobBook, State
from holdfast.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.access import Caller
    from holdfast.jobs import Job
    from holdfast.settings import Settings

router = APIRouter(tags=["jobs"], route_class=GuardedRoute)

MOST_REASONS = 20
MOST_DIGITS = 10
FORMATS = ("csv", "parquet")
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
ENDINGS = {".gz", ".zst", ".bz2", ".csv", ".tsv", ".txt", ".parquet", ".pq"}

_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "The table of customers: CSV (also compressed) or Parquet.",
                    },
                    "model": {
                        "type": "string",
                        "default": "champion",
                        "description": "champion, challenger, or a version such as v3. Set for good now.",
                    },
                    "reasons": {"type": "integer", "minimum": 0, "maximum": MOST_REASONS, "default": 0},
                    "format": {"type": "string", "enum": list(FORMATS), "description": "Of the answers."},
                },
            }
        }
    },
}


class JobFacts(BaseModel):
    """A file that is scored in the background."""

    model_config = ConfigDict(extra="allow")

    id: str
    state: State
    progress: float = Field(ge=0, le=1, description="Share that is done.")
    seconds_left: float | None = Field(description="At its speed so far; null where that cannot be told.")
    file: str = Field(description="What its sender calls it.")
    bytes: int
    model_version: str = Field(examples=["v3"])
    reasons: int
    format: str = Field(description="Of the answers.", examples=list(FORMATS))
    owner: str = Field(examples=["key:4f2a"])
    created: str = Field(description="UTC.")
    started: str | None
    finished: str | None
    summary: dict[str, Any] | None = Field(description="Counts of rows, once it is done.")
    error: dict[str, str] | None = Field(description="Why it failed.")
    links: dict[str, str] = Field(description="What can be asked next.")


class JobList(BaseModel):
    """The caller's latest jobs, newest first; everybody's for an administrator."""

    jobs: list[JobFacts]


_SEE = problems(401, 403, 429, 503, wrong="store")
_OF_ONE = _SEE | problems(404, wrong="job")
_IN_STATE = _OF_ONE | problems(409, wrong="job_state")
_FILES: dict[int | str, dict[str, Any]] = {200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}}


@router.post(
    "/jobs/score",
    status_code=202,
    response_model=JobFacts,
    responses=_SEE
    | problems(400, wrong="form")
    | problems(404, wrong="version")
    | problems(408, wrong="slow_body")
    | problems(413, 415, 422, wrong="body")
    | problems(507, wrong="room"),
    openapi_extra={"requestBody": _FORM},
)
async def score(request: Request) -> Response:
    """Have a whole file scored in the background; the Location header says where to ask about it.

    The file is on the server's disk when this answers, and survives whatever happens to the server.
    """
    caller, settings, book = _caller(request), _settings(request), _book(request)
    with _underway(request, caller) as already, ExitStack() as stack:
        await asyncio.to_thread(book.check_quota, caller.id, settings.jobs_per_key, more=already)
        try:
            path = await asyncio.to_thread(stack.enter_context, book.staging())
            upload = Upload(path, fields=("model", "reasons", "format"), most=settings.job_mib * MEBI)
            await upload.receive(request)
            job = await asyncio.to_thread(_accept, request, upload)
        finally:
            await asyncio.to_thread(stack.close)
    made = wire.encode(_facts(job))
    location = {"location": f"/jobs/{job.id}"}
    return Response(made, status_code=202, media_type="application/json", headers=location)


@router.get("/jobs", response_model=JobList, responses=_SEE | problems(422, wrong="query"))
def jobs(request: Request, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Response:
    """List the caller's latest jobs, newest first; an administrator sees everybody's."""
    found = _book(request).list(_owner(request), limit)
    return wire.answer({"jobs": [_facts(job) for job in found]})


@router.get("/jobs/{job_id}", response_model=JobFacts, responses=_OF_ONE)
def job(request: Request, job_id: str) -> Response:
    """Tell how far a job is, and what came of it."""
    return wire.answer(_facts(_book(request).get(job_id, _owner(request))))


@router.get("/jobs/{job_id}/results", response_class=FileResponse, responses=_IN_STATE | _FILES)
def results(request: Request, job_id: str) -> Response:
    """Fetch the answers of a job that is done: one row for each row that was scored, in the file's order."""
    book = _book(request)
    found = book.get(job_id, _owner(request))
    return _file(
        book.results(found, actor=_caller(request).id),
        f"{_stem(found.file)}.scored.{found.format}",
        found.format,
    )


@router.get("/jobs/{job_id}/rejects", response_class=FileResponse, responses=_IN_STATE | _FILES)
def rejects(request: Request, job_id: str) -> Response:
    """Fetch the rows that were not scored: row, column, value, reason."""
    book = _book(request)
    found = book.get(job_id, _owner(request))
    return _file(book.rejects(found, actor=_caller(request).id), f"{_stem(found.file)}.rejects.csv", "csv")


@router.post("/jobs/{job_id}/cancel", response_model=JobFacts, responses=_IN_STATE)
def cancel(request: Request, job_id: str) -> Response:
    """End a job that is waiting or running, and remove its files."""
    ended = _book(request).cancel(job_id, actor=_caller(request).id, owner=_owner(request))
    return wire.answer(_facts(ended))


@router.delete("/jobs/{job_id}", status_code=204, responses=_IN_STATE)
def delete(request: Request, job_id: str) -> Response:
    """Remove a job that has ended, with its files."""
    _book(request).delete(job_id, actor=_caller(request).id, owner=_owner(request))
    return Response(status_code=204)


@contextmanager
def _underway(request: Request, caller: Caller) -> Iterator[int]:
    """How many other files the caller is sending to this process."""
    state = request.app.state
    if not hasattr(state, "uploads"):
        state.uploads = Counter[str]()
    sending: Counter[str] = state.uploads
    sending[caller.id] += 1
    try:
        yield sending[caller.id] - 1
    finally:
        sending[caller.id] -= 1
        if not sending[caller.id]:
            del sending[caller.id]


def _accept(request: Request, upload: Upload) -> Job:
    caller, settings = _caller(request), _settings(request)
    given = upload.fields
    reasons = given.get("reasons") or "0"
    if not (
        reasons.isascii()
        and reasons.isdigit()
        and len(reasons) < MOST_DIGITS
        and int(reasons) <= MOST_REASONS
    ):
        raise _wrong("reasons", f"a whole number from 0 to {MOST_REASONS} is needed")
    form = given.get("format") or None
    if form not in {None, *FORMATS}:
        raise _wrong("format", "csv or parquet is needed")
    registry = Registry(settings.home, actor=caller.id, engine=request.app.state.engine)
    return _book(request).accept(
        upload.path,
        owner=caller.id,
        file=upload.file_name or "",
        version=registry.resolve(given.get("model") or "champion").label,
        reasons=int(reasons),
        format=form,
        most=settings.jobs_per_key,
    )


def _wrong(field: str, reason: str) -> BodyError:
    return BodyError("A field of the form is wrong.", errors=[{"field": field, "reason": reason}])


def _facts(found: Job) -> dict[str, Any]:
    here = f"/jobs/{found.id}"
    links = {"self": here}
    if not found.state.ended:
        links["cancel"] = f"{here}/cancel"
    if found.state == State.DONE:
        links["results"] = f"{here}/results"
        if found.has_rejects:
            links["rejects"] = f"{here}/rejects"
    return {**found.as_dict(), "links": links}


def _file(path: Path, name: str, kind: str) -> FileResponse:
    return FileResponse(path, media_type=MEDIA_TYPES[kind], filename=name)


def _stem(file: str) -> str:
    """The name without what says how the file is written.

    >>> _stem("July 2025.csv.gz"), _stem("customers"), _stem(".csv")
    ('July 2025', 'customers', '.csv')
    """
    name = PurePath(file)
    while name.suffix.lower() in ENDINGS:
        name = name.with_suffix("")
    return str(name)


def _book(request: Request) -> JobBook:
    return JobBook(request.app.state.engine, _settings(request).home)


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _owner(request: Request) -> str | None:
    """Whose jobs the caller may see: an administrator everybody's."""
    caller = _caller(request)
    return None if caller.role >= Role.ADMIN else caller.id
