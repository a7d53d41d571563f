"""One table of telco customers and the probability behind each label."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.errors import UsageError
from holdfast.simulator.population import CONTRACT, INTERNET, NO_INTERNET, PAYMENT, Population, draw
from holdfast.simulator.truth import list_price, log_odds

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CUSTOMERS = 20_000_000
"""About 6 GB of memory; a larger table is better made in parts with different seeds."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
IDS = 10**4 * len(LETTERS) ** 5
"""How many ids of the form ``7590-VHVEG`` there are."""


@dataclass(frozen=True)
class Snapshot:
    """A simulated table and its truth, row for row.

    ``customers`` has the columns of IBM's telco table; ``TotalCharges`` is null for those not yet billed.
    ``oracle`` has ``customerID``, ``churn_probability`` and ``log_odds``; no model may see it.
    """

    customers: pl.DataFrame
    oracle: pl.DataFrame


def simulate(customers: int, seed: int) -> Snapshot:
    """Draw ``customers`` telco customers; the same arguments give the same table.

    >>> world = simulate(1_000, seed=7)
    >>> world.customers.shape, world.customers["customerID"].n_unique()
    ((1000, 21), 1000)

    Raises:
        UsageError: fewer than one customer, more than `MAX_CUSTOMERS`, or a negative seed.
    """
    if not 1 <= customers <= MAX_CUSTOMERS:
        raise UsageError(
            f"Cannot simulate {customers:,} customers.", hint=f"Ask for 1 to {MAX_CUSTOMERS:,} customers."
        )
    if seed < 0:
        raise UsageError(f"The seed is {seed}.", hint="Give a seed of 0 or more.")
    # Independent streams, so that a change to one part of the world leaves the others as they were.
    for_ids, for_people, for_bills, for_labels = np.random.default_rng(seed).spawn(4)
    ids = _ids(customers, for_ids)
    people = draw(customers, for_people)
    monthly, total = _bills(people, for_bills)
    odds = log_odds(people, monthly)
    probability = 1.0 / (1.0 + np.exp(-odds))
    left = for_labels.random(customers) < probability
    oracle = pl.DataFrame([ids, pl.Series("churn_probability", probability), pl.Series("log_odds", odds)])
    return Snapshot(_table(ids, people, monthly, total, left), oracle)


def _bills(people: Population, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Monthly and total charge, in cents' steps of five as the price list has them.

    The monthly charge is the list price with a personal discount or surcharge (about 6 %); the total is
    tenure times monthly with the small differences that years of changed plans leave (about 3 %).
    """
    size = people.tenure.size
    monthly = _to_five_cents(list_price(people) * np.clip(rng.normal(1.0, 0.06, size), 0.8, 1.2))
    drift = np.where(people.tenure > 1, np.clip(rng.normal(1.0, 0.03, size), 0.85, 1.15), 1.0)
    return monthly, _to_five_cents(people.tenure * monthly * drift)


def _to_five_cents(money: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(np.round(money * 20.0) / 20.0, 2)


def _ids(size: int, rng: np.random.Generator) -> pl.Series:
    """``size`` different ids such as ``7590-VHVEG``, in no order.

    A step that shares no factor with `IDS` walks through all of them before it meets one again.
    """
    step = int(rng.integers(IDS // 4, IDS // 2)) | 1
    while gcd(step, IDS) != 1:
        step += 2
    start = int(rng.integers(0, IDS))
    numbers = (np.arange(size, dtype=np.uint64) * np.uint64(step) + np.uint64(start)) % np.uint64(IDS)
    pairs = pl.Series([a + b for a in LETTERS for b in LETTERS])
    triples = pl.Series([a + pair for a in LETTERS for pair in pairs])
    digits = pl.Series([f"{number:04d}-" for number in range(10_000)])
    words, front = np.divmod(numbers, np.uint64(10_000))
    high, low = np.divmod(words, np.uint64(len(pairs)))
    parts = [digits.gather(pl.Series(front)), triples.gather(pl.Series(high)), pairs.gather(pl.Series(low))]
    return pl.select(pl.concat_str(parts)).to_series().alias("customerID")


def _table(
    ids: pl.Series,
    people: Population,
    monthly: NDArray[np.float64],
    total: NDArray[np.float64],
    left: NDArray[np.bool_],
) -> pl.DataFrame:
    online = people.internet != NO_INTERNET
    return pl.DataFrame(
        {
            "customerID": ids,
            "gender": _words(people.male, ("Female", "Male")),
            "SeniorCitizen": pl.Series(people.senior).cast(pl.Int8),
            "Partner": _yes(people.partner),
            "Dependents": _yes(people.dependents),
            "tenure": people.tenure,
            "PhoneService": _yes(people.phone),
            "MultipleLines": _service(people.lines, people.phone, "No phone service"),
            "InternetService": _words(people.internet, INTERNET),
            "OnlineSecurity": _service(people.security, online, "No internet service"),
            "OnlineBackup": _service(people.backup, online, "No internet service"),
            "DeviceProtection": _service(people.protection, online, "No internet service"),
            "TechSupport": _service(people.support, online, "No internet service"),
            "StreamingTV": _service(people.television, online, "No internet service"),
            "StreamingMovies": _service(people.movies, online, "No internet service"),
            "Contract": _words(people.contract, CONTRACT),
            "PaperlessBilling": _yes(people.paperless),
            "PaymentMethod": _words(people.payment, PAYMENT),
            "MonthlyCharges": monthly,
            "TotalCharges": pl.select(
                pl.when(pl.Series(people.tenure > 0)).then(pl.Series(total))
            ).to_series(),
            "Churn": _yes(left),
        }
    )


def _words(codes: NDArray[np.int8] | NDArray[np.bool_], levels: tuple[str, ...]) -> pl.Series:
    return pl.Series(levels).gather(pl.Series(codes).cast(pl.UInt32))


def _yes(flags: NDArray[np.bool_]) -> pl.Series:
    return _words(flags, ("No", "Yes"))


def _service(has: NDArray[np.bool_], possible: NDArray[np.bool_], impossible: str) -> pl.Series:
    return _words(np.where(possible, has, 2).astype(np.int8), ("No", "Yes", impossible))
