"""The whole world, block by block: each block has customers of its own and needs no other."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.errors import UsageError
from holdfast.simulator.telco.calendar import FAMILIES, Calendar, draw_calendar
from holdfast.simulator.telco.clocks import UTC
from holdfast.simulator.telco.hazard import CAUSES
from holdfast.simulator.telco.life import STAYING, Month, live
from holdfast.simulator.telco.oracle import HORIZONS
from holdfast.simulator.telco.people import PAYMENT, SEGMENTS, TASTES, People, draw_people
from holdfast.simulator.telco.places import PROVINCES
from holdfast.simulator.telco.subscriptions import Subscriptions
from holdfast.simulator.telco.tickets import Tickets
from holdfast.simulator.telco.traits import OFFERS, Traits, traits_of
from holdfast.simulator.telco.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    PolarsType = pl.DataType | type[pl.DataType]

BLOCK = 25_000
"""Customers that are simulated together."""

MOST_CUSTOMERS = 50_000_000
FEWEST_MONTHS, MOST_MONTHS = 6, 60

TABLES: dict[str, dict[str, PolarsType]] = {
    "customers": {
        "customer_id": pl.String,
        "province": pl.String,
        "postal_code": pl.String,
        "birth_date": pl.Date,
        "signup_date": pl.Date,
        "segment": pl.String,
        "payment_method": pl.String,
    },
    "subscriptions": {
        "subscription_id": pl.String,
        "customer_id": pl.String,
        "plan": pl.String,
        "contract_months": pl.Int16,
        "contract_until": pl.Date,
        "add_ons": pl.Int16,
        "monthly_charge": pl.Float64,
        "started_at": UTC,
        "ended_at": UTC,
        "end_reason": pl.String,
        "known_at": UTC,
    },
    "transactions": {
        "transaction_id": pl.Int64,
        "customer_id": pl.String,
        "kind": pl.String,
        "happened_at": UTC,
        "amount": pl.Float64,
        "status": pl.String,
        "due_at": UTC,
        "paid_at": UTC,
        "usage_gb": pl.Float64,
        "known_at": UTC,
    },
    "support_tickets": {
        "ticket_id": pl.Int64,
        "customer_id": pl.String,
        "opened_at": UTC,
        "closed_at": UTC,
        "category": pl.String,
        "satisfaction": pl.Int16,
        "known_at": UTC,
    },
}
"""The tables that a business would have: name to columns."""

EACH = 1_000
"""More rows than a customer can have in any table: ids are the customer's number times this, and a count."""


@dataclass(frozen=True)
class Block:
    """Some customers: their rows of the `TABLES`, and of the oracle's."""

    tables: dict[str, pl.DataFrame]
    oracle: dict[str, pl.DataFrame]
    customers: int
    exposed: int
    """Customers on the first of each month, in all."""
    ended: int
    """How often one of them left."""


