"""Opens what `holdfast.store.backup` wrote, and trusts none of it before it was verified."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import tarfile
import zlib
from base64 import b64decode
from contextlib import contextmanager
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.disk import sync
from holdfast.errors import DataError, UsageError
from holdfast.store.backup import FORMAT, LEFT_OUT, MANIFEST
from holdfast.store.schema import HEAD, REVISIONS
from holdfast.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holdfast.progress import Progress

_AT_ONCE = 500
_BYTES_AT_ONCE = 4 << 20
_BLOCK = 1 << 20
_MOST_MANIFEST = 64 << 20

KINDS = frozenset({"time", "bytes", "json", "plain"})
"""How a column's values are written."""

_DECODE: dict[str, Callable[[str], Any]] = {"time": datetime.fromisoformat, "bytes": b64decode}


class BackupError(DataError):
    """The file is no backup, is damaged, or was made by a newer Holdfast."""

    code = "backup"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    file: str
    bytes: int
    sha256: str


class Rows(_Part):
    """A table: its columns, each with how its values are written, and how many rows it has."""

    name: str
    columns: list[tuple[str, str]]
    rows: int


class Manifest(BaseModel):
    """What the file says of itself."""

    model_config = ConfigDict(frozen=True, extra="allow")

    format: int
    schema_: str
    made: datetime
    tables: list[Rows]
    files: list[_Part]
    secret: str | None = None


@contextmanager
def opened(source: Path) -> Iterator[tarfile.TarFile]:
    """The file, as what it should be.

    Raises:
        UsageError: it is not there.
        BackupError: it is something else.
    """
    try:
        with tarfile.open(source, "r:") as tar:
            yield tar
    except FileNotFoundError as error:
        raise UsageError("There is no such file.", where=str(source)) from error
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"This is no backup, or a damaged one: {error}.", where=str(source)) from error
    except OSError as error:
        raise UsageError(f"The file cannot be read: {error.strerror or error}.", where=str(source)) from error


def manifest_of(tar: tarfile.TarFile) -> Manifest:
    """What the file says of itself.

    Raises:
        BackupError: it says nothing that can be read, or a newer Holdfast made it.
    """
    where = str(tar.name)
    last = tar.getmembers()[-1:]
    if not last or last[0].name != MANIFEST or not last[0].isreg() or last[0].size > _MOST_MANIFEST:
        raise BackupError(
            "This is no backup, or only a part of one: it has no manifest at its end.", where=where
        )
    try:
        said = orjson.loads(_member(tar, MANIFEST).read())
        manifest = Manifest.model_validate(said | {"schema_": said["schema"]})
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise BackupError("The backup's manifest cannot be read.", where=where) from error
    if manifest.format != FORMAT or manifest.schema_ not in REVISIONS:
        raise BackupError(
            f'A newer Holdfast made this backup (schema "{manifest.schema_}"; this one knows "{HEAD}").',
            where=where,
            hint="Upgrade Holdfast.",
        )
    return manifest


def verify(tar: tarfile.TarFile, manifest: Manifest, source: Path, progress: Progress) -> str:
    """Hold every byte against the manifest; gives the SHA-256 of the whole file.

    Raises:
        BackupError: something is not what the manifest says; names it.
    """
    parts: list[_Part] = [*manifest.tables, *manifest.files]
    progress.start("Verifying the backup", sum(part.bytes for part in parts))
    wrong = {member.name for member in tar.getmembers()} ^ {MANIFEST, *(part.file for part in parts)}
    wrong |= {part.file for part in manifest.files if not _is_of_a_model(part.file)}
    wrong |= {table.file for table in manifest.tables if not _is_ours(table)}
    for part in parts:
        if part.file not in wrong and _digest(_member(tar, part.file), progress) != part.sha256:
            wrong.add(part.file)
    if wrong:
        named = ", ".join(sorted(wrong)[:5])
        raise BackupError(
            f"The backup is damaged: {named} is not what the manifest says.",
            where=str(source),
            hint="Take another copy of it. Nothing was changed.",
        )
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_of_a_model(name: str) -> bool:
    """Whether a file belongs where the files of models are, ``artefacts/NAME/NUMBER/…``, and nowhere else."""
    path = PurePosixPath(name)
    return bool(re.fullmatch(r"artefacts(/[^/]+){3,}", name)) and ".." not in path.parts and str(path) == name


def _is_ours(table: Rows) -> bool:
    return (
        all(re.fullmatch(r"[a-z_]+", name) for name, _ in table.columns)
        and {kind for _, kind in table.columns} <= KINDS
        and table.name in metadata.tables.keys() - LEFT_OUT
    )


def _digest(file: IO[bytes], progress: Progress) -> str:
    made = hashlib.sha256()
    while block := file.read(_BLOCK):
        made.update(block)
        progress.advance(len(block))
    return made.hexdigest()


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.getmember(name)
    file = tar.extractfile(found) if found.isreg() else None  # a link could lead anywhere
    if file is None:
        raise BackupError(f"The backup is damaged: {name} is no plain file.", where=str(tar.name))
    return file


def extract(tar: tarfile.TarFile, manifest: Manifest, folder: Path, progress: Progress) -> None:
    """Write the files of the models into ``folder``."""
    progress.start("Bringing back models", len(manifest.files))
    for part in manifest.files:
        target = folder / part.file
        target.parent.mkdir(parents=True, exist_ok=True)
        with _member(tar, part.file) as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        sync(target)
        progress.advance()


@contextmanager
def placed(work: Path, home: Path) -> Iterator[None]:
    """The models of the backup in their place, and again as it was if the database does not follow."""
    moved: list[tuple[Path, Path]] = []

    def move(one: Path, other: Path) -> None:
        other.parent.mkdir(parents=True, exist_ok=True)
        one.rename(other)
        moved.append((one, other))

    try:
        for folder in sorted((work / "new").glob("artefacts/*/*")):
            place = home / folder.relative_to(work / "new")
            if place.exists():
                move(place, work / "old" / folder.relative_to(work / "new"))
            move(folder, place)
            sync(place.parent)
        yield
    except BaseException:
        for one, other in reversed(moved):
            other.rename(one)
        raise


def rows_of(tar: tarfile.TarFile, rows: Rows) -> Iterator[list[dict[str, Any]]]:
    """A table's rows, some at a time, with the values as Python has them."""
    names = [name for name, _ in rows.columns]
    read = {at: _DECODE[kind] for at, (_, kind) in enumerate(rows.columns) if kind in _DECODE}
    try:
        with gzip.GzipFile(fileobj=_member(tar, rows.file)) as lines:
            some, size = [], 0
            for line in lines:
                some.append(_row(names, read, line))
                size += len(line)
                if len(some) == _AT_ONCE or size > _BYTES_AT_ONCE:
                    yield some
                    some, size = [], 0
            if some:
                yield some
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"The backup's {rows.file} cannot be read.", where=str(tar.name)) from error


def _row(names: list[str], read: dict[int, Callable[[str], Any]], line: bytes) -> dict[str, Any]:
    values = orjson.loads(line)
    for at, decode in read.items():
        values[at] = None if values[at] is None else decode(values[at])
    return dict(zip(names, values, strict=True))
