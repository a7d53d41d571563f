"""What happens to everybody: months, price rises, rivals' offers, and the drift that is planned.

The calendar is drawn once a world. The oracle knows it, future months too: prices are announced, and a
rival's offer moves a whole province at once, so that without it customers would not be independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.simulator.telco.places import PROVINCES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

MINUTE, HOUR, DAY = 60, 3_600, 86_400
"""Seconds."""

UNTIL = date(2025, 1, 1)
"""The world's last day is the one before; how many months it has decides when it begins."""

AHEAD = 4
"""Months after the last that a 90-day horizon can reach into."""

PAST = 24
"""Months before the first in which contracts may have been signed."""

FAMILIES = ("Mobile", "DSL", "Fibre", "Flex")
MOBILE, DSL, FIBRE, FLEX = range(4)

YEARLY = 0.035
"""Rise of every price each April, a share."""

SHOCK = 0.16
"""Rise of the price of fibre at the shock, a share."""


@dataclass(frozen=True)
class Calendar:
    """Months are numbered from the first (0); arrays over months begin `PAST` months earlier."""

    months: int
    shock: int
    """The month in which fibre becomes dearer."""
    launch: int
    """The month from which newcomers can take Flex."""
    fault: int
    """The month in which the meters of one province report a tenth."""
    fault_province: int
    rivals: Floats
    """(months from 0, provinces): how strong rivals' offers are, 0 to 1."""

    @cached_property
    def starts(self) -> Whole:
        """First second of each month (since 1970, UTC), from month 0 to one after the last reachable."""
        return np.array([self.start(month) for month in range(self.months + AHEAD + 1)])

    @cached_property
    def rise(self) -> Floats:
        """(`PAST` + months, families): by what share the price rises on the first of the month."""
        months = range(-PAST, self.months + AHEAD)
        found = np.zeros((len(months), len(FAMILIES)))
        found[[self.day(month).month == 4 for month in months]] = YEARLY  # noqa: PLR2004 - April
        found[self.shock + PAST, FIBRE] += SHOCK
        return found

    @cached_property
    def index(self) -> Floats:
        """(`PAST` + months, families): the price, where the very first is 1."""
        return np.asarray(np.cumprod(1.0 + self.rise, axis=0), np.float64)

    def day(self, month: int) -> date:
        """The first of a month."""
        years, rest = divmod(UNTIL.month - 1 - self.months + month, 12)
        return date(UNTIL.year + years, rest + 1, 1)

    def start(self, month: int) -> int:
        """The first second of a month, also of one before the first or long after the last."""
        return (self.day(month) - date(1970, 1, 1)).days * DAY

    def days(self, month: int) -> int:
        """How many days a month has."""
        return (self.day(month + 1) - self.day(month)).days

    def drift(self) -> pl.DataFrame:
        """What is planned and when: (from, what, where, size)."""
        rows = [
            (self.day(self.shock), "price shock", FAMILIES[FIBRE], SHOCK),
            (self.day(self.launch), "new plan", FAMILIES[FLEX], 1.0),
            (self.day(self.fault), "data fault: usage is a tenth", PROVINCES[self.fault_province].code, 0.1),
        ]
        april = [month for month in range(self.months) if self.day(month).month == 4]  # noqa: PLR2004 - as above
        rows += [(self.day(month), "yearly price rise", "all", YEARLY) for month in april]
        rows += [
            (self.day(month), "rivals' offers", PROVINCES[place].code, float(self.rivals[month, place]))
            for month, place in np.argwhere(self.rivals[: self.months] > 0).tolist()
        ]
        columns = {"from": pl.Date, "what": pl.String, "where": pl.String, "size": pl.Float64}
        return pl.DataFrame(rows, schema=columns, orient="row").sort("from", "what", "where")


def draw_calendar(months: int, rng: np.random.Generator) -> Calendar:
    """A calendar; shock, launch and fault have their places, rivals' offers are drawn."""
    reached = months + AHEAD
    begun = rng.random((reached, len(PROVINCES))) < 0.07  # noqa: PLR2004 - about one a year in each province
    strength = np.where(begun, rng.uniform(0.4, 1.0, begun.shape), 0.0)
    strength[1:] = np.maximum(strength[1:], 0.6 * strength[:-1])  # an offer fades over a second month
    made = Calendar(
        months=months,
        shock=round(0.55 * months),
        launch=round(0.3 * months),
        fault=round(0.45 * months),
        fault_province=int(rng.integers(len(PROVINCES))),
        rivals=strength,
    )
    november = [made.day(month).month == 11 for month in range(reached)]  # noqa: PLR2004 - sales everywhere
    strength[november] = np.maximum(strength[november], 0.7)
    return made
