"""What every source of a table can do, wherever its rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

from holdfast.sources.read import BATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    import polars as pl

    from holdfast.progress import Progress
    from holdfast.sources.tables import RawBatch

Value: TypeAlias = "str | float | bool | date"
"""Also a ``datetime``, with a zone where the column has one."""


@dataclass(frozen=True, slots=True)
class Where:
    """A row is read only if ``column op value`` is true, in the column's own type; missing is never true.

    Text, as all columns of CSV are, is compared with text alone.
    """

    column: str
    op: Literal["==", "<", "<=", ">", ">="]
    value: Value


class Source(Protocol):
    """One table: a file, a folder of files, objects of a store or a table of a database.

    Close it, or use it in ``with``: what is far away is fetched into a scratch folder and removed again.
    """

    name: str
    """For people: a path, ``s3://bucket/key`` or ``table orders of postgresql://host/db``; no password."""

    def names(self) -> tuple[str, ...]:
        """The columns, in the table's order, without reading its rows.

        Raises:
            SourceError: it cannot be read, or is no table.
        """

    def schema(self) -> pl.Schema:
        """The columns and the types in which they come; CSV is text.

        Raises:
            SourceError: as `names`.
        """

    def rows(self) -> int | None:
        """About how many rows there are, where that is known without reading them.

        Raises:
            SourceError: as `names`.
        """

    def stamp(self) -> str | None:
        """Another text whenever the data may be other data; none where only reading would tell.

        Raises:
            SourceError: as `names`.
        """

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: Sequence[Where] = (),
        limit: int | None = None,
        batch_rows: int = BATCH_ROWS,
        progress: Progress | None = None,
    ) -> Iterator[RawBatch]:
        """The rows in flat memory, whatever the length; see `holdfast.sources.iter_batches`.

        Args:
            columns: read only these, in the table's order; names it does not have are ignored.
            where: read only rows for which all hold.
            limit: read at most so many rows.
            batch_rows: about so many in a batch.
            progress: told of the rows that come from far away before the first batch is there.

        Raises:
            SourceError: it cannot be read, or broke off; names the source, the table and the cause.
        """

    def close(self) -> None:
        """Let go of connections, and of what was fetched."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
