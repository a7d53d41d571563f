"""How often a caller asked, counted in memory."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

WINDOW = 60.0
"""Seconds."""

MOST_CALLERS = 100_000
"""So many callers are counted in memory; those not heard of for longest are forgotten first."""


class Verdict(NamedTuple):
    """Whether a request may pass, and what is left."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    """Until another request may pass, where none may now; else until the window that runs is over."""


class Windows:
    """A sliding-window counter: the window that runs, plus what still counts of the one before.

    The same reckoning as that of the library `limits`, whose memory storage starts a thread every 10 ms under
    load, goes through all callers in each, and grows without bound.
    """

    def __init__(self, most: int = MOST_CALLERS) -> None:
        self._most = most
        self._counts: dict[str, tuple[int, int, int]] = {}

    def take(self, name: str, limit: int) -> Verdict:
        """Count one more, if it may pass."""
        window, into = divmod(time.time(), WINDOW)
        number, before, count = self._counts.pop(name, (int(window), 0, 0))
        if number != window:
            before, count = (count, 0) if number == window - 1 else (0, 0)
        used = before * (1 - into / WINDOW) + count
        allowed = used < limit
        count += allowed
        self._counts[name] = (int(window), before, count)
        if len(self._counts) > self._most:
            del self._counts[next(iter(self._counts))]
        if allowed:
            left = limit - math.floor(used) - 1
            return Verdict(True, limit, left, math.ceil(WINDOW - into))  # noqa: FBT003 - a named field
        return Verdict(False, limit, 0, _wait(before, count, limit, into))  # noqa: FBT003 - as above


def _wait(before: int, count: int, limit: int, into: float) -> int:
    """Seconds until one more may pass, at most two windows."""
    if count < limit:  # enough of the window before must run out
        seconds = WINDOW * (1 - (limit - count) / before) - into
    else:  # then of this one, too
        seconds = WINDOW - into + WINDOW * (1 - limit / count)
    return math.floor(seconds) + 1
