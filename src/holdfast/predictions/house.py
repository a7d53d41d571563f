"""What is done once an hour, by one process of all: the log is kept within what the settings say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.predictions.archive import Archived, archive, forget_replies, keeping, retained_from
from holdfast.predictions.erasure import apply_tombstones
from holdfast.settings import secret_of

if TYPE_CHECKING:
    import sqlalchemy as sa

    from holdfast.settings import Settings

ACTOR = "retention"


def keep_house(engine: sa.Engine, settings: Settings, actor: str = ACTOR) -> Archived | None:
    """Archive old predictions, forget old replies, and remove what was under way when a customer was erased.

    Returns what was archived; none where another process is doing this, or erases a customer.

    Raises:
        ArchiveError: a file of the archive cannot be read or written.
        StoreError: the database cannot be used.
    """
    now = datetime.now(UTC)
    with keeping(settings.home, wait=False) as mine:
        if not mine:
            return None
        apply_tombstones(engine, secret_of(settings), settings.home, since=now - timedelta(hours=2))
        forget_replies(engine, now - timedelta(hours=settings.idempotency_hours))
        return archive(engine, settings.home, retained_from(settings.retention_days), actor)
