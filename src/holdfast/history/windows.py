"""The windows that features look back, in SQL and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.history.feature import Source


def within(days: int) -> str:
    """The condition that an event is in a window."""
    return f"_time >= _w{days}"


def in_last(days: int) -> str:
    """A window in words."""
    return f"in the last {days} days"


def short_and_long(source: Source) -> tuple[int, int]:
    """The windows that a trend compares: the first of at least 30 days, and the longest of at most 180."""
    recent = next((days for days in source.windows if days >= 30), source.windows[0])  # noqa: PLR2004 - as the text says
    upto = [days for days in source.windows if recent < days <= 180]  # noqa: PLR2004 - as the text says
    return recent, (upto[-1] if upto else source.longest)


def trend(recent: str, days: int, earlier: str, of_days: int) -> str:
    """A rate a day in a short window, divided by that in a long one; missing where the latter is zero."""
    return f"(CAST({recent} AS DOUBLE) / {days}) / (CAST(NULLIF({earlier}, 0) AS DOUBLE) / {of_days})"
