"""Work on a stream with several threads, in flat memory, giving the results in the stream's order."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 4
"""Each holds a batch; beyond a few, reading and writing are what takes the time."""


def available_workers() -> int:
    """As many threads as this process may run at once, at most `MOST_WORKERS`."""
    if hasattr(os, "sched_getaffinity"):
        return min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    return min(MOST_WORKERS, os.cpu_count() or 1)


def in_order(work: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """``work(item)`` for each item, in the items' order, with ``workers`` threads.

    The caller's own thread takes items and hands results on while the workers are busy; at most two items a
    worker are under way at any time. The first failure, in the items' order, is raised where it happened, and
    nothing is left running.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="holdfast-score") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
