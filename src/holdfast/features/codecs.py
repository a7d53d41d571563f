"""What one feature becomes in the matrix: a number, flags or rates; learned elsewhere, written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

Role = Literal["number", "flag", "rate", "count"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of the matrix: the feature it comes from, what it holds and, for a flag, of which level."""

    feature: str
    role: Role
    level: str | None = None

    @property
    def name(self) -> str:
        """``feature``, ``feature=level`` or ``feature (rate)``."""
        if self.level is not None:
            return f"{self.feature}={self.level}"
        return self.feature if self.role in {"number", "flag"} else f"{self.feature} ({self.role})"


Targets = Sequence["NDArray[np.float32] | None"]
"""Where the values of a codec's slots go: a column of the matrix each, or nowhere."""

Writer = Callable[["NDArray[Any]", Targets], None]
"""Writes the slots, from the values that its codec's expression gave."""

Reading = tuple[pl.Expr, Writer]
"""What a codec asks of Polars, in one go with all others, and what it makes of that with NumPy.

The one is quick for a row, where each call counts, the other for many, where each cell does.
"""


@dataclass(frozen=True)
class Number:
    """A number, a yes/no or a third, passed on as float32."""

    feature: str
    role: Literal["number", "flag"]
    cuts: tuple[float, ...] | None = None

    @property
    def slots(self) -> list[Slot]:
        """The columns of the matrix that it fills."""
        return [Slot(self.feature, self.role)]

    def reading(self, dtype: pl.DataType) -> Reading:  # noqa: ARG002 - one call for all codecs
        """How to fill them from a feature of that type."""
        wanted = pl.Float32 if self.cuts is None else pl.Float64
        value = pl.col(self.feature).cast(wanted).fill_null(np.nan)
        return value, self._write if self.cuts is None else self._write_third

    def _write(self, values: NDArray[Any], targets: Targets) -> None:
        for target in targets:
            if target is not None:
                target[:] = values
                target[np.isinf(values)] = np.nan  # too large for float32

    def _write_third(self, values: NDArray[Any], targets: Targets) -> None:
        third = sum((values > cut for cut in self.cuts or ()), np.zeros(len(values)))
        self._write(np.where(np.isnan(values), np.nan, third), targets)


@dataclass(frozen=True)
class Flags:
    """A flag for each level seen often enough in training; one for missing where that was common."""

    feature: str
    levels: tuple[str, ...]
    missing: bool

    @property
    def slots(self) -> list[Slot]:
        """The columns of the matrix that it fills."""
        absent = [Slot(self.feature, "flag", "(missing)")] if self.missing else []
        return [Slot(self.feature, "flag", level) for level in self.levels] + absent

    def reading(self, dtype: pl.DataType) -> Reading:
        """How to fill them from a feature of that type."""
        codes = Codes(self.levels, dtype)
        places = [*range(len(self.levels)), *([codes.missing] if self.missing else [])]

        def write(values: NDArray[Any], targets: Targets) -> None:
            found = codes.of(values)
            for code, target in zip(places, targets, strict=True):
                if target is not None:
                    np.equal(found, code, out=target)

        return codes.expression(self.feature), write


@dataclass(frozen=True)
class Rates:
    """The smoothed churn rate of each level, and with ``counted`` how common the level was (log)."""

    feature: str
    levels: tuple[str, ...]
    rates: tuple[float, ...]
    counts: tuple[int, ...]
    other: float
    """Rate of a level not seen in training."""
    missing: float
    """Rate of rows without a value."""
    counted: bool

    def __post_init__(self) -> None:
        if not len(self.levels) == len(self.rates) == len(self.counts):
            raise ValueError("a level needs one rate and one count")

    @property
    def slots(self) -> list[Slot]:
        """The columns of the matrix that it fills."""
        rate = [Slot(self.feature, "rate")]
        return [*rate, Slot(self.feature, "count")] if self.counted else rate

    def reading(self, dtype: pl.DataType) -> Reading:
        """How to fill them from a feature of that type."""
        codes = Codes(self.levels, dtype)
        rates = np.array([*self.rates, self.other, self.missing], np.float32)
        counts = np.array([*np.log1p(self.counts), 0.0, 0.0], np.float32)

        def write(values: NDArray[Any], targets: Targets) -> None:
            found = codes.of(values)
            for table, target in zip((rates, counts), targets, strict=False):
                if target is not None:
                    target[:] = table[found]

        return codes.expression(self.feature), write


class Codes:
    """Each row's level as its position in ``levels``; ``other`` for another one, ``missing`` for none.

    Args:
        levels: the levels that have a position.
        dtype: of the columns to read, String or Enum.
    """

    def __init__(self, levels: Sequence[str], dtype: pl.DataType) -> None:
        self.other = len(levels)
        self.missing = len(levels) + 1
        listed = pl.Enum(levels)
        self._type = dtype if isinstance(dtype, pl.Enum) else listed
        self._cast = not isinstance(dtype, pl.Enum)
        position = {level: place for place, level in enumerate(levels)}
        places = [position.get(level, self.other) for level in self._type.categories]
        self._places = np.array([*places, self.other, self.missing], np.uint32)

    def expression(self, feature: str) -> pl.Expr:
        """What `of` needs to know of a column, as UInt32."""
        column = pl.col(feature)
        unlisted, absent = (pl.lit(len(self._places) - back, pl.UInt32) for back in (2, 1))
        if not self._cast:
            return column.to_physical().cast(pl.UInt32).fill_null(absent)
        known = column.cast(self._type, strict=False).to_physical().cast(pl.UInt32).fill_null(unlisted)
        return pl.when(column.is_null()).then(absent).otherwise(known).alias(feature)

    def of(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """The codes, shape (n,), from what `expression` gave."""
        codes: NDArray[np.uint32] = self._places[values]
        return codes

    def read(self, column: pl.Series) -> NDArray[np.uint32]:
        """The codes of one column, shape (n,)."""
        return self.of(column.to_frame().select(self.expression(column.name)).to_series().to_numpy())


Codec = Number | Flags | Rates
CODECS: dict[str, type[Number | Flags | Rates]] = {"number": Number, "flags": Flags, "rates": Rates}
KINDS = {codec: kind for kind, codec in CODECS.items()}
