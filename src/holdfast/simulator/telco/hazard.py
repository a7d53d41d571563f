"""Why customers leave: the hidden hazard of each cause, a month, as a function of the state.

Within a month the hazard of a customer is constant, so a month of D days is survived to its day d with
probability exp(-hazard * d / D), and cause c takes its share of the hazard. What can change from month to
month and is left to chance is a small `State` (contract, payments, tickets, usage); the rest is known ahead:
time goes on, and the calendar is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from holdfast.simulator.telco.calendar import DAY, FIBRE, PAST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.telco.calendar import Calendar
    from holdfast.simulator.telco.traits import Traits

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

CAUSES = ("voluntary", "payment", "relocation")

FREE, BOUND = 0, 1
PAID, FAILED, FAILED_AGAIN = range(3)
STEADY, FALLING, LOW = range(3)

MONTH = 30.4375 * DAY
"""Seconds of an average month: the unit of tenure."""

_PAYMENT = np.array([0.0, 0.4, 0.7])
_TICKET = np.array([0.0, 0.85])
_USAGE = np.array([0.0, 0.75, 1.25])
_CUT_OFF = np.array([0.0, 0.012, 0.16])
_FADES = (1.0, 0.7, 0.35)
"""How much of a price rise is felt in its month and in the two after it."""


@dataclass
class State:
    """What may change about a customer, as it is on the first of a month; one entry a customer."""

    begin: Whole
    """When the customer joined, or came back: seconds since 1970."""
    contract_end: Whole
    """The month on whose first the contract is over. Who has none is free since then."""
    signed_index: Floats
    """The price index that the present contract keeps."""
    payment: Whole
    """Whether the last payment failed, and the one before it too."""
    ticket: Whole
    """1 if a ticket is open."""
    usage: Whole
    billed: NDArray[np.bool_]
    """Whether there is a bill to be paid this month."""

    def take(self, index: NDArray[np.int64] | slice) -> Self:
        """The same of some customers."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))

    def put(self, index: NDArray[np.int64], other: Self) -> None:
        """Write what another says of some customers."""
        for field in fields(self):
            getattr(self, field.name)[index] = getattr(other, field.name)


def price_rise(traits: Traits, state: State, calendar: Calendar, month: int) -> Floats:
    """By what share the price of someone free rises on the first of a month.

    A contract keeps the price that it was signed at; when it ends, all rises since then come at once.
    """
    yearly = calendar.rise[month + PAST, traits.family]
    caught_up = calendar.index[month + PAST, traits.family] / state.signed_index - 1.0
    felt = np.where(state.contract_end == month, caught_up, yearly)
    there = (state.contract_end <= month) & (state.begin < calendar.starts[month])
    return np.where(there, felt, 0.0)


def voluntary(traits: Traits, state: State, calendar: Calendar, month: int) -> Floats:
    """(2, customers): log-hazard of leaving voluntarily if free and if bound, but for taste and troubles."""
    tenure = np.maximum(calendar.starts[month] - state.begin, 0) / MONTH
    always = (
        traits.leaving + 0.75 * np.exp(-tenure / 5.0) + 0.35 * np.clip(tenure / 36.0 - 1.0, -1.0, 0.0) ** 2
    )
    always = always + 0.25 * ((tenure > 58) & (tenure < 66))  # noqa: PLR2004 - devices of five years are replaced
    rivals = traits.rival_sense * calendar.rivals[month, traits.province]
    left = state.contract_end - month
    felt = sum(
        fade * price_rise(traits, state, calendar, month - back)
        for back, fade in enumerate(_FADES)
        if month - back >= 0
    )
    price = 1.1 * traits.price_sense * np.tanh(np.asarray(felt) / 0.08)
    just_free = 0.5 * ((left <= 0) & (left > -2))  # noqa: PLR2004 - two months in which people look around
    near_end = (left > 0) & (left <= 2)  # noqa: PLR2004 - as above
    free = always + price + just_free + 0.5 * rivals
    bound = always - 1.5 + 0.8 * near_end + np.where(near_end, 0.35, 0.1) * rivals
    return np.stack([free, bound])


def troubles(traits: Traits, state: State, calendar: Calendar, month: int) -> Floats:
    """(3, 2, 3, customers): by what payments, tickets and usage multiply the voluntary hazard.

    Not a product of three: an open ticket weighs more on fibre and with newcomers, and falling usage
    together with an open ticket more than both.
    """
    new = calendar.starts[month] - state.begin < 6 * MONTH
    kind = (traits.family == FIBRE) + 2 * new.astype(np.int64)
    return np.asarray(_TABLE[:, :, :, kind])


def cut_off(traits: Traits) -> Floats:
    """(3, customers): hazard of being cut off for not paying, by the state of payments."""
    return np.asarray(_CUT_OFF[:, None] * traits.cut_off)


def moving(traits: Traits, calendar: Calendar, month: int) -> Floats:
    """Hazard of moving away: summer is when people do."""
    summer = calendar.day(month).month in {6, 7, 8}
    return np.asarray(traits.moving * (1.9 if summer else 0.75))


def _table() -> Floats:
    """(payment, ticket, usage, kind of customer); kinds are: neither, on fibre, new, both."""
    payment, ticket, usage = np.meshgrid(_PAYMENT, _TICKET, _USAGE, indexing="ij")
    both = 0.35 * ((ticket > 0) & (usage > 0))
    kinds = [
        payment + ticket * (1 + fibre * 0.35 + new * 0.25) + usage + both
        for new in (0, 1)
        for fibre in (0, 1)
    ]
    return np.asarray(np.exp(np.stack(kinds, axis=-1)))


_TABLE = _table()
