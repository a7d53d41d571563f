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
        times = _column(fields, frozenset({"quantity"}))
    if amounts is None or clocks.time is None:
        return None
    money = _values(fields, amounts)
    if times is not None:
        money *= _values(fields, times)
    rows = pl.DataFrame({"customer": look.customers, "day": clocks.time.days, "money": money}).drop_nulls()
    there = pl.max_horizontal((pl.lit(until) - pl.col("day").min()).dt.total_days(), pl.lit(_SHORTEST))
    spent = rows.group_by("customer").agg(pl.col("money").sum(), there.alias("days"))
    days = float(spent["days"].sum())
    yearly = float(spent["money"].sum()) / days * _YEAR if days else 0.0
    said = f'"{amounts}"' if times is None else f'"{times}" times "{amounts}"'
    return (yearly, said) if yearly > 0 else None


def _column(fields: Fields, said: frozenset[str]) -> str | None:
    """The first usable column of numbers whose name says so."""
    for name, verdict in fields.verdicts.items():
        numbers = verdict.is_in and verdict.column.kind in NUMERIC
        if numbers and said.intersection(fields.placed.look.profiles[name].words):
            return name
    return None


def _values(fields: Fields, name: str) -> pl.Series:
    frame = fields.placed.look.frame
    column = fields.verdicts[name].column
    return frame.select(parse.typed_expr(name, column, frame.schema[name]).cast(pl.Float64)).to_series()
