"""What reading a file gives: rows as they are in it, and the lines that are no rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

MALFORMED = pl.Schema({"row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String})
"""One line a data row that cannot be split into columns. ``column`` is null: the row has none."""


def nothing_malformed() -> pl.DataFrame:
    """An empty frame of `MALFORMED`."""
    return pl.DataFrame(schema=MALFORMED)


@dataclass(frozen=True, slots=True)
class RawTable:
    """A whole table.

    ``rows`` (Int64) numbers the frame's rows from 1 as they are in the file; numbers are left out where a
    line was malformed.
    """

    frame: pl.DataFrame
    malformed: pl.DataFrame = field(default_factory=nothing_malformed)
    format: str = "table"
    """For people, such as ``CSV (separated by ";", gzip)``."""
    numbered: pl.Series | None = None
    """``rows`` where it is not simply 1, 2, 3, …"""
    windows_1252: int = 0
    """Lines that are no UTF-8 and were read as Windows-1252."""

    @property
    def rows(self) -> pl.Series:
        """Number of each row of ``frame`` in the file, from 1."""
        if self.numbered is not None:
            return self.numbered
        return _range(1, self.frame.height)


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some consecutive rows of a table."""

    frame: pl.DataFrame
    first_row: int
    """Number of the batch's first data row, malformed or not, from 1."""
    malformed: pl.DataFrame = field(default_factory=nothing_malformed)
    numbered: pl.Series | None = None
    """``rows`` where it is not simply ``first_row``, ``first_row + 1``, …: after a malformed line."""
    done: float = 0.0
    """Share of the file's bytes read so far, 0 to 1, for a progress bar."""
    file: str = ""
    """Where the rows are numbered, for a table of several files: the one that they are from."""
    windows_1252: int = 0
    """Lines of the batch that are no UTF-8 and were read as Windows-1252."""

    @property
    def rows(self) -> pl.Series:
        """Number of each row of ``frame`` in the file, from 1."""
        if self.numbered is not None:
            return self.numbered
        return _range(self.first_row, self.frame.height)


@dataclass(frozen=True, slots=True)
class TableSize:
    """How much there is to read."""

    bytes: int
    rows: int | None
    """Known for Parquet only; counting lines would mean reading them."""


def said_of_encoding(lines: int) -> str | None:
    """What became of lines that are no UTF-8, for people; none where there are none."""
    if not lines:
        return None
    those = "line is not UTF-8 and was" if lines == 1 else "lines are not UTF-8 and were"
    return f"{lines:,} {those} read as Windows-1252; see whether letters with accents and signs are right."


def _range(first: int, count: int) -> pl.Series:
    return pl.int_range(first, first + count, dtype=pl.Int64, eager=True).alias("row")
