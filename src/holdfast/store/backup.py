"""Writes all that an installation must not lose into one file, the same for every kind of database.

The file is a tar: one ``tables/NAME.ndjson.gz`` a table (a JSON array a row), the files of the models, and at
the end ``manifest.json`` with the schema and the SHA-256 of everything before it. `holdfast.store.restore`
reads it. Memory stays flat, however long the tables are.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from holdfast.disk import scratch, sync
from holdfast.errors import UsageError
from holdfast.progress import NullProgress
from holdfast.store.engine import StoreError, snapshot
from holdfast.store.schema import HEAD
from holdfast.store.tables import Moment, jobs, metadata, sessions, versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from holdfast.progress import Progress

FORMAT = 1

MANIFEST = "manifest.json"

LEFT_OUT = frozenset({sessions.name, jobs.name})
"""Everybody logs in again after a restore; and files to be scored, with what became of them, are not kept."""

_AT_ONCE = 500
"""Rows in memory at a time."""

_LARGE_AT_ONCE = 5
"""The same for rows that may be megabytes long."""

_PRIVATE = 0o600
"""The file holds customers and hashes of keys."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written. ``missing`` are the folders of models that were not there to be copied."""

    path: Path
    digest: str
    bytes: int
    rows: dict[str, int]
    files: int
    missing: list[str]


def backup(
    opened: sa.Engine,
    home: Path,
    destination: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Backup:
    """Write the database, as it is at one moment, and the files of its models.

    Args:
        opened: the database; others may go on writing to it.
        home: the home folder, which holds the models.
        destination: must not exist; appears complete or not at all.
        facts: what else the manifest says.
        progress: told of rows and files.

    Raises:
        UsageError: the destination exists or cannot be written to.
        StoreError: the database cannot be read.
    """
    if destination.exists() or destination.is_symlink():
        raise UsageError("The file is already there.", where=str(destination), hint="Choose another name.")
    try:
        with scratch(destination.parent, ".backup-") as work:
            made = _written(opened, home, work, dict(facts or {}), progress or NullProgress())
            made.path.rename(destination)
            sync(destination.parent)
    except OSError as error:
        raise UsageError(
            f"The backup cannot be written: {error.strerror or error}.",
            where=str(destination),
            hint="Check the folder and the free space.",
        ) from error
    return Backup(destination, made.digest, made.bytes, made.rows, made.files, made.missing)


def _written(opened: sa.Engine, home: Path, work: Path, facts: dict[str, Any], progress: Progress) -> Backup:
    path = work / "backup.tar"
    path.touch(mode=_PRIVATE)
    tables, missing = [], []
    with path.open("r+b") as raw, tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        with snapshot(opened) as connection:
            kept = [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]
            progress.start("Copying rows", sum(_count(connection, table) for table in kept))
            tables = [_add_table(connection, table, tar, work, progress) for table in kept]
            folders: Sequence[str] = connection.scalars(sa.select(versions.c.path)).all()
        progress.start("Copying models", len(folders))
        files = []
        for folder in folders:
            found = [
                _add_file(tar, home, one) for one in sorted((home / folder).rglob("*")) if _is_plain(one)
            ]
            files += found
            missing += [] if found else [folder]
            progress.advance()
        said = facts | {"format": FORMAT, "schema": HEAD, "made": datetime.now(UTC).isoformat()}
        _add(tar, MANIFEST, orjson.dumps(said | {"tables": tables, "files": files, "missing": missing}))
    sync(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    rows = {table["name"]: table["rows"] for table in tables}
    return Backup(path, digest, path.stat().st_size, rows, len(files), missing)


def _add_table(
    connection: sa.Connection, table: sa.Table, tar: tarfile.TarFile, work: Path, progress: Progress
) -> dict[str, Any]:
    """Write one table to a file and that into the tar: only a file tells beforehand how long it is."""
    part, rows = work / "part", 0
    with part.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
        query = sa.select(table).order_by(*table.primary_key.columns)
        large = any(isinstance(column.type, sa.LargeBinary) for column in table.c)
        per = {"yield_per": _LARGE_AT_ONCE if large else _AT_ONCE}
        for some in connection.execute(query, execution_options=per).partitions():
            packed.writelines(orjson.dumps(list(row), default=_encoded) + b"\n" for row in some)
            rows += len(some)
            progress.advance(len(some))
    name = f"tables/{table.name}.ndjson.gz"
    columns = [[column.name, _kind(column)] for column in table.c]
    entry = _add_path(tar, part, name)
    part.unlink()
    return entry | {"name": table.name, "columns": columns, "rows": rows}


def _add_file(tar: tarfile.TarFile, home: Path, path: Path) -> dict[str, Any]:
    return _add_path(tar, path, path.relative_to(home).as_posix())


def _add_path(tar: tarfile.TarFile, path: Path, name: str) -> dict[str, Any]:
    entry = tarfile.TarInfo(name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        entry.size, entry.mode = file.tell(), _PRIVATE
        file.seek(0)
        tar.addfile(entry, file)
    return {"file": name, "bytes": entry.size, "sha256": digest}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), _PRIVATE
    tar.addfile(entry, io.BytesIO(content))


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _kind(column: sa.Column[Any]) -> str:
    """How the column's values are written: as JSON has them, or as text that stands for them."""
    if isinstance(column.type, Moment):
        return "time"
    if isinstance(column.type, sa.LargeBinary):
        return "bytes"
    return "json" if isinstance(column.type, sa.JSON) else "plain"


def _encoded(value: object) -> str:
    """What JSON has no type for; orjson writes times itself."""
    if isinstance(value, bytes | memoryview):
        return b64encode(value).decode()
    raise StoreError(f"A value of type {type(value).__name__} cannot be backed up.")
