"""From when to when tables tell of what happened."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from holdfast.contract.history import TableKind
from holdfast.history.moments import RUN_UP
from holdfast.history.problems import HistoryError
from holdfast.history.times import naive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.history import History

Span = tuple["datetime | None", "datetime | None", "datetime | None"]
"""First and last time of a table, and when its last row became known."""


def since_of(history: History, spans: Mapping[str, Span], left: datetime | None) -> datetime:
    """From when on the tables tell what happened (naive UTC).

    Begins reach further back than that, of those alone who are still there: who left before leaving was
    recorded is in no table. So the first event says it where there are events, and the first leavers do.

    Args:
        history: the contract.
        spans: of each table.
        left: when the first customers left, where that is recorded.

    Raises:
        HistoryError: nothing says when anything happened.
    """
    kinds = {name: table.kind for name, table in history.tables.items()}
    for kind in (TableKind.EVENTS, TableKind.INTERVALS, TableKind.CUSTOMERS):
        first = min((s[0] for n, s in spans.items() if kinds[n] is kind and s[0]), default=None)
        if first is not None:
            return first if left is None else max(first, left - timedelta(days=RUN_UP))
    raise HistoryError(
        "No table says when anything happened.", hint="Give one of them time, or begin, in the contract."
    )


def bound_of(history: History, now: datetime) -> datetime:
    """What happens at or after this moment is in the future (naive UTC): the contract's until, or now.

    Raises:
        HistoryError: the tables are said to be complete up to a day that is still to come.
    """
    until = history.clock.until
    if until is None:
        return now
    zone = ZoneInfo(history.clock.time_zone)
    bound = naive(datetime.combine(until, time()), zone)
    if bound > _midnight_after(now, zone):
        raise HistoryError(
            f"The tables cannot be complete until {until}: that day is still to come.",
            where="clock.until",
            hint="Write the day up to which all that happened is in the tables.",
        )
    return bound


def until_of(history: History, spans: Mapping[str, Span], bound: datetime) -> datetime:
    """The contract's own, or the second after the last event, or when the last row became known (naive UTC).

    Nothing says that the rest of that day is in the tables, too. Only where the last event is at a midnight,
    as a day alone is, it stands for that day. That day may still go on, and nothing is known of what is to
    come: whoever looks at the tables takes the moment then, if that is earlier.
    """
    if history.clock.until:
        return bound
    last = max(span[1] for span in spans.values() if span[1])
    known = max(span[2] for span in spans.values() if span[2])
    zone = ZoneInfo(history.clock.time_zone)
    told = last.replace(microsecond=0) + timedelta(seconds=1)
    if _midnight_after(last - timedelta(microseconds=1), zone) == last:
        told = _midnight_after(last, zone)
    return max(told, known)


def _midnight_after(moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    return naive(datetime.combine(local.date() + timedelta(days=1), time()), zone)
