"""Adds to the chain, and looks at it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.store import reading
from holdfast.store.tables import audit, audit_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

    def as_dict(self) -> dict[str, Any]:
        """The entry for machines, in plain JSON types."""
        return asdict(self) | {"at": self.at.isoformat()}


def hold(connection: sa.Connection) -> sa.Row[Any]:
    """Let nobody else change anything that is audited until this transaction ends; gives the chain's head.

    `record` does so by itself. Whoever reads before it writes, such as for a free number, does it first.
    """
    # The row's lock makes writers queue up, so the chain cannot fork. SQLite has but one writer anyway.
    return connection.execute(sa.select(audit_head).where(audit_head.c.id == 1).with_for_update()).one()


def newest(opened: sa.Engine) -> int:
    """The newest entry's number: cheap to ask again and again whether anything changed.

    Raises:
        StoreError: the database cannot be read.
    """
    with reading(opened) as connection:
        number: int = connection.execute(sa.select(audit_head.c.number)).scalar_one()
        return number


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
    head = hold(connection)
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


def entries(
    opened: sa.Engine,
    *,
    limit: int = 50,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
) -> Sequence[Entry]:
    """Entries, newest first.

    Args:
        opened: the database.
        limit: so many at most.
        before: only those with a lower number; the number of the last entry seen turns the page.
        actor: only this one's.
        action: only this one, such as ``models.promote``, or all of a kind, such as ``models``.

    Raises:
        StoreError: the database cannot be read.
    """
    if "\0" in f"{actor}{action}":  # PostgreSQL has no such text
        return []
    query = sa.select(audit).order_by(audit.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.number < before)
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    if action is not None:
        of_kind = audit.c.action.startswith(f"{action}.", autoescape=True)
        query = query.where(sa.or_(audit.c.action == action, of_kind))
    with reading(opened) as connection:
        return [Entry(**row) for row in connection.execute(query).mappings()]


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
