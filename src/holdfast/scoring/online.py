"""Collects requests that arrive together, so that they go through the model together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRY_SECONDS = 1


class OverloadedError(HoldfastError):
    """More is asked than can be answered in time; nothing was done for this request."""

    code = "overloaded"

    def __init__(self) -> None:
        super().__init__(
            "More is asked than can be answered in time.", hint=f"Try again in {RETRY_SECONDS} second."
        )
        self.retry_seconds = RETRY_SECONDS


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    """One request that waits for its batch, and then for its answer."""

    item: Item
    rows: int
    since: float
    answer: asyncio.Future[Result]


@dataclass(slots=True)
class _Batch(Generic[Item, Result]):
    """Questions that are worked on together; ``left`` of them are not answered yet."""

    questions: Sequence[_Waiting[Item, Result]]
    left: int
    late: asyncio.TimerHandle


class MicroBatcher(Generic[Item, Result]):
    """Turns single questions into batches. Belongs to one event loop; a lone question waits for nobody.

    What arrives in one turn of the event loop is a batch, up to ``rows``; what arrives while that is worked
    on, in a thread of its own, is the next. Whoever gives up before their batch begins is left out of it. If
    work on a batch fails, it is done again by halves until the item at fault stands alone, and only that one
    fails.

    Args:
        work: does a batch. Takes the items and a function to call, from any thread, with one result or
            exception for each item; it may return before that, for what is only waited for (such as a
            commit) keeps no other batch from beginning. Raises only before it has had an effect.
        rows: most rows of a batch; an item with more is a batch of its own.
        wait: seconds that a batch may wait for those who asked a moment ago and do not ask now: they have
            their answer and are likely to ask again. So clients that never pause come to share batches.
        queue: most rows that may be under way, waiting or not yet answered; beyond them a question fails at
            once, so that those within are answered as soon as ever.
        patience: seconds after which a question fails that is not answered, whatever it waits for.

    Attributes:
        waiting: rows that wait for their batch.
        shed: questions that failed for want of room or time.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item], Callable[[Sequence[Result | Exception]], None]], None],
        *,
        rows: int,
        wait: float = 0.0,
        queue: int,
        patience: float,
    ) -> None:
        self.waiting = 0
        self.shed = 0
        self._work = work
        self._rows = rows
        self._wait = wait
        self._limit = queue
        self._patience = patience
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._busy = False
        self._idle = threading.Event()
        self._idle.set()
        self._unanswered = 0
        self._out = 0
        self._peak = self._expected = 0
        self._next: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, item: Item, rows: int = 1) -> Result:
        """The result for ``item``, which counts as ``rows``.

        Raises:
            OverloadedError: too many are under way already, or it waited too long.
            Exception: what ``work`` gave as the item's result.
        """
        under_way = self.waiting + self._unanswered
        if under_way and under_way + rows > self._limit:
            self.shed += 1
            raise OverloadedError
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._queue.append(_Waiting(item, rows, time.monotonic(), answer))
        self.waiting += rows
        self._peak = max(self._peak, len(self._queue) + self._out)
        self._idle.clear()
        self._schedule(loop)
        return await answer

    def let_pass(self, seconds: float) -> None:
        """Let what is asked here go first: for other threads, between the steps of long work.

        Returns when nothing waits here and nothing is worked on, or after ``seconds``.
        """
        time.sleep(0)  # gives up the interpreter's lock: the loop may need it to learn of a question
        self._idle.wait(seconds)

    def close(self) -> None:
        """Let the thread go, after the batch that it is at."""
        self._thread.shutdown()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that what waits is taken up: now, or when there are more or nobody to wait for."""
        if self._busy or not self._queue:
            return
        few = len(self._queue) + self._out < self._expected and self.waiting < self._rows
        patient = few and self._wait > 0
        if self._next is not None:
            if patient or not isinstance(self._next, asyncio.TimerHandle):
                return
            self._next.cancel()
        self._next = (
            loop.call_later(self._wait, self._run, loop) if patient else loop.call_soon(self._run, loop)
        )

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next = None
        batch = self._take()
        if batch:
            self._busy = True
            self._unanswered += sum(one.rows for one in batch)
            self._out += len(batch)
            self._expected, self._peak = self._peak, len(self._queue) + self._out
            late = loop.call_later(self._patience, self._late, loop, batch)
            self._thread.submit(self._do, loop, _Batch(batch, len(batch), late))
        elif not self._queue:
            self._idle.set()

    def _take(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        rows, too_old = 0, time.monotonic() - self._patience
        while self._queue and (not batch or rows + self._queue[0].rows <= self._rows):
            one = self._queue.popleft()
            self.waiting -= one.rows
            if one.answer.done():  # given up
                continue
            if one.since < too_old:
                self._give_up(one)
                continue
            rows += one.rows
            batch.append(one)
        return batch

    def _do(self, loop: asyncio.AbstractEventLoop, batch: _Batch[Item, Result]) -> None:
        """In the thread: work on a batch, then make room for the next."""
        self._divide(loop, batch, batch.questions)
        loop.call_soon_threadsafe(self._free, loop)

    def _divide(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: _Batch[Item, Result],
        part: Sequence[_Waiting[Item, Result]],
    ) -> None:
        def done(results: Sequence[Result | Exception]) -> None:
            loop.call_soon_threadsafe(self._answer, loop, batch, part, results)

        try:
            self._work([one.item for one in part], done)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to one of the items
            if len(part) == 1:
                done([error])
                return
            half = len(part) // 2
            self._divide(loop, batch, part[:half])
            self._divide(loop, batch, part[half:])

    def _free(self, loop: asyncio.AbstractEventLoop) -> None:
        self._busy = False
        if not self._queue:
            self._idle.set()
        self._schedule(loop)

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: _Batch[Item, Result],
        part: Sequence[_Waiting[Item, Result]],
        results: Sequence[Result | Exception],
    ) -> None:
        self._unanswered -= sum(one.rows for one in part)
        self._out -= len(part)
        batch.left -= len(part)
        if not batch.left:
            batch.late.cancel()
        for one, result in zip(part, results, strict=True):
            if one.answer.done():  # given up meanwhile
                continue
            if isinstance(result, Exception):
                one.answer.set_exception(result)
            else:
                one.answer.set_result(result)
        self._schedule(loop)

    def _late(self, loop: asyncio.AbstractEventLoop, questions: Sequence[_Waiting[Item, Result]]) -> None:
        """Fail what is not answered in time, also what waits behind it."""
        for one in questions:
            self._give_up(one)
        too_old = time.monotonic() - self._patience
        while self._queue and self._queue[0].since < too_old:
            self.waiting -= self._queue[0].rows
            self._give_up(self._queue.popleft())
        if self._busy:  # nothing else looks at what comes behind it
            loop.call_later(self._patience, self._late, loop, ())

    def _give_up(self, one: _Waiting[Item, Result]) -> None:
        if not one.answer.done():
            self.shed += 1
            one.answer.set_exception(OverloadedError())
