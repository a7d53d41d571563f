"""Answers that an `Idempotency-Key` brings back: the first of a scope is stored, and all others get it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.store import tables as t
from holdfast.store import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


@dataclass(slots=True)
class Reply:
    """The answer to a request with an Idempotency-Key.

    Attributes:
        scope: SHA-256 of caller, route and key, as hex.
        body_digest: SHA-256 of the request's body, as hex.
        request: id of the request that was answered.
        body: of the answer, byte for byte. The status is 200: nothing else is stored.
    """

    scope: str
    body_digest: str
    request: str
    body: bytes


_FIELDS = ("scope", "body_digest", "request", "body")
_COLUMNS = [t.replies.c[name] for name in _FIELDS]


def find(connection: sa.Connection, scopes: Sequence[str], keep: timedelta) -> dict[str, Reply]:
    """Those of ``scopes`` that were answered, if not longer than ``keep`` ago."""
    return _kept_since(connection, scopes, datetime.now(UTC) - keep)


def claim(connection: sa.Connection, replies: Sequence[Reply], keep: timedelta) -> dict[str, Reply]:
    """Store each reply, unless its scope has one that is not older than ``keep``.

    Args:
        connection: of a transaction that writes.
        replies: no two of one scope.
        keep: older ones are replaced.

    Returns:
        What was there already, by scope; empty if all were stored.
    """
    if not replies:
        return {}
    now = datetime.now(UTC)
    oldest = now - keep
    insert = upsert(connection, t.replies)
    replaced = {name: insert.excluded[name] for name in (*_FIELDS[1:], "at")}
    insert = insert.on_conflict_do_update(
        index_elements=["scope"], set_=replaced, where=t.replies.c.at < oldest
    ).returning(t.replies.c.scope)
    rows = [
        {name: getattr(reply, name) for name in _FIELDS} | {"at": now}
        # In one order everywhere: two processes that wait for each other's scopes would never end.
        for reply in sorted(replies, key=lambda reply: reply.scope)
    ]
    stored = set(connection.execute(insert, rows).scalars())
    lost = [reply.scope for reply in replies if reply.scope not in stored]
    return _kept_since(connection, lost, oldest) if lost else {}


def _kept_since(connection: sa.Connection, scopes: Sequence[str], oldest: datetime) -> dict[str, Reply]:
    asked = sa.select(*_COLUMNS).where(t.replies.c.scope.in_(scopes), t.replies.c.at >= oldest)
    return {row.scope: Reply(*row) for row in connection.execute(asked)}
