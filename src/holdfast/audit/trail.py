"""Adds to the chain."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.store.tables import audit, audit_head

if TYPE_CHECKING:
    from collections.abc import Mapping

START = "0" * 64
"""What the first entry holds as the hash before."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. ``hash`` is of everything else, ``previous`` is the ``hash`` of the entry before."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    previous: str
    hash: str


def record(
    connection: sa.Connection, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> Entry:
    """Add one entry, in the transaction of the change that it is about.

    Args:
        connection: of a `holdfast.store.writing` transaction.
        actor: who, such as ``cli:ana``, ``key:crm``, ``user:ana`` or ``local``.
        action: what, such as ``models.promote``.
        subject: to what, such as ``v3``; never a customer's id.
        detail: further facts, as JSON types; nothing personal and no secret.
    """
    # The row's lock makes writers queue up, so the chain cannot fork.
    head = connection.execute(sa.select(audit_head).where(audit_head.c.id == 1).with_for_update()).one()
    said: dict[str, Any] = {
        "number": head.number + 1,
        "at": datetime.now(UTC),
        "actor": actor[:200],
        "action": action,
        "subject": subject[:200],
        "detail": dict(detail or {}),
        "previous": head.hash,
    }
    entry = Entry(**said, hash=digest(**said))
    connection.execute(sa.insert(audit).values(**said, hash=entry.hash))
    connection.execute(sa.update(audit_head).values(number=entry.number, hash=entry.hash))
    return entry


def digest(
    *,
    number: int,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    previous: str,
) -> str:
    """SHA-256 over an entry, as hex."""
    facts = [number, at.astimezone(UTC).isoformat(timespec="microseconds"), actor, action, subject, detail]
    said = json.dumps([*facts, previous], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()
