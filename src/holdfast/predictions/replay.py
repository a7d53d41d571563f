"""Brings what was spooled while the database was down into it, each row once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.store import RefusedError, SteadyWriter, insert_rows
from holdfast.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.predictions.spool import Spool

AGAIN_SECONDS = 0.5
"""How long after a failure to read the spool it is tried again."""

ADOPT_SECONDS = 1.0
"""How often to look for rows that dead processes have left."""

_COLUMNS = [str(column.name) for column in t.predictions.c]


class Replay:
    """Empties a spool into the database. For the thread that owns both.

    Args:
        spool: where rows wait.
        writer: of the database.
        hashed: keyed hash of a customer's id, as `tombstones` has it.
    """

    def __init__(self, spool: Spool, writer: SteadyWriter, hashed: Callable[[str], str]) -> None:
        self._spool = spool
        self._writer = writer
        self._hashed = hashed
        self._adopt_at = 0.0
        self._again_at = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next `step` may bring something."""
        return max(0.0, self._again_at - time.monotonic())

    def step(self) -> int:
        """Bring the next rows, if any wait; returns how many were damaged or no database takes.

        Raises:
            StoreError: the database fails; the rows wait as before.
        """
        if self.pause:
            return 0
        if time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT_SECONDS
            self._spool.adopt()
        try:
            batch = self._spool.read()
        except OSError:
            self._again_at = time.monotonic() + AGAIN_SECONDS
            return 0
        if batch is None:
            return 0
        refused = self._bring_back(batch.rows)
        self._spool.forget(batch)
        return batch.damaged + refused

    def _bring_back(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Commit spooled rows but those of erased customers; returns how many no database takes."""
        try:
            with self._writer.writing() as connection:
                insert_rows(connection, t.predictions, self._not_erased(connection, rows), skip_known=True)
        except RefusedError:
            if len(rows) == 1:
                return 1
            half = len(rows) // 2
            return self._bring_back(rows[:half]) + self._bring_back(rows[half:])
        return 0

    def _not_erased(
        self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]
    ) -> Sequence[tuple[Any, ...]]:
        customer, at = _COLUMNS.index("customer_id"), _COLUMNS.index("at")
        hashes = {row[customer]: self._hashed(row[customer]) for row in rows if row[customer] is not None}
        stones = sa.select(t.tombstones.c.customer_hash, t.tombstones.c.at).where(
            t.tombstones.c.customer_hash.in_(set(hashes.values()))
        )
        erased = {stone.customer_hash: stone.at for stone in connection.execute(stones)}
        if not erased:
            return rows
        kept = []
        for row in rows:
            stone = erased.get(hashes.get(row[customer], ""))
            if stone is None or stone <= row[at]:
                kept.append(row)
        return kept
