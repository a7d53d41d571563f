"""SQL that features are made of, written so that sums do not depend on the order of rows.

Adding doubles in another order gives another last digit, and engines add in whatever order their threads
finish. So numbers are added as whole multiples of a small step: exactly, in any order, in every engine. A
mean is such a sum divided once; a deviation comes from exact sums of values and squares.

What this costs is stated here and in docs/history.md: sums are of values rounded to six decimals, deviations
of values rounded to three, and a number beyond ±10^11 (an integer beyond ±10^14) is missing to features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.types import Kind
from holdfast.history.feature import Part
from holdfast.history.settle import quoted

if TYPE_CHECKING:
    from holdfast.history.feature import Input

DAY = "86400000000.0"
"""Microseconds."""

_LIMITS = {Kind.NUMBER: "100000000000", Kind.INTEGER: "100000000000000"}
_SUM_STEPS = {Kind.NUMBER: "1000000.0", Kind.INTEGER: "1.0"}
_SQUARE_STEPS = {Kind.NUMBER: "1000.0", Kind.INTEGER: "1.0"}


def number_columns(one: Input, row: str) -> dict[str, str]:
    """The columns that a number or integer becomes: its value, its steps for sums, and those for squares.

    Args:
        one: the column.
        row: the alias of the table.
    """
    column, kind = f"{row}.{quoted(one.column)}", one.told.kind
    limit = _LIMITS[kind]
    value = f"CASE WHEN {column} BETWEEN -{limit} AND {limit} THEN CAST({column} AS DOUBLE) END"
    return {f"{one.slug}__value": value} | steps(one.slug, value, kind)


def steps(slug: str, value: str, kind: Kind) -> dict[str, str]:
    """A value in whole steps, for sums and for squares."""
    if kind is Kind.INTEGER:
        whole = f"CAST({value} AS HUGEINT)"
        return {f"{slug}__steps": whole, f"{slug}__coarse": whole}
    return {
        f"{slug}__steps": f"CAST(FLOOR({value} * {_SUM_STEPS[kind]} + 0.5) AS HUGEINT)",
        f"{slug}__coarse": f"CAST(FLOOR({value} * {_SQUARE_STEPS[kind]} + 0.5) AS HUGEINT)",
    }


class Totals:
    """Aggregates of one number over some of the rows.

    Args:
        slug: the number's.
        kind: number or integer.
        over: what the names of the aggregates end with.
        where: SQL condition on the rows; all if empty.
        stage: which rows, as in `Part`.
    """

    def __init__(self, slug: str, kind: Kind, over: str, where: str = "", stage: str = "seen") -> None:
        kept = f" FILTER (WHERE {where})" if where else ""
        self._kind = kind
        self.total = Part(f"{slug}__sum_{over}", f"SUM({slug}__steps){kept}", stage)
        self.count = Part(f"{slug}__n_{over}", f"COUNT({slug}__value){kept}", stage)
        self.coarse = Part(f"{slug}__coarse_{over}", f"SUM({slug}__coarse){kept}", stage)
        self.squares = Part(f"{slug}__squares_{over}", f"SUM({slug}__coarse * {slug}__coarse){kept}", stage)
        self._slug, self._over, self._kept, self._stage = slug, over, kept, stage

    @property
    def sum(self) -> str:
        """The sum; missing where no value is."""
        return f"CAST({self.total.name} AS DOUBLE) / {_SUM_STEPS[self._kind]}"

    @property
    def mean(self) -> str:
        """The mean; missing where no value is."""
        return f"{self.sum} / NULLIF({self.count.name}, 0)"

    @property
    def deviation(self) -> str:
        """The sample standard deviation, missing for fewer than two values.

        sqrt((n Σx² - (Σx)²) / (n (n - 1))), the numerator exact.
        """
        return deviation(self.count.name, self.coarse.name, self.squares.name, _SQUARE_STEPS[self._kind])

    def quantile(self, share: str) -> Part:
        """A percentile, interpolated between the two nearest values."""
        name = f"{self._slug}__p{share.removeprefix('0.').ljust(2, '0')}_{self._over}"
        return Part(name, f"QUANTILE_CONT({self._slug}__value, {share}){self._kept}", self._stage)


def deviation(count: str, total: str, squares: str, step: str) -> str:
    """The sample standard deviation from exact sums of steps, of which ``step`` make one."""
    spread = f"CAST({count} * {squares} - {total} * {total} AS DOUBLE)"
    below = f"(CAST({count} AS DOUBLE) * ({count} - 1))"
    return f"CASE WHEN {count} >= 2 THEN SQRT({spread} / {below}) / {step} END"


def days_between(earlier: str, later: str) -> str:
    """Days of 24 hours from one moment to another, with fractions."""
    return f"CAST(EPOCH_US({later}) - EPOCH_US({earlier}) AS DOUBLE) / {DAY}"


FIRST = Part("_first", "MIN(_time)")
"""When the customer's first event was."""

SINCE_FIRST = days_between(FIRST.name, "as_of")
"""Days since then, never zero: an event counts only once it is past."""
