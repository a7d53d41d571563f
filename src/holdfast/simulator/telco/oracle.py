"""The true probability of leaving, exactly: the distribution over states carried forward through the months.

As of the first of a month a customer's state is known. What follows is a Markov chain of 36 states
(contract 2 x payments 3 x ticket 2 x usage 3) with a hazard for each cause and state, so the chance of
leaving within a horizon, and for which cause, is a finite sum. Nothing is estimated or drawn.

Each is computed for several *variants* of the voluntary hazard at once: one a taste, and for the customer's
own taste one an offer. Weighted by how likely each taste is after all that has happened (Bayes' rule, month
by month), the first give the best that anybody could know who sees the state, but no taste.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.simulator.telco import chains, hazard
from holdfast.simulator.telco.people import TASTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.telco.calendar import Calendar
    from holdfast.simulator.telco.hazard import State
    from holdfast.simulator.telco.traits import Traits

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

HORIZONS = (30, 60, 90)
"""Days."""

_TOGETHER = 500
"""Customers at a time: as many as keep the arrays in the processor's cache."""

_MONTHS = 4
"""That the longest horizon can reach into."""

_STATES = (2, 3, 2, 3)
"""Contract, payments, ticket, usage."""
_OVER = (1, 2, 3, 4)
_OWN_OVER = (0, 1, 2, 3)
"""Their axes, with variants before them and without."""


@dataclass(frozen=True)
class Truth:
    """What will become of customers as of one moment, one entry a customer in the last dimension."""

    causes: Floats
    """(horizons, causes, customers): the chance of leaving within the horizon for each cause."""
    untasted: Floats
    """(horizons, customers): the chance of leaving for any cause, to someone who knows all but the taste."""
    offers: Floats
    """(horizons, offers, customers): what an offer made now adds to the chance of leaving within each."""


def truth_of(
    traits: Traits,
    state: State,
    *,
    taste: NDArray[np.int8],
    belief: Doubles,
    calendar: Calendar,
    month: int,
) -> Truth:
    """The truth as of the first of a month.

    Args:
        traits: of the customers who are there.
        state: theirs, on that day.
        taste: theirs, which index `TASTES`.
        belief: (customers, tastes), how likely each taste is after what has happened.
        calendar: of the world.
        month: which.
    """
    causes = np.empty((len(HORIZONS), len(hazard.CAUSES), taste.size), np.float32)
    untasted = np.empty((len(HORIZONS), taste.size), np.float32)
    offers = np.empty((len(HORIZONS), len(traits.offers), taste.size), np.float32)
    for own in range(TASTES.size):  # together, so that all have their own taste in one place
        alike = np.flatnonzero(taste == own)
        for first in range(0, alike.size, _TOGETHER):
            some = alike[first : first + _TOGETHER]
            future = _Future(traits.take(some), state.take(some), calendar, month, own)
            causes[..., some] = future.causes
            untasted[:, some] = np.einsum("hvn,nv->hn", future.left[:, : TASTES.size], belief[some])
            offers[..., some] = future.left[:, TASTES.size :] - future.left[:, own, None]
    return Truth(causes, untasted, offers)


class _Future:
    """Some customers of one taste, month after month until the longest horizon.

    Attributes:
        left: (horizons, variants, customers), the chance of having left.
        causes: (horizons, causes, customers), the same for each cause, in the variant of their own taste.
    """

    def __init__(self, traits: Traits, state: State, calendar: Calendar, month: int, own: int) -> None:
        self._traits, self._state, self._calendar, self._own = traits, state, calendar, own
        self._cut = _single(hazard.cut_off(traits))[None, :, None, None]
        size = traits.number.size
        tastes = np.repeat(TASTES[:, None], size, axis=1)
        self._variants = _single(np.exp(np.concatenate([tastes, TASTES[own] + traits.offers])))
        self.left = np.zeros((len(HORIZONS), len(self._variants), size), np.float32)
        self.causes = np.zeros((len(HORIZONS), len(hazard.CAUSES), size), np.float32)
        self._live(month)

    def _live(self, month: int) -> None:
        past, there = 0, self._now(month)
        for step in range(month, month + _MONTHS):
            days = self._calendar.days(step)
            there = self._survive(there, step, past, days)
            past += days
            if past >= HORIZONS[-1]:
                return
            there = self._move(there, step, first=step == month)

    def _now(self, month: int) -> Floats:
        """Who is there, by state: (variants, contract, payments, ticket, usage, customers)."""
        state, who = self._state, np.arange(self.left.shape[-1])
        there = np.zeros((1, *_STATES, who.size), np.float32)
        bound = (state.contract_end > month).astype(np.int64)
        there[0, bound, state.payment, state.ticket, state.usage, who] = 1.0
        return there

    def _survive(self, there: Floats, month: int, past: int, days: int) -> Floats:
        """Who is left at the end of a month; who is not is counted, for each horizon that sees it."""
        wish = np.exp(hazard.voluntary(self._traits, self._state, self._calendar, month))
        free = _single(wish[:, None, None, None])
        free = free * _single(hazard.troubles(self._traits, self._state, self._calendar, month))
        moving = _single(hazard.moving(self._traits, self._calendar, month))
        others = self._cut + moving
        alive = there
        within = np.clip(np.array(HORIZONS) - past, 0, days)
        for length in sorted({days, *within.tolist()} - {0}):
            share = np.float32(-length / days)
            alive = self._variants[:, None, None, None, None] * (free * share)
            alive += others * share
            np.exp(alive, out=alive)
            alive *= there
            self.left[within >= length] = 1.0 - alive.sum(axis=_OVER)
            own = self._variants[self._own] * free
            gone = (there[self._own if len(there) > 1 else 0] - alive[self._own]) / (own + others)
            every = [(gone * rate).sum(axis=_OWN_OVER) for rate in (own, self._cut, moving)]
            self.causes[within == length] += np.stack(every)
        return alive

    def _move(self, there: Floats, month: int, *, first: bool) -> Floats:
        """Who is where on the first of the month after ``month``."""
        traits = self._traits
        every = (
            chains.contracts(traits, self._state, month),
            chains.payments(traits, self._state.billed if first else 1.0),
            chains.tickets(traits),
            chains.usage(traits),
        )
        for axis, chain in enumerate(every, start=1):
            now, there = np.moveaxis(there, axis, 0), np.zeros_like(there)
            then = np.moveaxis(there, axis, 0)
            for (source, target), chance in chain.items():
                then[target] += now[source] * _single(chance)
        return there


def _single(values: Doubles | float) -> Floats:
    return np.asarray(values, np.float32)
