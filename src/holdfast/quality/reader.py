"""How one column's raw values become the contract's: quickly where they are plain, carefully where not.

A `Reader` first reads a whole column the way its plainest spelling is read. Cells that this leaves in doubt
(and only those) are read again with the expressions of `holdfast.contract.parse`, which say what was
repaired, missing, unseen or is wrong. Both ways give one result (a property test holds them to it), and both
look at one cell at a time: a row alone is read as it is among a million.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

RAW, VALUE = pl.col("raw"), pl.col("value")

Check = tuple[pl.Expr, str]
"""A condition over ``raw`` and ``value`` that no cell may meet, and the reason it is rejected if it does."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One column's way from raw to typed. Its expressions see the columns ``raw`` and ``value``."""

    dtype: pl.DataType
    """The type of the values."""
    fast: Callable[[pl.Expr], pl.Expr] | None
    """Values of plainly written cells, null for others; none where no spelling is plain."""
    careful: pl.Expr
    """Values of all cells over ``raw``, null for missing and wrong ones."""
    missing: pl.Expr
    """Whether a cell has no value, over ``raw``."""
    checks: tuple[Check, ...] = ()
    """In this order; the first that is met is the reason."""
    as_written: pl.Expr = field(default_factory=lambda: pl.lit(value=True))
    """Whether a cell is written as the contract writes it, over ``raw``; if not, reading it was a repair."""
    missing_reason: str | None = None
    """Why a cell without a value is rejected, where it is."""
    doubt: pl.Expr | None = None
    """Which quickly read cells must be read again, beside those that came out null."""
    quick: Callable[[pl.Series], bool] | None = None
    """A cheap look at the quickly read values: true when no cell can be in ``doubt``."""

    def doubtful(self, raw: pl.Series, value: pl.Series) -> pl.Series | None:
        """Mask of the cells to read carefully; none if there are none."""
        if value.null_count() == (0 if self.missing_reason else raw.null_count()) and (
            self.doubt is None or (self.quick is not None and self.quick(value))
        ):
            return None
        mask = VALUE.is_null() if self.missing_reason else VALUE.is_null() & RAW.is_not_null()
        if self.doubt is not None:
            mask |= self.doubt.fill_null(value=False)
        found = pl.DataFrame([raw.alias("raw"), value.alias("value")]).select(mask).to_series()
        return found if found.any() else None

    def read(self, raw: pl.Series) -> pl.DataFrame:
        """Read cells carefully.

        Returns:
            ``raw`` as it was; ``value``, null where missing, unseen or wrong; ``reason`` (text) where the
            cell is rejected; ``missing``, ``repaired`` and ``unseen`` (Boolean).
        """
        cells = raw.alias("raw").to_frame().with_columns(value=self.careful)
        cells = cells.with_columns(missing=self.missing)
        absent = pl.col("missing")
        reason: pl.Expr = pl.lit(None, pl.String)
        for condition, why in reversed(self.checks):
            reason = pl.when(condition).then(pl.lit(why)).otherwise(reason)
        reason = pl.when(absent).then(pl.lit(self.missing_reason, pl.String)).otherwise(reason)
        good = pl.col("reason").is_null()
        return cells.with_columns(reason=reason, plain=self.as_written).select(
            "raw",
            pl.when(good & ~absent).then(VALUE).alias("value"),
            "reason",
            "missing",
            (good & ~absent & VALUE.is_not_null() & ~pl.col("plain")).alias("repaired"),
            (good & ~absent & VALUE.is_null()).alias("unseen"),
        )
