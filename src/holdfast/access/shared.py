"""Rate limits that all servers of an installation share, counted in Redis."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

from holdfast.access.windows import MOST_CALLERS, Verdict
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from limits.aio.strategies import SlidingWindowCounterRateLimiter

PATIENCE = 0.1
"""Seconds that a request waits for Redis; then it is counted in memory."""
PAUSE = 5.0
"""Seconds until Redis is asked again after it failed."""
HELD = 0.5
"""Seconds that what Redis said is good for."""
SHARE = 100
"""One question takes this part of the limit at once, so that most requests need not ask."""


class _Lease(NamedTuple):
    """What was taken and not yet used, until when, and what Redis said was left and when it is reset."""

    left: int
    refused: bool
    until: float
    remaining: int
    reset: float


class SharedWindows:
    """Sliding windows in Redis. A server takes a hundredth of a limit at a time; never more than the limit.

    Args:
        url: of Redis.

    Raises:
        UsageError: the client of Redis is not installed, or the URL is none.
    """

    def __init__(self, url: str) -> None:
        self._counter = _counter(url)
        self._leases: dict[str, _Lease] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closed_until = 0.0

    async def take(self, name: str, limit: int) -> Verdict | None:
        """Count one more, if it may pass; none when Redis does not answer in time."""
        verdict = self._leased(name, limit)
        if verdict is not None:
            return verdict
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:  # one question for all of a caller's requests that come together
            verdict = self._leased(name, limit)
            if verdict is not None or time.monotonic() < self._closed_until:
                return verdict
            return await self._asked(name, limit)

    def _leased(self, name: str, limit: int) -> Verdict | None:
        """One of those that were taken already, or the refusal that still holds."""
        lease = self._leases.get(name)
        if lease is None or time.monotonic() >= lease.until:
            return None
        if lease.refused:
            return Verdict(False, limit, 0, _seconds(lease.reset))  # noqa: FBT003 - a named field
        if lease.left == 0:
            return None
        self._leases[name] = lease._replace(left=lease.left - 1)
        left = lease.remaining + lease.left - 1
        return Verdict(True, limit, left, _seconds(lease.reset))  # noqa: FBT003 - as above

    async def _asked(self, name: str, limit: int) -> Verdict | None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - only who configures Redis has it installed

        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(name, limit)
        except (RedisError, OSError, TimeoutError, RuntimeError):  # the last: uvloop, of a closed connection
            self._closed_until = time.monotonic() + PAUSE
            return None

    async def _ask(self, name: str, limit: int) -> Verdict:
        from limits import RateLimitItemPerMinute  # noqa: PLC0415 - slow to import

        item = RateLimitItemPerMinute(limit)
        several = max(1, limit // SHARE)
        taken = several if await self._counter.hit(item, name, cost=several) else 0
        if taken == 0 and several > 1:
            taken = int(await self._counter.hit(item, name))
        reset, remaining = await self._counter.get_window_stats(item, name)
        self._leases.pop(name, None)  # the newest stand last
        left = max(0, taken - 1)
        self._leases[name] = _Lease(left, taken == 0, time.monotonic() + HELD, remaining, reset)
        if len(self._leases) > MOST_CALLERS:
            del self._leases[next(iter(self._leases))]
        return Verdict(taken > 0, limit, remaining + left, _seconds(reset))

    async def close(self) -> None:
        """Hang up."""
        storage: Any = self._counter.storage
        await storage.bridge.storage.aclose()


def _seconds(reset: float) -> int:
    return max(1, math.ceil(reset - time.time()))


def _counter(url: str) -> SlidingWindowCounterRateLimiter:
    from limits.aio.storage import RedisStorage  # noqa: PLC0415 - only who configures Redis has it installed
    from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415 - as above
    from limits.errors import ConfigurationError  # noqa: PLC0415 - as above

    try:
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above

        options: Any = {
            "socket_timeout": PATIENCE,
            "socket_connect_timeout": PATIENCE,
            "retry": Retry(NoBackoff(), 0),
        }
        storage = RedisStorage(url, implementation="redispy", key_prefix="holdfast:rate", **options)
    except (ImportError, ConfigurationError) as error:
        raise UsageError(
            "HOLDFAST_REDIS_URL needs the client of Redis.", hint="Install it: pip install 'holdfast[redis]'"
        ) from error
    except ValueError as error:
        raise UsageError(
            "HOLDFAST_REDIS_URL is no URL of Redis.", hint="Write it as redis://host:6379/0."
        ) from error
    return SlidingWindowCounterRateLimiter(storage)
