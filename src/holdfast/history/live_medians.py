"""Medians of everybody for a server that is asked about single customers all day: worked out once a day.

They take a look at a whole table, which may be seconds where an answer takes milliseconds. So a thread beside
asks for them, one day after the other; and who needs them waits a moment, not as long as it takes.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import TYPE_CHECKING

from holdfast.history.engines.medians import medians
from holdfast.history.engines.postgres import Postgres
from holdfast.history.moments import moments
from holdfast.sources import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.contract.history import History
    from holdfast.history.engines.medians import Median
    from holdfast.history.feature import HistoryFeature
    from holdfast.settings import Settings

DAYS = 8
"""Days whose medians are kept: those asked about last."""

PATIENCE = 5.0
"""Seconds that answers wait for the medians of a new day, since they were first asked for."""

LONGEST = 300
"""Seconds that the database may take over them."""


class PendingError(SourceError):
    """The medians of a new day are still being worked out."""


@dataclass(frozen=True)
class _Work:
    found: Future[list[Median]]
    waited_for_until: float


class DailyMedians:
    """The medians that features need, from the tables of PostgreSQL. Any thread may ask.

    Args:
        history: the contract of the tables.
        settings: with the address of the database.
        features: `holdfast.history.of_peers.with_peers` of those that are built; at least one.
    """

    def __init__(self, history: History, settings: Settings, features: Sequence[HistoryFeature]) -> None:
        self._history = history
        self._settings = settings.model_copy(update={"source_seconds": min(LONGEST, settings.source_seconds)})
        self._features = features
        self._lock = Lock()
        self._days: OrderedDict[datetime, _Work] = OrderedDict()
        self._turn = Lock()

    def of(self, day: datetime) -> list[Median]:
        """The medians at the begin of a day (naive UTC), as the tables were when that was first asked about.

        Raises:
            PendingError: the database has not answered yet.
            SourceError: it failed.
            HistoryError: a table or column is not there any more.
        """
        work = self._work(day)
        try:
            return work.found.result(max(0.0, work.waited_for_until - time.monotonic()))
        except (TimeoutError, CancelledError) as error:
            raise PendingError(
                f"What others have on {day:%Y-%m-%d} is still being worked out.",
                where="the database",
                hint="Ask again in some seconds; it is done once a day.",
            ) from error

    def begin(self, day: datetime) -> None:
        """Have the medians of a day worked out, unless they are; a failure is left to whoever asks."""
        with self._lock:
            begun = day in self._days
        if not begun:
            self._work(day)

    def _work(self, day: datetime) -> _Work:
        with self._lock:
            work = self._days.pop(day, None)
            if work is None or (work.found.done() and work.found.exception() is not None):
                work = _Work(Future(), time.monotonic() + PATIENCE)
                # a server that stops does not wait for its database
                Thread(target=self._answer, args=(day, work.found), name="medians", daemon=True).start()
            self._days[day] = work
            if len(self._days) > DAYS:
                self._days.popitem(last=False)[1].found.cancel()
            return work

    def _answer(self, day: datetime, found: Future[list[Median]]) -> None:
        with self._turn:  # one day after the other
            if not found.set_running_or_notify_cancel():
                return
            try:
                found.set_result(self._asked(day))
            except Exception as error:  # noqa: BLE001 - whoever asks for the day is told
                found.set_exception(error)

    def _asked(self, day: datetime) -> list[Median]:
        looks = moments(self._history, [day.replace(tzinfo=UTC)])
        with Postgres(self._history, self._settings) as postgres:

            def ask() -> Iterator[Median]:
                with postgres.reading() as reading:
                    # As of a customer's own rows, of a day that until covers what lies after it is not seen.
                    bound = reading.bound if day <= reading.bound else reading.now
                    yield from medians(self._history, reading, self._features, looks, bound)

            return list(postgres.database.persistently(ask, f"the tables of {postgres.database.place}"))
