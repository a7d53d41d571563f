"""Leaving as an end: the last subscription, contract or membership of a customer runs out."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.guess.leaving import SIDE, Leaving, horizon_of_rate
from holdfast.contract.guess.owners import PEOPLE
from holdfast.contract.guess.roles import SPANS
from holdfast.contract.history import ChurnEvent, HistoryChurn, TableKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.contract.guess.fields import Fields
    from holdfast.contract.guess.roles import Placed

GRACES = (1, 3, 7, 14, 30, 60)
"""Days; what a guessed grace is rounded up to."""

_GRACE_REACH = 60
_GRACE_SHARE = 0.05
_EXPECTED = 20.0


def by_end(everything: Sequence[Fields], until: date, horizon: int | None) -> Leaving | None:
    """Churn as the end of intervals, or of customers; none if no table has ends that are past."""
    ranked = [
        (score, one.placed) for one in everything if (score := _end_score(one.placed, until)) is not None
    ]
    if not ranked:
        return None
    placed = max(ranked, key=lambda found: found[0])[1]
    rows = _rows(placed)
    back, grace = _grace(_spells(rows, 0), until)
    spells = _spells(rows, grace)
    ended = spells.filter(pl.col("end") <= until)
    rates = _leaving_rate(spells, until)
    guessed, why_so = horizon_of_rate(rates, ended["end"])
    days = horizon or guessed
    churn = HistoryChurn(event=ChurnEvent.END, table=placed.look.name, horizon_days=days, grace_days=grace)
    first, why = _kept_since(spells, until)
    notes = {
        "event": f'customers leave when their last row of "{placed.look.name}" ends, as they did '
        f"{ended.height:,} times",
        "horizon_days": f"a guess: about {min(1.0, rates * days):.1%} of customers leave within {days} days"
        f"{why_so}"
        if horizon is None
        else "as asked for",
    }
    if grace:
        notes["grace_days"] = f"{back:.0%} of those who left were back within {_GRACE_REACH} days"
    left = spells.group_by("customer").agg(left=(pl.col("end") <= until).fill_null(value=False).all())
    return Leaving(churn, notes, left, placed.look.says(SIDE), first, why)


def _end_score(placed: Placed, until: date) -> tuple[float, ...] | None:
    if placed.kind is TableKind.EVENTS or placed.clocks.end is None or placed.clocks.time is None:
        return None
    ended = int((placed.clocks.end.days <= until).fill_null(value=False).sum())
    if not ended:
        return None
    look = placed.look
    return look.says(SPANS | PEOPLE) - 2.0 * look.says(SIDE), look.customers.n_unique(), ended


def _rows(placed: Placed) -> pl.DataFrame:
    """``customer``, ``begin``, ``end`` of each row that has a customer and a begin; latest versions only."""
    time, end = placed.clocks.time, placed.clocks.end
    assert time is not None  # noqa: S101 - only such tables come here
    assert end is not None  # noqa: S101 - as above
    frame = pl.DataFrame({"customer": placed.look.customers, "begin": time.days, "end": end.days})
    if placed.versions and placed.id is not None and placed.clocks.known is not None:
        known = placed.look.frame[placed.clocks.known.name]
        frame = frame.with_columns(id=placed.look.frame[placed.id], known=known)
        frame = frame.sort("known", maintain_order=True).unique("id", keep="last", maintain_order=True)
    return frame.select("customer", "begin", "end").drop_nulls(["customer", "begin"])


def _spells(rows: pl.DataFrame, grace: int) -> pl.DataFrame:
    """Rows of a customer that touch, overlap or lie within the grace of each other, made one."""
    far = pl.lit(date(9999, 12, 31))
    ordered = rows.with_columns(pl.col("end").fill_null(far)).sort("customer", "begin")
    reached = pl.col("end").cum_max().shift(1).over("customer", order_by="begin")
    apart = (pl.col("begin") - reached).dt.total_days() > grace
    numbered = ordered.with_columns(spell=apart.fill_null(value=True).cum_sum())
    spells = numbered.group_by("customer", "spell").agg(pl.col("begin").min(), pl.col("end").max())
    return spells.with_columns(pl.when(pl.col("end") < far).then("end").alias("end"))


def _grace(spells: pl.DataFrame, until: date) -> tuple[float, int]:
    """Share of ends that another begin of the customer follows, and a grace that covers most of them."""
    ordered = spells.sort("customer", "begin").with_columns(
        again=pl.col("begin").shift(-1).over("customer", order_by="begin")
    )
    ended = ordered.filter(pl.col("end") <= until)
    gaps = ended.select((pl.col("again") - pl.col("end")).dt.total_days()).to_series().drop_nulls()
    soon = gaps.filter(gaps.is_between(1, _GRACE_REACH))
    share = len(soon) / max(1, ended.height)
    if share < _GRACE_SHARE:
        return share, 0
    usual = float(soon.quantile(0.95) or 0)
    return share, next(days for days in GRACES if usual <= days)


def _leaving_rate(spells: pl.DataFrame, until: date) -> float:
    """Ends a customer and day, from the first end on."""
    since = spells.filter(pl.col("end") <= until)["end"].min()
    return _rate(spells, since, until + timedelta(days=1))[0] if isinstance(since, date) else 0.0


def _rate(spells: pl.DataFrame, since: date, before: date) -> tuple[float, float]:
    """Ends a day in [since, before), and how many days customers lived through in it."""
    begin = pl.max_horizontal(pl.col("begin"), pl.lit(since))
    stop = pl.min_horizontal(pl.col("end").fill_null(before), pl.lit(before))
    days, ends = spells.select(
        (stop - begin).dt.total_days().clip(0).sum().alias("days"),
        ((pl.col("end") >= since) & (pl.col("end") < before)).sum().alias("ends"),
    ).row(0)
    return ends / max(1, days), float(days)


def _kept_since(spells: pl.DataFrame, until: date) -> tuple[date | None, str]:
    """The day of the first end, where far more ends would be expected before it than there are.

    Some businesses delete ended contracts, or began to write down ends late. If ends came before as often as
    afterwards, a Poisson count of 20 would be none with a chance of e^-20.
    """
    ended = spells.filter(pl.col("end") <= until)["end"].sort()
    if len(ended) < _EXPECTED:
        return None, ""
    early = ended[int(0.01 * len(ended))]
    rate, _ = _rate(spells, early, until + timedelta(days=1))
    observed = int((ended < early).sum())
    _, before = _rate(spells, spells["begin"].min(), early)  # type: ignore[arg-type]
    expected = rate * before
    if expected < _EXPECTED or expected < 10 * (observed + 1):
        return None, ""
    # Months of many ends for each customer add up to more than there are customers: not a number to show.
    there = spells.filter(pl.col("begin") < early)["customer"].n_unique()
    return early.replace(day=1), (
        f"{there:,} customers were there before {early} and {observed or 'none'} of their rows ended until "
        "then, far fewer than later: what ended earlier seems not to have been kept, and snapshots from then "
        "would know only those who stayed"
    )
