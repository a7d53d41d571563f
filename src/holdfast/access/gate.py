"""Tells who asks, from a snapshot of keys and users in memory: a request costs no query."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.access.errors import AccessError
from holdfast.access.keys import Key, key_id, keys_of
from holdfast.access.roles import LOCAL, Caller
from holdfast.errors import HoldfastError
from holdfast.store import StoreError, reading
from holdfast.store.tables import audit_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.settings import Settings

LONGEST = 8_192
"""Characters of a credential. An issuer's token with many groups has some thousand."""

HOW = "Send an API key as X-API-Key, or a token as Authorization: Bearer."


@dataclass(frozen=True, slots=True)
class _KeyEntry:
    key: Key
    caller: Caller
    ends: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the database said, and how to tell that it says something else now."""

    mark: tuple[int, str]
    keys: dict[str, _KeyEntry] = field(default_factory=dict)
    any_credential: bool = False


class Gate:
    """Knows who may ask. One thread at a time may `refresh`; any may ask.

    Args:
        engine: the database.
        settings: of this installation.
    """

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._snapshot: _Snapshot | None = None
        self.refresh()

    @property
    def configured(self) -> bool:
        """Whether any credential was ever made, so that this machine's user is nobody special.

        One that has expired or was revoked counts: a key that runs out must not open the door to everybody.
        As long as the database was never read, it is true for the same reason.
        """
        snapshot = self._snapshot
        return snapshot is None or snapshot.any_credential or self._settings.oidc_issuer is not None

    def refresh(self) -> None:
        """Follow the database: one small query unless something changed. Never raises.

        Each change of a key or user adds to the audit trail, so its head tells. While the database cannot be
        read, what was known last holds.
        """
        try:
            with reading(self._engine) as connection:
                number, digest = connection.execute(sa.select(audit_head.c.number, audit_head.c.hash)).one()
                mark = (number, digest)
                if self._snapshot is None or self._snapshot.mark != mark:
                    self._snapshot = _read(connection, mark)
        except HoldfastError:
            pass

    async def identify(self, headers: Mapping[bytes, bytes], *, local: bool) -> Caller:
        """Who sent these headers.

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
            raise AccessError("Only bearer tokens and API keys are taken.", hint=HOW)
        token = token.strip()
        if token.startswith(b"hf_"):
            return _by_key(snapshot, token)
        raise AccessError(_REFUSED, hint=HOW)


_REFUSED = "The credentials are not, or no longer, valid."


def _by_key(snapshot: _Snapshot, given: bytes) -> Caller:
    ident = key_id(given)
    entry = snapshot.keys.get(ident) if ident is not None else None
    if entry is None or not entry.key.opens(given) or entry.ends <= time.time():
        raise AccessError(_REFUSED, hint=HOW)
    return entry.caller


def _read(connection: sa.Connection, mark: tuple[int, str]) -> _Snapshot:
    keys = keys_of(connection)
    usable = {
        key.id: _KeyEntry(
            key,
            Caller(f"key:{key.id}", key.role, key.rate),
            float("inf") if key.expires is None else key.expires.timestamp(),
        )
        for key in keys
        if key.revoked is None
    }
    return _Snapshot(mark, usable, any_credential=bool(keys))
