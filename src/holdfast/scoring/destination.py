"""Where the answers to a file go, and what must not be overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from holdfast.errors import UsageError
from holdfast.sources import table_size

if TYPE_CHECKING:
    from pathlib import Path

Layout = Literal["csv", "csv.gz", "parquet"]

_LAYOUTS: dict[str, Layout] = {
    ".csv": "csv",
    ".csv.gz": "csv.gz",
    ".parquet": "parquet",
    ".pq": "parquet",
}
REJECTS_SUFFIX = ".rejects.csv"


@dataclass(frozen=True, slots=True)
class Destination:
    """The files that scoring one table writes."""

    out: Path
    """One row for each row that was scored."""
    layout: Layout
    """How ``out`` is written."""

    @property
    def rejects(self) -> Path:
        """One row for each cell or line that kept a row out; written only if there is one."""
        return self.out.with_name(self.out.name + REJECTS_SUFFIX)


def destination(source: Path, out: Path | None, *, overwrite: bool = False) -> Destination:
    """Where to write the answers to ``source``.

    Args:
        source: the table, which must exist.
        out: a file ending in ``.csv``, ``.csv.gz``, ``.parquet`` or ``.pq``. Unless given,
            ``NAME.scored.csv`` or ``NAME.scored.parquet`` beside the table.
        overwrite: whether a file may be there already.

    Raises:
        SourceError: there is no such table.
        UsageError: the ending says nothing, a file is there, or it would be the table itself.
    """
    if out is None:
        suffix = "csv" if table_size(source).rows is None else "parquet"
        out = source.with_name(f"{_stem(source.name)}.scored.{suffix}")
    else:
        table_size(source)  # raises where there is no such table
    layout = next((kind for end, kind in _LAYOUTS.items() if out.name.lower().endswith(end)), None)
    if layout is None:
        endings = ", ".join(_LAYOUTS)
        raise UsageError(
            "How to write the file follows from its ending, and this one is not known.",
            where=str(out),
            hint=f"Give it one of these: {endings}.",
        )
    found = Destination(out, layout)
    for path in (found.out, found.rejects):
        if path.exists() and path.samefile(source):
            raise UsageError(
                "The answers would overwrite the table they are about.",
                where=str(path),
                hint="Choose another file with --out.",
            )
    if out.is_dir():
        raise UsageError("The path is a directory.", where=str(out), hint="Name a file with --out.")
    if out.exists() and not overwrite:
        raise UsageError(
            "The file is already there.",
            where=str(out),
            hint="Choose another with --out, or overwrite it with --force.",
        )
    return found


def _stem(name: str) -> str:
    """The name without what says how it is written.

    >>> _stem("july.2025.csv.gz"), _stem("customers.parquet"), _stem(".csv")
    ('july.2025', 'customers', '.csv')
    """
    for end in (".gz", ".zst", ".bz2", ".csv", ".tsv", ".txt", ".parquet", ".pq"):
        if name.lower().endswith(end) and len(name) > len(end):
            name = name[: -len(end)]
    return name
