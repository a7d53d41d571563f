"""A file, or a folder of files that are one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.sources.columnar import is_oracle, parquet_schema
from holdfast.sources.detect import file_kind
from holdfast.sources.problems import SourceError, not_there
from holdfast.sources.read import read_names, table_size
from holdfast.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from holdfast.sources.source import Asked

ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".pq")
_PACKED = (".gz", ".zst", ".zstd", ".bz2")


class LocalPart:
    """A file of this machine; see `holdfast.sources.source.Part`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    @property
    def size(self) -> int:
        """Its bytes."""
        return table_size(self._path).bytes

    def schema(self) -> pl.Schema:
        """Columns and types."""
        if file_kind(self._path).layout == "parquet":
            return parquet_schema(self._path)
        return pl.Schema(dict.fromkeys(read_names(self._path), pl.String()))

    def rows(self) -> int | None:
        """Known for Parquet."""
        return table_size(self._path).rows

    def stamp(self) -> str:
        """Its path, size and time."""
        stat = self._path.stat()
        return f"{self._path},{stat.st_size},{stat.st_mtime_ns}"

    def near(self, _: Asked) -> Generator[Path, None, None]:
        """It is near."""
        yield self._path


def local_source(path: Path) -> Source:
    """The table in a file or, with the same columns in each, in the files of a folder."""
    return Source(str(path), lambda: [LocalPart(file) for file in _files(path)])


def is_part(name: str) -> bool:
    """Whether a file in a folder is part of a table, by its name: no hidden file, and of a kind we read."""
    stem = name.lower()
    for ending in _PACKED:
        stem = stem.removesuffix(ending)
    return not name.startswith((".", "_")) and stem.endswith(ENDINGS)


def is_answer(name: str) -> bool:
    """Whether a file is, by its name, what `holdfast score` writes beside a contract: no table of a business.

    >>> is_answer("bank.scored.csv"), is_answer("july.rejects.csv"), is_answer("scored.csv")
    (True, True, False)
    """
    return not {"scored", "rejects"}.isdisjoint(name.lower().split(".")[1:-1])


def nothing_in(place: str) -> SourceError:
    """A folder, or what stands for one, that holds no part of a table."""
    return SourceError(
        "The folder holds no CSV or Parquet file.",
        where=place,
        hint=f"Put the table's files directly into it, with names that end with {', '.join(ENDINGS)}.",
    )


def tables_of(folder: Path) -> list[str]:
    """Names of the files and folders of files in ``folder`` that are tables, as oracles and answers are not.

    Raises:
        SourceError: it is no folder, or holds no table.
    """
    if not folder.exists():
        raise not_there(folder)
    if not folder.is_dir():
        raise SourceError("It is a file.", where=str(folder), hint="Name the folder that holds the tables.")
    found = []
    for entry in sorted(folder.iterdir()):
        files = [entry] if entry.is_file() and is_part(entry.name) and not is_answer(entry.name) else []
        if _is_folder(entry):
            deeper = (part for inner in entry.iterdir() if _is_folder(inner) for part in _parts(inner))
            files = _parts(entry) or list(deeper)
        if files and not any(is_oracle(path) for path in files):
            found.append(entry.name)
    if not found:
        raise SourceError(
            "The folder holds no tables.",
            where=str(folder),
            hint="Put CSV or Parquet files into it, one for each table, or a folder of files for each.",
        )
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))


def _parts(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and is_part(file.name))


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise not_there(path)
    if not path.is_dir():
        return [path]
    entries = sorted(path.iterdir())
    if deeper := [entry for entry in entries if _is_folder(entry) and _parts(entry)]:
        raise SourceError(
            "The folder holds another folder with files; one table is files directly in one folder.",
            where=str(deeper[0]),
            hint="Move its files up or elsewhere, or begin its name with _ if they are not to be read.",
        )
    found = _parts(path)
    if not found:
        raise nothing_in(str(path))
    return found
