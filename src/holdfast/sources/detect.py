"""What a file is, by its first bytes and never by its name alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from holdfast.sources.problems import SourceError, not_there

if TYPE_CHECKING:
    from pathlib import Path

Compression = Literal["gzip", "zstd", "bz2"]

_COMPRESSED: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"ARROW1": "an Arrow/Feather file",
    b"FEA1": "a Feather file",
    b"\x89HDF": "an HDF5 file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x89PNG": "a picture",
    b"\x7fELF": "a program",
}
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:[\x95c}\](]|\x8c)")
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*[\[{]|\{\s*"[^"]*"\s*:)')
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|table)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileKind:
    """What the first bytes say."""

    layout: Literal["text", "parquet"]
    compression: Compression | None = None


def file_kind(path: Path) -> FileKind:
    """Tell Parquet from text, plain or compressed.

    Raises:
        SourceError: the path is missing, no file, empty, unreadable or something else altogether.
    """
    if not path.exists():
        raise not_there(path)
    if not path.is_file():
        what = "a directory" if path.is_dir() else "no regular file"
        raise SourceError(f"The path is {what}.", where=str(path), hint="Name one CSV or Parquet file.")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            file.seek(max(0, path.stat().st_size - 4))
            tail = file.read(4)
    except OSError as error:
        raise SourceError(
            f"The file cannot be opened: {error.strerror or error}.",
            where=str(path),
            hint="Check its permissions.",
        ) from error
    if not head:
        raise SourceError("The file is empty.", where=str(path), hint="Export the table again.")
    if head[:4] == b"PAR1":
        if tail != b"PAR1":
            raise SourceError(
                "The Parquet file is cut off: its end is missing.",
                where=str(path),
                hint="Copy or write it again; the last transfer may have been cut off.",
            )
        return FileKind("parquet")
    if head[:4] == b"PARE" or path.suffix.lower() in {".parquet", ".pq"}:
        what = "is encrypted" if head[:4] == b"PARE" else "is not Parquet, whatever its name says"
        raise SourceError(
            f"The file {what}.", where=str(path), hint="Write it as plain Parquet, or rename it if it is CSV."
        )
    refuse_foreign(path, head)
    for magic, compression in _COMPRESSED.items():
        if head.startswith(magic):
            return FileKind("text", compression)
    return FileKind("text")


def refuse_foreign(path: Path, head: bytes) -> None:
    """Name files of other kinds instead of reading noise from them.

    Raises:
        SourceError: ``head`` (the first bytes, decompressed) is of another kind than CSV.
    """
    found = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
    if found is None and _PICKLE.match(head):
        found = "a Python pickle, which is never opened here,"
    if found is None and _JSON.match(head):
        found = "JSON"
    if found is None and _HTML.match(head):
        found = "a web page or XML"
    if found is None and head[257:262] == b"ustar":
        found = "a tar archive"
    if found is not None:
        raise SourceError(
            f"The file is {found} and no customer table.",
            where=str(path),
            hint="Export the table as CSV (UTF-8) or Parquet.",
        )
