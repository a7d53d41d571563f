"""Writes what was answered into the database, in groups, by one thread."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.errors import HoldfastError
from holdfast.predictions.replies import Reply, claim, find
from holdfast.predictions.spool import Spool
from holdfast.store import (
    RefusedError,
    SteadyWriter,
    StoreError,
    impatient,
    insert_rows,
    reading,
)
from holdfast.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

COLUMNS: tuple[str, ...] = tuple(str(column.name) for column in t.predictions.c)
"""What a row holds, in this order."""

GROUP_ROWS = 5_000
"""A transaction takes what waits, up to so many rows."""

LARGE_ROWS = 100
"""What brings as many rows or more takes turns with what brings fewer, which waits for one of them only."""

LARGE_GROUP_ROWS = 1_000
"""A transaction of such takes no more rows where answers wait for their commit: the next brings others'."""

GATHER_SECONDS = 0.02
"""How long rows for which nobody waits may wait for more: few large transactions cost less than many."""

PATIENCE_SECONDS = 3.0
"""How long the database may take for one step before it counts as down."""

PROBE_SECONDS = 0.5
"""How long after a failure the database, or the spool, is tried again."""

IDLE_SECONDS = 1.0
"""How often the database is looked at while nothing is to be written."""

TRIAL_BYTES = 64 * 1024
"""What must fit into the database before it counts as up again."""

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


