"""Scores batches of rows in an executor of Spark, by the code that scores them everywhere.

A model comes as an archive. Its files are verified against what the driver verified before any is parsed,
once a process of an executor, which keeps it from then on. Nothing of it is ever run.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from holdfast.errors import HoldfastError, UsageError
from holdfast.model import ArtefactError, Model
from holdfast.model.artefact import read_manifest
from holdfast.scoring.files import score_batch
from holdfast.scoring.history import score_described
from holdfast.sources.tables import RawBatch
from holdfast.spark import carrying

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

ROW = "_holdfast_row"
"""Of what comes in: each row's number in its table. Of what goes out: that of its batch's first row."""

_REJECT = {"_column": pl.String(), "_value": pl.String(), "_reason": pl.String(), "_of_row": pl.Int64()}
TOLD = "_told"
"""JSON, in a row of its own behind each batch: its counts, and the number of its last row."""


@dataclass(frozen=True)
class Shipped:
    """A model as executors find it, and what to ask of it."""

    archive: str
    """Name of its folder among Spark's files."""
    seal: str
    """`seal_of` what the driver verified."""
    version: str
    """What answers call the model."""
    holdfast: str
    """The driver's version of this package."""
    reasons: int
    history: bool
    """Whether rows describe customers of a history as of a moment."""


def seal_of(manifest: dict[str, Any]) -> str:
    """The digest of a manifest, which has those of all files."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def output_schema(answers: pl.Schema) -> pl.Schema:
    """What executors give: answers, rejects and counts in rows of their own; the rest of a row is null."""
    return pl.Schema({ROW: pl.Int64(), **answers, **_REJECT, TOLD: pl.String()})


def answered(batches: Iterator[pa.RecordBatch], *, shipped: Shipped) -> Iterator[pa.RecordBatch]:
    """Score batches of rows, for ``mapInArrow``.

    Raises:
        RuntimeError: holds an error of ours, such as that the model is not what was sent.
    """
    try:
        model = _model(shipped)
        for batch in batches:
            if batch.num_rows:
                yield from _scored(model, pl.DataFrame(batch), shipped)
    except HoldfastError as error:
        raise carrying(error) from error


@cache
def _model(shipped: Shipped) -> Model:
    from pyspark import SparkFiles  # noqa: PLC0415 - an extra

    if version("holdfast") != shipped.holdfast:
        raise UsageError(
            f"An executor has Holdfast {version('holdfast')}, and this is {shipped.holdfast}.",
            hint="Install the same version on each worker, in the Python that PYSPARK_PYTHON names.",
        )
    folder = Path(SparkFiles.get(shipped.archive))
    if seal_of(read_manifest(folder)) != shipped.seal:
        raise ArtefactError(
            "The artefact that reached an executor is not what was sent.",
            where=str(folder),
            hint="Do not use it; see who can write to the workers' folders.",
        )
    return Model.load(folder, version=shipped.version)


def _scored(model: Model, frame: pl.DataFrame, shipped: Shipped) -> Iterator[pa.RecordBatch]:
    rows = frame.get_column(ROW)
    score = score_described if shipped.history else score_batch
    part = score(model, RawBatch(frame.drop(ROW), rows[0], numbered=rows), shipped.reasons)
    told = {"counts": asdict(part.counts), "last": rows[-1]}
    rejects = part.rejects.rename({"row": "_of_row", **{n: f"_{n}" for n in ("column", "value", "reason")}})
    schema = output_schema(part.answers.schema)
    pieces = [part.answers, rejects, pl.DataFrame({TOLD: [json.dumps(told)]})]
    whole = pl.concat(pieces, how="diagonal").with_columns(pl.lit(rows[0], pl.Int64).alias(ROW))
    yield from whole.select(schema.names()).to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()
