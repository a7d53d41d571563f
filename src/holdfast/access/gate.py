"""Tells who asks, from a snapshot of keys and users in memory: a request costs no query."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import jwt
import sqlalchemy as sa

from holdfast.access.errors import AccessError
from holdfast.access.keys import Key, key_id, keys_of
from holdfast.access.oidc import Issuer
from holdfast.access.roles import LOCAL, Caller, Role
from holdfast.access.sessions import ended_since
from holdfast.access.tokens import ALGORITHM, Tokens
from holdfast.access.users import User, users_of
from holdfast.errors import HoldfastError
from holdfast.settings import secret_of
from holdfast.store import StoreError, reading
from holdfast.store.tables import audit_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.settings import Settings

LONGEST = 8_192
"""Bytes of a credential. An issuer's token with many groups has some thousand."""

HOW = "Send an API key as X-API-Key, or a token as Authorization: Bearer."
REFUSED = "The credentials are not, or no longer, valid."


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the database said, and how to tell that it says something else now."""

    mark: tuple[int, str]
    keys: dict[str, tuple[Key, Caller, float]]
    """Those not revoked, by id, each with its owner and the Unix second of its end."""
    users: dict[str, tuple[User, Caller]]
    """Those not disabled, by name."""
    ended: frozenset[str]
    """Sessions that ended while an access token of theirs may still look good."""
    any_credential: bool


class Gate:
    """Knows who may ask. One thread at a time may `refresh`; any may ask.

    Args:
        engine: the database.
        settings: of this installation.

    Raises:
        UsageError: the settings of the OpenID issuer are wrong.
    """

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._issuer = None if settings.oidc_issuer is None else Issuer(settings)
        self._snapshot: _Snapshot | None = None
        self.refresh()

    @property
    def configured(self) -> bool:
        """Whether any credential was ever made, so that this machine's user is nobody special.

        One that has expired or was revoked counts: a key that runs out must not open the door to everybody.
        As long as the database was never read, it is true for the same reason.
        """
        snapshot = self._snapshot
        return snapshot is None or snapshot.any_credential or self._issuer is not None

    @property
    def administrable(self) -> bool:
        """Whether there is somebody who may do everything: a key, a user, or the issuer's."""
        snapshot = self._snapshot
        if self._issuer is not None or snapshot is None:
            return self._issuer is not None
        usable = [caller for _, caller, ends in snapshot.keys.values() if ends > time.time()]
        usable += [caller for _, caller in snapshot.users.values()]
        return any(caller.role is Role.ADMIN for caller in usable)

    @cached_property
    def tokens(self) -> Tokens:
        """Makes and checks access tokens."""
        return Tokens(secret_of(self._settings), self._settings.access_minutes)

    def refresh(self) -> None:
        """Follow the database: one small query unless something changed. Never raises.

        Each change of a key, user or session adds to the audit trail, so its head tells. While the database
        cannot be read, what was known last holds.
        """
        try:
            with reading(self._engine) as connection:
                number, digest = connection.execute(sa.select(audit_head.c.number, audit_head.c.hash)).one()
                mark = (number, digest)
                if self._snapshot is None or self._snapshot.mark != mark:
                    self._snapshot = _read(connection, mark, self._settings.access_minutes)
        except HoldfastError:
            pass

    async def identify(self, headers: Mapping[bytes, bytes], *, local: bool) -> Caller:
        """Who sent these headers. With an API key it awaits nothing.

        Args:
            headers: of the request, names in lower case.
            local: whether the request is known to come from this machine's user.

        Raises:
            AccessError: from nobody that may ask.
            StoreError: the database could not be read since the start.
        """
        snapshot = self._snapshot
        if snapshot is None:
            raise StoreError("The database could not be read yet.", hint="The server's log says why.")
        given = headers.get(b"x-api-key")
        if given is not None:
            return _by_key(snapshot, given)
        authorization = headers.get(b"authorization")
        if authorization is None:
            if local and not self.configured:
                return LOCAL
            raise AccessError("Nobody may ask this without credentials.", hint=HOW)
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise AccessError("Only API keys and bearer tokens are taken.", hint=HOW)
        token = token.strip()
        if token.startswith(b"hf_"):
            return _by_key(snapshot, token)
        return await self._by_token(snapshot, token)

    async def _by_token(self, snapshot: _Snapshot, token: bytes) -> Caller:
        try:
            header = jwt.get_unverified_header(token) if len(token) <= LONGEST else {}
        except (jwt.PyJWTError, ValueError):
            header = {}
        # The header only says whose token it claims to be; each side checks with its own keys and algorithms.
        if header.get("alg") != ALGORITHM:
            if self._issuer is None or not header:
                raise AccessError(REFUSED, hint=HOW)
            return await self._issuer.caller(token, header.get("kid"))
        claims = self.tokens.verify(token)
        user, caller = snapshot.users.get(claims.user, (None, None))
        # A name may be given to somebody else after its owner was removed: their tokens are not his.
        older = user is not None and claims.issued < int(user.created.timestamp())
        if caller is None or older or claims.session in snapshot.ended:
            raise AccessError(REFUSED, hint=HOW)
        return caller


def _by_key(snapshot: _Snapshot, given: bytes) -> Caller:
    key, caller, ends = snapshot.keys.get(key_id(given) or "", _NO_KEY)
    if key is None or caller is None or not key.opens(given) or ends <= time.time():
        raise AccessError(REFUSED, hint=HOW)
    return caller


_NO_KEY = (None, None, 0.0)


def _read(connection: sa.Connection, mark: tuple[int, str], minutes: float) -> _Snapshot:
    keys, users = keys_of(connection), users_of(connection)
    ended = ended_since(connection, datetime.now(UTC) - timedelta(minutes=minutes))
    return _Snapshot(
        mark,
        {k.id: (k, Caller(f"key:{k.id}", k.role, k.rate), _end(k)) for k in keys if k.revoked is None},
        {u.name: (u, Caller(f"user:{u.name}", u.role)) for u in users if u.disabled is None},
        frozenset(ended),
        any_credential=bool(keys or users),
    )


def _end(key: Key) -> float:
    return float("inf") if key.expires is None else key.expires.timestamp()
