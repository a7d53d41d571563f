"""What happens to customers: the world, lived month by month, for one block of customers.

Everything in a month follows from the state on its first. Whoever leaves does so at a moment drawn from
the month's hazard; of those who stay, the next state is drawn. What the tables will show is written down as
it happens, and turned into rows by `subscriptions`, `transactions` and `tickets`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.simulator.telco import chains, hazard
from holdfast.simulator.telco.calendar import DAY, PAST
from holdfast.simulator.telco.hazard import State
from holdfast.simulator.telco.oracle import Truth, truth_of
from holdfast.simulator.telco.people import TASTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from holdfast.simulator.telco.calendar import Calendar
    from holdfast.simulator.telco.people import People
    from holdfast.simulator.telco.traits import Traits

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Flags = NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""A time that does not come."""

STAYING = -1
"""The cause of those who do not leave."""

RETURNS = 0.06
"""Share of those who left who come back."""
AWAY = (40, 160)
"""After how many days, at least and at most: no grace of 39 days or less makes their leaving undone."""


@dataclass(frozen=True)
class Month:
    """One month of a block. Arrays have one entry for each of ``who``, the customers there for some of it."""

    month: int
    who: Whole
    joined: Flags
    """Whether they joined, or came back, in this month."""
    before: State
    """On the first, or on joining."""
    after: State
    """On the first of the next month, had they stayed."""
    signed: Whole
    """Months of a contract signed in this month; 0 is none."""
    cause: Whole
    """Index of `hazard.CAUSES`, or `STAYING`."""
    end: Whole
    """When they left (seconds since 1970), or `NEVER`."""
    truth: Truth
    """Of those who had not joined in this month."""
    index: Floats
    """The price index that they pay this month."""


def live(people: People, traits: Traits, calendar: Calendar, rng: np.random.Generator) -> Iterator[Month]:
    """The months one by one, and one more that has begun: its ``truth`` alone is meant."""
    for_start, for_lives = rng.spawn(2)
    state = _at_start(people, traits, calendar, for_start)
    there = people.joined < calendar.starts[0]
    belief = people.prior.copy()
    for month in range(calendar.months + 1):
        start, stop = calendar.starts[month], calendar.starts[month + 1]
        joined = ~there & (state.begin >= start) & (state.begin < stop) & (month < calendar.months)
        old, who = np.flatnonzero(there), np.flatnonzero(there | joined)
        truth = truth_of(
            traits.take(old),
            state.take(old),
            taste=people.taste[old],
            belief=belief[old],
            calendar=calendar,
            month=month,
        )
        some, before = traits.take(who), state.take(who)
        price = calendar.index[month + PAST, some.family]
        _sign(before, joined[who], people.term[who], price, month)
        index = np.where(before.contract_end > month, before.signed_index, price)
        if month == calendar.months:  # the world has ended; what would follow is known all the same
            nobody = np.full(who.size, STAYING), np.full(who.size, NEVER)
            yield Month(month, who, joined[who], before, before, np.zeros_like(who), *nobody, truth, index)
            return
        rates, wish = _rates(some, before, people.taste[who], calendar, month)
        cause, end = _leave(rates, before.begin, start, stop, for_lives)
        share = (np.minimum(end, stop) - np.maximum(before.begin, start)) / (stop - start)
        belief[who] = _believe(belief[who], wish * share, left=cause == 0)
        after, signed = chains.next_state(some, before, calendar, month, for_lives)
        after = replace(after, billed=before.begin < start + people.bill_at[who])
        yield Month(month, who, joined[who], before, after, signed, cause, end, truth, index)
        state.put(who, after)
        there[who] = cause == STAYING
        _come_back(state, who[cause != STAYING], end[cause != STAYING], month, for_lives)


def _sign(state: State, joined: Flags, term: Whole, price: Floats, month: int) -> None:
    """Newcomers sign for as long as they want, at the month's prices."""
    signs = joined & (term > 0)
    state.contract_end = np.where(signs, month + 1 + term, state.contract_end)
    state.signed_index = np.where(joined, price, state.signed_index)


