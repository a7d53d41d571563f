"""What a customer spends in a year, from a table of purchases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.types import NUMERIC

if TYPE_CHECKING:
    from datetime import date

    from holdfast.contract.guess.fields import Fields

_MONEY = frozenset({
    "amount", "value", "revenue", "spend", "spent", "sale", "paid", "turnover", "total", "dollar", "usd",
    "eur", "gbp", "charge", "cost",
})  # fmt: skip
_EACH = frozenset({"price"})
_HOW_MANY = frozenset({"quantity", "qty"})
_SALES = frozenset({"sale", "order", "purchase", "invoice", "retail", "basket", "receipt", "shop"})
_RETURNED = (0.001, 0.3)
"""Share of the rows below 0 that may be returns: fewer are mistakes, more are the half of a ledger."""

_YEAR = 365.25
_SHORTEST = 30


def yearly_spending(fields: Fields, until: date) -> tuple[float, str] | None:
    """What a customer of a table of events spends in a year on average, and where that is from.

    A customer's time runs from the first event to the end of the data. None if no column looks like money.

    Args:
        fields: of the table.
        until: the last day on which anything happened.
    """
    look, clocks = fields.placed.look, fields.placed.clocks
    amounts = _column(fields, _MONEY)
    times = None
    if amounts is None and (amounts := _column(fields, _EACH)) is not None:
        times = _column(fields, _HOW_MANY)
    if amounts is None or clocks.time is None:
        return None
    money = values_of(fields, amounts)
    if times is not None:
        money *= values_of(fields, times)
    rows = pl.DataFrame({"customer": look.customers, "day": clocks.time.days, "money": money}).drop_nulls()
    there = pl.max_horizontal((pl.lit(until) - pl.col("day").min()).dt.total_days(), pl.lit(_SHORTEST))
    spent = rows.group_by("customer").agg(pl.col("money").sum(), there.alias("days"))
    days = float(spent["days"].sum())
    yearly = float(spent["money"].sum()) / days * _YEAR if days else 0.0
    said = f'"{amounts}"' if times is None else f'"{times}" times "{amounts}"'
    return (yearly, said) if yearly > 0 else None


def returns_of(fields: Fields) -> tuple[str, str] | None:
    """The column whose negative numbers are returns in a table of purchases, and why; none if it has none."""
    look = fields.placed.look
    name = _column(fields, _HOW_MANY) or (_column(fields, _MONEY) if look.says(_SALES) else None)
    if name is None:
        return None
    below = values_of(fields, name) < 0
    share = float(below.mean() or 0)  # type: ignore[arg-type]
    if not _RETURNED[0] <= share <= _RETURNED[1]:
        return None
    return name, (
        f"{below.sum():,} rows ({share:.1%}) are below 0, such as returns and cancelled orders; they are no "
        "purchases, and without this line they would count as activity"
    )


def _column(fields: Fields, said: frozenset[str]) -> str | None:
    """The first usable column of numbers whose name says so."""
    for name, verdict in fields.verdicts.items():
        numbers = verdict.is_in and verdict.column.kind in NUMERIC
        if numbers and said.intersection(fields.placed.look.profiles[name].words):
            return name
    return None


def values_of(fields: Fields, name: str) -> pl.Series:
    """A column of numbers, read as the guess says; null where it cannot be."""
    frame = fields.placed.look.frame
    column = fields.verdicts[name].column
    return frame.select(parse.typed_expr(name, column, frame.schema[name]).cast(pl.Float64)).to_series()
