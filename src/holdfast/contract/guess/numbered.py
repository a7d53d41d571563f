"""Whole numbers that name things, such as invoices, in a table of events: no quantities.

A sum of them means nothing, and as they are given out in turn it would tell a model the calendar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import text
from holdfast.contract.types import OPEN_LEVELS

if TYPE_CHECKING:
    from holdfast.contract.guess.clocks import Times
    from holdfast.contract.guess.profile import Profile

NUMBERED = frozenset({
    "invoice", "order", "ticket", "receipt", "basket", "booking", "transaction", "case", "bill", "shipment",
    "delivery",
})  # fmt: skip
"""What has numbers: such a word alone may be the name of the column that holds them."""

IN_TURN = 0.99
"""Rank correlation with the time from which numbers are given out in turn."""

OF_ONE = 0.95
"""Share of the numbers that are of one customer each: invoices are, amounts and counters are not."""

_NEARLY_ALL = 0.9
_LONG = 4
"""Digits of numbers whose name alone says that they are names; amounts are often shorter."""


def number_reason(profile: Profile, time: Times, customers: pl.Series) -> str | None:
    """Why a column of whole numbers names things, to stand after ``identifier: ``; none if it may not.

    Args:
        profile: the column.
        time: of the table's events.
        customers: whose each row is; null if nobody's.
    """
    if profile.distinct <= OPEN_LEVELS:
        return None
    code = _code_among(profile)
    if code is not None:
        return f'{profile.distinct:,} different values, of which some are codes of as many digits: "{code}"'
    rows = pl.DataFrame({"raw": profile.raw, "day": time.days, "customer": customers}).drop_nulls()
    numbers = pl.col("raw").str.strip_chars() if profile.is_text else pl.col("raw")
    rows = rows.with_columns(number=numbers.cast(pl.Float64, strict=False)).drop_nulls("number")
    whose = rows.group_by("number").agg(pl.col("customer").n_unique())["customer"]
    if len(whose) <= OPEN_LEVELS or int((whose == 1).sum()) < OF_ONE * len(whose):
        return None
    turn = rows.select(pl.corr("number", pl.col("day").to_physical(), method="spearman")).item()
    if turn is not None and turn >= IN_TURN:
        return f'{len(whose):,} numbers, each of one customer, that rise with "{time.name}"'
    lengths = profile.levels["level"].str.len_chars()
    usual = lengths.mode()[0]
    alike = int((lengths == usual).sum()) >= _NEARLY_ALL * len(lengths)
    if len(profile.words) == 1 and profile.words[0] in NUMBERED and alike and usual >= _LONG:
        return f"{len(whose):,} numbers, each of one customer, and its name says that they are names"
    return None


def _code_among(profile: Profile) -> str | None:
    """The first code, such as C536379, if what is no number among the values is such codes."""
    if not profile.is_text:
        return None
    levels = profile.levels.filter(~pl.col("level").str.to_lowercase().is_in(sorted(text.SAID_MISSING)))
    whole = pl.col("level").str.contains(r"^\d+$")
    numbers, others = levels.filter(whole), levels.filter(~whole)
    codes = others.with_columns(digits=pl.col("level").str.extract(r"^[A-Za-z]{1,3}[-_ ]?(\d{4,})$"))
    codes = codes.drop_nulls("digits")
    if codes.height <= 1 or _rows(codes) < _NEARLY_ALL * _rows(others):
        return None
    lengths = codes["digits"].str.len_chars().unique().implode()
    like = numbers.filter(pl.col("level").str.len_chars().is_in(lengths))
    return str(codes["level"][0]) if _rows(like) >= _NEARLY_ALL * _rows(numbers) else None


def _rows(levels: pl.DataFrame) -> int:
    return int(levels["count"].sum())
