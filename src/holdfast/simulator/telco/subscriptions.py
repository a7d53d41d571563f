"""The table of subscriptions: who had which plan from when until when, as it became known.

A change of plan, a new contract or a new price ends one subscription and begins the next at the same
moment; a price changes with its announcement, in the month before the bills do. An end is a new version of a
row, known when it is entered, and a few ends are entered wrongly and corrected weeks later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.simulator.telco import clocks
from holdfast.simulator.telco.calendar import DAY, FAMILIES, HOUR, PAST, Calendar
from holdfast.simulator.telco.hazard import CAUSES, LOW
from holdfast.simulator.telco.life import STAYING
from holdfast.simulator.telco.people import ADDON_PRICE, LIST_PRICE, TERMS, TIERS, People

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.telco.life import Month

    Whole = NDArray[np.int64]
    Floats = NDArray[np.float64]

CHANGED = "changed"
"""The reason for the end of a subscription that another follows at once."""

REASONS = (*CAUSES, CHANGED)
GOES_ON = -1
"""Stands for no end, no reason and no contract."""

WRONG = 0.03
"""Share of ends that are first entered wrongly."""


class Subscriptions:
    """Writes down one block's subscriptions as the months go by."""

    def __init__(self, people: People, calendar: Calendar, rng: np.random.Generator) -> None:
        """Nobody has subscribed yet."""
        self._people, self._calendar, self._rng = people, calendar, rng
        self.tier = people.tier.astype(np.int64)
        self._begin = np.zeros(people.size, np.int64)
        self._known = np.zeros(people.size, np.int64)
        self._number = np.zeros(people.size, np.int64)
        self._term = people.term.copy()
        self._until = np.full(people.size, GOES_ON)
        self._charge = np.zeros(people.size)
        self._rows: list[dict[str, NDArray[np.generic]]] = []

    def charge(self, who: Whole, index: Floats) -> Floats:
        """What some pay a month, at their price index."""
        people = self._people
        listed = LIST_PRICE[people.family[who], self.tier[who]] + ADDON_PRICE * people.addons[who]
        charge: Floats = np.round(listed * index * (1 + people.premium[who]), 2)
        return charge

    def add(self, month: Month) -> None:
        """What a month brings: newcomers, ends, changes, and the price rises of the next."""
        new = month.joined if month.month else np.ones(month.who.size, np.bool_)
        self._open(month.who[new], month.before.begin[new], month.index[new], month.before.contract_end[new])
        ends = month.cause != STAYING
        self._end(month.who[ends], month.end[ends], month.cause[ends])
        stays = ~ends
        self._change(month, stays)
        self._announce(month, stays)

    def frame(self) -> pl.DataFrame:
        """All rows, version by version."""
        columns = {name: np.concatenate([row[name] for row in self._rows]) for name in self._rows[0]}
        # Plans are few, so their names are looked up by number.
        names = pl.Series([f"{family} {tier}" for family in FAMILIES for tier in TIERS])
        frame = pl.DataFrame(columns).sort("customer", "number", "known_at")
        return frame.with_columns(
            plan=names.gather(frame["plan"]),
            end_reason=pl.Series(REASONS).gather(
                pl.select(pl.when(frame["end_reason"] != GOES_ON).then(frame["end_reason"])).to_series()
            ),
        ).with_columns(
            clocks.moment("started_at"),
            clocks.moment("known_at"),
            pl.when(pl.col("ended_at") != GOES_ON).then(clocks.moment("ended_at")).alias("ended_at"),
            contract_until=pl.when(pl.col("contract_until") != GOES_ON).then(
                pl.from_epoch("contract_until", "s").dt.date()
            ),
        )

    def _open(self, who: Whole, begin: Whole, index: Floats, contract_end: Whole) -> None:
        """A first subscription, or the first after a return."""
        self._begin[who] = begin
        self._known[who] = begin + clocks.lag(who.size, self._rng, late=0.01)
        self._number[who] += 1
        self._term[who] = self._people.term[who]
        self._until[who] = self._until_of(contract_end, self._term[who])
        self._charge[who] = self.charge(who, index)
        self._write(who)

    def _end(self, who: Whole, end: Whole, cause: Whole) -> None:
        rng = self._rng
        wrong = rng.random(who.size) < WRONG
        first = end + np.where(wrong, rng.integers(1, 10, who.size) * rng.choice([-1, 1], who.size), 0) * DAY
        first = np.maximum(first, self._begin[who] + HOUR)
        self._learn(who, np.maximum(first, end) + clocks.lag(who.size, rng, late=0.08))
        self._write(who, np.where(wrong, first, end), cause)
        again = who[wrong]
        self._learn(again, self._known[again] + rng.integers(15 * DAY, 50 * DAY, again.size))
        self._write(again, end[wrong], cause[wrong])

    def _change(self, month: Month, stays: NDArray[np.bool_]) -> None:
        """New contracts and plans. Whoever uses little is likelier to take a smaller plan."""
        rng, size = self._rng, month.who.size
        low = month.before.usage == LOW
        moves = rng.random(size) < np.where(low, 0.03, 0.01)
        step = np.where(rng.random(size) < np.where(low, 0.1, 0.6), 1, -1)
        old = stays & ~month.joined
        tier = np.clip(self.tier[month.who] + np.where(moves & old, step, 0), 0, len(TIERS) - 1)
        changes = old & ((month.signed > 0) | (tier != self.tier[month.who]))
        who = month.who[changes]
        start, stop = self._calendar.starts[month.month : month.month + 2]
        self._end_one(who, self._rng.integers(start, stop, who.size))
        signed = month.signed[changes]
        self._term[who] = np.where(signed > 0, signed, self._term[who])
        contract_end = month.after.contract_end[changes]
        self._until[who] = np.where(signed > 0, self._until_of(contract_end, signed), self._until[who])
        self.tier[who] = tier[changes]
        index = self._calendar.index[month.month + PAST, self._people.family[who]]
        self._charge[who] = self.charge(who, np.where(signed > 0, index, month.index[changes]))
        self._write(who)

    def _announce(self, month: Month, stays: NDArray[np.bool_]) -> None:
        """The prices of the next month. Known before it begins, and after this month has begun."""
        following = month.month + 1
        free = stays & (month.after.contract_end <= following)
        who = month.who[free]
        charge = self.charge(who, self._calendar.index[following + PAST, self._people.family[who]])
        risen = charge > self._charge[who]
        who = who[risen]
        self._end_one(who, self._calendar.starts[following] - self._rng.integers(3 * DAY, 27 * DAY, who.size))
        self._charge[who] = charge[risen]
        self._write(who)

    def _end_one(self, who: Whole, at: Whole) -> None:
        """End a subscription, and let the next begin; whoever calls says what is new, and writes it."""
        at = np.maximum(at, self._begin[who] + HOUR)
        self._learn(who, at + clocks.lag(who.size, self._rng, late=0.01))
        self._write(who, at, np.full(who.size, REASONS.index(CHANGED)))
        self._begin[who] = at
        self._number[who] += 1

    def _until_of(self, contract_end: Whole, term: Whole) -> Whole:
        """The first second after the contract, where there is one."""
        longest = self._calendar.months + max(TERMS) + 2
        starts = np.array([self._calendar.start(month) for month in range(longest)])
        return np.where(term > 0, starts[np.maximum(contract_end, 0)], GOES_ON)

    def _learn(self, who: Whole, known: Whole) -> None:
        """The next version is known then, and after the one before."""
        self._known[who] = np.maximum(known, self._known[who] + HOUR)

    def _write(self, who: Whole, end: Whole | None = None, reason: Whole | None = None) -> None:
        people, nothing = self._people, np.full(who.size, GOES_ON)
        self._rows.append(
            {
                "customer": who,
                "number": self._number[who],
                "plan": people.family[who].astype(np.int64) * len(TIERS) + self.tier[who],
                "contract_months": self._term[who],
                "contract_until": self._until[who],
                "add_ons": people.addons[who],
                "monthly_charge": self._charge[who],
                "started_at": self._begin[who],
                "ended_at": nothing if end is None else end,
                "end_reason": nothing if reason is None else reason,
                "known_at": self._known[who],
            }
        )
