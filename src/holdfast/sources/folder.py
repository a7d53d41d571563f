"""A file, or a folder of files that are one table."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import polars as pl

from holdfast.sources.problems import SourceError, not_there
from holdfast.sources.read import BATCH_ROWS, iter_batches, read_names, table_size
from holdfast.sources.select import common_type, condition, selected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from holdfast.progress import Progress
    from holdfast.sources.source import Where
    from holdfast.sources.tables import RawBatch

ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".pq")
PACKED = (".gz", ".zst", ".zstd", ".bz2")


def is_table(name: str) -> bool:
    """Whether a file in a folder is part of a table, by its name: no hidden file, and of a kind we read."""
    stem = name.lower()
    for ending in PACKED:
        stem = stem.removesuffix(ending)
    return not name.startswith((".", "_")) and stem.endswith(ENDINGS)


def files_in(folder: Path) -> list[Path]:
    """The files of the table that the folder is, by name.

    Raises:
        SourceError: it holds none.
    """
    found = sorted(path for path in folder.iterdir() if path.is_file() and is_table(path.name))
    if not found:
        raise SourceError(
            "The folder holds no CSV or Parquet file.",
            where=str(folder),
            hint=f"Put the table's files directly into it, with names that end with {', '.join(ENDINGS)}.",
        )
    return found


class FileSource:
    """A table in one file or, with the same columns in each, in several. See `Source`."""

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        self.path = path
        self.name = name or str(path)

    @cached_property
    def _files(self) -> list[Path]:
        if not self.path.exists():
            raise not_there(self.path)
        return files_in(self.path) if self.path.is_dir() else [self.path]

    @cached_property
    def _schema(self) -> pl.Schema:
        schema = _schema_of(self._files[0])
        for path in self._files[1:]:
            other = _schema_of(path)
            _same_names(self._files[0], schema, path, other)
            for name, held in schema.items():
                common = common_type(held, other[name])
                if common is None:
                    raise SourceError(
                        f'Column "{name}" has the type {other[name]}, and {held} in {self._files[0].name}.',
                        where=str(path),
                        hint="Files of one folder are one table: write them with the same types.",
                    )
                schema[name] = common
        return schema

    def names(self) -> tuple[str, ...]:
        """See `Source.names`. A file whose columns are others than the first one's is an error."""
        return tuple(self._schema)

    def schema(self) -> pl.Schema:
        """See `Source.schema`."""
        return self._schema

    def rows(self) -> int | None:
        """See `Source.rows`: known for Parquet."""
        sizes = [table_size(path).rows for path in self._files]
        return None if None in sizes else sum(filter(None, sizes))

    def stamp(self) -> str | None:
        """See `Source.stamp`: names, sizes and times of the files."""
        facts = [(path.name, path.stat()) for path in self._files]
        return ";".join(f"{name},{stat.st_size},{stat.st_mtime_ns}" for name, stat in facts)

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Sequence[Where] = (),
        limit: int | None = None,
        batch_rows: int = BATCH_ROWS,
        progress: Progress | None = None,  # noqa: ARG002 - files are near: the first batch is there at once
    ) -> Iterator[RawBatch]:
        """See `Source.batches`. ``first_row`` and ``rows`` count within ``file``."""
        schema = self._schema
        kept = [name for name in schema if columns is None or name in set(columns)]
        chosen = condition(where, schema, self.name) if where else None
        needed = {*kept, *(one.column for one in where)}
        sizes = [path.stat().st_size for path in self._files]
        left = limit
        for place, path in enumerate(self._files):
            for batch in iter_batches(path, batch_rows=batch_rows, columns=list(needed)):
                typed = batch.frame.cast({name: schema[name] for name in batch.frame.columns})
                done = (sum(sizes[:place]) + sizes[place] * batch.done) / sum(sizes)
                whole = replace(batch, frame=typed, file=str(path), done=done)
                part = selected(whole, kept, chosen, left)
                yield part
                if left is not None:
                    left -= part.frame.height
                    if left <= 0:
                        return

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _schema_of(path: Path) -> pl.Schema:
    first = next(
        iter_batches(path, batch_rows=1), None
    )  # types of a file without rows are those of its header
    return pl.Schema(dict.fromkeys(read_names(path), pl.String)) if first is None else first.frame.schema


def _same_names(first: Path, schema: pl.Schema, path: Path, other: pl.Schema) -> None:
    """Refuse a file whose columns are not those of the first; their order is free."""
    lacks = [name for name in schema if name not in other]
    extra = [name for name in other if name not in schema]
    if lacks or extra:
        said = [f"lacks {_listed(lacks)}"] if lacks else []
        said += [f"has {_listed(extra)} beside"] if extra else []
        raise SourceError(
            f"The file {' and '.join(said)}, other than {first.name}.",
            where=str(path),
            hint="Files of one folder are one table: give each the same columns, or move this one away.",
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown  # noqa: PLR2004 - as many as shown
