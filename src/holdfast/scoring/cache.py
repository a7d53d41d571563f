"""Remembers what equal records were answered: in memory, and in Redis, where all servers share it."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from holdfast.settings import Settings

    Pairs = Sequence[tuple[bytes, bytes]]

PREFIX = b"holdfast:answer:"
GENERATION = b"holdfast:answers"
"""Holds a token that is part of every key: whoever replaces it has everything forgotten."""

ANSWER_SECONDS = 0.02
"""How long Redis may take for an answer. What it costs to do without it is scoring some customers again."""

SLOW_SECONDS = 0.01
"""An answer that took longer is used, but the next is not waited for."""

CONNECT_SECONDS = 0.1
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 4.0
"""How long Redis is left alone after it failed: at first, and after it has failed some times in a row."""

WRITING_SECONDS = 0.25
"""How often the thread that writes looks whether it is still wanted."""

MOST_WAITING = 256
"""Batches that may wait to be written to Redis; what does not fit is not shared."""


class AnswerCache:
    """Answers by keys that name everything they depend on. Safe to share between threads; never raises.

    Args:
        settings: how long to keep an answer, how many at most, and where Redis is, if there is one.

    Attributes:
        hits: answers that were found.
        misses: answers that were not.
    """

    def __init__(self, settings: Settings) -> None:
        self.hits = 0
        self.misses = 0
        self._seconds = settings.cache_seconds
        self._most = settings.cache_entries
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._shared = None
        if settings.redis_url is not None and self._seconds:
            self._shared = _Shared(settings.redis_url.get_secret_value(), self._seconds, self._forget)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What is known for each key."""
        now, kept = time.monotonic(), self._kept
        found: list[bytes | None] = [None] * len(keys)
        with self._lock:
            for at, key in enumerate(keys):
                entry = kept.get(key)
                if entry is not None and entry[0] > now:
                    kept.move_to_end(key)
                    found[at] = entry[1]
        missing = [at for at, value in enumerate(found) if value is None]
        if missing and self._shared is not None:
            shared = self._shared.get_many([keys[at] for at in missing])
            for at, value in zip(missing, shared, strict=True):
                found[at] = value
            self._keep([(keys[at], value) for at in missing if (value := found[at]) is not None])
        lacking = found.count(None)
        self.hits += len(keys) - lacking
        self.misses += lacking
        return found

    def put_many(self, pairs: Pairs) -> None:
        """Remember the answer to each key."""
        if not self._seconds or not pairs:
            return
        self._keep(pairs)
        if self._shared is not None:
            self._shared.put_many(pairs)

    def clear(self) -> None:
        """Forget everything, also for the other servers as soon as they look into Redis."""
        self._forget()
        if self._shared is not None:
            self._shared.clear()

    def close(self) -> None:
        """Let Redis go. What is asked afterwards is answered from memory."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _keep(self, pairs: Pairs) -> None:
        until, kept = time.monotonic() + self._seconds, self._kept
        with self._lock:
            for key, value in pairs:
                kept[key] = (until, value)
                kept.move_to_end(key)
            while len(kept) > self._most:
                kept.popitem(last=False)

    def _forget(self) -> None:
        with self._lock:
            self._kept.clear()


class _Shared:
    """The part in Redis. Only reading is waited for; a thread of its own connects and writes.

    Args:
        url: of Redis.
        seconds: how long it keeps an answer.
        forget: called when some server has had everything forgotten.
    """

    def __init__(self, url: str, seconds: float, forget: Callable[[], None]) -> None:
        from redis import RedisError  # noqa: PLC0415 - not installed unless Redis is used

        self._redis = _client(url)
        self._failures = (RedisError, OSError)
        self._milliseconds = max(1, round(seconds * 1_000))
        self._forget = forget
        self._token: bytes | None = None
        """That of `GENERATION`, while Redis answers; None while it is left alone."""
        self._to_clear = False
        self._waiting: queue.Queue[Pairs] = queue.Queue(MOST_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cache", daemon=True)
        self._thread.start()

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """What Redis knows for each key: nothing, where it does not answer at once."""
        token = self._token
        nothing = [None] * len(keys)
        if token is None:
            return nothing
        started = time.perf_counter()
        names = [GENERATION, *(PREFIX + token + key for key in keys)]
        try:
            current, *found = cast("list[bytes | None]", self._redis.mget(names))
        except self._failures:
            self._token = None
            return nothing
        if current != token:
            self._token = None
            self._forget()
            return nothing
        if time.perf_counter() - started > SLOW_SECONDS:
            self._token = None
        return found

    def put_many(self, pairs: Pairs) -> None:
        """Have answers written, if there is room for more."""
        if self._token is not None:
            with suppress(queue.Full):
                self._waiting.put_nowait(pairs)

    def clear(self) -> None:
        """Have everything forgotten, at the latest when Redis is back."""
        self._to_clear, self._token = True, None

    def close(self) -> None:
        """Write no more."""
        self._stopped.set()
        self._thread.join()
        self._token = None
        self._redis.close()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                self._token = self._found()
                self._write()
                pause = 0.0 if self._to_clear else PAUSE_SECONDS
            except self._failures:
                pause = min(max(PAUSE_SECONDS, 2 * pause), LONGEST_PAUSE_SECONDS)
            self._token = None

    def _found(self) -> bytes:
        """The token, if Redis answers quickly."""
        token = secrets.token_bytes(8)
        if self._to_clear:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._redis.set(GENERATION, token)
            self._to_clear = False
        else:
            self._redis.set(GENERATION, token, nx=True)
        started = time.perf_counter()
        found = self._redis.get(GENERATION)
        if not isinstance(found, bytes) or time.perf_counter() - started > SLOW_SECONDS:
            raise TimeoutError
        return found

    def _write(self) -> None:
        """Write what waits, for as long as Redis answers."""
        while (token := self._token) is not None and not self._to_clear and not self._stopped.is_set():
            with suppress(queue.Empty):
                pairs = self._waiting.get(timeout=WRITING_SECONDS)
                with self._redis.pipeline(transaction=False) as pipeline:
                    pipeline.get(GENERATION)
                    for key, value in pairs:
                        pipeline.set(PREFIX + token + key, value, px=self._milliseconds)
                    if pipeline.execute()[0] != token:
                        self._forget()
                        return


def _client(url: str) -> Redis:
    """A client that never waits long and tries nothing twice."""
    from redis import Redis  # noqa: PLC0415 - not installed unless Redis is used
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
    from redis.retry import Retry  # noqa: PLC0415 - as above

    return Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
