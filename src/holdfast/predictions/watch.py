"""Whether the log's database can be written to."""

from __future__ import annotations

import secrets
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.predictions.replies import Reply, claim
from holdfast.store import SteadyWriter, StoreError
from holdfast.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Callable

PROBE_SECONDS = 0.5
"""How long after a failure the database is tried again."""

TRIAL_BYTES = 64 * 1024
"""What must fit into the database before it counts as up again."""


class Watch:
    """Knows why the database fails, from a failure until it was written to again.

    Args:
        engine: of the database.
        recovered: called when it is back, from another thread.

    Attributes:
        reason: why it fails; none while it does not. Names no place and no customer.
    """

    def __init__(self, engine: sa.Engine, recovered: Callable[[], None]) -> None:
        self.reason: str | None = None
        self._engine = engine
        self._recovered = recovered
        self._closing = threading.Event()
        self._lock = threading.Lock()

    def look(self, writer: SteadyWriter) -> None:
        """See whether the database is there, so that ``reason`` is right also while nothing is written."""
        if self.reason is None:
            try:
                with writer.writing() as connection:
                    connection.execute(sa.select(1))
            except StoreError as error:
                self.failed(error)

    def failed(self, error: StoreError) -> str:
        """Note that the database fails, and try it again until it does not; returns the reason."""
        reason = self.reason = reason_of(error)
        threading.Thread(target=self._probe, name="prediction-log-probe", daemon=True).start()
        return reason

    def close(self, reason: str | None = None) -> None:
        """Try no more; ``reason``, if given, stays."""
        with self._lock:
            self._closing.set()
            self.reason = reason or self.reason

    def _probe(self) -> None:
        """Write to the database until that works.

        A thread of its own, so that nobody waits for a server that does not answer.
        """
        writer = SteadyWriter(self._engine)
        try:
            while not self._closing.wait(PROBE_SECONDS):
                try:
                    _try(writer)
                except StoreError as error:
                    self._now(reason_of(error))
                    continue
                break
        finally:
            writer.close()
        self._now(None)
        self._recovered()

    def _now(self, reason: str | None) -> None:
        with self._lock:
            if not self._closing.is_set():
                self.reason = reason


def _try(writer: SteadyWriter) -> None:
    """Write something of some size and remove it, in two transactions: one would not reach a full disk."""
    scope = f"trial {secrets.token_hex(16)}"
    trial = Reply(scope, body_digest="", request="", body=bytes(TRIAL_BYTES))
    with writer.writing() as connection:
        claim(connection, [trial], timedelta(days=1))
    with writer.writing() as connection:
        connection.execute(sa.delete(t.replies).where(t.replies.c.scope == scope))


def reason_of(error: StoreError) -> str:
    """Why the database failed, in words that may be shown to anybody."""
    said = error.message.casefold()
    return next((reason for sign, reason in _REASONS.items() if sign in said), "The database fails.")


_REASONS = {
    "full": "The database's disk is full.",
    "no space": "The database's disk is full.",
    "disk i/o": "The database's disk fails.",
    "lock": "Another process holds the database.",
    "readonly": "The database cannot be written to.",
    "read-only": "The database cannot be written to.",
    "permission": "The database cannot be written to.",
    "malformed": "The database is damaged.",
    "not a database": "The database is damaged.",
    "unable to open": "The database cannot be opened.",
    "connect": "The database cannot be reached.",
    "timeout": "The database does not answer.",
}