@dataclass(frozen=True)
class World:
    """A world that is made as it is read. The same arguments give the same blocks.

    Raises:
        UsageError: there can be no such world.
    """

    customers: int
    months: int
    seed: int
    calendar: Calendar = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be, and draw the calendar."""
        if not 1 <= self.customers <= MOST_CUSTOMERS:
            raise UsageError(
                f"Cannot simulate {self.customers:,} customers.",
                hint=f"Ask for 1 to {MOST_CUSTOMERS:,} customers.",
            )
        if not FEWEST_MONTHS <= self.months <= MOST_MONTHS:
            raise UsageError(
                f"Cannot simulate {self.months} months.",
                hint=f"Ask for {FEWEST_MONTHS} to {MOST_MONTHS} months.",
            )
        if self.seed < 0:
            raise UsageError(f"The seed is {self.seed}.", hint="Give a seed of 0 or more.")
        object.__setattr__(
            self, "calendar", draw_calendar(self.months, np.random.default_rng(self._seeds(1)[0]))
        )

    def blocks(self) -> Iterator[Block]:
        """The blocks in order. A few are made at a time, so memory does not grow with the world."""
        firsts = range(0, self.customers, BLOCK)
        seeds = self._seeds(1 + len(firsts))[1:]
        workers = max(1, min(4, os.cpu_count() or 1))
        with ThreadPoolExecutor(workers, thread_name_prefix="simulate") as pool:
            waiting = []
            for first, seed in zip(firsts, seeds, strict=True):
                waiting.append(pool.submit(self._block, first, seed))
                if len(waiting) > workers:
                    yield waiting.pop(0).result()
            for made in waiting:
                yield made.result()

    def _seeds(self, count: int) -> list[np.random.SeedSequence]:
        return np.random.SeedSequence(self.seed).spawn(count)

    def _block(self, first: int, seed: np.random.SeedSequence) -> Block:
        # Independent streams, so that a change to one part of the world leaves the others as they were.
        for_people, for_traits, *for_tables, for_lives = np.random.default_rng(seed).spawn(6)
        people = draw_people(min(BLOCK, self.customers - first), self.calendar, for_people)
        traits = traits_of(people, for_traits)
        subscriptions = Subscriptions(people, self.calendar, for_tables[0])
        transactions = Transactions(people, self.calendar, for_tables[1])
        tickets = Tickets(people, self.calendar, for_tables[2])
        truths, exposed, ended = [], 0, 0
        for month in live(people, traits, self.calendar, for_lives):
            truths.append(_truth(month, self.calendar))
            if month.month == self.months:
                tickets.close(month)
                break
            charge = subscriptions.charge(month.who, month.index)
            subscriptions.add(month)
            transactions.add(month, charge)
            tickets.add(month)
            exposed += int((~month.joined).sum())
            ended += int((month.cause != STAYING).sum())
        ids = pl.Series(range(first, first + people.size)).cast(pl.String).str.zfill(8)
        ids = pl.select("C" + ids).to_series()
        found = {
            "customers": _customers(people).with_columns(customer_id=ids),
            "subscriptions": subscriptions.frame(),
            "transactions": transactions.frame(),
            "support_tickets": tickets.frame(),
        }
        truth = pl.concat(truths).sort("customer", "as_of")
        return Block(
            {name: _finished(found[name], TABLES[name], ids, first) for name in TABLES},
            {
                "truth": truth.select(
                    ids.gather(truth["customer"]).alias("customer_id"), pl.exclude("customer")
                ),
                "customers": _hidden(people, traits).select(ids.alias("customer_id"), pl.all()),
            },
            people.size,
            exposed,
            ended,
        )


def _finished(
    frame: pl.DataFrame, columns: dict[str, PolarsType], ids: pl.Series, first: int
) -> pl.DataFrame:
    """The table's columns in order, with ids that are different in all blocks."""
    if "customer" in frame.columns:
        number = (pl.col("customer") + first) * EACH + pl.col("number")
        frame = frame.with_columns(
            customer_id=ids.gather(frame["customer"]), transaction_id=number, ticket_id=number
        )
    if "subscription_id" in columns:
        code = (pl.col("customer") + first).cast(pl.String).str.zfill(8)
        frame = frame.with_columns(subscription_id=pl.format("S{}-{}", code, "number"))
    return frame.select(pl.col(name).cast(kind) for name, kind in columns.items())


def _customers(people: People) -> pl.DataFrame:
    day = pl.from_epoch(pl.Series(people.joined), "s").dt.date()
    return pl.DataFrame(
        {
            "province": _words(people.province, [province.code for province in PROVINCES]),
            "postal_code": people.postal_code,
            "birth_date": pl.Series(people.born).cast(pl.Int32).cast(pl.Date),
            "signup_date": day,
            "segment": _words(people.segment, SEGMENTS),
            "payment_method": _words(people.payment, PAYMENT),
        }
    )


def _hidden(people: People, traits: Traits) -> pl.DataFrame:
    """What no table shows about a customer."""
    return pl.DataFrame(
        {"family": _words(people.family, FAMILIES), "taste": TASTES[people.taste], "premium": people.premium}
        | {f"effect_{offer}": effect for offer, effect in zip(OFFERS, traits.offers, strict=True)}
    )


def _truth(month: Month, calendar: Calendar) -> pl.DataFrame:
    """The truth of one month, one row a customer who is there on its first."""
    truth = month.truth
    columns: dict[str, object] = {
        "customer": month.who[~month.joined],
        "as_of": pl.repeat(calendar.day(month.month), int((~month.joined).sum()), dtype=pl.Date, eager=True),
    }
    for place, days in enumerate(HORIZONS):
        columns[f"churn_{days}"] = truth.causes[place].sum(axis=0)
        columns |= {f"{cause}_{days}": truth.causes[place, number] for number, cause in enumerate(CAUSES)}
        columns[f"observable_{days}"] = truth.untasted[place]
        columns |= {f"{offer}_{days}": truth.offers[place, number] for number, offer in enumerate(OFFERS)}
    return pl.DataFrame(columns)


def _words(codes: NDArray[np.integer], levels: Sequence[str]) -> pl.Series:
    return pl.Series(levels).gather(pl.Series(codes).cast(pl.UInt32))
