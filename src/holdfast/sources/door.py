"""The one door to tables, wherever they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.sources.columnar import is_oracle
from holdfast.sources.folder import FileSource, is_table
from holdfast.sources.problems import SourceError, not_there

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.source import Source


def open_source(source: str, root: Path, settings: Settings | None = None) -> Source:
    """The table that a contract's ``source`` names; nothing is read yet.

    Args:
        source: a file or a folder of files seen from ``root``, ``s3://bucket/key`` or ``s3://bucket/prefix/``,
            or ``table:NAME`` in the database that ``HOLDFAST_SOURCE_URL`` names.
        root: the contract's folder.
        settings: addresses and credentials; those of this process, unless given.

    Raises:
        UsageError: a setting that the source needs is missing or wrong.
    """
    return FileSource(root / source)


def list_tables(place: str, settings: Settings | None = None) -> list[str]:
    """What `open_source` calls each table that is in ``place``, by name.

    Args:
        place: a folder (its files and its folders of files are tables, seen from it), ``s3://bucket/prefix/``
            likewise, or the URL of a database, which is then to be ``source_url`` of the settings.
        settings: as for `open_source`.

    Raises:
        SourceError: it cannot be looked into, or holds no table.
    """
    return _tables_of(Path(place))


def _tables_of(folder: Path) -> list[str]:
    if not folder.exists():
        raise not_there(folder)
    if not folder.is_dir():
        raise SourceError("It is a file.", where=str(folder), hint="Name the folder that holds the tables.")
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith((".", "_")):
            files = [path for path in entry.iterdir() if path.is_file() and is_table(path.name)]
        else:
            files = [entry] if entry.is_file() and is_table(entry.name) else []
        if files and not any(is_oracle(path) for path in files):
            found.append(entry.name)
    if not found:
        raise SourceError(
            "The folder holds no tables.",
            where=str(folder),
            hint="Put CSV or Parquet files into it, one for each table, or a folder of files for each.",
        )
    return found
