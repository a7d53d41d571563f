"""What can be wrong with a file, each as one clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.types import MAX_COLUMNS
from holdfast.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SourceError(DataError):
    """A file cannot be read as a table; ``where`` names it."""

    code = "source"


class NoFileError(SourceError):
    """There is no such file: no fault of the data, but of what was asked for."""

    exit_code = UsageError.exit_code


def not_there(path: Path) -> NoFileError:
    """The file is missing; the hint names its nearest neighbours."""
    hint = "Check the path."
    if path.parent.is_dir():
        neighbours = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())[:1000]
        if neighbours:
            hint = f"{hint} {nearest(path.name, neighbours)}"
    return NoFileError("There is no such file.", where=str(path), hint=hint)


def wrong_encoding(path: Path, *, row: int, byte: int, value: int) -> SourceError:
    """A line that is neither UTF-8 nor Windows-1252. ``row`` 0 is the header; ``byte`` counts from 0."""
    place = "the header" if row == 0 else f"data row {row:,}"
    return SourceError(
        f"The file is neither UTF-8 nor Windows-1252: {place} holds the byte 0x{value:02X}.",
        where=f"{path}, {place}, byte {byte:,}",
        hint=f'Convert it from its own encoding first, for example: iconv -f CP850 -t UTF-8 "{path.name}" > '
        f'"{path.stem}-utf8.csv"',
    )


def nul_bytes(path: Path, byte: int) -> SourceError:
    """NUL bytes: no text file has them."""
    return SourceError(
        "The file holds NUL bytes, so it is not a text table (or is UTF-16 without its byte order mark).",
        where=f"{path}, byte {byte:,}",
        hint="Export it again as CSV in UTF-8, or as Parquet.",
    )


def endless_line(path: Path, row: int) -> SourceError:
    """A line so long that it is none."""
    return SourceError(
        "A line has no end.",
        where=f"{path}, data row {row:,}",
        hint="Check that the file is CSV with one row on each line.",
    )


def broken_archive(path: Path, kind: str, detail: object) -> SourceError:
    """A compressed file that ends early or is damaged."""
    early = "runcated" in str(detail)
    what = "ends in the middle" if early else "is damaged"
    return SourceError(
        f"The {kind} file {what}: {detail}.",
        where=str(path),
        hint="Copy or download it again; the last transfer may have been cut off.",
    )


def check_columns(path: Path | str, names: Sequence[str]) -> None:
    """Refuse tables that are too wide and column names that are there twice; ``path`` is the table's name.

    Raises:
        SourceError: either of the two.
    """
    if len(names) > MAX_COLUMNS:
        raise SourceError(
            f"The table has {len(names):,} columns; at most {MAX_COLUMNS:,} are read.",
            where=str(path),
            hint="Keep one row per customer and one column per fact about them; leave out the rest.",
        )
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names, start=1):
        places.setdefault(name, []).append(place)
    repeated = {name: found for name, found in places.items() if len(found) > 1}
    if repeated:
        shown = "; ".join(
            f'"{name}" (columns {", ".join(map(str, found))})' for name, found in list(repeated.items())[:5]
        )
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""  # noqa: PLR2004 - as many as shown
        raise SourceError(
            f"Column names are there more than once: {shown}{more}.",
            where=f"{path}, the header",
            hint="Rename or remove the repeated columns; blanks around a name do not count.",
        )
