"""A table, wherever its rows are: what can be asked of it, and how what is far away comes near."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

import polars as pl

from holdfast.disk import scratch
from holdfast.sources.problems import SourceError
from holdfast.sources.read import BATCH_ROWS, iter_batches
from holdfast.sources.select import common_type, condition, selected
from holdfast.sources.tables import RawBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import date

    from holdfast.progress import Progress

Value: TypeAlias = "str | float | bool | date"
"""Also a ``datetime``, with a zone where the column has one."""

_FETCHED = 0.8
"""Share of the work that it is to bring near what is far away."""


@dataclass(frozen=True, slots=True)
class Where:
    """A row is read only if ``column op value`` is true, in the column's own type; missing is never true.

    Text, as all columns of CSV are, is compared with text alone, byte by byte.
    """

    column: str
    op: Literal["==", "<", "<=", ">", ">="]
    value: Value


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a part is wanted: a part may bring more, never less."""

    columns: list[str]
    where: tuple[Where, ...]
    limit: int | None


class Part(Protocol):
    """A piece of a table that can be had as a file: a file, an object of a store, a table of a database."""

    @property
    def name(self) -> str:
        """For people, without a password."""

    @property
    def size(self) -> int:
        """How much there is to read, beside the other parts."""

    def schema(self) -> pl.Schema:
        """Columns and types."""

    def rows(self) -> int | None:
        """About how many rows, where that is known."""

    def stamp(self) -> str | None:
        """Another text whenever the data may be other data."""

    def near(self, asked: Asked) -> Generator[float | Path, None, None]:
        """The share that is done, now and then, and at last a file of this machine, there until the close."""


