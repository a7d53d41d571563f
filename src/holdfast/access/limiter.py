"""How often a caller may ask: so many requests in any minute."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from holdfast.access.roles import Caller
    from holdfast.settings import Settings

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


class Limiter:
    """Counts the requests of each caller.

    Args:
        settings: of this installation.
    """

    def __init__(self, settings: Settings) -> None:
        self._usual = settings.rate_limit
        self._windows = Windows()

    async def take(self, caller: Caller) -> Verdict:
        """Count one more request of ``caller``, if it may pass."""
        return self._windows.take(caller.id, caller.rate or self._usual)


class Windows:
    """A sliding-window counter in memory: the window that runs, plus what still counts of the one before.

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
        allowed = math.floor(used) + 1 <= limit
        count += allowed
        self._counts[name] = (int(window), before, count)
        if len(self._counts) > self._most:
            del self._counts[next(iter(self._counts))]
        remaining = max(0, limit - math.floor(used) - 1)
        if allowed:
            return Verdict(True, limit, remaining, math.ceil(WINDOW - into))  # noqa: FBT003 - a named field
        return Verdict(False, limit, 0, _wait(before, count, limit, into))  # noqa: FBT003 - as above


def _wait(before: int, count: int, limit: int, into: float) -> int:
    """Seconds until one more may pass, at most two windows."""
    if count + 1 <= limit:  # enough of the window before must run out
        return max(1, math.ceil(WINDOW * (1 - (limit - count) / before) - into))
    return math.ceil(WINDOW - into + WINDOW * max(0.0, 1 - limit / count))
