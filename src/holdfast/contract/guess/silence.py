"""Leaving as silence: no event for longer than is usual."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.guess.cancellations import LEAVING
from holdfast.contract.guess.leaving import HORIZONS, SIDE, Leaving
from holdfast.contract.guess.spending import returns_of, values_of
from holdfast.contract.history import ChurnEvent, HistoryChurn, TableKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from holdfast.contract.guess.fields import Fields
    from holdfast.contract.guess.roles import Placed

USUAL_GAPS = 0.75
"""So large a share of the times between two events lies within the horizon: silence for longer is unusual."""

MOST_GAPS = 0.6
"""Share that a rounded horizon must still hold."""


def by_inactivity(everything: Sequence[Fields], until: date, horizon: int | None) -> Leaving | None:
    """Churn as no event in the whole horizon; none if there are no events."""
    events = [one for one in everything if one.placed.kind is TableKind.EVENTS]
    if not events:
        return None
    fields = max(events, key=lambda one: _fitness(one.placed))
    placed = fields.placed
    time = placed.clocks.time
    assert time is not None  # noqa: S101 - events have one
    days = pl.DataFrame({"customer": placed.look.customers, "day": time.days})
    above: dict[str, float] = {}
    notes = {}
    if (returned := returns_of(fields)) is not None:
        column, notes[f"above.{column}"] = returned
        days = days.filter(values_of(fields, column) > 0)
        above = {column: 0.0}
    days = days.drop_nulls().unique()
    gap = (pl.col("day") - pl.col("day").shift(1).over("customer", order_by="day")).dt.total_days()
    gaps = days.select(gap).to_series().drop_nulls()
    chosen, why = horizon or HORIZONS[2], "as asked for"
    if horizon is None:
        chosen, why = _horizon_of_gaps(gaps, days, until)
    churn = HistoryChurn(
        event=ChurnEvent.INACTIVITY, table=placed.look.name, above=above, horizon_days=chosen
    )
    silent = pl.col("day").max() <= until - timedelta(days=chosen)
    left = days.group_by("customer").agg(left=silent)
    notes |= {
        "event": f'nothing says that a customer left; whoever has no row in "{placed.look.name}" for so long '
        "counts as gone",
        "horizon_days": why,
    }
    return Leaving(churn, notes, left)


def _fitness(placed: Placed) -> tuple[bool, bool, int]:
    """Tables of what customers do before those of what goes wrong; then the busiest."""
    look = placed.look
    return not look.says(SIDE | LEAVING), not look.says(LEAVING), look.frame.height


def _horizon_of_gaps(gaps: pl.Series, days: pl.DataFrame, until: date) -> tuple[int, str]:
    first: date = days["day"].min()  # type: ignore[assignment]
    span = (until - first).days
    fits = [some for some in HORIZONS if 3 * some <= span] or [HORIZONS[0]]
    usual = gaps.quantile(USUAL_GAPS) or fits[-1]
    # A little beyond a round number is that number: 94 days are 90. Bills that come every 91 or 92 are not.
    chosen = next(
        (some for some in fits if usual <= 1.1 * some and _no_longer(gaps, some) >= MOST_GAPS), fits[-1]
    )
    if not len(gaps):
        return chosen, "a guess: no customer has events on two days, so nothing shows how long is usual"
    return chosen, (
        f"a guess: {_no_longer(gaps, chosen):.0%} of the times between two events of a customer are no longer"
    )


def _no_longer(gaps: pl.Series, days: int) -> float:
    """Share of gaps that are no longer than so many days; 1 if there are none."""
    return int((gaps <= days).sum()) / len(gaps) if len(gaps) else 1.0
