"""API keys: how programs prove who they are.

A key is ``hf_<id>_<secret>``. The secret is 256 random bits, so that its plain SHA-256 tells nothing and no
slow hash is needed; only that is stored. The id finds the row, the comparison takes the same time for each
secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from holdfast import audit
from holdfast.access.errors import NameTakenError, UnknownNameError
from holdfast.access.roles import Role
from holdfast.errors import UsageError
from holdfast.store import reading, writing
from holdfast.store.tables import api_keys

PREFIX = "hf_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; the key itself is known to its owner alone."""

    id: str
    name: str
    role: Role
    rate: int | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    hash: str

    @property
    def state(self) -> str:
        """``usable``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= datetime.now(UTC) else "usable"

    def opens(self, given: bytes) -> bool:
        """Whether ``given`` is this key, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(hashlib.sha256(given).hexdigest(), self.hash)

    def as_dict(self) -> dict[str, Any]:
        """For people and programs; nothing secret."""
        times = {"created": self.created, "expires": self.expires, "revoked": self.revoked}
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role.label,
            "rate": self.rate,
            **{name: None if at is None else at.isoformat(timespec="seconds") for name, at in times.items()},
            "state": self.state,
        }


def key_id(given: bytes) -> str | None:
    """The id that a key names, if it has a key's form at all.

    >>> key_id(b"hf_0a1b_" + b"x" * 43), key_id(b"secret")
    ('0a1b', None)
    """
    parts = given.split(b"_", 2)
    if len(parts) != 3 or parts[0] != b"hf":  # noqa: PLR2004 - prefix, id, secret
        return None
    return parts[1].decode("latin-1")


def create_key(
    opened: sa.Engine,
    *,
    actor: str,
    name: str,
    role: Role,
    expires: datetime | None = None,
    rate: int | None = None,
) -> tuple[Key, str]:
    """Make a key. It is returned this once; nothing can bring it back.

    Args:
        opened: the database.
        actor: who does it, for the audit trail.
        name: what people call it, unique.
        role: what it may do.
        expires: when it ends, if it does.
        rate: requests a minute, where not the usual.

    Raises:
        UsageError: the name, rate or time is wrong, or the name is taken.
        StoreError: the database cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name[:100]}" cannot be the name of a key.',
            hint="Take letters, digits, dots, dashes and underscores, 100 at most: crm-production.",
        )
    if rate is not None and rate < 1:
        raise UsageError("A key's rate must be at least 1 request a minute.", hint="Try 1000.")
    now = datetime.now(UTC)
    if expires is not None and expires <= now:
        raise UsageError("The key would have expired already.", hint="Choose a time to come.")
    ident = secrets.token_hex(6)
    text = f"{PREFIX}{ident}_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    key = Key(ident, name, role, rate, now, expires, None, digest)
    row = {"id": ident, "name": name, "role": role.label, "rate": rate, "hash": digest}
    with writing(opened) as connection:
        audit.hold(connection)
        try:
            connection.execute(sa.insert(api_keys).values(**row, created=now, expires=expires))
        except IntegrityError as error:
            raise NameTakenError(
                f'A key called "{name}" is there already, or was until it was revoked.',
                hint=f'Choose another name, such as "{name}-2": names stay with what they did.',
            ) from error
        detail = {"name": name, "role": role.label, "rate": rate}
        ends = None if expires is None else expires.isoformat(timespec="seconds")
        audit.record(connection, actor, "keys.create", f"key:{ident}", detail | {"expires": ends})
    return key, text


def list_keys(opened: sa.Engine) -> list[Key]:
    """Every key that ever was, oldest first."""
    with reading(opened) as connection:
        return keys_of(connection)


def keys_of(connection: sa.Connection) -> list[Key]:
    """As `list_keys`, within a transaction."""
    rows = connection.execute(sa.select(api_keys).order_by(api_keys.c.created, api_keys.c.id))
    return [
        Key(r.id, r.name, Role[r.role.upper()], r.rate, r.created, r.expires, r.revoked, r.hash) for r in rows
    ]


def revoke_key(opened: sa.Engine, *, actor: str, ref: str) -> Key:
    """End a key; every server refuses it within a second. Revoking it again changes nothing.

    Args:
        opened: the database.
        actor: who does it.
        ref: the key's id or name.

    Raises:
        UnknownNameError: there is no such key.
        StoreError: the database cannot be written.
    """
    with writing(opened) as connection:
        audit.hold(connection)
        keys = keys_of(connection)
        key = next((k for k in keys if k.id == ref), None) or next((k for k in keys if k.name == ref), None)
        if key is None:
            raise UnknownNameError(f'There is no key "{ref[:100]}".', hint="List them: holdfast keys list")
        if key.revoked is None:
            found = api_keys.c.id == key.id
            connection.execute(sa.update(api_keys).where(found).values(revoked=datetime.now(UTC)))
            audit.record(connection, actor, "keys.revoke", f"key:{key.id}", {"name": key.name})
        return next(k for k in keys_of(connection) if k.id == key.id)
