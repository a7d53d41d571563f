"""Whether text is dates, and whether the day or the month comes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import text
from holdfast.contract.history import ENDLESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.guess.profile import Profile

ENOUGH = 0.98
"""So large a share of the values must be dates."""

_SHAPE = (
    r"^\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}(?:\D|$)|^[12]\d{7}(?:\.0+)?$|"
    r"[A-Za-z]{3,9}\.?[-/ ,]+\d|\d[-/. ]+[A-Za-z]{3}"
)
_TWO = r"^(\d{1,2})([-/. ])(\d{1,2})[-/. ](?:\d{4}|\d{2})(?:[T ,]|$)"
_MONTHS = 12
FEW = 5
"""Days of the month, such as the 1st to the 5th, on which bills are paid and contracts begin."""

_MOST_WORDS = 3
"""Words such as "No" that may stand among the dates of what has not ended."""

_OLDEST, _NEWEST = pl.date(1900, 1, 1), pl.date(2100, 12, 31)


@dataclass(frozen=True)
class Order:
    """Whether the day or the month comes first."""

    day_first: bool
    ground: str | None = None
    """Why it is a guess; none where values show it: a 13th month there is not."""
    usual: bool = True
    """Whether most dates of the column are written so that it matters; 2024-03-05 is not."""


@dataclass(frozen=True)
class DatesGuess:
    """How the dates are written."""

    order: Order | None
    """None if no date needs it, or too few do to guess."""
    unreadable: int
    why: str

    @property
    def day_first(self) -> bool:
        """Whether 03/04/2024 is in April."""
        return self.order is not None and self.order.day_first


@dataclass(frozen=True)
class _Spelling:
    """How a column writes dates such as 03/04/2024."""

    mark: str
    """What stands between day and month most often."""
    shown: bool | None
    """Whether the day comes first, if a value shows it."""
    usual: bool
    firsts: int
    """Different numbers in the first place."""
    seconds: int


def guess_dates(levels: pl.DataFrame, *, order: Order | None = None) -> DatesGuess | None:
    """Dates, or none if the values are something else.

    Args:
        levels: ``level`` and ``count``, as `Profile.levels`.
        order: what is guessed for the table's columns that leave it open, see `guess_orders`.
    """
    values = levels.filter(~pl.col("level").str.to_lowercase().is_in(sorted(text.SAID_MISSING)))
    total = int(values["count"].sum())
    if not _are_dates(values):
        return None
    spelling = _spelling(values)
    if spelling is None:
        order = None
    elif spelling.shown is not None:
        order = Order(spelling.shown, usual=spelling.usual)
    first = order is not None and order.day_first
    dates = text.dates(values["level"], day_first=first)
    dated = values.select(dates.alias("date"), "count")
    plausible = dated.filter(pl.col("date").is_between(_OLDEST, _NEWEST))
    endless = int(dated.filter(pl.col("date").dt.year() >= ENDLESS)["count"].sum())
    read = int(plausible["count"].sum()) + endless
    if not plausible.height or read < ENOUGH * total:
        return None
    why = f"dates, {plausible['date'].min()!s} to {plausible['date'].max()!s}"
    if order is not None:
        why += f", {'day' if first else 'month'} first"
        why += f" (a guess, {order.ground})" if order.ground else ""
    if total > read:
        why += f"; {total - read:,} rows hold something else and will be rejected"
    return DatesGuess(order, total - read, why)


def guess_orders(tables: Mapping[str, Mapping[str, Profile]]) -> dict[str, Order | None]:
    """For each table what to take for its columns of dates in which no day is above 12; none if it has none.

    What counts, in this order: a column of the table that shows it; one of another table, with the same mark
    between day and month; that one of the two readings puts all dates on a few days of the month, as bills
    and contracts have it, and the other all into a few months; dots. A contract has one order for all clocks
    of a table, so there is one guess for all its columns.

    Args:
        tables: name to columns.
    """
    spelt = {
        table: {name: found for name, one in columns.items() if (found := _spelling_of(one)) is not None}
        for table, columns in tables.items()
    }
    return {table: _common(spelt, table) for table in tables}


def _common(spelt: Mapping[str, Mapping[str, _Spelling]], table: str) -> Order | None:
    open_ = {name: one for name, one in spelt[table].items() if one.shown is None}
    if not open_:
        return None
    marks = {one.mark for one in open_.values()}
    own = [(one.shown, f'as "{name}" shows') for name, one in spelt[table].items() if one.shown is not None]
    others = [
        (one.shown, f'as "{name}" of "{other}" shows')
        for other, columns in spelt.items()
        for name, one in columns.items()
        if other != table and one.shown is not None and one.mark in marks
    ]
    for shown in (own, others):
        if shown:
            return Order(*max(shown, key=lambda one: one[0]))  # the first that says day, if one does
    for name, one in open_.items():
        few, many = sorted((one.firsts, one.seconds))
        if one.mark != "." and few <= FEW and many > min(FEW, 2 * few):
            days, months = ("1 day", "1 month") if few == 1 else (f"{few} days", f"{few} months")
            ground = f'as "{name}" then falls on {days} of the month, and otherwise in {months} of the year'
            return Order(one.firsts == few, ground)
    if "." in marks:
        return Order(day_first=True, ground="as dots suggest")
    if not any(one.usual for one in open_.values()):
        return None  # slips: too few to say how the column is written
    return Order(day_first=False, ground="as nothing suggests otherwise")


def _spelling_of(column: Profile) -> _Spelling | None:
    """How a column writes its dates, if it is one of dates, maybe with a few words among them."""
    if not column.is_text:
        return None
    said = pl.col("level").str.to_lowercase().is_in(sorted(text.SAID_MISSING))
    values = column.levels.filter(~said)
    if not values["level"].str.contains(_TWO).any():
        return None
    worded = values["level"].str.contains(r"^\D*$")
    if worded.sum() > _MOST_WORDS or not _are_dates(values := values.filter(~worded)):
        return None
    return _spelling(values)


def _are_dates(values: pl.DataFrame) -> bool:
    total = int(values["count"].sum())
    shaped = int(values.filter(pl.col("level").str.contains(_SHAPE))["count"].sum())
    return total > 0 and shaped >= ENOUGH * total


def _spelling(values: pl.DataFrame) -> _Spelling | None:
    parts = values.filter(pl.col("level").str.contains(_TWO)).select(
        pl.col("level").str.extract(_TWO, 1).cast(pl.Int64).alias("one"),
        pl.col("level").str.extract(_TWO, 2).alias("mark"),
        pl.col("level").str.extract(_TWO, 3).cast(pl.Int64).alias("other"),
        "count",
    )
    if not parts.height:
        return None
    day = int(parts.filter(pl.col("one") > _MONTHS)["count"].sum())
    month = int(parts.filter(pl.col("other") > _MONTHS)["count"].sum())
    marks = parts.group_by("mark").agg(pl.col("count").sum()).sort("count", "mark", descending=True)
    return _Spelling(
        mark=marks["mark"][0],
        shown=day > month if day or month else None,
        usual=2 * int(parts["count"].sum()) > int(values["count"].sum()),
        firsts=parts["one"].n_unique(),
        seconds=parts["other"].n_unique(),
    )
