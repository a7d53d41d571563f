"""Leaving as an event: a customer cancels, closes the account, unsubscribes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess.leaving import SIDE, Leaving, horizon_of_rate
from holdfast.contract.guess.names import words
from holdfast.contract.guess.roles import SPANS
from holdfast.contract.history import ChurnEvent, HistoryChurn, TableKind
from holdfast.contract.types import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from holdfast.contract.guess.fields import Fields
    from holdfast.contract.guess.roles import Placed

LEAVING = frozenset({
    "cancel", "cancelled", "canceled", "cancellation", "churn", "churned", "unsubscribe", "unsubscribed",
    "terminate", "terminated", "termination", "deactivate", "deactivated", "deactivation", "closure", "quit",
})  # fmt: skip
"""Words that say that somebody leaves."""

_TYPES = frozenset({"type", "event", "action", "kind", "activity", "name"})
_ONLY_REQUESTS = frozenset({"request", "requested", "ask", "asked", "wish", "attempt", "reason"})
_MOST_BACK = 0.5
_BACK_DAYS = 30
_FEWEST = 5


def by_cancellation(everything: Sequence[Fields], until: date, horizon: int | None) -> Leaving | None:
    """Churn as an event that says so; none if no event does, or customers mostly go on after it."""
    best: tuple[int, Placed, dict[str, tuple[str, ...]], pl.DataFrame] | None = None
    for fields in everything:
        placed = fields.placed
        if placed.kind is not TableKind.EVENTS or placed.look.says(SIDE):
            continue
        for where, chosen in _cancellations(fields):
            final = _final(placed, chosen)
            if final is not None and (best is None or final.height > best[0]):
                best = final.height, placed, where, final
    if best is None:
        return None
    count, placed, where, left = best
    said = " or ".join(f'"{level}"' for levels in where.values() for level in levels)
    everyone = pl.concat([one.placed.look.customers for one in everything]).drop_nulls().unique()
    span = max(1, (until - min(_first_days(everything))).days)
    rate = count / len(everyone) / span * 2  # customers are there for half of the time, roughly
    guessed, why_so = horizon_of_rate(rate, left["gone"])
    days = horizon or guessed
    churn = HistoryChurn(
        event=ChurnEvent.CANCELLATION, table=placed.look.name, where=where, horizon_days=days
    )
    notes = {
        "event": f'{count:,} of {len(everyone):,} customers left with an event of "{placed.look.name}"'
        + (f" that says {said}" if said else ""),
        "horizon_days": f"a guess: roughly {min(1.0, rate * days):.0%} of customers leave within {days} days"
        f"{why_so}"
        if horizon is None
        else "as asked for",
    }
    gone = left.select("customer", left=pl.lit(value=True))
    known = (
        everyone.to_frame()
        .join(gone, on="customer", how="left")
        .with_columns(pl.col("left").fill_null(value=False))
    )
    return Leaving(churn, notes, known)


def _first_days(everything: Sequence[Fields]) -> list[date]:
    times = [one.placed.clocks.time for one in everything if one.placed.kind is not TableKind.CUSTOMERS]
    return [time.days.min() for time in times if time is not None and time.days.min() is not None]  # type: ignore[misc]


def _cancellations(fields: Fields) -> list[tuple[dict[str, tuple[str, ...]], pl.Series]]:
    """Conditions under which an event may be a customer's leaving, each with the rows that meet it."""
    look = fields.placed.look
    if look.says(LEAVING):
        return [({}, pl.repeat(value=True, n=look.frame.height, eager=True))]
    found = []
    for name, verdict in fields.verdicts.items():
        said = look.profiles[name].words
        if not (_TYPES.intersection(said) or (SPANS.intersection(look.words) and "status" in said)):
            continue
        levels = tuple(level for level in verdict.column.levels or () if _says_leaving(level))
        if levels:
            found.append(({name: levels}, look.frame[name].cast(pl.String).str.strip_chars().is_in(levels)))
    for name, verdict in fields.verdicts.items():
        if verdict.column.kind is Kind.BOOLEAN and _says_leaving(name):
            column = verdict.column
            yes = look.frame.select(parse.boolean_expr(name, look.frame.schema[name], true=column.true))
            found.append(({name: (column.true or "true",)}, yes.to_series()))
    return found


def _says_leaving(level: str) -> bool:
    said = set(words(level))
    return bool(said & LEAVING) and not said & _ONLY_REQUESTS


def _final(placed: Placed, chosen: pl.Series) -> pl.DataFrame | None:
    """The customers that such an event was the last of, if it was for most; else it is no leaving."""
    time = placed.clocks.time
    assert time is not None  # noqa: S101 - events have one
    events = pl.DataFrame(
        {"customer": placed.look.customers, "day": time.days, "chosen": chosen}
    ).drop_nulls()
    by_customer = events.group_by("customer").agg(
        gone=pl.col("day").filter("chosen").max(), last=pl.col("day").filter(~pl.col("chosen")).max()
    )
    gone = by_customer.drop_nulls("gone")
    back = int((gone["last"] > gone["gone"] + timedelta(days=_BACK_DAYS)).fill_null(value=False).sum())
    if gone.height < _FEWEST or back > _MOST_BACK * gone.height:
        return None
    return gone
