"""Retention: predictions of days long past move from the log to Parquet files, one for each day."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import sqlalchemy as sa
from pyarrow import parquet

from holdfast import audit
from holdfast.disk import keep_private, locked, make_private_folder, scratch, sync
from holdfast.errors import HoldfastError
from holdfast.predictions import listing
from holdfast.predictions.formats import COMPRESSION, SCHEMA, table
from holdfast.predictions.listing import SELECTED, first_id, made_at
from holdfast.progress import NullProgress
from holdfast.store import reading, writing
from holdfast.store.tables import predictions, replies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from holdfast.progress import Progress

FOLDER = "archive"
"""In the home folder."""

LOCK = ".keeping.lock"
"""In the home folder: held by whoever moves or erases what was logged."""

SCRATCH = ".writing-"


class ArchiveError(HoldfastError):
    """A file of the archive cannot be read or written; nothing was removed from the log."""

    code = "archive"


@dataclass(frozen=True, slots=True)
class Archived:
    """What a run moved."""

    predictions: int = 0
    days: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return {"predictions": self.predictions, "days": list(self.days)}


def retained_from(days: int) -> datetime:
    """The start of the first day (UTC) of which the log still holds everything: whole days are archived."""
    return datetime.combine(datetime.now(UTC).date(), time(), UTC) - timedelta(days=days)


@contextmanager
def keeping(home: Path, *, wait: bool = True) -> Iterator[bool]:
    """Be the only one that moves or erases what was logged; see `holdfast.disk.locked`."""
    with saying(home):
        make_private_folder(home)
        with locked(home / LOCK, wait=wait) as mine:
            yield mine


def archive(
    engine: sa.Engine, home: Path, before: datetime, actor: str, progress: Progress | None = None
) -> Archived:
    """Move predictions made before ``before`` to the archive. The caller is `keeping`.

    A day's file is whole on the disk before the first row of that day leaves the log, and only rows that
    stand in the file leave it: a process killed at any moment loses nothing, and the next run neither writes
    a row twice nor leaves one.

    Args:
        engine: the database.
        home: the home folder.
        before: the start of a day, UTC; this day's predictions stay.
        actor: for the audit trail.
        progress: told how many predictions were moved.

    Raises:
        ArchiveError: a file of the archive cannot be read or written.
        StoreError: the database cannot be used.
    """
    progress = progress or NullProgress()
    progress.start("Archiving", _count(engine, before))
    moved, days = 0, []
    while (day := _oldest(engine, before)) is not None:
        with saying(home / FOLDER):
            file = _write_day(engine, home / FOLDER, day)
            moved += _remove_from_log(engine, file, actor, progress)
        days.append(str(day))
    return Archived(moved, tuple(days))


def forget_replies(engine: sa.Engine, before: datetime) -> int:
    """Remove answers kept for an Idempotency-Key since before ``before``; returns how many.

    Raises:
        StoreError: the database cannot be used.
    """
    with writing(engine) as connection:
        return connection.execute(sa.delete(replies).where(replies.c.at < before)).rowcount


def _count(engine: sa.Engine, before: datetime) -> int:
    counted = sa.select(sa.func.count()).select_from(predictions)
    with reading(engine) as connection:
        return connection.scalar(counted.where(predictions.c.id < first_id(before))) or 0


def _oldest(engine: sa.Engine, before: datetime) -> date | None:
    """The day of the oldest prediction that is to move. All here goes by what ids say of time."""
    oldest = sa.select(sa.func.min(predictions.c.id)).where(predictions.c.id < first_id(before))
    with reading(engine) as connection:
        found = connection.scalar(oldest)
    return None if found is None else made_at(found).date()


def _write_day(engine: sa.Engine, folder: Path, day: date) -> Path:
    """Make the day's file hold all that the log has of this day, beside what it held before."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"predictions-{day}.parquet"
    with scratch(folder, SCRATCH) as work:
        new = work / target.name
        added = 0
        with parquet.ParquetWriter(new, SCHEMA, compression=COMPRESSION) as writer:
            for batch in _batches(target):
                writer.write_batch(batch)
            for rows in _of_day(engine, day):
                held = _held(target, rows)
                fresh = [row for row in rows if row.prediction_id not in held]
                if fresh:
                    writer.write_table(table(fresh))
                    added += len(fresh)
        if added:
            sync(new)
            keep_private(new)
            new.replace(target)
            sync(folder)
    return target


def _of_day(engine: sa.Engine, day: date) -> Iterator[Sequence[sa.Row[tuple[object, ...]]]]:
    """The log's predictions of a day, oldest first, in blocks."""
    start = datetime.combine(day, time(), UTC)
    after, end = first_id(start), first_id(start + timedelta(days=1))
    while True:
        query = sa.select(*SELECTED).where(predictions.c.id > after, predictions.c.id < end)
        with reading(engine) as connection:
            rows = connection.execute(query.order_by(predictions.c.id).limit(listing.BLOCK)).all()
        if not rows:
            return
        yield rows
        after = rows[-1].prediction_id


def _held(file: Path, rows: Sequence[sa.Row[tuple[object, ...]]]) -> set[str]:
    """Which of these predictions, sorted by id, stand in the file already."""
    if not file.exists():
        return set()
    near = pl.col("prediction_id").is_between(pl.lit(rows[0].prediction_id), pl.lit(rows[-1].prediction_id))
    return set(pl.scan_parquet(file, glob=False).filter(near).select("prediction_id").collect().to_series())


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    """What a file of the archive holds, none if it is not there."""
    if file.exists():
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(listing.BLOCK):
                yield batch.cast(SCHEMA)


def _remove_from_log(engine: sa.Engine, file: Path, actor: str, progress: Progress) -> int:
    """Remove the predictions that stand in ``file``, block by block, each with its entry in the trail."""
    removed = 0
    with parquet.ParquetFile(file) as opened:
        for batch in opened.iter_batches(listing.BLOCK, columns=["prediction_id"]):
            ids = batch.column(0).to_pylist()
            with writing(engine) as connection:
                gone = connection.execute(sa.delete(predictions).where(predictions.c.id.in_(ids))).rowcount
                if gone:
                    detail = {"predictions": gone}
                    audit.record(connection, actor, "predictions.archive", file.name, detail)
            removed += gone
            progress.advance(gone)
    return removed


@contextmanager
def saying(place: Path) -> Iterator[None]:
    """Tell what is wrong with a file in a person's words."""
    try:
        yield
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        said = getattr(error, "strerror", None) or type(error).__name__
        raise ArchiveError(
            f"The archive cannot be read or written: {said}.",
            where=str(place),
            hint="Free some disk space, check who owns the folder, or move a damaged file away; "
            "nothing is lost from the log.",
        ) from error