def _rates(
    traits: Traits, state: State, taste: NDArray[np.int8], calendar: Calendar, month: int
) -> tuple[Floats, Floats]:
    """(causes, customers): the hazards of the month; and the voluntary one without the taste."""
    who = np.arange(taste.size)
    bound = (state.contract_end > month).astype(np.int64)
    trouble = hazard.troubles(traits, state, calendar, month)[state.payment, state.ticket, state.usage, who]
    wish = np.exp(hazard.voluntary(traits, state, calendar, month)[bound, who]) * trouble
    cut, moving = hazard.cut_off(traits)[state.payment, who], hazard.moving(traits, calendar, month)
    return np.stack([wish * np.exp(TASTES[taste]), cut, moving]), wish


def _leave(
    rates: Floats, begin: Whole, start: int, stop: int, rng: np.random.Generator
) -> tuple[Whole, Whole]:
    """Who leaves in the month: why and when."""
    total = rates.sum(axis=0)
    end = np.maximum(begin, start) + np.ceil(rng.exponential(size=begin.size) / total * (stop - start))
    leaves = end < stop
    picked = rng.random(begin.size) * total
    cause = np.where(leaves, (picked >= np.cumsum(rates, axis=0)[:-1]).sum(axis=0), STAYING)
    return cause, np.where(leaves, np.where(leaves, end, 0).astype(np.int64), NEVER)


def _believe(belief: Floats, wish: Floats, *, left: Flags) -> Floats:
    """How likely each taste is after a month, by Bayes' rule.

    Args:
        belief: (customers, tastes), before it.
        wish: the voluntary hazard without the taste, for as much of the month as was lived.
        left: who left voluntarily.
    """
    likely = np.exp(-np.exp(TASTES) * wish[:, None]) * np.where(left[:, None], np.exp(TASTES), 1.0)
    believed = belief * likely
    return np.asarray(believed / believed.sum(axis=1, keepdims=True))


def _come_back(state: State, left: Whole, end: Whole, month: int, rng: np.random.Generator) -> None:
    """Some return as newcomers do: by the month or with a contract, without arrears."""
    days = rng.integers(*AWAY, left.size) * DAY
    back = rng.random(left.size) < RETURNS
    fresh = _fresh(left.size, month)
    fresh.begin = np.where(back, end + days, NEVER)
    state.put(left, fresh)


def _fresh(size: int, month: int) -> State:
    """The state of newcomers: nothing has happened yet."""
    zeros = np.zeros(size, np.int64)
    return State(
        begin=zeros.copy(),
        contract_end=zeros + month - PAST,
        signed_index=np.ones(size),
        payment=zeros.copy(),
        ticket=zeros.copy(),
        usage=zeros.copy(),
        billed=np.zeros(size, np.bool_),
    )


def _at_start(people: People, traits: Traits, calendar: Calendar, rng: np.random.Generator) -> State:
    """The state of everybody on the first day: of those who are there, about what life makes of it."""
    state = _fresh(people.size, -1)
    state.begin = people.joined.copy()
    old = people.joined < calendar.starts[0]
    tenure = np.maximum(0, (calendar.starts[0] - people.joined) / hazard.MONTH)
    passed = np.minimum(np.ceil(people.signed_ago * people.term), np.floor(tenure)).astype(np.int64)
    ends = np.where(people.term > 0, np.maximum(people.term - passed, 1), -PAST)
    state.contract_end = np.where(old, ends, -PAST)
    state.signed_index = np.where(old, calendar.index[PAST - np.minimum(passed, PAST), people.family], 1.0)
    state.payment = np.where(old & (rng.random(people.size) < traits.failing), hazard.FAILED, 0)
    state.ticket = (old & (rng.random(people.size) < 1.7 * traits.trouble)).astype(np.int64)
    falls = rng.choice(3, people.size, p=[0.8, 0.06, 0.14])
    state.usage = np.where(old, falls, 0)
    state.billed = old.copy()
    return state
