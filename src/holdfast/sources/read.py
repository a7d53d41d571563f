"""The two ways to read a table: whole, or a stretch at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from holdfast.sources import columnar, delimited
from holdfast.sources.detect import file_kind
from holdfast.sources.problems import SourceError
from holdfast.sources.tables import MALFORMED, RawBatch, RawTable, TableSize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BATCH_ROWS = 100_000


def iter_batches(
    path: str | Path, *, batch_rows: int = BATCH_ROWS, columns: Sequence[str] | None = None
) -> Iterator[RawBatch]:
    """The table's rows in order, in flat memory whatever the file's length.

    CSV (any of ``, ; tab |``, quoted or not, plain, gzip, zstd or bz2) comes as text, each cell as it is
    written and empty cells null; Parquet as it is typed. Text is UTF-8 or marked UTF-16; a line that is no
    UTF-8 is read as Windows-1252 and counted. Lines of CSV that cannot be split into the header's columns are
    in ``malformed``, and the rows around them survive.

    Args:
        path: the file. What it is follows from its content.
        batch_rows: rows in a batch; about so many from CSV, at most so many from Parquet.
        columns: read only these, in the file's order; names it does not have are ignored. None means all.

    Raises:
        SourceError: there is no such file, or it is no table; raised when the first batch is asked for.
    """
    file = Path(path)
    kind = file_kind(file)
    if kind.layout == "parquet":
        yield from columnar.parquet_batches(file, batch_rows=batch_rows, columns=columns)
    else:
        yield from delimited.delimited_batches(file, kind.compression, batch_rows=batch_rows, columns=columns)


def read_table(path: str | Path) -> RawTable:
    """The whole table; see `iter_batches` for what is read and how.

    Raises:
        SourceError: as `iter_batches`; also where the file holds no rows, or none that can be split.
    """
    file = Path(path)
    kind = file_kind(file)
    batches = list(iter_batches(file))
    malformed = (
        pl.concat([batch.malformed for batch in batches]) if batches else pl.DataFrame(schema=MALFORMED)
    )
    height = sum(batch.frame.height for batch in batches)
    if height == 0 and malformed.height:
        raise SourceError(
            f"None of the {malformed.height:,} rows fits the header: the first has {malformed['reason'][0]}.",
            where=f"{file}, data row 1",
            hint="Check the separator and that the first line holds the column names.",
        )
    if height == 0:
        raise SourceError(
            "The file has a header and no rows.",
            where=str(file),
            hint="Export the table again, with its rows.",
        )
    numbered = pl.concat([batch.rows for batch in batches]) if malformed.height else None
    form = "Parquet" if kind.layout == "parquet" else delimited.describe(file, kind.compression)
    foreign = sum(batch.windows_1252 for batch in batches)
    return RawTable(pl.concat([batch.frame for batch in batches]), malformed, form, numbered, foreign)


def read_names(path: str | Path) -> tuple[str, ...]:
    """The table's column names, without reading its rows.

    Raises:
        SourceError: as `iter_batches`.
    """
    file = Path(path)
    kind = file_kind(file)
    if kind.layout == "parquet":
        return columnar.parquet_names(file)
    return delimited.column_names(file, kind.compression)


def table_size(path: str | Path) -> TableSize:
    """How much there is to read, without reading it.

    Raises:
        SourceError: there is no such file, or it is no table.
    """
    file = Path(path)
    kind = file_kind(file)
    rows = columnar.parquet_rows(file) if kind.layout == "parquet" else None
    return TableSize(file.stat().st_size, rows)
