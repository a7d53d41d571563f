"""Parquet, typed as it is, in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from holdfast.sources.problems import SourceError, check_columns
from holdfast.sources.select import OPERATORS
from holdfast.sources.tables import RawBatch, nothing_malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from holdfast.sources.source import Where

ORACLE_MARK = b"holdfast.oracle"
"""Key in a Parquet file's metadata that marks a simulator's oracle: the answers, never an input."""


def parquet_batches(
    path: Path, *, batch_rows: int, columns: Sequence[str] | None = None
) -> Iterator[RawBatch]:
    """The rows of a Parquet file, at most ``batch_rows`` at a time.

    Args:
        path: the file.
        batch_rows: most rows in a batch.
        columns: read only these; none means all.

    Raises:
        SourceError: the file is broken, too wide, has names twice or is an oracle.
    """
    with _opened(path) as file:
        names = _names(path, file)
        wanted = set(names) if columns is None else set(columns)
        chosen = [raw for raw, name in zip(file.schema_arrow.names, names, strict=True) if name in wanted]
        kept = [name for name in names if name in wanted]
        total = file.metadata.num_rows
    # Polars reads text several times as fast as Arrow's batches, and each slice lets go of what it read.
    rows = pl.scan_parquet(path, glob=False, hive_partitioning=False, cache=False).select(
        pl.col(raw).alias(name) for raw, name in zip(chosen, kept, strict=True)
    )
    for start in range(0, total, batch_rows):
        try:
            frame = rows.slice(start, batch_rows).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise SourceError(
                f"The Parquet file is damaged: {error}.",
                where=f"{path}, after row {start:,}",
                hint="Write or copy it again.",
            ) from error
        yield RawBatch(frame, start + 1, nothing_malformed(), None, min(1.0, (start + frame.height) / total))


def parquet_rows(path: Path) -> int:
    """How many rows the file says it holds."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def parquet_names(path: Path) -> tuple[str, ...]:
    """The file's column names, stripped as in a CSV header."""
    with _opened(path) as file:
        return tuple(_names(path, file))


def parquet_schema(path: Path) -> pl.Schema:
    """The file's column names, stripped, and their types."""
    with _opened(path) as file:
        names = _names(path, file)
    return pl.Schema(zip(names, pl.read_parquet_schema(path).values(), strict=True))


def may_hold(file: parquet.ParquetFile, group: int, named: Mapping[str, str], where: Sequence[Where]) -> bool:
    """Whether a group of rows may have one for which all of ``where`` hold, by its least and most.

    Args:
        file: the file.
        group: number of the group, from 0.
        named: columns of ``where`` to their names in the file.
        where: the conditions.
    """
    told = file.metadata.row_group(group)
    columns = {told.column(place).path_in_schema: place for place in range(told.num_columns)}
    for one in where:
        place = columns.get(named[one.column])
        held = None if place is None else told.column(place).statistics
        if held is None or not held.has_min_max:
            continue
        try:
            least, most, value = held.min, held.max, one.value
            if isinstance(least, float):  # not a number is in no statistics, and more than any
                continue
            between = one.op == "==" and least <= value <= most
            if not between and not any(OPERATORS[one.op](end, value) for end in (least, most)):
                return False
        except (TypeError, ValueError):  # of kinds that Python does not compare, or cannot hold
            continue
    return True


def oracle_as_input(name: str) -> SourceError:
    """An oracle, where a table was expected."""
    return SourceError(
        "The file is a simulator's oracle: it holds the answers and is never an input.",
        where=name,
        hint="Use the customers file beside it.",
    )


def is_oracle(path: Path) -> bool:
    """Whether the file is Parquet and marked as a simulator's oracle."""
    try:
        with parquet.ParquetFile(path) as file:
            return ORACLE_MARK in (file.metadata.metadata or {})
    except (OSError, pa.ArrowException):
        return False


def _names(path: Path, file: parquet.ParquetFile) -> list[str]:
    raw = file.schema_arrow.names
    names = [name.strip() or f"Unnamed: {place}" for place, name in enumerate(raw)]
    check_columns(path, names)
    return names


def _opened(path: Path) -> parquet.ParquetFile:
    try:
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"The Parquet file cannot be read: {error}.", where=str(path), hint="Write or copy it again."
        ) from error
    if ORACLE_MARK in (file.metadata.metadata or {}):
        file.close()
        raise oracle_as_input(str(path))
    return file
