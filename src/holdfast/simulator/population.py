"""Who the simulated customers are: every column but the bill and the label, as arrays of codes.

Columns are drawn in the order in which life makes them: people, how long they have stayed, what they
bought, on which terms. Each depends on those before it, so a model meets the correlations of a real table.
A customer's hidden *appetite* for extras ties the add-ons together and is not in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Codes = NDArray[np.int8]
    Months = NDArray[np.int16]
    Scores = NDArray[np.floating]

LONGEST = 72
"""Months since the company opened; nobody has stayed longer."""

INTERNET = ("No", "DSL", "Fiber optic")
CONTRACT = ("Month-to-month", "One year", "Two year")
PAYMENT = ("Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)")
NO_INTERNET, DSL, FIBRE = range(3)
MONTHLY, ONE_YEAR, TWO_YEAR = range(3)
ELECTRONIC_CHECK = 0


@dataclass(frozen=True)
class Population:
    """One entry a customer in every array; codes index `INTERNET`, `CONTRACT` and `PAYMENT`."""

    male: Flags
    senior: Flags
    partner: Flags
    dependents: Flags
    tenure: Months
    internet: Codes
    phone: Flags
    lines: Flags
    security: Flags
    backup: Flags
    protection: Flags
    support: Flags
    television: Flags
    movies: Flags
    contract: Codes
    paperless: Flags
    payment: Codes


def draw(size: int, rng: np.random.Generator) -> Population:
    """Draw ``size`` customers."""
    senior = _share(np.full(size, 0.16), rng)
    partner = _share(np.where(senior, 0.52, 0.475), rng)
    dependents = _share(np.where(senior, 0.08, np.where(partner, 0.56, 0.12)), rng)
    tenure = _tenure(partner, rng)
    internet = _choose(
        [np.zeros(size), 0.35 + 0.1 * dependents, 0.75 + 0.9 * senior - 0.45 * dependents], rng
    )
    phone = (internet != DSL) | _share(np.full(size, 0.72), rng)  # everyone buys something
    long_standing = tenure / LONGEST
    lines = phone & _chance(-1.1 + 1.5 * long_standing + 0.55 * (internet == FIBRE) + 0.3 * senior, rng)
    appetite = rng.normal(0.0, 0.6, size) + 1.9 * (long_standing - 0.45)
    careful = appetite - 0.75 * (internet == FIBRE) - 0.4 * senior
    security, support = (_addon(internet, careful - 0.15 + 0.25 * dependents, rng) for _ in range(2))
    backup, protection = (_addon(internet, appetite - 0.25, rng) for _ in range(2))
    screen = appetite + 0.55 * (internet == FIBRE) - 0.3
    television, movies = (_addon(internet, screen, rng) for _ in range(2))
    contract = _contract(long_standing, internet, support, dependents, rng)
    paperless = _chance(-0.35 + 0.55 * (internet == DSL) + 1.45 * (internet == FIBRE), rng)
    return Population(
        male=_share(np.full(size, 0.505), rng),
        senior=senior,
        partner=partner,
        dependents=dependents,
        tenure=tenure,
        internet=internet,
        phone=phone,
        lines=lines,
        security=security,
        backup=backup,
        protection=protection,
        support=support,
        television=television,
        movies=movies,
        contract=contract,
        paperless=paperless,
        payment=_payment(long_standing, internet, contract, paperless, rng),
    )


def _tenure(partner: Flags, rng: np.random.Generator) -> Months:
    """Months, 0 to `LONGEST`: many newcomers, many founders; 2 in 1,000 have not had a first bill."""
    share = np.where(partner, rng.beta(0.8, 0.6, partner.size), rng.beta(0.5, 1.0, partner.size))
    months = np.clip(np.ceil(share * LONGEST), 1, LONGEST)
    unbilled = _share(np.full(partner.size, 0.002), rng)
    return np.where(unbilled, 0, months).astype(np.int16)


def _contract(
    long_standing: Scores,
    internet: Codes,
    support: Flags,
    dependents: Flags,
    rng: np.random.Generator,
) -> Codes:
    """Those who have stayed sign for longer; fibre is sold by the month."""
    tied = 1.0 * (internet == NO_INTERNET) - 0.75 * (internet == FIBRE) + 0.8 * support + 0.3 * dependents
    one_year = -2.0 + 2.5 * long_standing + 0.7 * tied
    two_year = -4.4 + 6.0 * long_standing + 1.3 * tied
    return _choose([np.zeros(internet.size), one_year, two_year], rng)


def _payment(
    long_standing: Scores,
    internet: Codes,
    contract: Codes,
    paperless: Flags,
    rng: np.random.Generator,
) -> Codes:
    electronic = 0.3 + 0.75 * (internet == FIBRE) - 0.5 * contract + 0.45 * paperless - 0.3 * long_standing
    mailed = 0.75 - 1.2 * long_standing + 0.7 * (internet == NO_INTERNET) - 0.4 * paperless
    transfer = -0.4 + 0.9 * long_standing
    return _choose([electronic, mailed, transfer, transfer], rng)


def _addon(internet: Codes, score: Scores, rng: np.random.Generator) -> Flags:
    bought: Flags = (internet != NO_INTERNET) & _chance(score, rng)
    return bought


def _share(probability: Scores, rng: np.random.Generator) -> Flags:
    drawn: Flags = rng.random(probability.size) < probability
    return drawn


def _chance(score: Scores, rng: np.random.Generator) -> Flags:
    """True with probability 1 / (1 + exp(-score))."""
    drawn: Flags = rng.logistic(size=score.size) < score
    return drawn


def _choose(scores: list[Scores], rng: np.random.Generator) -> Codes:
    """One code a customer, softmax of the scores (drawn by the Gumbel-max trick)."""
    best = np.full(scores[0].size, -np.inf)
    codes = np.zeros(scores[0].size, dtype=np.int8)
    for code, score in enumerate(scores):
        reached = score + rng.gumbel(size=score.size)
        codes[reached > best] = code
        np.maximum(best, reached, out=best)
    return codes
