"""Write answers and rejects to temporary files beside their place, and put them there when all is well."""

from __future__ import annotations

import gzip
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from holdfast.disk import scratch, sync
from holdfast.errors import HoldfastError, UsageError
from holdfast.sources import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.scoring.destination import Destination, Layout

_REPEATING = ["risk_level", "recommendation", "model_version"]
"""Columns of few different values, which Parquet writes as a dictionary."""


class OutputError(HoldfastError):
    """The answers cannot be written; nothing was."""

    code = "output"


def answer_schema(reasons: int) -> pl.Schema:
    """The columns of a scored table, with ``reasons`` reasons a row."""
    columns: dict[str, pl.DataType] = {
        "customer_id": pl.String(),
        "churn_probability": pl.Float64(),
        "will_churn": pl.Boolean(),
        "risk_level": pl.String(),
        "recommendation": pl.String(),
        "model_version": pl.String(),
    }
    return pl.Schema(columns | {f"reason_{rank}": pl.String() for rank in range(1, reasons + 1)})


class _Writer(Protocol):
    def write(self, frame: pl.DataFrame) -> None: ...

    def close(self) -> None: ...


class Output:
    """The two files while they are being written."""

    def __init__(self, answers: _Writer, rejects: _CsvWriter) -> None:
        self._answers = answers
        self._rejects = rejects

    def write(self, answers: pl.DataFrame, rejects: pl.DataFrame) -> None:
        """Add rows to both."""
        self._answers.write(answers)
        if rejects.height:
            self._rejects.write(rejects)


@contextmanager
def writing(place: Destination, *, reasons: int, schema: pl.Schema | None = None) -> Iterator[Output]:
    """The files of ``place``, there only once the context ends well.

    They are written to a hidden folder beside it and then renamed, the answers last. If the context fails
    nothing is there but what was there before; if the process is killed the hidden folder stays, too, until
    the next run. A file of rejects that an earlier run left is replaced or removed. Answers have the columns
    of ``schema``: those of `answer_schema`, unless given.

    Raises:
        UsageError: the folder cannot be written to.
        OutputError: the disk is full or fails.
    """
    with ExitStack() as stack:
        work = stack.enter_context(beside(place))
        try:
            answers = _writer(work / "answers", place.layout, schema or answer_schema(reasons))
            stack.callback(_give_up, answers)
            rejects = _CsvWriter((work / "rejects").open("wb"), MALFORMED)
            stack.callback(_give_up, rejects)
            yield Output(answers, rejects)
            answers.close()
            rejects.close()
            sync(work / "answers")  # else a power cut could leave the name without the rows
            if rejects.rows:
                sync(work / "rejects")
                (work / "rejects").replace(place.rejects)
            else:
                place.rejects.unlink(missing_ok=True)
            (work / "answers").replace(place.out)
        except (OSError, pa.ArrowException) as error:
            raise OutputError(
                f"The answers cannot be written: {getattr(error, 'strerror', None) or error}.",
                where=str(place.out),
                hint="Check the free space, or choose another place with --out.",
            ) from error


@contextmanager
def beside(place: Destination) -> Iterator[Path]:
    """A hidden folder beside the answers for what is not done; removed at the end.

    Raises:
        UsageError: the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            work = stack.enter_context(scratch(place.out.parent, ".scoring-"))
        except OSError as error:
            raise UsageError(
                f"Cannot write to the folder: {error.strerror or error}.",
                where=str(place.out.parent),
                hint="Choose another file with --out.",
            ) from error
        yield work


def _give_up(writer: _Writer) -> None:
    """Close a file that is about to be removed, or is closed already."""
    with suppress(OSError, pa.ArrowException):
        writer.close()


def _writer(path: Path, layout: Layout, schema: pl.Schema) -> _Writer:
    if layout == "parquet":
        return _ParquetWriter(path, schema)
    if layout == "csv.gz":
        return _CsvWriter(cast("BinaryIO", gzip.open(path, "wb", compresslevel=6)), schema)
    return _CsvWriter(path.open("wb"), schema)


class _CsvWriter:
    """Floats in the shortest form that reads back as the same bits (Polars' own)."""

    def __init__(self, file: BinaryIO, schema: pl.Schema) -> None:
        self._file = file
        self.rows = 0
        self._file.write(pl.DataFrame(schema=schema).write_csv().encode())

    def write(self, frame: pl.DataFrame) -> None:
        self._file.write(frame.write_csv(include_header=False).encode())
        self.rows += frame.height

    def close(self) -> None:
        self._file.close()


class _ParquetWriter:
    def __init__(self, path: Path, schema: pl.Schema) -> None:
        empty = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._schema = empty.schema
        self._writer = parquet.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=_REPEATING,
            write_statistics=["churn_probability"],
        )

    def write(self, frame: pl.DataFrame) -> None:
        if frame.height:
            self._writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))

    def close(self) -> None:
        self._writer.close()
