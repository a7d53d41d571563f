"""The routes about who may ask: logins, API keys and users."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from holdfast.access import AccessError, Caller, NameTakenError, Role, UnknownNameError, role_of
from holdfast.access.keys import create_key, list_keys, revoke_key
from holdfast.access.passwords import LONGEST, SHORTEST
from holdfast.access.sessions import Login, log_in, log_out, refresh_login
from holdfast.access.users import change_user, create_user, delete_user, list_users
from holdfast.api import wire
from holdfast.api.answers import problems
from holdfast.api.fields import whole
from holdfast.api.guard import address_of
from holdfast.api.policy import GuardedRoute
from holdfast.api.problems import BodyError, NoSuchError, RateError, TakenError, UnauthorizedError
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from holdfast.access import Gate, Limiter, Verdict
    from holdfast.settings import Settings

KEY_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
USER_NAME = "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$"
"""For the documentation: `holdfast.access` checks them, in better words than a pattern's."""

LOGINS_OF_NAME = 10
"""Tries a minute to log in as one user, from anywhere."""
LOGINS_FROM_ADDRESS = 60
"""Tries a minute to log in as anybody, from one address."""

_passwords = ThreadPoolExecutor(2, thread_name_prefix="password")
"""Each check takes 64 MiB: two at a time, whoever asks."""

router = APIRouter(tags=["access"], route_class=GuardedRoute)

RoleName = Literal["viewer", "scorer", "analyst", "operator", "admin"]
Password = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]


UserName = Annotated[str, Path(examples=["ana"])]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class LoginBody(_Body):
    """Who logs in."""

    user: str = Field(max_length=100, examples=["ana"])
    password: str = Field(max_length=LONGEST, examples=["four words or more"])


class RefreshBody(_Body):
    """The session that goes on, or ends."""

    refresh_token: str = Field(max_length=200)


class TokenAnswer(BaseModel):
    """Tokens of a session."""

    access_token: str = Field(description="To be sent as `Authorization: Bearer …`.")
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds that the access token lives.")
    refresh_token: str = Field(description="For POST /auth/refresh, once: each refresh gives a new one.")


class Me(BaseModel):
    """The caller."""

    id: str
    role: RoleName


class NewKey(_Body):
    """The key to be made."""

    name: str = Field(max_length=100, examples=["crm"], json_schema_extra={"pattern": KEY_NAME})
    role: RoleName = Field(examples=["scorer"])
    expires_days: float | None = Field(None, ge=0.001, le=36_500, examples=[90])
    rate: Annotated[int | None, BeforeValidator(whole)] = Field(
        None, ge=1, le=2**31 - 1, description="Requests a minute, where not the usual."
    )


class KeyFacts(BaseModel):
    """What is known of a key."""

    id: str
    name: str
    role: RoleName
    rate: int | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    state: Literal["usable", "expired", "revoked"]


class MadeKey(KeyFacts):
    """A new key."""

    key: str = Field(description="Shown this once.")


class Keys(BaseModel):
    """All keys."""

    keys: list[KeyFacts]


class NewUser(_Body):
    """The user to be added."""

    name: str = Field(max_length=100, examples=["ana"], json_schema_extra={"pattern": USER_NAME})
    role: RoleName = Field(examples=["analyst"])
    password: Password = Field(examples=["four words or more"])


class UserChange(_Body):
    """What changes; what is not given stays."""

    role: RoleName | None = None
    password: Password | None = None
    disabled: bool | None = None


class UserFacts(BaseModel):
    """A user."""

    name: str
    role: RoleName
    created: datetime
    disabled: datetime | None


class Users(BaseModel):
    """All users."""

    users: list[UserFacts]


@router.post(
    "/auth/token", response_model=TokenAnswer, responses=problems(400, 401, 422, 429, 503, wrong="body")
)
async def token(request: Request, body: LoginBody) -> Response:
    """Log in with a password. Gives an access token for some minutes, and one to get the next with."""
    await _count_login(request, body.user)
    settings: Settings = request.app.state.settings

    def work() -> Response:
        with _told():
            login = log_in(_engine(request), body.user, body.password, days=settings.refresh_days)
        return _tokens(request, login)

    return await asyncio.get_running_loop().run_in_executor(_passwords, work)


@router.post(
    "/auth/refresh", response_model=TokenAnswer, responses=problems(400, 401, 422, 503, wrong="body")
)
def refresh(request: Request, body: RefreshBody) -> Response:
    """Get the next access token. A refresh token that is used a second time ends its session."""
    gate: Gate = request.app.state.gate
    with _told():
        try:
            return _tokens(request, refresh_login(_engine(request), body.refresh_token))
        except AccessError:
            gate.refresh()  # the session may have ended with this
            raise


@router.post(
    "/auth/logout",
    status_code=204,
    response_class=Response,
    responses=problems(400, 401, 422, 503, wrong="body"),
)
def logout(request: Request, body: RefreshBody) -> Response:
    """End a session. Its access tokens end with it."""
    with _told():
        log_out(_engine(request), body.refresh_token)
    return _changed(request, Response(status_code=204))


