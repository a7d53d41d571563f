"""What is scored of a file already, kept on the disk until all of it is: a killed run can be resumed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from holdfast.disk import sync
from holdfast.quality.counts import Counts

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Part:
    """One batch of a file, scored."""

    answers: pl.DataFrame
    rejects: pl.DataFrame
    counts: Counts
    malformed: int
    windows_1252: int
    ids: NDArray[np.uint64]
    done: float
    """Share of the file's bytes up to its end."""


class Parts:
    """The parts of one file, each in a file of its own in ``folder``. For several threads.

    A part is there whole or not at all, and comes back as it was, to the bit. One that this program did not
    write, in these versions and for these ``terms``, counts as not there.

    Args:
        folder: for this file alone; made at the first need. Whoever gives it removes it.
        terms: what the parts depend on, beside the file.
    """

    def __init__(self, folder: Path, **terms: object) -> None:
        self._folder = folder
        self._terms = json.dumps(
            {"holdfast": version("holdfast"), "polars": pl.__version__, **terms}, sort_keys=True
        )

    def get(self, number: int) -> Part | None:
        """The part of this number, if it is there."""
        try:
            with self._path(number).open("rb") as file:
                answers, rejects, ids = (pa.ipc.open_stream(file).read_all() for _ in range(3))
        except (OSError, pa.ArrowException):
            return None
        said = answers.schema.metadata or {}
        if said.get(b"terms") != self._terms.encode():
            return None
        facts = json.loads(said[b"facts"])
        return Part(
            pl.DataFrame(answers.replace_schema_metadata()),
            pl.DataFrame(rejects),
            counts_of(facts["counts"]),
            facts["malformed"],
            facts["windows_1252"],
            ids["ids"].to_numpy(),
            facts["done"],
        )

    def put(self, number: int, part: Part) -> None:
        """Keep a part.

        Raises:
            OSError: the disk is full or fails.
        """
        facts = {"counts": asdict(part.counts), "done": part.done}
        facts |= {"malformed": part.malformed, "windows_1252": part.windows_1252}
        said = {"terms": self._terms, "facts": json.dumps(facts)}
        tables = (
            _arrow(part.answers).replace_schema_metadata(said),
            _arrow(part.rejects),
            pa.table({"ids": part.ids}),
        )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(number)
        half = path.with_suffix(".half")
        with half.open("wb") as file:
            for table in tables:
                with pa.ipc.new_stream(file, table.schema) as writer:
                    writer.write_table(table)
        sync(half)
        half.replace(path)
        sync(self._folder)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.part"


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def counts_of(said: dict[str, Any]) -> Counts:
    """Counts from JSON, which has no tuples."""
    told = dict(said)
    told["repair_examples"] = {
        name: tuple(map(tuple, pairs)) for name, pairs in said["repair_examples"].items()
    }
    told["unseen_examples"] = {name: tuple(levels) for name, levels in said["unseen_examples"].items()}
    for name in ("absent_columns", "ignored_columns"):
        told[name] = tuple(said[name])
    return Counts(**told)