@dataclass(slots=True)
class _Waiting:
    """What one `PredictionLog.put` gave."""

    answered: Sequence[Answered]
    done: Callable[[Sequence[Outcome]], None] | None
    rows: int
    since: float


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
        self._limit = queue
        self._keep = keep
        self._hashed = hashed
        self._spool = Spool(spool)
        self._adopt_at = 0.0
        self._replay_at = 0.0
        lock = threading.Lock()
        self._news = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._hurry = threading.Event()
        self._small: deque[_Waiting] = deque()
        self._large: deque[_Waiting] = deque()
        self._large_is_next = False
        self._oldest: float | None = None
        self._depth = 0
        self._lost = 0
        self._reason: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to write. A database that is down is seen in `state`, not raised."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits and end. What cannot be written within `CLOSE_SECONDS` counts as failed."""
        with self._news:
            self._closing.set()
            self._hurry.set()
            self._news.notify()
            self._room.notify_all()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)
        self._fail_rest()
        if not self._thread.is_alive():
            self._spool.close()
            self._engine.dispose()

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
        waiting = _Waiting(answered, done, sum(len(one.rows) or 1 for one in answered), time.monotonic())
        with self._news:
            has_room = self._room.wait_for(
                lambda: self._closing.is_set() or self._has_room(waiting.rows, of_half=patience > 0), patience
            )
            if has_room and not self._closing.is_set():
                self._depth += waiting.rows
                large = waiting.rows >= LARGE_ROWS
                (self._large if large else self._small).append(waiting)
                if done is not None or large or self._depth > self._limit // 2:
                    self._hurry.set()
                self._news.notify()
                return
        reason = "The server is stopping." if has_room else "Too many answers wait to be logged."
        if patience and done is None:
            raise LogError(reason)
        self._fail(waiting, reason)

    def _has_room(self, rows: int, *, of_half: bool) -> bool:
        return not self._depth or self._depth + rows <= (self._limit // 2 if of_half else self._limit)

    def replies(self, scopes: Sequence[str]) -> dict[str, Reply]:
        """What requests of these scopes were answered before, if it is still kept.

        Raises:
            LogError: the database cannot be read, so nobody knows. That is so while predictions are spooled,
                too: a request with an Idempotency-Key is only answered while the database is up.
        """
        if self._reason is not None:
            raise LogError(self._reason)
        try:
            with reading(self._engine) as connection:
                return find(connection, scopes, self._keep)
        except StoreError as error:
            raise LogError(_reason(error)) from error

    @property
    def state(self) -> LogState:
        """How the log is now. Asks nobody."""
        with self._news:
            heads = [queue[0].since for queue in (self._small, self._large) if queue]
            oldest = self._oldest if self._oldest is not None else min(heads, default=None)
            lag = 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)
            reason = self._reason
            return LogState(reason is None, reason, self._depth, lag, self._lost, self._spool.rows)

    def _run(self) -> None:
        """Write group after group until the log is closed and nothing waits."""
        try:
            self._look()
            while True:
                group = self._take()
                if group:
                    self._write(group)
                elif self._closing.is_set():
                    break
                elif not self._spool.rows:
                    self._look()
                if self._reason is None and not self._closing.is_set():
                    self._replay()
        finally:
            if not self._closing.is_set():  # a fault of ours: nobody may wait for a thread that is no more
                self._reason = "The log has stopped."
                self._closing.set()
                self._fail_rest()
            self._writer.close()

    def _take(self) -> list[_Waiting]:
        """What waits, up to so many rows; empty if nothing came for a while."""
        with self._news:
            self._oldest = None
            if not (self._small or self._large or self._closing.is_set()):
                urgent = self._spool.rows > 0 and self._reason is None
                pause = max(0.0, self._replay_at - time.monotonic()) if urgent else IDLE_SECONDS
                self._news.wait(pause)
            some = bool(self._small or self._large)
        if some:
            self._hurry.wait(GATHER_SECONDS)
        with self._news:
            large = bool(self._large) and (self._large_is_next or not self._small)
            queue = self._large if large else self._small
            most = LARGE_GROUP_ROWS if large and queue[0].done is not None else GROUP_ROWS
            self._large_is_next = not large
            group: list[_Waiting] = []
            rows = 0
            while queue and (not group or rows + queue[0].rows <= most):
                group.append(queue.popleft())
                rows += group[-1].rows
            if group:
                self._oldest = group[0].since
            if not (self._small or self._large or self._closing.is_set()):
                self._hurry.clear()
            return group

    def _write(self, group: Sequence[_Waiting]) -> None:
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
        with self._news:
            self._depth -= sum(waiting.rows for waiting in group)
            self._room.notify_all()

    def _store(self, answered: Sequence[Answered]) -> Sequence[Outcome]:
        """Commit them together. If one has values that no database takes, find it: it fails alone."""
        if self._reason is not None:
            return _failed(answered, self._reason)
        try:
            return self._commit(answered)
        except RefusedError:
            if len(answered) == 1:
                return [LogError("The log cannot hold one of the values.", retry_seconds=None)]
        except StoreError as error:
            return _failed(answered, self._down(error))
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

    def _replay(self) -> None:
        """Bring the next rows of the spool into the database, if any wait there."""
        if time.monotonic() < self._replay_at:
            return
        if time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + IDLE_SECONDS
            self._spool.adopt()
        try:
            batch = self._spool.read()
        except OSError:
            self._replay_at = time.monotonic() + PROBE_SECONDS
            return
        if batch is None:
            return
        refused = 0
        try:
            refused = self._bring_back(batch.rows)
        except StoreError as error:
            self._down(error)
            return
        self._spool.forget(batch)
        self._lose(batch.damaged + refused)

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
        customer, at = COLUMNS.index("customer_id"), COLUMNS.index("at")
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

    def _look(self) -> None:
        """See whether the database is there, so that `state` is right also while nothing is written."""
        if self._reason is None:
            try:
                with self._writer.writing() as connection:
                    connection.execute(sa.select(1))
            except StoreError as error:
                self._down(error)

    def _down(self, error: StoreError) -> str:
        """Note that the database fails, and try it again until it does not."""
        reason = _reason(error)
        self._reason = reason
        threading.Thread(target=self._probe, name="prediction-log-probe", daemon=True).start()
        return reason

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
                    self._reason = _reason(error)
                    continue
                break
        finally:
            writer.close()
        with self._news:
            if not self._closing.is_set():
                self._reason = None
            self._news.notify()

    def _fail_rest(self) -> None:
        with self._news:
            left = [*self._small, *self._large]
            self._small.clear()
            self._large.clear()
            self._depth -= sum(waiting.rows for waiting in left)
            self._room.notify_all()
        for waiting in left:
            self._fail(waiting, "The server is stopping.")

    def _fail(self, waiting: _Waiting, reason: str) -> None:
        if waiting.done is None:
            self._lose(waiting.rows)
        else:
            _tell(waiting.done, _failed(waiting.answered, reason))

    def _lose(self, rows: int) -> None:
        if rows:
            with self._news:
                self._lost += rows


def _failed(answered: Sequence[Answered], reason: str) -> list[Outcome]:
    """An error for each: one that several raise would collect all their tracebacks."""
    return [LogError(reason) for _ in answered]


def _tell(done: Callable[[Sequence[Outcome]], None], outcomes: Sequence[Outcome]) -> None:
    with suppress(Exception):  # whoever asked is gone; those behind them still wait for this thread
        done(outcomes)


def _try(writer: SteadyWriter) -> None:
    """Write something of some size and remove it, in two transactions: one would not reach a full disk."""
    scope = f"trial {secrets.token_hex(16)}"
    trial = Reply(scope, body_digest="", request="", body=bytes(TRIAL_BYTES))
    with writer.writing() as connection:
        claim(connection, [trial], timedelta(days=1))
    with writer.writing() as connection:
        connection.execute(sa.delete(t.replies).where(t.replies.c.scope == scope))


def _reason(error: StoreError) -> str:
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
