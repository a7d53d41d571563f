"""The routes about registered models: which there are, and which one is in charge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from holdfast.api import wire
from holdfast.api.answers import problems
from holdfast.api.policy import GuardedRoute
from holdfast.registry import Registry

if TYPE_CHECKING:
    from holdfast.access import Caller
    from holdfast.registry import Promotion, Version

router = APIRouter(tags=["models"], route_class=GuardedRoute)


class ModelFacts(BaseModel):
    """A registered version."""

    model_config = ConfigDict(extra="allow")

    number: int = Field(examples=[3])
    version: str = Field(examples=["v3"])
    name: str = Field(examples=["customers"])
    status: str = Field(description="champion, challenger or retired", examples=["champion"])
    recipe: str
    created: str = Field(description="UTC.")
    metrics: dict[str, Any] = Field(description="On its test split.")


Ref = Annotated[
    str, Path(description="champion, challenger, or a number such as 3 or v3.", examples=["champion"])
]


class Models(BaseModel):
    """Every version, oldest first."""

    models: list[ModelFacts]


class Changed(BaseModel):
    """The champion, and whether it is another than before."""

    model: ModelFacts
    changed: bool


@router.get("/models", response_model=Models, responses=problems(401, 403, 503))
def models(request: Request) -> Response:
    """List every version, oldest first."""
    return wire.answer({"models": [_facts(version) for version in _registry(request).list()]})


@router.get(
    "/models/{ref}", response_model=ModelFacts, responses=problems(401, 403, 404, 503, wrong="version")
)
def model(request: Request, ref: Ref) -> Response:
    """Tell about one version: `champion`, `challenger`, or a number such as `3` or `v3`."""
    return wire.answer(_facts(_registry(request).resolve(ref)))


@router.post(
    "/models/{ref}/promote",
    response_model=Changed,
    responses=problems(401, 403, 404, 503, wrong="version") | problems(409, wrong="artefact"),
)
def promote(request: Request, ref: Ref) -> Response:
    """Make a version champion, after its files were verified. Every server follows within a second."""
    return wire.answer(_promotion(_registry(request).promote(ref)))


@router.post(
    "/models/rollback", response_model=Changed, responses=problems(401, 403, 409, 503, wrong="no_earlier")
)
def rollback(request: Request) -> Response:
    """Make the champion's predecessor champion again; repeated, it goes further back."""
    return wire.answer(_promotion(_registry(request).rollback()))


def _registry(request: Request) -> Registry:
    """The registry, in the name of who asks."""
    state, caller = request.app.state, _caller(request)
    return Registry(state.settings.home, actor=caller.id, engine=state.engine)


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _promotion(done: Promotion) -> dict[str, Any]:
    return {"model": _facts(done.version), "changed": done.changed}


def _facts(version: Version) -> dict[str, Any]:
    """The version without where its files are."""
    return {name: value for name, value in version.as_dict().items() if name != "path"}
