"""How often a caller may ask: so many requests in any minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.access.shared import SharedWindows
from holdfast.access.windows import Windows

if TYPE_CHECKING:
    from holdfast.access.roles import Caller
    from holdfast.access.windows import Verdict
    from holdfast.settings import Settings


class Limiter:
    """Counts the requests of each caller: in Redis where it is configured and answers, else in memory.

    Args:
        settings: of this installation.

    Raises:
        UsageError: Redis is configured wrongly.
    """

    def __init__(self, settings: Settings) -> None:
        self._usual = settings.rate_limit
        self._windows = Windows()
        url = settings.redis_url
        self._shared = None if url is None else SharedWindows(url.get_secret_value())

    async def take(self, caller: Caller) -> Verdict:
        """Count one more request of ``caller``, if it may pass. In memory it awaits nothing."""
        limit = caller.rate or self._usual
        if self._shared is not None:
            verdict = await self._shared.take(caller.id, limit)
            if verdict is not None:
                return verdict
        return self._windows.take(caller.id, limit)

    async def close(self) -> None:
        """Let go of Redis."""
        if self._shared is not None:
            await self._shared.close()
