"""Logins. Each has one refresh token at a time: it is replaced whenever it is used.

A refresh token that comes back after it was replaced was copied by somebody, and nobody can tell who of the
two is the owner: the session ends.

Whoever changes anything here, in users or in keys holds the audit trail before reading anything: nobody
decides by what another is about to change, and nobody waits for one who waits for them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast import audit
from holdfast.access.errors import AccessError
from holdfast.access.passwords import is_password
from holdfast.access.users import User, find_user
from holdfast.errors import HoldfastError
from holdfast.store import reading, writing
from holdfast.store.tables import sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORM = re.compile(r"hfr_([0-9a-f-]{36})_[\w-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Login:
    """A session after a login or refresh. ``refresh`` is shown this once."""

    user: User
    session: str
    refresh: str


def log_in(opened: sa.Engine, name: str, password: str, *, days: float) -> Login:
    """Start a session. An unknown user, a disabled one and a wrong password take as long and say the same.

    Args:
        opened: the database.
        name: the user's.
        password: theirs.
        days: how long the session may be kept alive by refreshing.

    Raises:
        AccessError: not a user who may, or not their password.
        StoreError: the database cannot be used.
    """
    with reading(opened) as connection:
        user = _active(connection, name)
    right = is_password(password, None if user is None else user.password)
    if user is None or not right:
        raise AccessError("The name or the password is wrong.")
    now = datetime.now(UTC)
    session, refresh, digest = _new_token(str(uuid.uuid4()))
    with writing(opened) as connection:
        audit.hold(connection)
        if _active(connection, name) != user:  # changed while the password was being checked
            raise AccessError("The name or the password is wrong.")
        over = (sessions.c.user == user.name) & (sessions.c.expires < now - timedelta(days=1))
        connection.execute(sa.delete(sessions).where(over))
        row = {"id": session, "user": user.name, "hash": digest, "created": now}
        connection.execute(sa.insert(sessions).values(**row, expires=now + timedelta(days=days)))
        audit.record(connection, f"user:{user.name}", "auth.login", f"session:{session}")
    return Login(user, session, refresh)


def refresh_login(opened: sa.Engine, token: str) -> Login:
    """Go on with a session: the token that is given ends, the one in the answer takes its place.

    Raises:
        AccessError: the token is not, or no longer, valid.
        StoreError: the database cannot be used.
    """
    session = _session_of(token)
    now = datetime.now(UTC)
    with writing(opened) as connection:
        audit.hold(connection)
        row = _alive(connection, session, now)
        user = None if row is None else _active(connection, row.user)
        if row is None or user is None:
            raise _over()
        if hmac.compare_digest(_digest(token), row.hash):
            _, refresh, digest = _new_token(session)
            connection.execute(sa.update(sessions).where(sessions.c.id == session).values(hash=digest))
            audit.record(connection, f"user:{user.name}", "auth.refresh", f"session:{session}")
            return Login(user, session, refresh)
        connection.execute(sa.update(sessions).where(sessions.c.id == session).values(ended=now))
        audit.record(connection, f"user:{user.name}", "auth.reuse", f"session:{session}")
    raise _over()


def log_out(opened: sa.Engine, token: str) -> None:
    """End the session of a refresh token. One that is over already stays so.

    Raises:
        AccessError: it is no token of a session.
        StoreError: the database cannot be used.
    """
    session = _session_of(token)
    now = datetime.now(UTC)
    with writing(opened) as connection:
        audit.hold(connection)
        row = _alive(connection, session, now)
        if row is not None and hmac.compare_digest(_digest(token), row.hash):
            connection.execute(sa.update(sessions).where(sessions.c.id == session).values(ended=now))
            audit.record(connection, f"user:{row.user}", "auth.logout", f"session:{session}")


def ended_since(connection: sa.Connection, since: datetime) -> Sequence[str]:
    """Ids of the sessions that were ended since then: their access tokens may not be used up."""
    return connection.scalars(sa.select(sessions.c.id).where(sessions.c.ended >= since)).all()


def _active(connection: sa.Connection, name: str) -> User | None:
    try:
        user = find_user(connection, name)
    except HoldfastError:
        return None
    return user if user.disabled is None else None


def _alive(connection: sa.Connection, session: str, now: datetime) -> sa.Row[Any, Any, Any] | None:
    wanted = sa.select(sessions.c.id, sessions.c.user, sessions.c.hash).where(
        sessions.c.id == session, sessions.c.ended.is_(None), sessions.c.expires > now
    )
    return connection.execute(wanted).one_or_none()


def _new_token(session: str) -> tuple[str, str, str]:
    token = f"hfr_{session}_{secrets.token_urlsafe(32)}"
    return session, token, _digest(token)


def _session_of(token: str) -> str:
    found = _FORM.fullmatch(token)
    if found is None:
        raise _over()
    return found[1]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _over() -> AccessError:
    return AccessError("The refresh token is not, or no longer, valid.", hint="Log in: POST /auth/token")
