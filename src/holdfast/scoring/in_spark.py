"""Scores tables in Spark: executors score, this process gathers what they wrote, in the table's order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pyarrow import parquet

from holdfast.errors import UsageError
from holdfast.progress import NullProgress
from holdfast.quality.counts import Counts
from holdfast.scoring.executor import ROW, TOLD, Shipped, answered, output_schema, seal_of
from holdfast.scoring.files import BATCH_ROWS, carried_out, planned
from holdfast.scoring.history import described_schema
from holdfast.scoring.output import answer_schema, beside
from holdfast.scoring.parts import Part, counts_of
from holdfast.sources import MALFORMED, iter_batches, table_size
from holdfast.spark import file_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import DataFrame

    from holdfast.model import Model
    from holdfast.progress import Progress
    from holdfast.scoring.files import Plan
    from holdfast.scoring.summary import FileSummary
    from holdfast.spark import Spark

_DDL = {pl.String: "string", pl.Float64: "double", pl.Boolean: "boolean", pl.Int64: "bigint"}
_GATHERED_ROWS = 100_000


def score_file_in_spark(
    model: Model,
    source: str | Path,
    out: str | Path | None = None,
    *,
    spark: Spark,
    reasons: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FileSummary:
    """What `holdfast.scoring.score_file` does, by Spark's executors: the same answers, rejects and account.

    The table, and the folder of the answers, must be there for the executors under the same path. CSV is
    split here, by the one reader of CSV, and scored there.

    Args:
        model: what scores; sent to the executors.
        source: the table.
        out: where the answers go.
        spark: the session.
        reasons: how many reasons to give with each answer, 0 to 20.
        overwrite: whether ``out`` may be there already.
        progress: told what is done.

    Raises:
        HoldfastError: as ``score_file``.
        SparkError: Spark failed; nothing is written.
    """
    told = progress or NullProgress()
    plan = planned(model, source, out, reasons=reasons, overwrite=overwrite)
    with beside(plan.place) as work:
        staged = None
        if table_size(plan.table).rows is None:
            told.start(f"Reading {plan.table.name}", 1.0)
            staged = _staged(plan, work / "table.parquet", told)
        told.start(f"Scoring {plan.table.name} in Spark", None)
        wanted = set(plan.matched.sources.values())
        file = staged.file if staged else plan.table
        frame = table_in_spark(spark, file, wanted, numbered=staged is not None)
        parts = score_frame(model, frame, work, spark=spark, reasons=reasons, staged=staged, progress=told)
        return carried_out(plan, parts, told, doing="Gathering the answers to")


@dataclass(frozen=True)
class Staged:
    """What was split here of a table that is no Parquet: a file of its rows, and what is no row."""

    file: Path
    malformed: pl.DataFrame
    windows_1252: int


def score_frame(
    model: Model,
    frame: DataFrame,
    work: Path,
    *,
    spark: Spark,
    reasons: int = 0,
    history: bool = False,
    staged: Staged | None = None,
    progress: Progress | None = None,
) -> Iterator[Part]:
    """Score a frame of Spark's, whose rows have their number in ``_row``; the parts in that order.

    Args:
        model: what scores.
        frame: the columns that the model asks for, and ``_row``.
        work: an empty folder that the executors see, too.
        spark: the session.
        reasons: how many reasons to give with each answer.
        history: whether rows describe customers of a history as of a moment.
        staged: what of the table is not in the frame.
        progress: told of tasks that are done.

    Raises:
        SparkError: Spark failed.
    """
    answers = described_schema(model, reasons) if history else answer_schema(reasons)
    schema = output_schema(answers)
    described = ", ".join(f"`{name}` {_DDL[type(kind)]}" for name, kind in schema.items())
    shipped = _shipped(model, spark, reasons=reasons, history=history)
    frame.sparkSession.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH_ROWS))
    frame.sparkSession.conf.set("spark.sql.execution.arrow.useLargeVarTypes", "true")  # as Polars has them
    out = work / "scored"
    with spark.told():
        scored = frame.mapInArrow(partial(answered, shipped=shipped), described)
        spark.run(lambda: scored.write.parquet(f"file://{out.resolve()}"), progress)
    return _gathered(out, answers, staged)


def _shipped(model: Model, spark: Spark, *, reasons: int, history: bool) -> Shipped:
    """The model, sent to the executors."""
    if model.path is None:
        raise UsageError("The model was never saved, so it cannot be sent.", hint="Give its folder.")
    name = spark.send(model.path)
    return Shipped(name, seal_of(model.manifest), model.version, version("holdfast"), reasons, history)


def _staged(plan: Plan, file: Path, progress: Progress) -> Staged:
    """Split a text file into Parquet, each cell as it is written, rows numbered as in the file."""
    malformed, windows_1252, done = [pl.DataFrame(schema=MALFORMED)], 0, 0.0
    columns = list(plan.matched.sources.values())
    writer = None
    try:
        for batch in iter_batches(plan.table, batch_rows=BATCH_ROWS, columns=columns):
            table = batch.frame.with_columns(batch.rows.alias(ROW)).to_arrow(
                compat_level=pl.CompatLevel.oldest()
            )
            writer = writer or parquet.ParquetWriter(file, table.schema, compression="lz4")
            writer.write_table(table)
            malformed.append(batch.malformed)
            windows_1252 += batch.windows_1252
            progress.advance(batch.done - done)
            done = batch.done
    finally:
        if writer is not None:
            writer.close()
    return Staged(file, pl.concat(malformed), windows_1252)


def table_in_spark(spark: Spark, file: Path, wanted: set[str], *, numbered: bool = False) -> DataFrame:
    """A Parquet file as Spark reads it: the columns that are wanted, and each row's number.

    ``numbered``: whether the file has those numbers already.
    """
    session = spark.session()
    session.conf.set("spark.sql.caseSensitive", "true")
    names = {raw: raw.strip() for raw in parquet.read_schema(file).names if raw.strip() in wanted}
    columns = [f"{_quoted(raw)} AS {_quoted(name)}" for raw, name in names.items()]
    number = ROW if numbered else "_metadata.row_index + 1"
    frame = spark.run(lambda: session.read.parquet(file_address(file)))  # asks executors for the columns
    with spark.told(str(file)):
        return frame.selectExpr(*columns, f"{number} AS `{ROW}`")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _gathered(folder: Path, answers: pl.Schema, staged: Staged | None) -> Iterator[Part]:
    """The parts that executors wrote, in the order of their rows, what is no row among them.

    A file is one task's, whose batches follow one another; and tasks have stretches of the table.
    """
    malformed = staged.malformed if staged else pl.DataFrame(schema=MALFORMED)
    files = []
    for path in folder.glob("part-*.parquet"):
        first = pl.scan_parquet(path, glob=False).select(pl.col(ROW).first()).collect().item()
        if first is not None:
            files.append((first, path))
    files.sort()
    for at, (_, path) in enumerate(files, start=1):
        waiting = pl.DataFrame(schema=output_schema(answers))
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_GATHERED_ROWS):
                waiting = pl.concat([waiting, pl.DataFrame(batch)])
                ends = waiting.get_column(TOLD).is_not_null().arg_true()
                if not ends.len():
                    continue
                whole, waiting = waiting[: ends[-1] + 1], waiting[ends[-1] + 1 :]
                last = json.loads(whole[TOLD][-1])["last"]
                before = malformed.filter(pl.col("row") < last)
                malformed = malformed[before.height :]
                yield _part(whole, answers, before, at / len(files))
    if staged is not None:
        kept, none = pl.DataFrame(schema=answers), np.empty(0, np.uint64)
        yield Part(kept, malformed, Counts(), malformed.height, staged.windows_1252, none, 1.0)


def _part(whole: pl.DataFrame, answers: pl.Schema, malformed: pl.DataFrame, done: float) -> Part:
    """Some batches, put together."""
    counts = [counts_of(json.loads(one)["counts"]) for one in whole[TOLD].drop_nulls()]
    kept = whole.filter(pl.col("_reason").is_null() & pl.col(TOLD).is_null()).select(answers.names())
    columns = (pl.col(f"_{name}").alias(name) for name in MALFORMED.names()[1:])
    wrong = whole.filter(pl.col("_reason").is_not_null()).select(pl.col("_of_row").alias("row"), *columns)
    rejects = pl.concat([wrong, malformed]).sort("row", maintain_order=True)
    ids = kept["customer_id"].hash().to_numpy()
    return Part(kept, rejects, sum(counts, Counts()), malformed.height, 0, ids, done)
