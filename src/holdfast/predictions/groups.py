"""What waits to be logged: taken in groups, few rows and many in turns."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.predictions.log import Answered, Outcome

GROUP_ROWS = 5_000
"""A transaction takes what waits, up to so many rows."""

LARGE_ROWS = 100
"""What brings as many rows or more takes turns with what brings fewer, which waits for one of them only."""

LARGE_GROUP_ROWS = 1_000
"""A transaction of such takes no more rows where answers wait for their commit: the next brings others'."""

GATHER_SECONDS = 0.02
"""How long rows for which nobody waits may wait for more: few large transactions cost less than many."""


@dataclass(slots=True)
class Waiting:
    """Answers that were given together, who is told what becomes of them, and since when they wait."""

    answered: Sequence[Answered]
    done: Callable[[Sequence[Outcome]], None] | None
    rows: int
    since: float


class Queue:
    """Holds what is not written yet. Filled by any thread, emptied by one.

    Args:
        limit: most rows, of what waits and of the group that is being written.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        lock = threading.Lock()
        self._news = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._hurry = threading.Event()
        self._small: deque[Waiting] = deque()
        self._large: deque[Waiting] = deque()
        self._large_is_next = False
        self._oldest: float | None = None
        self._depth = 0
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether nothing more comes in."""
        return self._closed.is_set()

    @property
    def state(self) -> tuple[int, float]:
        """Rows that are not written, and how many seconds the oldest of them has waited."""
        with self._news:
            heads = [queue[0].since for queue in (self._small, self._large) if queue]
            oldest = self._oldest if self._oldest is not None else min(heads, default=None)
            return self._depth, 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    def put(self, waiting: Waiting, patience: float) -> str | None:
        """Add to what waits, or say why that cannot be.

        Args:
            waiting: what is to be written.
            patience: seconds to wait for room, of which half is left to those who do not wait.
        """
        with self._news:
            has_room = self._room.wait_for(
                lambda: self.closed or self._has_room(waiting.rows, of_half=patience > 0), patience
            )
            if self.closed:
                return "The server is stopping."
            if not has_room:
                return "Too many answers wait to be logged."
            self._depth += waiting.rows
            large = waiting.rows >= LARGE_ROWS
            (self._large if large else self._small).append(waiting)
            if waiting.done is not None or large or self._depth > self._limit // 2:
                self._hurry.set()
            self._news.notify()
            return None

    def _has_room(self, rows: int, *, of_half: bool) -> bool:
        return not self._depth or self._depth + rows <= (self._limit // 2 if of_half else self._limit)

    def take(self, pause: float) -> list[Waiting]:
        """The next group, up to so many rows; empty if nothing came for ``pause`` seconds, or at `wake`."""
        with self._news:
            self._oldest = None
            if not (self._small or self._large or self.closed):
                self._news.wait(pause)
            some = bool(self._small or self._large)
        if some:
            self._hurry.wait(GATHER_SECONDS)
        with self._news:
            large = bool(self._large) and (self._large_is_next or not self._small)
            queue = self._large if large else self._small
            most = LARGE_GROUP_ROWS if large and queue[0].done is not None else GROUP_ROWS
            self._large_is_next = not large
            group: list[Waiting] = []
            rows = 0
            while queue and (not group or rows + queue[0].rows <= most):
                group.append(queue.popleft())
                rows += group[-1].rows
            if group:
                self._oldest = group[0].since
            if not (self._small or self._large or self.closed):
                self._hurry.clear()
            return group

    def done(self, group: Sequence[Waiting]) -> None:
        """A group that was taken is dealt with: there is room again."""
        with self._news:
            self._depth -= sum(waiting.rows for waiting in group)
            self._room.notify_all()

    def wake(self) -> None:
        """Let `take` return, also with nothing."""
        with self._news:
            self._news.notify()

    def close(self) -> None:
        """Let nothing more in, and nobody wait."""
        with self._news:
            self._closed.set()
            self._hurry.set()
            self._news.notify()
            self._room.notify_all()

    def rest(self) -> list[Waiting]:
        """Take all that is left."""
        with self._news:
            left = [*self._small, *self._large]
            self._small.clear()
            self._large.clear()
        self.done(left)
        return left
