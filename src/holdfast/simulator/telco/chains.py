"""How the state moves from one month to the next: four chains, independent of each other and of leaving.

So a customer's future is a distribution over 36 states, which the oracle can carry forward exactly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.simulator.telco.calendar import PAST
from holdfast.simulator.telco.hazard import FAILED, FAILED_AGAIN, FALLING, LOW, PAID, STEADY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.telco.calendar import Calendar
    from holdfast.simulator.telco.hazard import State
    from holdfast.simulator.telco.traits import Traits

    Floats = NDArray[np.float64]
    Chance = Floats | float

FAILS_AGAIN = np.array([np.nan, 0.4, 0.6])
"""Chance that a payment fails after one or more that did."""
STAYS_OPEN = 0.45
"""Chance that a ticket that is open on the first of a month is so on the next."""
FALLS_ON = (0.3, 0.3)
"""Chances that falling usage becomes low, and that it recovers."""
PICKS_UP = 0.08
"""Chance a month that low usage recovers."""

Chain = dict[tuple[int, int], "Chance"]
"""(from, to) and its chance, one a customer or the same for all; what is not there cannot happen."""


def payments(traits: Traits, due: NDArray[np.bool_] | float = 1.0) -> Chain:
    """Payments; without a bill (``due``) none can fail."""
    fails = traits.failing * due
    again = {state: FAILS_AGAIN[state] for state in (FAILED, FAILED_AGAIN)}
    return {
        (PAID, PAID): 1 - fails,
        (PAID, FAILED): fails,
        (FAILED, PAID): 1 - again[FAILED],
        (FAILED, FAILED_AGAIN): again[FAILED],
        (FAILED_AGAIN, PAID): 1 - again[FAILED_AGAIN],
        (FAILED_AGAIN, FAILED_AGAIN): again[FAILED_AGAIN],
    }


def tickets(traits: Traits) -> Chain:
    """Whether a ticket is open."""
    return {(0, 0): 1 - traits.trouble, (0, 1): traits.trouble, (1, 0): 1 - STAYS_OPEN, (1, 1): STAYS_OPEN}


def usage(traits: Traits) -> Chain:
    """How much is used."""
    sinks, recovers = FALLS_ON
    return {
        (STEADY, STEADY): 1 - traits.fading,
        (STEADY, FALLING): traits.fading,
        (FALLING, FALLING): 1 - sinks - recovers,
        (FALLING, LOW): sinks,
        (FALLING, STEADY): recovers,
        (LOW, LOW): 1 - PICKS_UP,
        (LOW, STEADY): PICKS_UP,
    }


def contracts(traits: Traits, state: State, month: int) -> Chain:
    """Whether a customer is bound (1) or free (0) on the first of the month after ``month``."""
    ends = state.contract_end == month + 1
    stays = np.where(ends, traits.renewing, 1.0)
    return {(0, 0): 1 - traits.signing, (0, 1): traits.signing, (1, 1): stays, (1, 0): 1 - stays}


def draw(chain: Chain, now: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The next state of each customer."""
    drawn, passed = rng.random(now.size), np.zeros(now.size)
    found = now.copy()
    for (source, target), chance in chain.items():
        here = np.where(now == source, chance, 0.0)
        found[(drawn >= passed) & (drawn < passed + here)] = target
        passed += here
    return found


def next_state(
    traits: Traits, state: State, calendar: Calendar, month: int, rng: np.random.Generator
) -> tuple[State, NDArray[np.int64]]:
    """The state on the first of the next month, and the months for which a contract was signed (0: none)."""
    bound = (state.contract_end > month).astype(np.int64)
    after = draw(contracts(traits, state, month), bound, rng)
    renewed = (after == 1) & ((bound == 0) | (state.contract_end == month + 1))
    term = np.where(rng.random(bound.size) < 0.6, 12, 24) * renewed  # noqa: PLR2004 - most sign for a year
    return (
        replace(
            state,
            contract_end=np.where(renewed, month + 1 + term, state.contract_end),
            signed_index=np.where(renewed, calendar.index[month + PAST, traits.family], state.signed_index),
            payment=draw(payments(traits, state.billed), state.payment, rng),
            ticket=draw(tickets(traits), state.ticket, rng),
            usage=draw(usage(traits), state.usage, rng),
        ),
        term,
    )
