"""Predictions as files: CSV, Parquet and NDJSON, written in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from holdfast import audit
from holdfast.predictions.listing import NAMES, Wanted, blocks, count
from holdfast.progress import NullProgress
from holdfast.store import writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

    from holdfast.progress import Progress

Format = Literal["csv", "parquet", "ndjson"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "ndjson": "application/x-ndjson",
}

_TIME = pa.timestamp("us", tz="UTC")
_TYPES = {
    "timestamp": _TIME,
    "as_of": _TIME,
    "churn_probability": pa.float64(),
    "threshold": pa.float64(),
    "will_churn": pa.bool_(),
    "latency_ms": pa.float64(),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in NAMES])
"""Of Parquet files, the archive's too."""

COMPRESSION = "zstd"

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"


def export(
    engine: sa.Engine, wanted: Wanted, layout: Format, actor: str, progress: Progress | None = None
) -> Iterator[bytes]:
    """The bytes of a file with all wanted predictions, newest first, made as they are asked for.

    That ``actor`` takes them is written into the audit trail before the first byte.

    Raises:
        StoreError: the database cannot be used.
    """
    progress = progress or NullProgress()
    many = count(engine, wanted)
    with writing(engine) as connection:
        detail = {"predictions": many, "filters": wanted.as_dict()}
        audit.record(connection, actor, "predictions.export", layout, detail)
    progress.start("Exporting", many)
    found = _counted(blocks(engine, wanted), progress)
    return {"csv": _as_csv, "parquet": _as_parquet, "ndjson": _as_ndjson}[layout](found)


def table(rows: Sequence[sa.Row[Any]]) -> pa.Table:
    """Rows with the columns of `NAMES`."""
    columns = zip(*rows, strict=True)
    return pa.table(
        [pa.array(values, kind.type) for values, kind in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def _counted(found: Iterator[Sequence[sa.Row[Any]]], progress: Progress) -> Iterator[Sequence[sa.Row[Any]]]:
    for rows in found:
        yield rows
        progress.advance(len(rows))


def _as_csv(found: Iterator[Sequence[sa.Row[Any]]]) -> Iterator[bytes]:
    yield (",".join(NAMES) + "\n").encode()
    for rows in found:
        frame = pl.DataFrame(table(rows))
        yield frame.write_csv(include_header=False, datetime_format=TIME_FORMAT).encode()


def _as_ndjson(found: Iterator[Sequence[sa.Row[Any]]]) -> Iterator[bytes]:
    for rows in found:
        yield b"".join(
            orjson.dumps(
                # The record is JSON already.
                dict(row._mapping) | {"record": orjson.Fragment(row.record)},  # noqa: SLF001 - SQLAlchemy's public name for it
                option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
            )
            for row in rows
        )


def _as_parquet(found: Iterator[Sequence[sa.Row[Any]]]) -> Iterator[bytes]:
    pipe = _Pipe()
    with parquet.ParquetWriter(pa.PythonFile(pipe, mode="w"), SCHEMA, compression=COMPRESSION) as writer:
        for rows in found:
            writer.write_table(table(rows))
            yield pipe.taken()
    yield pipe.taken()


class _Pipe:
    """A file that is read as it is written."""

    closed = False

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Whoever reads decides."""

    def taken(self) -> bytes:
        """What was written since."""
        taken = bytes(self._written)
        self._written.clear()
        return taken
