"""What a customer's fixed attributes mean for how they live: what hazards and chances are made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from holdfast.simulator.telco.calendar import DSL, FIBRE, FLEX, MOBILE
from holdfast.simulator.telco.people import BUSINESS, SENIOR, STUDENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.telco.people import People

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int8]

OFFERS = ("discount", "call")


@dataclass(frozen=True)
class Traits:
    """One entry a customer in the last dimension of every array."""

    number: NDArray[np.int64]
    """Place among the customers of the block."""
    province: Codes
    family: Codes
    leaving: Floats
    """Log-hazard a month of leaving voluntarily, without all that changes."""
    price_sense: Floats
    """How strongly a price rise is felt."""
    rival_sense: Floats
    cut_off: Floats
    """By what the hazard of being cut off is multiplied."""
    moving: Floats
    """Hazard a month of moving away, without the season."""
    failing: Floats
    """Chance that a payment fails after one that did not."""
    trouble: Floats
    """Chance a month of a ticket that the month's end leaves open."""
    fading: Floats
    """Chance a month that usage begins to fall."""
    renewing: Floats
    """Chance that a contract that ends is renewed."""
    signing: Floats
    """Chance a month that somebody without a contract signs one."""
    offers: Floats
    """(offers, customers): what each offer adds to the log-hazard of leaving voluntarily."""

    def take(self, index: NDArray[np.int64] | slice) -> Self:
        """The same of some customers."""
        return type(self)(*(getattr(self, field.name)[..., index] for field in fields(self)))


def traits_of(people: People, rng: np.random.Generator) -> Traits:
    """The traits; only what offers do has a part that no attribute shows."""
    of_segment = np.array([0.0, 0.25, -0.2, -0.45])[people.segment]
    of_family = np.array([0.15, -0.1, 0.0, 0.45])[people.family]
    dear = people.premium > 0.05  # noqa: PLR2004 - a twentieth above the list is felt as unfair
    young = np.clip((34.0 - people.age) / 12.0, 0.0, 1.0)
    leaving = -4.5 + of_segment + of_family - 0.16 * people.addons + 0.3 * people.by_hand
    leaving += 2.5 * people.premium + 0.35 * dear - 0.3 * ((people.addons >= 3) & (people.family == FIBRE))  # noqa: PLR2004 - a bundle
    student, business = people.segment == STUDENT, people.segment == BUSINESS
    return Traits(
        number=np.arange(people.size),
        province=people.province,
        family=people.family,
        leaving=leaving,
        price_sense=np.where(dear, 1.5, 1.0) * np.where(business, 0.6, 1.0),
        rival_sense=np.where(people.family == MOBILE, 1.3, 1.0)
        * np.where(people.segment == SENIOR, 0.5, 1.0),
        cut_off=np.where(student, 1.4, 1.0) * np.where(business, 0.5, 1.0),
        moving=0.0011 * (1.0 + 1.6 * young) * np.where(business, 0.5, 1.0),
        failing=np.array([0.014, 0.009, 0.04])[people.payment] * np.where(student, 1.7, 1.0),
        trouble=np.array([0.015, 0.03, 0.045, 0.03])[people.family] * np.where(business, 1.3, 1.0),
        fading=np.array([0.022, 0.034, 0.02, 0.014])[people.segment],
        renewing=np.where(people.by_hand, 0.35, 0.5),
        signing=np.where(people.family == FLEX, 0.0, 0.012 + 0.008 * (people.addons >= 2)),  # noqa: PLR2004 - as above
        offers=_offers(people, rng),
    )


def _offers(people: People, rng: np.random.Generator) -> Floats:
    """What offers do: they help most where the price hurts, and wake some who had not thought of leaving."""
    own = rng.normal(0.0, 0.25, (len(OFFERS), people.size))
    dear = np.clip(people.premium / 0.06, -1.0, 2.0)
    quiet = (people.segment == SENIOR) | (people.family == DSL)
    discount = -0.45 - 0.3 * dear + 0.45 * quiet
    call = -0.3 - 0.35 * (people.segment == BUSINESS) + 0.55 * (people.segment == STUDENT) + 0.15 * quiet
    return np.stack([discount, call]) + own
