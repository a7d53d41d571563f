"""Rows that wait on this machine's disk until the database is back.

One file for each process, locked as long as its owner lives; a file whose lock can be taken has lost its
owner, and whoever takes it goes on with it. Each line is one row with a checksum, so that what a crash has
torn is known from what was written whole.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from holdfast.disk import make_private_folder, sync

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 256 * 1024 * 1024
"""Bytes of one process's file; what does not fit is lost. Some 300,000 rows."""

BATCH_BYTES = 1024 * 1024
"""Bytes that are read at a time; a longer line is read alone."""

_SUFFIX = ".rows"
_MOMENT = "@"


@dataclass(slots=True)
class Batch:
    """Rows that were read, in the order in which they were written, and how many lines were not whole."""

    rows: list[tuple[Any, ...]]
    damaged: int
    file: _File
    end: int


class Spool:
    """The rows of one process, and those that dead ones have left. For one thread.

    Args:
        folder: shared by all processes; made at the first need.
        limit: bytes that this process may have waiting.

    Attributes:
        rows: how many wait here.
    """

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self.rows = 0
        self._folder = folder
        self._limit = limit
        self._own: _File | None = None
        self._files: list[_File] = []

    def append(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Write rows and wait until they are on the disk; returns how many are, lest room is short."""
        try:
            if self._own is None:
                self._own = _File.made_in(self._folder)
                self._files.append(self._own)
            lines, room = [], self._limit - self._own.size
            for row in rows:
                with suppress(TypeError):  # text that is no Unicode: no database would take it either
                    lines.append(_line(row))
                    room -= len(lines[-1])
                if room < 0:
                    lines.pop()
                    break
            self._own.append(b"".join(lines))
        except OSError:  # no room on the disk, or no folder
            return 0
        self._own.rows += len(lines)
        self.rows += len(lines)
        return len(lines)

    def adopt(self) -> None:
        """Take over what processes that are no more have left."""
        with suppress(OSError):  # no folder, or none of ours
            for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
                if all(file.path != path for file in self._files):
                    with suppress(OSError):  # its owner lives, or has just removed it
                        file = _File(path)
                        self._files.append(file)
                        self.rows += file.rows

    def read(self) -> Batch | None:
        """The next rows; none if no more wait. The same again, unless they are `forget`-ed.

        Raises:
            OSError: a file cannot be read now; it is kept, and comes after the others.
        """
        if not self._files:
            return None
        file = self._files[0]
        try:
            return file.read()
        except OSError:
            self._files.append(self._files.pop(0))
            raise

    def forget(self, batch: Batch) -> None:
        """Remove what was read: it is in the database now."""
        file, gone = batch.file, len(batch.rows) + batch.damaged
        file.begin, file.rows = batch.end, file.rows - gone
        self.rows -= gone
        if file.begin >= file.size:  # more, if what a full disk tore could not be cut off
            self._files.remove(file)
            if file is self._own:
                self._own = None
            file.close(remove=True)

    def close(self) -> None:
        """Leave the files to the next process."""
        for file in self._files:
            file.close(remove=False)
        self._files, self._own, self.rows = [], None, 0


class _File:
    """One open and locked file.

    Attributes:
        begin: bytes that are done with.
        rows: lines after them, whole or not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begin = 0
        self._handle = os.open(path, os.O_RDWR | os.O_APPEND)
        try:
            _lock(self._handle)
            if not path.exists():
                raise FileNotFoundError(path)
            self.size = os.fstat(self._handle).st_size
            with self._lines() as lines:
                self.rows = sum(1 for _ in lines)
        except OSError:
            os.close(self._handle)
            raise

    @classmethod
    def made_in(cls, folder: Path) -> _File:
        make_private_folder(folder.parent)
        make_private_folder(folder)
        while True:
            handle, name = tempfile.mkstemp(suffix=_SUFFIX, dir=folder)  # for its owner's eyes alone
            os.close(handle)
            with suppress(BlockingIOError, FileNotFoundError):  # another's `adopt` was quicker than the lock
                made = cls(Path(name))
                sync(folder)
                return made

    def append(self, lines: bytes) -> None:
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self.size)  # half a line would spoil the next
            raise
        self.size += len(lines)

    def read(self) -> Batch:
        batch = Batch([], 0, self, self.begin)
        with self._lines() as lines:
            for line in lines:
                batch.end += len(line)
                row = _row(line)
                if row is None:
                    batch.damaged += 1
                else:
                    batch.rows.append(row)
                if batch.end - self.begin >= BATCH_BYTES:
                    break
        if batch.end == self.begin:  # somebody cut it off
            batch.damaged, batch.end = self.rows, self.size
        return batch

    def _lines(self) -> BinaryIO:
        """What is not done with, by the handle that is there: to open another could fail."""
        lines = open(self._handle, "rb", closefd=False)  # noqa: SIM115 - no path; the caller closes it
        lines.seek(self.begin)
        return lines

    def close(self, *, remove: bool) -> None:
        if remove:
            with suppress(OSError):  # not there any more, or Windows: then it is replayed again, to no effect
                self.path.unlink()
        os.close(self._handle)


def _lock(handle: int) -> None:
    """Lock a file until it is closed or the process ends, however it ends.

    Windows has no such locks. There several may replay one file, which has no effect but the first time.

    Raises:
        BlockingIOError: another has locked it.
    """
    if sys.platform != "win32":
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _line(row: tuple[Any, ...]) -> bytes:
    """Times are marked, as texts that look like times are not times."""
    values = [{_MOMENT: value.isoformat()} if isinstance(value, datetime) else value for value in row]
    document = orjson.dumps(values)
    return b"%08x %b\n" % (zlib.crc32(document), document)


def _row(line: bytes) -> tuple[Any, ...] | None:
    document = line[9:-1]
    if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(document):
        return None
    return tuple(
        datetime.fromisoformat(value[_MOMENT]) if isinstance(value, dict) else value
        for value in orjson.loads(document)
    )