@router.get("/auth/me", response_model=Me)
def me(request: Request) -> Response:
    """Tell who the server takes the caller for."""
    caller = _caller(request)
    return wire.answer({"id": caller.id, "role": caller.role.label})


@router.get("/keys", response_model=Keys, responses=problems(503))
def keys(request: Request) -> Response:
    """List the API keys that ever were, oldest first. The keys themselves are known to their owners alone."""
    return wire.answer({"keys": [key.as_dict() for key in list_keys(_engine(request))]})


@router.post(
    "/keys",
    status_code=201,
    response_model=MadeKey,
    responses=problems(400, 401, 403, 409, 422, 503, wrong="body"),
)
def make_key(request: Request, body: NewKey) -> Response:
    """Make an API key. It is shown in this answer and never again."""
    lives = body.expires_days
    with _told():
        key, text = create_key(
            _engine(request),
            actor=_caller(request).id,
            name=body.name,
            role=role_of(body.role),
            expires=None if lives is None else datetime.now(UTC) + timedelta(days=lives),
            rate=body.rate,
        )
    return _changed(request, wire.answer(key.as_dict() | {"key": text}, status=201))


@router.delete("/keys/{id}", response_model=KeyFacts, responses=problems(404, 503))
def end_key(request: Request, id: Annotated[str, Path(examples=["crm"])]) -> Response:  # noqa: A002 - the path's word
    """Revoke an API key, by its id or name. Every server refuses it within a second."""
    with _told():
        key = revoke_key(_engine(request), actor=_caller(request).id, ref=id)
    return _changed(request, wire.answer(key.as_dict()))


@router.get("/users", response_model=Users, responses=problems(503))
def users(request: Request) -> Response:
    """List the users, by name."""
    return wire.answer({"users": [user.as_dict() for user in list_users(_engine(request))]})


@router.post(
    "/users",
    status_code=201,
    response_model=UserFacts,
    responses=problems(400, 401, 403, 409, 422, 503, wrong="body"),
)
async def add_user(request: Request, body: NewUser) -> Response:
    """Add a user."""

    def work() -> Response:
        with _told():
            user = create_user(
                _engine(request),
                actor=_caller(request).id,
                name=body.name,
                role=role_of(body.role),
                password=body.password,
            )
        return _changed(request, wire.answer(user.as_dict(), status=201))

    return await asyncio.get_running_loop().run_in_executor(_passwords, work)


@router.patch(
    "/users/{name}", response_model=UserFacts, responses=problems(400, 401, 403, 404, 422, 503, wrong="body")
)
async def edit_user(request: Request, name: UserName, body: UserChange) -> Response:
    """Change a user's role or password, or lock them out. A new password ends their sessions."""

    def work() -> Response:
        with _told():
            user = change_user(
                _engine(request),
                actor=_caller(request).id,
                name=name,
                role=None if body.role is None else role_of(body.role),
                password=body.password,
                disabled=body.disabled,
            )
        return _changed(request, wire.answer(user.as_dict()))

    return await asyncio.get_running_loop().run_in_executor(_passwords, work)


@router.delete("/users/{name}", status_code=204, response_class=Response, responses=problems(404, 503))
def remove_user(request: Request, name: UserName) -> Response:
    """Remove a user and their sessions."""
    with _told():
        delete_user(_engine(request), actor=_caller(request).id, name=name)
    return _changed(request, Response(status_code=204))


async def _count_login(request: Request, name: str) -> None:
    limiter: Limiter = request.app.state.limiter
    who = hashlib.sha256(name.lower().encode()).hexdigest()[:32]
    tried = (
        Caller(f"login:{address_of(request.scope).id}", Role.VIEWER, LOGINS_FROM_ADDRESS),
        Caller(f"login:{who}", Role.VIEWER, LOGINS_OF_NAME),
    )
    for caller in tried:
        verdict: Verdict = await limiter.take(caller)
        if not verdict.allowed:
            raise RateError(
                "Too many logins were tried.",
                hint=f"Try again in {verdict.reset_seconds} s.",
                retry_seconds=verdict.reset_seconds,
            )


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with a key or user, in the words of the API."""
    try:
        yield
    except AccessError as error:
        raise UnauthorizedError(error.message, hint=error.hint) from error
    except NameTakenError as error:
        raise TakenError(error.message) from error
    except UnknownNameError as error:
        raise NoSuchError(error.message) from error
    except UsageError as error:
        raise BodyError(error.message, hint=error.hint) from error


def _tokens(request: Request, login: Login) -> Response:
    gate: Gate = request.app.state.gate
    return _changed(
        request,
        wire.answer(
            {
                "access_token": gate.tokens.issue(login.user.name, login.user.role, login.session),
                "token_type": "Bearer",
                "expires_in": gate.tokens.seconds,
                "refresh_token": login.refresh,
            }
        ),
    )


def _changed(request: Request, response: Response) -> Response:
    """``response``, after this process has taken note; the others follow within a second."""
    gate: Gate = request.app.state.gate
    gate.refresh()
    return response


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _engine(request: Request) -> sa.Engine:
    engine: sa.Engine = request.app.state.engine
    return engine
