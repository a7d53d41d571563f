"""Parquet, typed as it is, in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from holdfast.sources.problems import SourceError, check_columns
from holdfast.sources.tables import RawBatch, nothing_malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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
        raise SourceError(
            "The file is a simulator's oracle: it holds the answers and is never an input.",
            where=str(path),
            hint="Use the customers file beside it.",
        )
    return file
