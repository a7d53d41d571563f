"""A column at a glance: its distinct values and how often each is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess.names import words
from holdfast.contract.types import Kind

READABLE = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Null)


@dataclass(frozen=True)
class Profile:
    """One raw column of the table."""

    raw: pl.Series

    @property
    def name(self) -> str:
        """The column's name."""
        return self.raw.name

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The name's words."""
        return words(self.name)

    @property
    def dtype(self) -> pl.DataType:
        """Its type in the table."""
        return self.raw.dtype

    @property
    def is_text(self) -> bool:
        """Whether it comes as text."""
        return self.raw.dtype == pl.String

    @property
    def is_readable(self) -> bool:
        """Whether a contract has a kind for such values; lists, times and bytes it has not."""
        return self.raw.dtype in READABLE or self.raw.dtype.is_numeric()

    @cached_property
    def levels(self) -> pl.DataFrame:
        """``level`` (String, as `parse.level_expr` writes it, never null) and ``count``, by first appearance.

        Parsing these instead of the rows is what makes a million rows cheap.
        """
        raw = self.raw.alias("raw")
        counted = raw.to_frame().group_by("raw", maintain_order=True).len("count")
        named = counted.with_columns(level=parse.level_expr("raw", raw.dtype)).drop_nulls("level")
        return named.group_by("level", maintain_order=True).agg(pl.col("count").sum())

    @cached_property
    def distinct(self) -> int:
        """How many values there are, missing ones apart."""
        if self.raw.dtype.is_numeric():
            clean = self.raw.fill_nan(None) if self.raw.dtype.is_float() else self.raw
            return clean.drop_nulls().n_unique()
        return self.levels.height

    @cached_property
    def missing(self) -> int:
        """Rows without a value, for any kind."""
        frame = self.raw.alias("raw").to_frame()
        return int(frame.select(parse.missing_expr("raw", self.raw.dtype, Kind.TEXT).sum()).item())

    @property
    def height(self) -> int:
        """Rows."""
        return len(self.raw)

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.height - self.missing

    @property
    def distinct_share(self) -> float:
        """Distinct values per row with a value, 0 to 1."""
        return self.distinct / self.present if self.present else 0.0
