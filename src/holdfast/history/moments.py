"""The moments at which customers are looked at, and the instants that follow from them.

SQL knows no zones: every edge that is so many days from a snapshot is computed here, as a wall-clock moment
of the contract's zone, and comes to SQL as an instant (naive UTC, microseconds). A midnight that the clocks
skip is the first moment after it; of one that they show twice it is the first. However a moment is written,
its edges follow from the instant that it is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from holdfast.history.problems import HistoryError
from holdfast.history.times import INSTANT, naive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.contract.history import Clock, History

RUN_UP = 90
"""Days of events before the first snapshot, unless the contract says when that is."""


def snapshots(clock: Clock, since: datetime, until: datetime) -> list[datetime]:
    """The moments as_of: midnights of the clock's zone, in order.

    Without ``clock.first`` there are 90 days of events before the first (given dates need none); without
    ``clock.last`` the last is the newest that is not after ``until``.

    Args:
        clock: of the contract.
        since: the first event, naive UTC (`holdfast.history.prepared.Prepared`).
        until: up to which all is known, naive UTC.

    Raises:
        HistoryError: there is no such moment, or one that is given lies after ``until``.
    """
    zone = ZoneInfo(clock.time_zone)
    begin = since.replace(tzinfo=UTC).astimezone(zone).date()
    end = until.replace(tzinfo=UTC).astimezone(zone).date()
    if isinstance(clock.snapshots, tuple):
        days = sorted(set(clock.snapshots))
        late = [day for day in days if day > end]
        if late:
            raise HistoryError(
                f"The snapshot {late[0]} lies after {end}, up to which the tables are complete.",
                where="clock.snapshots",
                hint="Leave it out, or set clock.until if the tables are complete up to a later day.",
            )
        first = clock.first or days[0]
    else:
        first = clock.first or begin + timedelta(days=RUN_UP)
        days = _regular(clock.snapshots, first, end)
    last = min(clock.last or end, end)
    chosen = [day for day in days if first <= day <= last]
    if not chosen:
        raise HistoryError(
            f"There is no snapshot from {first} to {last}; the tables reach from {begin} to {end}.",
            where="clock",
            hint=f"Set clock.first to an earlier day; without it, {RUN_UP} days of events come before it.",
        )
    return [datetime.combine(day, time(), zone) for day in chosen]


def _regular(every: str, first: date, last: date) -> list[date]:
    """The firsts of the months, or the Mondays, from ``first`` to ``last``."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [day for day in days if (day.day == 1 if every == "monthly" else day.weekday() == 0)]


def moments(history: History, as_of: Sequence[datetime]) -> pl.DataFrame:
    """One row a snapshot: every instant that features, spine and labels need, naive UTC.

    ``as_of``; ``day`` (the begin of its day, when others are looked at); ``w7``, ``w30``, … (so many days
    before, for each window of the contract); ``tenure_from`` (who began later has not been a customer for
    long enough); ``active_from`` (inactivity: who had no event since is not eligible; null without
    ``active_days``); ``label_begin`` (as_of + lead), ``label_end`` (+ horizon) and ``label_known`` (+ grace):
    when all that decides the label has happened. A moment that is given twice is there once.

    Args:
        history: the contract.
        as_of: aware moments, or wall-clock ones of the contract's zone.

    Raises:
        HistoryError: a calendar has no room for the days before or after a moment.
    """
    zone = ZoneInfo(history.clock.time_zone)
    churn = history.churn
    begin = churn.lead_days
    end = begin + churn.horizon_days
    days = {
        "as_of": 0,
        **{f"w{window}": -window for window in history.clock.windows},
        "tenure_from": -churn.min_tenure_days,
        "active_from": None if churn.active_days is None else -churn.active_days,
        "label_begin": begin,
        "label_end": end,
        "label_known": end + churn.grace_days,
    }
    rows = [
        {name: None if n is None else _shifted(moment, n, zone) for name, n in days.items()}
        | {"day": _day(moment, zone)}
        for moment in as_of
    ]
    # Of a moment twice, windows would count each event twice.
    schema = dict.fromkeys([*days, "day"], INSTANT)
    return pl.DataFrame(rows, schema=schema).unique("as_of", maintain_order=True)


def built_moments(
    history: History, since: datetime, until: datetime, as_of: Sequence[datetime] | None
) -> tuple[tuple[datetime, ...], pl.DataFrame]:
    """The moments that a table is built at, each once, and what `moments` gives of them.

    Args:
        history: the contract.
        since: the first event, naive UTC.
        until: up to which all is known, naive UTC.
        as_of: the moments; all snapshots of the contract where none are given.

    Raises:
        HistoryError: there is none, or one lies after ``until``: features would be of a past not told yet.
    """
    chosen = snapshots(history.clock, since, until) if as_of is None else list(dict.fromkeys(as_of))
    looks = moments(history, chosen)
    beyond = looks.filter(pl.col("as_of") > until)
    if beyond.height:
        raise HistoryError(
            f"{beyond['as_of'][0]:%Y-%m-%d %H:%M} lies after {until:%Y-%m-%d %H:%M} (UTC), "
            "up to which the tables are complete.",
            where="as_of",
            hint="Take an earlier day, or set clock.until if the tables are complete up to a later one.",
        )
    return tuple(chosen), looks


def wall_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a zone's clock shows at an instant (naive UTC); midnight, at the first of a day that has none.

    So days before and after it are counted from midnight to midnight, as of any other day.
    """
    wall = instant.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    midnight = datetime.combine(wall.date(), time())
    return midnight if naive(midnight, zone) == instant else wall


def _day(moment: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of its day by the wall clock, as naive UTC."""
    return naive(datetime.combine(wall_of(naive(moment, zone), zone).date(), time()), zone)


def _shifted(moment: datetime, days: int, zone: ZoneInfo) -> datetime:
    """So many days later by the wall clock, as naive UTC."""
    try:
        instant = naive(moment, zone)
        if not days:  # of an hour that clocks show twice, the very one that is meant
            return instant
        return naive(wall_of(instant, zone) + timedelta(days=days), zone)
    except OverflowError as error:
        raise HistoryError(
            f"{moment:%Y-%m-%d} is too near to an end of the calendar to look {abs(days):,} days from it.",
            where="as_of",
            hint="Take a day that the tables cover.",
        ) from error
