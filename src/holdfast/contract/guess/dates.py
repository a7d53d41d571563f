"""Whether text is dates, and whether the day or the month comes first."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from holdfast.contract import text
from holdfast.contract.history import ENDLESS

ENOUGH = 0.98
"""So large a share of the values must be dates."""

_SHAPE = (
    r"^\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}(?:\D|$)|^[12]\d{7}(?:\.0+)?$|"
    r"[A-Za-z]{3,9}\.?[-/ ,]+\d|\d[-/. ]+[A-Za-z]{3}"
)
_TWO = r"^(\d{1,2})[-/. ](\d{1,2})[-/. ](?:\d{4}|\d{2})(?:[T ,]|$)"
_OLDEST, _NEWEST = pl.date(1900, 1, 1), pl.date(2100, 12, 31)


@dataclass(frozen=True)
class DatesGuess:
    """How the dates are written."""

    day_first: bool
    sure: bool
    """Whether a value shows it: a 13th month there is not."""
    unreadable: int
    why: str


def guess_dates(levels: pl.DataFrame, *, day_first: bool) -> DatesGuess | None:
    """Dates, or none if the values are something else.

    Args:
        levels: ``level`` and ``count``, as `Profile.levels`.
        day_first: what other columns of the file say, for values that leave it open.
    """
    values = levels.filter(~pl.col("level").str.to_lowercase().is_in(sorted(text.SAID_MISSING)))
    total = int(values["count"].sum())
    shaped = int(values.filter(pl.col("level").str.contains(_SHAPE))["count"].sum())
    if not total or shaped < ENOUGH * total:
        return None
    first, sure, how = _order(values, hint=day_first)
    dates = text.dates(values["level"], day_first=first)
    dated = values.select(dates.alias("date"), "count")
    plausible = dated.filter(pl.col("date").is_between(_OLDEST, _NEWEST))
    endless = int(dated.filter(pl.col("date").dt.year() >= ENDLESS)["count"].sum())
    read = int(plausible["count"].sum()) + endless
    if not plausible.height or read < ENOUGH * total:
        return None
    why = f"dates, {plausible['date'].min()!s} to {plausible['date'].max()!s}{how}"
    if total > read:
        why += f"; {total - read:,} rows hold something else and will be rejected"
    return DatesGuess(first, sure, total - read, why)


def _order(values: pl.DataFrame, *, hint: bool) -> tuple[bool, bool, str]:
    """Day first or not, whether that is sure, and the words for it."""
    two = values.filter(pl.col("level").str.contains(_TWO))
    if not two.height:
        return False, False, ""
    parts = two.select(
        pl.col("level").str.extract(_TWO, 1).cast(pl.Int64).alias("one"),
        pl.col("level").str.extract(_TWO, 2).cast(pl.Int64).alias("other"),
        "count",
    )
    day = int(parts.filter(pl.col("one") > 12)["count"].sum())  # noqa: PLR2004 - months
    month = int(parts.filter(pl.col("other") > 12)["count"].sum())  # noqa: PLR2004 - months
    if day or month:
        return day > month, True, ", day first" if day > month else ", month first"
    dotted = bool(two["level"].str.contains(r"^\d{1,2}\.\d{1,2}\.").all())
    first = hint or dotted
    reason = (
        "as elsewhere in the file" if hint else "as dots suggest" if dotted else "a guess: no day is above 12"
    )
    return first, False, f", {'day' if first else 'month'} first ({reason})"
