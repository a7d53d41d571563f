from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from holdfast.predictions import Reply
from holdfast.predictions.replies import claim
from holdfast.store import writing
from holdfast.store.tables import replies


def test_at_every_age_a_reply_is_either_replaced_or_found(database):
    """Also while it comes of age between the two looks, which the clock decides."""
    soon = timedelta(milliseconds=1)
    for turn in range(300):
        first, second = (Reply(f"s{turn}", "d", "r", body) for body in (b"first", b"second"))
        with writing(database) as connection:
            claim(connection, [first], soon)
            made = connection.scalar(sa.select(replies.c.at).where(replies.c.scope == first.scope))
            while datetime.now(UTC) - made < soon - timedelta(microseconds=turn * 2):
                pass
            found = claim(connection, [second], soon)
            held = connection.scalar(sa.select(replies.c.body).where(replies.c.scope == first.scope))
        assert (found, held) in [({first.scope: first}, b"first"), ({}, b"second")]
