"""Why simulated customers leave: one known, non-linear function of what the table shows.

Everything in it can be seen in the customer table, so a good model can come as close to it as its sample
allows. It is no sum of columns: fibre matters by the month, tenure bends back, a price matters against
what is bought with it, and some effects only begin past a threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.simulator.population import ELECTRONIC_CHECK, FIBRE, LONGEST, MONTHLY, NO_INTERNET, TWO_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.population import Population

    Odds = NDArray[np.float64]

DEAR = 0.05
"""A bill this share above the list price is felt as unfair."""


def list_price(people: Population) -> Odds:
    """What the customer's services cost by the price list, money a month."""
    internet = np.array([0.0, 25.0, 50.0])[people.internet]
    cheap = [people.lines, people.security, people.backup, people.protection, people.support]
    dear = [people.television, people.movies]
    price: Odds = 20.0 * people.phone + internet + 5.0 * _count(cheap) + 10.0 * _count(dear)
    return price


def log_odds(people: Population, monthly: Odds) -> Odds:
    """Log-odds of leaving, one a customer.

    Args:
        people: the customers.
        monthly: the monthly charge as it stands in the table (rounded).
    """
    odds: Odds = _staying(people) + _services(people) + _price(people, monthly) + _household(people)
    return odds


def _staying(people: Population) -> Odds:
    """Terms and time: U-shaped in tenure, worst in the first months, restless again after five years."""
    months = people.tenure.astype(np.float64)
    monthly = people.contract == MONTHLY
    bend = 0.95 * ((months - 46.0) / 46.0) ** 2
    newcomer = 0.7 * np.exp(-months / 4.0) * monthly
    terms = np.array([0.0, -1.0, -1.95])[people.contract]
    founder = 0.7 * ((people.contract == TWO_YEAR) & (months >= LONGEST - 2))  # the second term runs out
    unbilled = -4.0 * (months == 0)  # nobody leaves before the first bill
    odds: Odds = -1.75 + bend + newcomer + terms + founder + unbilled
    return odds


def _services(people: Population) -> Odds:
    """Fibre disappoints those free to go; help keeps people, and three safeguards together keep more."""
    fibre = people.internet == FIBRE
    monthly = people.contract == MONTHLY
    unsupported = (people.internet != NO_INTERNET) & ~people.support
    safeguards = _count([people.security, people.backup, people.protection, people.support])
    free_to_go = np.where(monthly, 1.0, 0.4) * fibre + 0.25 * (unsupported & monthly)
    bundle = -0.65 * (safeguards >= 3) - 0.2 * people.security  # noqa: PLR2004 - the bundle's size
    screens = 0.3 * (people.television & people.movies & (safeguards == 0))
    single = 0.6 * (people.internet == NO_INTERNET) - 0.5 * ~people.phone
    odds: Odds = free_to_go + bundle + screens - single
    return odds


def _price(people: Population, monthly: Odds) -> Odds:
    """A bill is judged against what it buys; whoever pays by hand sees it each month."""
    over = monthly / list_price(people) - 1.0
    by_hand = people.payment == ELECTRONIC_CHECK
    felt = 0.2 * np.tanh(over / 0.1) + 0.25 * (over > DEAR) * np.where(by_hand, 1.5, 1.0)
    habit = 0.35 * by_hand + 0.3 * (by_hand & (people.tenure <= 12))  # noqa: PLR2004 - the first year
    odds: Odds = felt + habit + 0.25 * (people.paperless & (monthly > 70.0))  # noqa: PLR2004 - money
    return odds


def _household(people: Population) -> Odds:
    """Seniors living alone leave; families stay."""
    alone = people.senior & ~people.partner
    odds: Odds = 0.4 * alone - 0.3 * people.dependents - 0.1 * (people.male & people.partner)
    return odds


def _count(flags: list[NDArray[np.bool_]]) -> Odds:
    """How many of the flags each customer has."""
    total: Odds = np.sum(flags, axis=0, dtype=np.float64)
    return total
