"""What contacting a customer is expected to bring, and the probability from which it pays.

The model of Neslin et al. (2006, eq. 1) as used by Verbraken, Verbeke and Baesens (2013): contacting costs f.
A customer about to leave takes the offer with chance g and then stays, worth V less the offer d; a customer
who would have stayed anyway takes the offer and costs d. With the probability p of leaving, the expected gain
is

    gain(p) = p g (V - d) - (1 - p) d - f

which is zero at p* = (d + f) / (g (V - d) + d), the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Economics

RECOMMENDATIONS = {
    "low": "No action: contacting is expected to cost more than it saves",
    "medium": "Contact with the offer",
    "high": "Contact first, with the offer",
}


RISK_LEVELS = tuple(RECOMMENDATIONS)

_LEVELS = pl.Series(list(RECOMMENDATIONS))
_SAYS = pl.Series(list(RECOMMENDATIONS.values()))


def expected_gain(probability: NDArray[np.float64], economics: Economics) -> NDArray[np.float64]:
    """Expected gain of contacting each customer with the offer (money), shape of ``probability``.

    >>> from holdfast.contract import Economics
    >>> terms = Economics(customer_value=200, contact_cost=1, offer_cost=10, success_rate=0.3)
    >>> expected_gain(np.array([0.0, 0.5]), terms).tolist()
    [-11.0, 22.5]
    """
    saved = economics.success_rate * (economics.customer_value - economics.offer_cost)
    return probability * saved - (1 - probability) * economics.offer_cost - economics.contact_cost


def profit_threshold(economics: Economics) -> float:
    """Probability from which contacting pays; 1.0 where it never does.

    >>> from holdfast.contract import Economics
    >>> terms = Economics(customer_value=200, contact_cost=1, offer_cost=10, success_rate=0.3)
    >>> round(profit_threshold(terms), 4)
    0.1642
    """
    saved = economics.success_rate * (economics.customer_value - economics.offer_cost)
    cost = economics.offer_cost + economics.contact_cost
    if saved <= economics.contact_cost:
        return 1.0
    return min(cost / (saved + economics.offer_cost), 1.0)


def risk(probability: NDArray[np.float64], threshold: float) -> NDArray[np.uint32]:
    """The place among `RISK_LEVELS` of each probability's level; from 1 on, the customer is taken to leave.

    Low below the threshold; high from half-way between the threshold and 1, where a contact is expected to
    bring half of what it brings for a certain leaver (the gain is linear in the probability); medium between.

    Args:
        probability: calibrated probabilities, shape (n,).
        threshold: of the model, see `profit_threshold`.
    """
    return (probability >= threshold).astype(np.uint32) + (probability >= (1 + threshold) / 2)


def decide(probability: NDArray[np.float64], threshold: float) -> pl.DataFrame:
    """The decision for each probability, by its `risk`.

    Args:
        probability: calibrated probabilities, shape (n,).
        threshold: of the model, see `profit_threshold`.

    Returns:
        ``will_churn`` (Boolean), ``risk_level`` and ``recommendation`` (String), one row a probability.
    """
    step = risk(probability, threshold)
    level = _LEVELS.gather(step).alias("risk_level")
    says = _SAYS.gather(step).alias("recommendation")
    return pl.DataFrame([pl.Series("will_churn", step > 0), level, says])
