"""The table of transactions: bills with the usage of their month, and payments that succeed or fail.

Most are known within hours. Some come days late, one province's payments of one month are entered weeks
later, and a few rows are wrong at first: a payment that had not failed after all, a bill that was too high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.simulator.telco import clocks
from holdfast.simulator.telco.calendar import DAY, HOUR, Calendar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.simulator.telco.life import Month
    from holdfast.simulator.telco.people import People

    Whole = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Facts = dict[str, NDArray[np.generic] | float]

KINDS = ("bill", "payment")
BILL, PAYMENT = range(2)
STATUS = ("issued", "paid", "failed")
ISSUED, PAID, FAILED = range(3)

MONTHS_USE = np.array([1.0, 0.7, 0.4])
"""Of a customer's usual usage, when it is steady, falling and low."""

TO_PAY = 14
"""Days from a bill until it is due."""

BACKFILLED = 45
"""Days until the payments of the fault's province are entered, the month after the fault."""

WRONG = 0.006
"""Share of rows that are corrected later."""

NONE = -1
"""Stands for a time that there is not."""


class Transactions:
    """Writes down one block's bills and payments as the months go by."""

    def __init__(self, people: People, calendar: Calendar, rng: np.random.Generator) -> None:
        """Nobody has been billed yet."""
        self._people, self._calendar, self._rng = people, calendar, rng
        self._owed = np.zeros(people.size)
        self._arrears = np.zeros(people.size)
        self._rows: list[dict[str, NDArray[np.generic]]] = []

    def add(self, month: Month, charge: Floats) -> None:
        """A month's payments of the bills before, then its bills.

        Args:
            month: what happened.
            charge: what each of ``month.who`` pays a month.
        """
        self._pay(month, charge)
        self._bill(month, charge)

    def frame(self) -> pl.DataFrame:
        """All rows, version by version, with a number for each transaction of a customer."""
        columns = {name: np.concatenate([row[name] for row in self._rows]) for name in self._rows[0]}
        frame = pl.DataFrame(columns).sort("customer", "happened_at", "kind", "status")
        frame = frame.with_columns(number=pl.int_range(pl.len()).over("customer"))
        frame = self._with_corrections(frame)
        return frame.with_columns(
            pl.Series("kind", KINDS).gather(frame["kind"]),
            pl.Series("status", STATUS).gather(frame["status"]),
            clocks.moment("happened_at"),
            clocks.moment("due_at"),
            clocks.moment("known_at"),
            pl.when(pl.col("paid_at") != NONE).then(clocks.moment("paid_at")).alias("paid_at"),
            pl.col("usage_gb").fill_nan(None),
            pl.col("amount").round(2),
        )

    def _pay(self, month: Month, charge: Floats) -> None:
        people, rng = self._people, self._rng
        if month.month == 0:  # the bills of the month before the world began
            self._owed[month.who] = charge
            self._arrears[month.who] = np.where(month.before.payment > 0, charge, 0.0)
        some = np.flatnonzero(month.before.billed)
        who, fails = month.who[some], month.after.payment[some] > 0
        due = self._calendar.start(month.month - 1) + people.bill_at[who] + TO_PAY * DAY
        at_once = rng.integers(0, HOUR, who.size)
        by_hand = people.by_hand[who] & ~fails
        when = due + np.where(by_hand, rng.integers(-DAY, 6 * DAY, who.size), at_once)
        facts: Facts = {"kind": PAYMENT, "happened_at": when, "amount": self._owed[who], "due_at": due}
        self._write(month, some, facts | {"status": np.where(fails, FAILED, PAID)})
        again = fails & (rng.random(who.size) < 0.5)  # noqa: PLR2004 - half are tried once more
        self._write(month, some, facts | {"status": FAILED, "happened_at": when + 4 * DAY}, again)
        settles = ~fails & (self._arrears[who] > 0)
        later = when + rng.integers(HOUR, 6 * DAY, who.size)
        arrears: Facts = {"status": PAID, "happened_at": later, "amount": self._arrears[who]}
        self._write(month, some, facts | arrears, settles)
        self._arrears[who] = np.where(fails, self._arrears[who] + self._owed[who], 0.0)

    def _bill(self, month: Month, charge: Floats) -> None:
        people, calendar, rng = self._people, self._calendar, self._rng
        issued = calendar.starts[month.month] + people.bill_at[month.who]
        some = np.flatnonzero(issued > month.before.begin)
        who = month.who[some]
        usage = people.appetite[who] * MONTHS_USE[month.after.usage[some]]
        usage = usage * rng.lognormal(0.0, 0.12, who.size)
        if month.month == calendar.fault:
            usage = np.where(people.province[who] == calendar.fault_province, 0.1 * usage, usage)
        abroad = rng.random(who.size) < 0.1  # noqa: PLR2004 - one in ten calls abroad
        amount = charge[some] + abroad * rng.exponential(6.0, who.size)
        self._owed[who] = np.round(amount, 2)
        facts: Facts = {"kind": BILL, "happened_at": issued[some], "amount": amount, "status": ISSUED}
        facts |= {"due_at": issued[some] + TO_PAY * DAY, "usage_gb": np.round(usage, 2)}
        self._write(month, some, facts)

    def _write(
        self,
        month: Month,
        some: Whole,
        facts: Facts,
        which: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write down what happened to ``some``, places in ``month.who``, or to ``which`` of them."""
        row: dict[str, NDArray[np.generic]] = {
            name: np.broadcast_to(np.asarray(facts.get(name, np.nan)), some.shape)
            for name in ("kind", "happened_at", "amount", "status", "due_at", "usage_gb")
        }
        when = np.asarray(row["happened_at"], np.int64)
        row["known_at"] = when + clocks.lag(some.size, self._rng)
        if facts["kind"] == PAYMENT and month.month == self._calendar.fault + 1:
            late = self._people.province[month.who[some]] == self._calendar.fault_province
            row["known_at"] = np.where(late, when + BACKFILLED * DAY, row["known_at"])
        row["paid_at"] = np.where(row["status"] == PAID, when, NONE)
        row["customer"] = month.who[some]
        real = when < month.end[some]
        real = real if which is None else real & which
        self._rows.append({name: values[real] for name, values in row.items()})

    def _with_corrections(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Some rows were wrong at first: what they should have said is known later, under the same number."""
        rng = self._rng
        wrong = (rng.random(frame.height) < WRONG) & (frame["status"] != FAILED).to_numpy()
        days = pl.Series(rng.integers(2 * DAY, 30 * DAY, int(wrong.sum())))
        right = frame.filter(wrong)
        paid = pl.col("status") == PAID
        first = right.with_columns(
            status=pl.when(paid).then(FAILED).otherwise("status"),
            paid_at=pl.lit(NONE, pl.Int64),
            amount=pl.when(paid).then("amount").otherwise((pl.col("amount") * 1.1).round(2)),
        )
        return pl.concat(
            [frame.filter(~wrong), first, right.with_columns(pl.col("known_at") + days)],
            how="vertical_relaxed",
        ).sort("customer", "number", "known_at")
