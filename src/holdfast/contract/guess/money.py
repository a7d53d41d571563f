"""Defaults for the economics: round numbers with a source, to be replaced by the business's own."""

from __future__ import annotations

import math

from holdfast.contract.types import Economics

VALUE, CONTACT, OFFER, SUCCESS = 200.0, 1.0, 10.0, 0.3
"""What churn research agrees on (Neslin et al. 2006; Verbraken, Verbeke and Baesens 2013): a customer is
worth 200, a contact costs 1, an offer 10, and 3 in 10 of those about to leave stay for it, the mean of the
Beta(6, 14) that the latter put on it."""

MONTHS = 12
_PAPER = "Verbraken et al. 2013"


def guess_economics(monthly: float | None, column: str | None) -> tuple[Economics, dict[str, str]]:
    """Economics and the reason for each of its keys.

    Args:
        monthly: median monthly charge, if a column means that.
        column: that column.
    """
    notes = {
        "success_rate": f"a guess: mean of Beta(6, 14), {_PAPER}; a trial with a holdout tells yours",
        "contact_cost": f"a guess: as in Neslin et al. 2006 and {_PAPER}, in your own money",
    }
    if monthly is None or not math.isfinite(monthly) or monthly <= 0:
        notes["customer_value"] = (
            f"a guess, and it decides much: as in {_PAPER}; put in what a year of a customer earns"
        )
        notes["offer_cost"] = f"a guess: as in {_PAPER}, a twentieth of the customer's value"
        return Economics(
            customer_value=VALUE, contact_cost=CONTACT, offer_cost=OFFER, success_rate=SUCCESS
        ), notes
    value, offer = _tidy(MONTHS * monthly), _tidy(monthly)
    notes["customer_value"] = (
        f'a guess: a year of the median "{column}" ({monthly:,.2f}); less your costs, if you know them'
    )
    notes["offer_cost"] = f'a guess: one month free, the median "{column}"'
    contact = min(CONTACT, _tidy(offer / 10))
    return Economics(
        customer_value=value, contact_cost=contact, offer_cost=offer, success_rate=SUCCESS
    ), notes


def guess_by_spending(yearly: float, said: str) -> tuple[Economics, dict[str, str]]:
    """Economics and the reason for each of its keys, where customers have no monthly charge.

    Args:
        yearly: what a customer spends in a year.
        said: what that was computed from.
    """
    value = _tidy(yearly)
    offer = _tidy(value * OFFER / VALUE)
    contact = min(CONTACT, _tidy(offer * CONTACT / OFFER))
    notes = {
        "customer_value": f"a guess: a customer's spending in a year ({said}); less your costs, if known",
        "offer_cost": f"a guess: as in {_PAPER}, a twentieth of the customer's value",
        "contact_cost": f"a guess: as in Neslin et al. 2006 and {_PAPER}, no more than a tenth of the offer",
        "success_rate": f"a guess: mean of Beta(6, 14), {_PAPER}; a trial with a holdout tells yours",
    }
    return Economics(
        customer_value=value, contact_cost=contact, offer_cost=offer, success_rate=SUCCESS
    ), notes


def _tidy(amount: float) -> float:
    """Two digits are all that a guess deserves."""
    return float(f"{amount:.2g}")