class Source:
    """One table: a file, a folder of files, objects of a store, or a table of a database.

    Close it, or use it in ``with``: it may hold connections.

    Args:
        name: for people, such as ``s3://bucket/key`` or ``table orders of postgresql://host/db``.
        parts: finds what it consists of, at the first question; at least one.
        close: lets go of what the parts share.
    """

    def __init__(
        self, name: str, parts: Callable[[], Sequence[Part]], close: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self._find = parts
        self._close = close

    @cached_property
    def _parts(self) -> Sequence[Part]:
        return self._find()

    @cached_property
    def _schema(self) -> pl.Schema:
        first, *others = self._parts
        schema = first.schema()
        for part in others:
            _reconcile(schema, first, part)
        return schema

    def schema(self) -> pl.Schema:
        """The columns, in the table's order, and the types in which they come; CSV is text.

        Raises:
            SourceError: it cannot be read, is no table, or a part has other columns than the first.
        """
        return self._schema

    def names(self) -> tuple[str, ...]:
        """The columns, in the table's order.

        Raises:
            SourceError: as `schema`.
        """
        return tuple(self._schema)

    def rows(self) -> int | None:
        """About how many rows there are, where that is known without reading them.

        Raises:
            SourceError: as `schema`.
        """
        sizes = [part.rows() for part in self._parts]
        return None if None in sizes else sum(filter(None, sizes))

    def stamp(self) -> str | None:
        """Another text whenever the data may be other data; none where only reading would tell.

        Raises:
            SourceError: as `schema`.
        """
        stamps = [part.stamp() for part in self._parts]
        return None if None in stamps else "\n".join(filter(None, stamps))

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Sequence[Where] = (),
        limit: int | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> Iterator[RawBatch]:
        """The rows in flat memory, whatever the length; see `holdfast.sources.iter_batches`.

        What is far away is fetched part by part into the system's folder for temporary files (``TMPDIR``):
        only these columns and, where the source can tell, only these rows; ``rows`` are numbered in what
        was fetched. While that goes on, batches without rows come with a growing ``done``.

        Args:
            columns: read only these, in the table's order; names it does not have are ignored.
            where: read only rows for which all hold.
            limit: read at most so many rows.
            batch_rows: about so many in a batch.

        Raises:
            SourceError: it cannot be read, or broke off; names the source, the table and the cause.
        """
        schema = self._schema
        kept = [name for name in schema if columns is None or name in set(columns)]
        chosen = condition(where, schema, self.name) if where else None
        needed = {*kept, *(one.column for one in where)}
        asked = Asked([name for name in schema if name in needed] or list(schema)[:1], tuple(where), limit)
        whole, before = max(1, sum(part.size for part in self._parts)), 0
        for part in self._parts:
            for batch in _read(part, asked, batch_rows):
                done = (before + part.size * batch.done) / whole
                typed = batch.frame.cast({name: schema[name] for name in batch.frame.columns})
                found = selected(replace(batch, frame=typed, done=done), kept, chosen, asked.limit)
                yield found
                if asked.limit is not None:
                    asked = replace(asked, limit=asked.limit - found.frame.height)
                    if not asked.limit:
                        return
            before += part.size

    @contextmanager
    def near(self, progress: Progress) -> Iterator[Path]:
        """The whole table as one file of this machine, as long as it is needed.

        Args:
            progress: told of the share that has come.

        Raises:
            SourceError: it cannot be read, or consists of several files.
        """
        if len(self._parts) > 1:
            raise SourceError(
                f"A table of customers is one file, and these are {len(self._parts):,}.",
                where=self.name,
                hint="Put them together, or describe them in a history: holdfast init --tables",
            )
        part, done = self._parts[0], 0.0
        with closing(part.near(Asked(list(self._schema), (), None))) as coming:
            for said in coming:
                if isinstance(said, Path):
                    with told_of(part.name, said):
                        yield said
                    return
                progress.advance(max(0.0, said - done))
                done = max(done, said)

    def close(self) -> None:
        """Let go of connections."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(part: Part, asked: Asked, batch_rows: int) -> Iterator[RawBatch]:
    """The part's rows, and while they are on their way, empty batches."""
    empty = pl.DataFrame(schema=dict.fromkeys(asked.columns, pl.Null))
    fetched = 0.0
    with closing(part.near(asked)) as coming:
        for said in coming:
            if isinstance(said, Path):
                with told_of(part.name, said):
                    for batch in iter_batches(said, batch_rows=batch_rows, columns=asked.columns):
                        yield replace(batch, done=fetched + (1 - fetched) * batch.done, file=part.name)
                return
            fetched = max(fetched, _FETCHED * said)  # what is tried again begins anew
            yield RawBatch(empty, 1, done=fetched, file=part.name)


@contextmanager
def copies(name: str) -> Iterator[Path]:
    """A folder for a copy of a part, among the system's temporary files, as long as it is read.

    Raises:
        SourceError: it cannot be made or written to.
    """
    try:
        with scratch(Path(tempfile.gettempdir()), ".holdfast-fetched-") as folder:
            yield folder
    except OSError as error:
        raise SourceError(
            f"A copy of the table cannot be kept: {error.strerror or error}.",
            where=name,
            hint="Free some space for temporary files, or set TMPDIR to a folder that has some.",
        ) from error


@contextmanager
def told_of(name: str, copy: Path) -> Iterator[None]:
    """Errors about a file that is a copy name what it is a copy of."""
    try:
        yield
    except SourceError as error:
        error.where = error.where and error.where.replace(str(copy), name)
        raise


def _reconcile(schema: pl.Schema, first: Part, part: Part) -> None:
    """Widen the types of ``schema`` to hold the part's values, too; the order of its columns is free.

    Raises:
        SourceError: the part has other columns, or values of other kinds.
    """
    other = part.schema()
    lacks = [name for name in schema if name not in other]
    extra = [name for name in other if name not in schema]
    if lacks or extra:
        said = [f"lacks {_listed(lacks)}"] if lacks else []
        said += [f"has {_listed(extra)} beside"] if extra else []
        raise SourceError(
            f"The file {' and '.join(said)}, other than the first, {first.name}.",
            where=part.name,
            hint="Files of one folder are one table: give each the same columns, or move this one away.",
        )
    for name, held in schema.items():
        common = common_type(held, other[name])
        if common is None:
            raise SourceError(
                f'Column "{name}" has the type {other[name]}, and {held} in {first.name}.',
                where=part.name,
                hint="Files of one folder are one table: write them with the same types.",
            )
        schema[name] = common


def _listed(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown  # noqa: PLR2004 - as many as shown
