"""Writes a world to a folder, table by table and block by block: whole or not at all, in flat memory."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyarrow import parquet

from holdfast.disk import scratch
from holdfast.errors import UsageError
from holdfast.progress import NullProgress
from holdfast.simulator.files import ORACLE_MARK
from holdfast.simulator.telco.contract import contract_text
from holdfast.simulator.telco.world import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from holdfast.progress import Progress
    from holdfast.simulator.telco.world import World

    Suffix = Literal["csv", "parquet"]

CONTRACT, ORACLE = "churn.toml", "oracle"
TRUTHS = ("truth", "customers", "calendar")
"""Files of the oracle: what will happen, what is hidden about customers, what happens to all of them."""


@dataclass(frozen=True)
class Written:
    """Where the world is, and how many rows its tables have."""

    tables: dict[str, Path]
    contract: Path
    oracle: Path
    rows: dict[str, int]
    monthly_rate: float
    """Share of the customers that left, in an average month."""


def write_world(
    world: World,
    folder: Path,
    *,
    suffix: Suffix = "parquet",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Write the four tables, ``churn.toml`` and the folder ``oracle``. The same world gives the same bytes.

    Raises:
        UsageError: one of them is there and ``overwrite`` is false, or the folder cannot be written.
    """
    shown = progress or NullProgress()
    files = [f"{name}.{suffix}" for name in TABLES]
    names = [*files, CONTRACT, ORACLE]
    there = [folder / name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise UsageError(
            f"{there[0].name} is already there.",
            where=str(there[0]),
            hint="Choose another folder, or allow overwriting (--force).",
        )
    try:
        with scratch(folder, ".simulate-") as work:
            rows, rate = _write(world, work, suffix, shown)
            sources = dict(zip(TABLES, files, strict=True))
            (work / CONTRACT).write_text(contract_text(world.calendar, sources), encoding="utf-8")
            if (folder / ORACLE).is_dir():
                shutil.rmtree(folder / ORACLE)
            for name in names:
                (work / name).replace(folder / name)
    except OSError as error:
        raise UsageError(
            f"Cannot write to the folder: {error.strerror or error}.",
            where=str(folder),
            hint="Choose another --out, with enough space.",
        ) from error
    tables = {name: folder / f"{name}.{suffix}" for name in TABLES}
    return Written(tables, folder / CONTRACT, folder / ORACLE, rows, rate)


def _write(world: World, work: Path, suffix: Suffix, progress: Progress) -> tuple[dict[str, int], float]:
    (work / ORACLE).mkdir()
    progress.start(f"Simulating {world.customers:,} customers over {world.months} months", world.customers)
    rows, exposed, ended = dict.fromkeys(TABLES, 0), 0, 0
    with ExitStack() as closing:
        tables: dict[str, _Csv | _Parquet] = {}
        for name in TABLES:
            tables[name] = (
                _Csv(work / f"{name}.csv") if suffix == "csv" else _Parquet(work / f"{name}.parquet")
            )
        truths = {name: _Parquet(work / ORACLE / f"{name}.parquet", {ORACLE_MARK: "true"}) for name in TRUTHS}
        for file in (*tables.values(), *truths.values()):
            closing.callback(file.close)
        truths["calendar"].add(world.calendar.drift())
        for block in world.blocks():
            for name, frame in block.tables.items():
                tables[name].add(frame)
                rows[name] += frame.height
            for name, frame in block.oracle.items():
                truths[name].add(frame)
            exposed += block.exposed
            ended += block.ended
            progress.advance(block.customers)
    return rows, ended / max(exposed, 1)


class _Parquet:
    """A Parquet file that grows by one row group a block."""

    def __init__(self, path: Path, metadata: dict[str, str] | None = None) -> None:
        self._path, self._metadata = path, metadata
        self._writer: parquet.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Append rows."""
        table = frame.to_arrow()
        if self._writer is None:
            schema = table.schema.with_metadata(self._metadata)
            self._writer = parquet.ParquetWriter(self._path, schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self) -> None:
        """Write the end of the file."""
        if self._writer is not None:
            self._writer.close()


class _Csv:
    """A CSV file that grows; times are written as 2024-02-29T13:45:00Z."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def add(self, frame: pl.DataFrame) -> None:
        """Append rows, below the header."""
        first = self._file.tell() == 0
        frame.write_csv(self._file, include_header=first, datetime_format="%Y-%m-%dT%H:%M:%SZ")

    def close(self) -> None:
        """Write what is not yet written."""
        self._file.close()
