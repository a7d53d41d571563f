"""Takes a customer's rows out of files in the home folder: archive, exports, files of jobs, the spool.

A file is written anew beside the old one and takes its place at once, so that a reader sees one or the other.
"""

from __future__ import annotations

import json
import mmap
from typing import TYPE_CHECKING

import orjson
import polars as pl

from holdfast.disk import keep_private, scratch, sync
from holdfast.predictions.archive import SCRATCH, ArchiveError, saying
from holdfast.sources import SourceError, iter_batches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

SPOOL = "spool"
"""In the home folder: predictions that wait for the database."""

ID = "customer_id"
"""What the column is called in all that we write."""


def from_folder(folder: Path, customer: str) -> tuple[int, list[str]]:
    """Remove a customer's rows from each table in a folder: how many there were, and what cannot be read."""
    if not folder.is_dir():
        return 0, []
    removed, unread = 0, []
    with saying(folder), scratch(folder, SCRATCH):  # also removes what killed processes left half-written
        for file in sorted(path for path in folder.iterdir() if path.is_file()):
            try:
                removed += removed_from(file, customer)
            except ArchiveError:
                unread.append(f"{folder.name}/{file.name}")
    return removed, unread


def of_folder(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each Parquet file in a folder with each customer in it.

    Raises:
        ArchiveError: a file cannot be read.
    """
    for file in sorted(folder.glob("*.parquet")):
        with saying(file):
            customers = pl.scan_parquet(file, glob=False).select(pl.col(ID).drop_nulls().unique()).collect()
        for customer in customers.to_series():
            yield file, customer


def removed_from(file: Path, customer: str, until: datetime | None = None) -> int:
    """Remove a customer's rows from one table that we wrote; returns how many there were.

    Args:
        file: what it is follows from its ending; other files are left alone.
        customer: the id, as it stands in ``customer_id``.
        until: remove only what was predicted up to then; for Parquet files.

    Raises:
        ArchiveError: the file cannot be read or written.
    """
    with saying(file):
        if file.suffix == ".ndjson":
            try:
                return _from_lines(file, customer)
            except (ValueError, KeyError, TypeError) as error:
                raise ArchiveError("The file is no export.", where=str(file), hint="Look into it.") from error
        table = _scanned(file)
        if table is None:
            return 0
        theirs = pl.col(ID).cast(pl.String).eq_missing(pl.lit(customer))
        if until is not None:
            theirs &= pl.col("timestamp") <= pl.lit(until)
        return _rewritten(file, table, theirs)


def from_job(folder: Path, customer: str) -> int:
    """Remove a customer's rows from the answers and rejects of a finished job; returns how many there were.

    A reject has no id. Those go that quote it: as their value, or in a line that could not be split.

    Raises:
        ArchiveError: a file cannot be read or written.
    """
    removed = sum(removed_from(answers, customer) for answers in folder.glob("answers.*"))
    rejects = folder / "rejects.csv"
    if rejects.exists():
        line = pl.col("column").is_null() & pl.col("value").str.contains(customer, literal=True)
        theirs = line | (pl.col("value") == customer)
        with saying(rejects):
            removed += _rewritten(rejects, _text(rejects), theirs.fill_null(value=False))
    return removed


def is_named(customer: str, upload: Path) -> bool:
    """Whether a file to be scored has the customer's id in a cell or a broken line, or cannot be read."""
    try:
        for batch in iter_batches(upload):
            cells = [column.cast(pl.String, strict=False).str.strip_chars() for column in batch.frame]
            if any((cell == customer).any() for cell in cells):
                return True
            if batch.malformed.get_column("value").str.contains(customer, literal=True).any():
                return True
    except SourceError:
        return upload.exists()
    return False


def held_in_spool(home: Path, customer: str) -> bool:
    """Whether predictions that wait for the database name the customer."""
    spellings = {json.dumps(customer, ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False)}
    for file in (home / SPOOL).glob("*"):
        if file.is_file() and file.stat().st_size:
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if any(content.find(spelling) >= 0 for spelling in spellings):
                    return True
    return False


def _scanned(file: Path) -> pl.LazyFrame | None:
    if file.suffix == ".parquet":
        return pl.scan_parquet(file, glob=False)
    return _text(file) if file.suffix == ".csv" else None


def _text(file: Path) -> pl.LazyFrame:
    """CSV with each cell as it is written."""
    return pl.scan_csv(file, infer_schema=False, glob=False)


def _rewritten(file: Path, table: pl.LazyFrame, theirs: pl.Expr) -> int:
    """Keep only the rows that are not theirs."""
    count: int = table.select(theirs.sum()).collect(engine="streaming").item()
    if not count:
        return 0
    with scratch(file.parent, SCRATCH) as work:
        new = work / file.name
        others = table.filter(~theirs)
        if file.suffix == ".parquet":
            others.sink_parquet(new, compression="zstd")
        else:
            others.sink_csv(new)
        _replace(file, new)
    return count


def _from_lines(file: Path, customer: str) -> int:
    with scratch(file.parent, SCRATCH) as work, file.open("rb") as old:
        new, count = work / file.name, 0
        with new.open("wb") as kept:
            for line in old:
                theirs = orjson.loads(line)[ID] == customer
                count += theirs
                if not theirs:
                    kept.write(line)
        if count:
            _replace(file, new)
    return count


def _replace(file: Path, new: Path) -> None:
    sync(new)
    keep_private(new)
    new.replace(file)
    sync(file.parent)
