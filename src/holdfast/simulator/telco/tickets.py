"""The table of support tickets, as it became known: a ticket is closed by a second version of it.

Two kinds only look like warnings. Whoever leaves often calls to say so, at that moment and not before; and of
some who left a complaint is entered afterwards, with the date of an earlier day. To see either as of a day
before is to know the future.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.simulator.telco import clocks
from holdfast.simulator.telco.calendar import DAY, HOUR, MINUTE, Calendar
from holdfast.simulator.telco.life import STAYING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.telco.life import Month
    from holdfast.simulator.telco.people import People

    Whole = NDArray[np.int64]

CATEGORIES = ("technical", "billing", "service", "complaint", "cancellation")
COMPLAINT, CANCELLATION = 3, 4

QUICK = np.array([0.04, 0.07, 0.09, 0.05])
"""Tickets a month that are closed before it ends, by family; they mean nothing."""

STILL_OPEN = -1


class Tickets:
    """Writes down one block's tickets as the months go by."""

    def __init__(self, people: People, calendar: Calendar, rng: np.random.Generator) -> None:
        """Nobody has called yet."""
        self._people, self._calendar, self._rng = people, calendar, rng
        self._opened = np.zeros(people.size, np.int64)
        self._rows: list[dict[str, NDArray[np.generic]]] = []

    def add(self, month: Month) -> None:
        """The tickets that are closed in a month, or whose customers leave."""
        start, stop = self._calendar.starts[month.month : month.month + 2]
        since = np.maximum(month.before.begin, start)
        if month.month == 0:
            ago = self._rng.integers(DAY, 20 * DAY, month.who.size)
            self._opened[month.who] = np.maximum(start - ago, month.before.begin + HOUR)
        self._quick(month, since, stop)
        self._lasting(month, since, stop)
        self._leaving(month)

    def close(self, month: Month) -> None:
        """The tickets that the world's end leaves open."""
        who = month.who[month.before.ticket == 1]
        self._write(who, self._opened[who], np.full(who.size, STILL_OPEN))

    def frame(self) -> pl.DataFrame:
        """All rows, version by version, with a number for each ticket of a customer."""
        columns = {name: np.concatenate([row[name] for row in self._rows]) for name in self._rows[0]}
        facts = pl.DataFrame(columns).sort("customer", "opened_at", "category")
        facts = facts.with_columns(number=pl.int_range(pl.len()).over("customer"))
        lag = pl.Series(clocks.lag(facts.height, self._rng))
        opened = facts.with_columns(closed_at=pl.lit(STILL_OPEN, pl.Int64), satisfaction=pl.lit(0, pl.Int64))
        later = pl.max_horizontal(pl.col("closed_at") + lag, pl.col("known_at") + MINUTE)
        closed = facts.with_columns(known_at=later).filter(pl.col("closed_at") != STILL_OPEN)
        frame = pl.concat([opened, closed]).sort("customer", "number", "known_at")
        return frame.with_columns(
            pl.Series("category", CATEGORIES).gather(frame["category"]),
            clocks.moment("opened_at"),
            clocks.moment("known_at"),
            pl.when(pl.col("closed_at") != STILL_OPEN).then(clocks.moment("closed_at")).alias("closed_at"),
            satisfaction=pl.when(pl.col("satisfaction") > 0).then("satisfaction").cast(pl.Int8),
        )

    def _quick(self, month: Month, since: Whole, stop: int) -> None:
        rng = self._rng
        some = np.repeat(np.arange(month.who.size), rng.poisson(QUICK[self._people.family[month.who]]))
        opened = since[some] + (rng.random(some.size) * (stop - since[some])).astype(np.int64)
        closed = np.minimum(
            opened + rng.exponential(30 * HOUR, some.size).astype(np.int64) + MINUTE, stop - 1
        )
        real = (opened < month.end[some]) & (opened < stop - HOUR)
        late = np.where(rng.random(some.size) < 0.02, rng.integers(10 * DAY, 60 * DAY, some.size), 0)  # noqa: PLR2004 - entered later
        self._write(month.who[some[real]], opened[real], closed[real], late=late[real], pleased=0.75)

    def _lasting(self, month: Month, since: Whole, stop: int) -> None:
        """Tickets that the first of a month finds open: these make people leave."""
        rng, who = self._rng, month.who
        stays = month.cause == STAYING
        was, will = month.before.ticket == 1, month.after.ticket == 1
        closes = stays & was & ~will
        at = since + (rng.random(who.size) * (stop - since)).astype(np.int64)
        at = np.maximum(at, self._opened[who] + HOUR)
        self._write(who[closes], self._opened[who[closes]], at[closes], pleased=0.3)
        ends = ~stays & was
        self._write(
            who[ends],
            self._opened[who[ends]],
            month.end[ends] + rng.integers(0, 3 * DAY, int(ends.sum())),
            pleased=0.15,
        )
        opens = stays & will & ~was
        self._opened[who[opens]] = np.minimum(at[opens], stop - HOUR)

    def _leaving(self, month: Month) -> None:
        rng = self._rng
        left = month.cause != STAYING
        who, end, begin = month.who[left], month.end[left], month.before.begin[left]
        calls = (month.cause[left] == 0) & (rng.random(who.size) < 0.6)  # noqa: PLR2004 - others just go
        at = end + rng.integers(0, 2 * HOUR, who.size)
        self._write(who[calls], at[calls], at[calls] + 15 * MINUTE, category=CANCELLATION, pleased=0.2)
        entered = rng.random(who.size) < 0.15  # noqa: PLR2004 - some are asked why, and say since when
        said = end - rng.integers(2 * DAY, 25 * DAY, who.size)
        said = np.maximum(said, begin + MINUTE)
        late = end - said + rng.integers(DAY, 20 * DAY, who.size)
        self._write(
            who[entered],
            said[entered],
            said[entered] + HOUR,
            category=COMPLAINT,
            late=late[entered],
            pleased=0.1,
        )

    def _write(
        self,
        who: Whole,
        opened: Whole,
        closed: Whole,
        *,
        category: int | None = None,
        late: Whole | int = 0,
        pleased: float = 0.5,
    ) -> None:
        rng = self._rng
        drawn = rng.choice(4, who.size, p=[0.45, 0.25, 0.22, 0.08])
        said = 1 + rng.binomial(4, pleased, who.size)
        silent = (rng.random(who.size) < 0.45) | (closed == STILL_OPEN)  # noqa: PLR2004 - many do not answer
        self._rows.append(
            {
                "customer": who,
                "opened_at": opened,
                "closed_at": closed,
                "category": drawn if category is None else np.full(who.size, category),
                "satisfaction": np.where(silent, 0, said),
                "known_at": opened + late + clocks.lag(who.size, rng),
            }
        )
