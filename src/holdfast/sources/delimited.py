"""CSV and its kin, as text: every cell as it is written, empty cells null, every line accounted for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv

from holdfast.sources.blocks import UNCLOSED, Block, cut
from holdfast.sources.detect import refuse_foreign
from holdfast.sources.dialect import Dialect, sniff
from holdfast.sources.encoding import as_utf8
from holdfast.sources.problems import SourceError, endless_line, wrong_encoding
from holdfast.sources.stream import TextStream
from holdfast.sources.tables import MALFORMED, RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from holdfast.sources.detect import Compression

_SAMPLE = 1 << 18
_SMALLEST, _LARGEST = 1 << 16, 1 << 25
LONGEST_LINE = 1 << 26
"""Bytes; more without a line end is no table."""

_SHOWN = 200
"""Characters of a malformed line that are kept."""


def delimited_batches(
    path: Path, compression: Compression | None, *, batch_rows: int, columns: Sequence[str] | None = None
) -> Iterator[RawBatch]:
    """The rows of a CSV file, about ``batch_rows`` at a time, in flat memory.

    Args:
        path: the file.
        compression: how it is packed.
        batch_rows: rows wanted in a batch.
        columns: keep only these; none means all.

    Raises:
        SourceError: the file is broken in a way that lines cannot be told apart; see `holdfast.sources`.
    """
    with TextStream(path, compression) as stream:
        sample, whole = _fill(stream, b"", _SAMPLE)
        refuse_foreign(path, sample[:4096])
        dialect = sniff(path, sample, whole=whole)
        kept = [name for name in dialect.names if columns is None or name in set(columns)]
        reader = _Reader(path, dialect, kept)
        waiting, offset = sample[dialect.header_bytes :], dialect.header_bytes
        lines = max(1, waiting.count(b"\n") + waiting.count(b"\r") * dialect.carriage_returns)
        size = min(_LARGEST, max(_SMALLEST, batch_rows * (len(waiting) // lines + 1)))
        row, foreign = 1, dialect.windows_1252
        while waiting or not whole:
            if not whole:
                waiting, whole = _fill(stream, waiting, size)
            if dialect.carriage_returns:
                waiting = waiting.replace(b"\r", b"\n")
            block, rest = cut(waiting, dialect, last=whole)
            if not whole and len(rest) == len(waiting):  # a record longer than the block
                if len(waiting) > LONGEST_LINE:
                    raise endless_line(path, row)
                waiting, whole = _fill(stream, waiting, 2 * len(waiting) + 1)
                continue
            batch, counted = reader.read(block, row, offset, done=stream.done)
            offset += len(waiting) - len(rest)
            row += counted
            waiting = rest
            if counted:
                yield replace(batch, windows_1252=batch.windows_1252 + foreign) if foreign else batch
                foreign = 0


def describe(path: Path, compression: Compression | None) -> str:
    """How the file is written, for people: ``CSV (separated by ";", gzip)``."""
    with TextStream(path, compression) as stream:
        sample, whole = _fill(stream, b"", _SAMPLE)
        notes = [sniff(path, sample, whole=whole).describe()]
        if stream.encoding != "utf-8":
            notes.append(stream.encoding.upper())
    if compression is not None:
        notes.append(compression)
    return f"CSV ({', '.join(notes)})"


def column_names(path: Path, compression: Compression | None) -> tuple[str, ...]:
    """The names in the header."""
    with TextStream(path, compression) as stream:
        sample, whole = _fill(stream, b"", _SAMPLE)
        return sniff(path, sample, whole=whole).names


def _fill(stream: TextStream, held: bytes, size: int) -> tuple[bytes, bool]:
    """``held`` and more, to at least ``size`` bytes or the end; and whether that is the end."""
    pieces, length = [held], len(held)
    while length < size:
        more = stream.read(size - length)
        if not more:
            return b"".join(pieces), True
        pieces.append(more)
        length += len(more)
    return b"".join(pieces), False


@dataclass(slots=True)
class _Reader:
    """Splits blocks of records into columns of text."""

    path: Path
    dialect: Dialect
    kept: list[str]

    def read(self, block: Block, first_row: int, offset: int, *, done: float) -> tuple[RawBatch, int]:
        """One batch, and how many data rows (good and malformed) it took from the file."""
        try:
            data, foreign = as_utf8(block.data)
        except UnicodeDecodeError as error:
            at = error.start
            row = first_row + block.data.count(b"\n", 0, at)
            raise wrong_encoding(self.path, row=row, byte=offset + at, value=block.data[at]) from error
        table, wrong = self._parse(replace(block, data=data), first_row)
        if not wrong and not block.broken:
            batch = RawBatch(_polars(table), first_row, done=done, windows_1252=foreign)
            return batch, table.num_rows
        total = table.num_rows + len(wrong) + len(block.broken)
        # Arrow numbers the records it was given; those set aside before it saw them are put back in between.
        given = np.setdiff1d(np.arange(1, total + 1), np.fromiter(block.broken, dtype=np.int64))
        found = {int(given[number - 1]): (text, reason) for number, text, reason in wrong}
        found |= {place: (text.decode(errors="replace"), UNCLOSED) for place, text in block.broken.items()}
        places = np.fromiter(sorted(found), dtype=np.int64)
        malformed = pl.DataFrame(
            {
                "row": places + (first_row - 1),
                "column": [None] * len(places),
                "value": [found[int(place)][0][:_SHOWN] for place in places],
                "reason": [found[int(place)][1] for place in places],
            },
            schema=MALFORMED,
        )
        rows = np.setdiff1d(np.arange(1, total + 1), places) + (first_row - 1)
        numbered = pl.Series("row", rows, pl.Int64)
        return RawBatch(_polars(table), first_row, malformed, numbered, done, windows_1252=foreign), total

    def _parse(self, block: Block, first_row: int) -> tuple[pa.Table, list[tuple[int, str, str]]]:
        """The table and the records of the wrong width: number in the block's data, text, reason."""
        wrong: list[tuple[int, str, str]] = []
        if not block.data.strip(b"\r\n"):
            return pa.table({name: pa.array([], pa.string()) for name in self.kept}), wrong
        try:
            table = self._arrow(block, wrong, threads=True)
            if wrong:  # lines are numbered only when read one after the other
                wrong.clear()
                table = self._arrow(block, wrong, threads=False)
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"The rows cannot be read: {error}.",
                where=f"{self.path}, after data row {first_row:,}",
                hint="Check the quotes and line ends there.",
            ) from error
        return table, wrong

    def _arrow(self, block: Block, wrong: list[tuple[int, str, str]], *, threads: bool) -> pa.Table:
        expected = len(self.dialect.names)

        def note(row: arrow_csv.InvalidRow) -> str:
            fields = f"{row.actual_columns} field{'' if row.actual_columns == 1 else 's'}"
            wrong.append((row.number or 0, row.text, f"{fields} instead of {expected}"))
            return "skip"

        return arrow_csv.read_csv(
            pa.BufferReader(block.data),
            read_options=arrow_csv.ReadOptions(
                use_threads=threads,
                block_size=max(1 << 20, len(block.data) // 4 + 1)
                if not block.multiline
                else len(block.data) + 1,
                column_names=list(self.dialect.names),
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.dialect.separator,
                quote_char=self.dialect.quote,
                newlines_in_values=block.multiline,
                invalid_row_handler=note,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(self.dialect.names, pa.string()),
                include_columns=self.kept if len(self.kept) < expected else None,
                null_values=[""],
                check_utf8=False,  # it is, by now
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )


def _polars(table: pa.Table) -> pl.DataFrame:
    found = pl.from_arrow(table)
    return found if isinstance(found, pl.DataFrame) else found.to_frame()
