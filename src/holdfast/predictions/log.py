"""Writes what was answered into the database, in groups, by one thread."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.predictions.groups import Queue, Waiting
from holdfast.predictions.replay import Replay
from holdfast.predictions.replies import Reply, claim, find
from holdfast.predictions.spool import Spool
from holdfast.predictions.watch import Watch, reason_of
from holdfast.store import RefusedError, SteadyWriter, StoreError, impatient, insert_rows, reading
from holdfast.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta
    from pathlib import Path

    import sqlalchemy as sa

COLUMNS: tuple[str, ...] = tuple(str(column.name) for column in t.predictions.c)
"""What a row holds, in this order."""

PATIENCE_SECONDS = 3.0
"""How long the database may take for one step before it counts as down."""

IDLE_SECONDS = 1.0
"""How often the database is looked at while nothing is to be written."""

CLOSE_SECONDS = 20.0
"""How long `PredictionLog.close` waits for what is still to be written."""

RETRY_SECONDS = 1


class LogError(HoldfastError):
    """The log cannot be written or read.

    Attributes:
        retry_seconds: when to try again; none if this answer can never be logged.
    """

    code = "log"

    def __init__(self, message: str, *, retry_seconds: int | None = RETRY_SECONDS) -> None:
        hint = "Send other values." if retry_seconds is None else f"Try again in {retry_seconds} second."
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


Outcome = Reply | LogError | None
"""What became of an answer: stored (none), not the first of its scope, or not stored."""


@dataclass(slots=True)
class Answered:
    """One request's predictions.

    Attributes:
        request: its id.
        rows: one for each prediction, plain Python values in the order of `COLUMNS`. ``request`` in them is
            that above; ids and requests are UUIDs of version 7, for it is slow to index random ones.
        reply: the answer, if it is to be found again.
    """

    request: str
    rows: list[tuple[Any, ...]]
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class LogState:
    """How the log is.

    Attributes:
        writable: false from a failure until the database was written to again.
        reason: why it is not; names no place and no customer.
        depth: rows that wait to be written.
        lag_seconds: how long the oldest of them has waited.
        lost: rows that were answered and never logged, since the start of this process.
        spooled: rows that wait on this machine's disk for the database.
    """

    writable: bool
    reason: str | None
    depth: int
    lag_seconds: float
    lost: int
    spooled: int


class PredictionLog:
    """The log of one process. All methods may be called from any thread.

    While the database fails, whoever waits for a commit is told so at once; rows for which nobody waits go to
    the spool, and from there into the database when it is back: each once, for their ids tell those that are
    there already, and none of customers who were erased since.

    Args:
        engine: of the database. The log makes connections of its own, which give up sooner.
        queue: most rows that may wait to be written.
        spool: folder on this machine, which several processes may share.
        keep: how long a reply is found again.
        hashed: keyed hash of a customer's id, as `tombstones` has it.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        queue: int,
        spool: Path,
        keep: timedelta,
        hashed: Callable[[str], str],
    ) -> None:
        self._engine = impatient(engine, PATIENCE_SECONDS)
        self._writer = SteadyWriter(self._engine)
        self._keep = keep
        self._queue = Queue(queue)
        self._watch = Watch(self._engine, self._queue.wake)
        self._spool = Spool(spool)
        self._replay = Replay(self._spool, self._writer, hashed)
        self._lost = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to write. A database that is down is seen in `state`, not raised."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits and end. What cannot be written within `CLOSE_SECONDS` counts as failed."""
        self._queue.close()
        self._watch.close()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)
        self._fail_rest()
        if not self._thread.is_alive():
            self._spool.close()
        self._engine.dispose()  # a thread that goes on has a connection of its own, and ends it

    def put(
        self,
        answered: Sequence[Answered],
        done: Callable[[Sequence[Outcome]], None] | None = None,
        *,
        patience: float = 0.0,
    ) -> None:
        """Have answers written; returns at once, or when there is room.

        Args:
            answered: stored or not one by one, whatever becomes of the others.
            done: called, mostly from the log's own thread, with one outcome for each, once they are committed
                or cannot be. Without it nobody waits: what finds the queue full is lost and counted, and
                while the database is down the rows, but no replies, are kept in the spool. So give it with
                everything that has a reply.
            patience: seconds to wait for room, of which half is left to those who do not wait.

        Raises:
            LogError: there was no room in all this time and there is no ``done`` to tell it to. Nothing was
                taken, nothing counts as lost. Never without ``patience``.
        """
        waiting = Waiting(answered, done, sum(len(one.rows) or 1 for one in answered), time.monotonic())
        reason = self._queue.put(waiting, patience)
        if reason is None:
            return
        if patience and done is None:
            raise LogError(reason)
        self._fail(waiting, reason)

    def replies(self, scopes: Sequence[str]) -> dict[str, Reply]:
        """What requests of these scopes were answered before, if it is still kept.

        Raises:
            LogError: the database cannot be read, so nobody knows. That is so while predictions are spooled,
                too: a request with an Idempotency-Key is only answered while the database is up.
        """
        reason = self._watch.reason
        if reason is not None:
            raise LogError(reason)
        try:
            with reading(self._engine) as connection:
                return find(connection, scopes, self._keep)
        except StoreError as error:
            raise LogError(reason_of(error)) from error

    @property
    def state(self) -> LogState:
        """How the log is now. Asks nobody."""
        depth, lag = self._queue.state
        reason = self._watch.reason
        return LogState(reason is None, reason, depth, lag, self._lost, self._spool.rows)

    def _run(self) -> None:
        """Write group after group until the log is closed and nothing waits."""
        try:
            self._watch.look(self._writer)
            while True:
                urgent = self._spool.rows > 0 and self._watch.reason is None
                group = self._queue.take(self._replay.pause if urgent else IDLE_SECONDS)
                if group:
                    self._write(group)
                elif self._queue.closed:
                    break
                elif not self._spool.rows:
                    self._watch.look(self._writer)
                if self._watch.reason is None and not self._queue.closed:
                    self._bring_back()
        finally:
            if not self._queue.closed:  # a fault of ours: nobody may wait for a thread that is no more
                self._watch.close("The log has stopped.")
                self._queue.close()
                self._fail_rest()
            self._writer.close()

    def _bring_back(self) -> None:
        """Bring the next rows of the spool into the database, if any wait there."""
        try:
            self._lose(self._replay.step())
        except StoreError as error:
            self._watch.failed(error)

    def _write(self, group: Sequence[Waiting]) -> None:
        """Write a group, and tell those who wait for it."""
        answered = [one for waiting in group for one in waiting.answered]
        try:
            outcomes = iter(self._store(answered))
        except BaseException:
            for waiting in group:
                self._fail(waiting, "The log has stopped.")
            raise
        unwritten: list[tuple[Any, ...]] = []
        for waiting in group:
            own = [next(outcomes) for _ in waiting.answered]
            if waiting.done is not None:
                _tell(waiting.done, own)
                continue
            for one, outcome in zip(waiting.answered, own, strict=True):
                if isinstance(outcome, LogError) and outcome.retry_seconds is not None:
                    unwritten += one.rows
                elif isinstance(outcome, LogError):
                    self._lose(len(one.rows))
        if unwritten:
            self._lose(len(unwritten) - self._spool.append(unwritten))
        self._queue.done(group)

    def _store(self, answered: Sequence[Answered]) -> Sequence[Outcome]:
        """Commit them together. If one has values that no database takes, find it: it fails alone."""
        reason = self._watch.reason
        if reason is not None:
            return _failed(answered, reason)
        try:
            return self._commit(answered)
        except RefusedError:
            if len(answered) == 1:
                return [LogError("The log cannot hold one of the values.", retry_seconds=None)]
        except StoreError as error:
            return _failed(answered, self._watch.failed(error))
        half = len(answered) // 2
        return [*self._store(answered[:half]), *self._store(answered[half:])]

    def _commit(self, answered: Sequence[Answered]) -> Sequence[Outcome]:
        first: dict[str, Reply] = {}
        for one in answered:
            if one.reply is not None:
                first.setdefault(one.reply.scope, one.reply)
        outcomes: list[Outcome] = [None] * len(answered)
        with self._writer.writing(one_statement=not first) as connection:
            if first:
                first |= claim(connection, list(first.values()), self._keep)
                for at, one in enumerate(answered):
                    if one.reply is not None and first[one.reply.scope] is not one.reply:
                        outcomes[at] = first[one.reply.scope]
            stored = zip(answered, outcomes, strict=True)
            rows = [row for one, outcome in stored if outcome is None for row in one.rows]
            insert_rows(connection, t.predictions, rows)
        return outcomes

    def _fail_rest(self) -> None:
        for waiting in self._queue.rest():
            self._fail(waiting, "The server is stopping.")

    def _fail(self, waiting: Waiting, reason: str) -> None:
        if waiting.done is None:
            self._lose(waiting.rows)
        else:
            _tell(waiting.done, _failed(waiting.answered, reason))

    def _lose(self, rows: int) -> None:
        if rows:
            with self._counting:
                self._lost += rows


def _failed(answered: Sequence[Answered], reason: str) -> list[Outcome]:
    """An error for each: one that several raise would collect all their tracebacks."""
    return [LogError(reason) for _ in answered]


def _tell(done: Callable[[Sequence[Outcome]], None], outcomes: Sequence[Outcome]) -> None:
    with suppress(Exception):  # whoever asked is gone; those behind them still wait for this thread
        done(outcomes)
