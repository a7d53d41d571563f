"""A copy of the tombstones outside the database: whoever was erased stays erased if the database is lost."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from holdfast.disk import sync
from holdfast.predictions.archive import saying

if TYPE_CHECKING:
    from pathlib import Path

FILE = "tombstones.jsonl"
"""In the home folder: a line for each erasure, with the keyed hash and the time."""


def note(home: Path, digest: str, at: datetime) -> None:
    """Add a tombstone; it is on the disk when this returns.

    Raises:
        ArchiveError: the file cannot be written.
    """
    path = home / FILE
    with saying(path):
        with open(path, "a+b", opener=_for_its_owner) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            torn = file.read() not in {b"", b"\n"}  # a crash may have left half a line
            file.write(b"\n" * torn + orjson.dumps({"customer_hash": digest, "at": at}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync(home)


def noted(home: Path) -> dict[str, datetime]:
    """The last time for each hash; what a crash has torn is left out.

    Raises:
        ArchiveError: the file is there and cannot be read.
    """
    path = home / FILE
    found: dict[str, datetime] = {}
    with saying(path), suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with suppress(orjson.JSONDecodeError):
                stone = orjson.loads(line)
                digest, at = stone["customer_hash"], datetime.fromisoformat(stone["at"])
                found[digest] = max(at, found.get(digest, at))
    return found


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
