"""Who the customers are: what about them does not change, as arrays of codes.

All of it stands in the tables but for the *taste*, which only the oracle knows, and the *premium*, which
shows in the bill: how far a customer's price is from the list's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.simulator.telco.calendar import DAY, FIBRE, FLEX, HOUR, Calendar
from holdfast.simulator.telco.places import draw_provinces, postal_codes

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Codes = NDArray[np.int8]

SEGMENTS = ("consumer", "student", "senior", "business")
CONSUMER, STUDENT, SENIOR, BUSINESS = range(4)
PAYMENT = ("card", "bank transfer", "by hand")
BY_HAND = 2
TERMS = (0, 12, 24)
"""Months of a contract; 0 is by the month."""
TIERS = ("S", "M", "L")
LIST_PRICE = np.array([[25.0, 40.0, 60.0], [35.0, 50.0, 65.0], [50.0, 70.0, 95.0], [30.0, 45.0, 60.0]])
"""(families, tiers): money a month when the index is 1."""
ADDON_PRICE = 6.0
MOST_ADDONS = 4

TASTES = np.array([-0.45, 0.0, 0.45])
"""What a customer's taste adds to the log-hazard of leaving voluntarily; never in a table."""
TASTE_SHARES = np.array([0.3, 0.4, 0.3])

JOIN_RATE = 0.022
"""Newcomers a month, for each customer at the start: about as many as leave."""

OLDEST = 3_650
"""Days that the longest-standing customer has been one when the world begins."""


@dataclass(frozen=True)
class People:
    """One entry a customer in every array; codes index the tuples above."""

    province: Codes
    postal_code: pl.Series
    born: Whole
    """Days since 1970."""
    joined: Whole
    """Seconds since 1970."""
    segment: Codes
    payment: Codes
    family: Codes
    tier: Codes
    addons: Codes
    term: Whole
    """Months of the contract at the beginning of the world, or on joining."""
    signed_ago: Floats
    """Of the months of the term, the share that is over when the world begins."""
    premium: Floats
    taste: Codes
    prior: Floats
    """(customers, tastes): how likely each taste is when the customer is first seen."""
    bill_at: Whole
    """Seconds after the month's first at which a bill is made out: a night from the 19th to the 27th."""
    appetite: Floats
    """Gigabytes a month, when usage is steady."""

    @property
    def size(self) -> int:
        """How many."""
        return self.province.size

    @property
    def by_hand(self) -> NDArray[np.bool_]:
        """Whoever does not pay by itself."""
        found: NDArray[np.bool_] = self.payment == BY_HAND
        return found

    @property
    def age(self) -> Floats:
        """Years on joining."""
        return (self.joined / DAY - self.born) / 365.25


def draw_people(size: int, calendar: Calendar, rng: np.random.Generator) -> People:
    """Draw ``size`` customers who are there at the start or join while the world lasts."""
    joined = _joined(size, calendar, rng)
    start = calendar.starts[0]
    new = joined >= start
    province = draw_provinces(size, rng)
    segment = rng.choice(len(SEGMENTS), size, p=[0.6, 0.12, 0.16, 0.12]).astype(np.int8)
    low = np.array([24.0, 18.0, 65.0, 25.0])[segment]
    high = np.array([65.0, 28.0, 90.0, 65.0])[segment]
    born = (joined / DAY - rng.uniform(low, high) * 365.25).astype(np.int64)
    payment = _choose(
        np.array([[0.5, 0.3, 0.2], [0.4, 0.2, 0.4], [0.25, 0.45, 0.3], [0.35, 0.6, 0.05]])[segment], rng
    )
    family = _choose(
        np.array([[0.3, 0.25, 0.45], [0.55, 0.15, 0.3], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])[segment], rng
    )
    flexible = (joined >= calendar.starts[calendar.launch]) & (rng.random(size) < 0.3)  # noqa: PLR2004 - a share
    family = np.where(flexible, FLEX, family).astype(np.int8)
    years = np.where(new, 0.0, (start - joined) / DAY / 365.25)
    settled = np.clip(years / 5.0, 0.0, 1.0)[:, None]
    bound = np.array([[0.5, 0.3, 0.2]]) * (1 - settled) + np.array([[0.35, 0.3, 0.35]]) * settled
    term = np.where(family == FLEX, 0, np.array(TERMS)[_choose(bound, rng)])
    stayed = np.exp(-0.22 * np.minimum(years, 4.0)[:, None] * np.exp(TASTES))  # the restless have left
    prior = TASTE_SHARES * stayed
    prior /= prior.sum(axis=1, keepdims=True)
    return People(
        province=province,
        postal_code=postal_codes(province, rng.spawn(1)[0]),
        born=born,
        joined=joined,
        segment=segment,
        payment=payment,
        family=family,
        tier=rng.choice(len(TIERS), size, p=[0.35, 0.42, 0.23]).astype(np.int8),
        addons=rng.binomial(MOST_ADDONS, np.where(family == FIBRE, 0.4, 0.22)).astype(np.int8),
        term=term,
        signed_ago=rng.random(size),
        premium=np.clip(rng.normal(0.0, 0.06, size), -0.15, 0.18),
        taste=_choose(prior, rng),
        prior=prior,
        bill_at=rng.integers(18, 27, size) * DAY + rng.integers(2 * HOUR, 5 * HOUR, size),
        appetite=np.array([12.0, 90.0, 240.0, 60.0])[family] * rng.lognormal(0.0, 0.5, size),
    )


def _joined(size: int, calendar: Calendar, rng: np.random.Generator) -> Whole:
    """When customers joined, in seconds: in years past, many of them lately, or as the world goes on."""
    grown = JOIN_RATE * calendar.months
    new = rng.random(size) < grown / (1 + grown)
    first, last = calendar.starts[0], calendar.starts[calendar.months]
    coming = rng.integers(first, last - DAY, size)
    been = first - (DAY + rng.beta(0.8, 1.6, size) * (OLDEST - 1) * DAY).astype(np.int64)
    return np.where(new, coming, been)


def _choose(shares: Floats, rng: np.random.Generator) -> Codes:
    """One code a customer, by its row of shares."""
    bounds = np.cumsum(shares, axis=1)
    drawn = rng.random((shares.shape[0], 1))
    codes: Codes = np.minimum((drawn >= bounds).sum(axis=1), shares.shape[1] - 1).astype(np.int8)
    return codes
