"""Folders for half-finished work, which never outlive the process that makes it for long.

What must appear whole or not at all is written in a `scratch` folder beside its place, and renamed. A process
that is killed cannot tidy up, so the next one does: each folder is locked as long as its owner lives, and one
whose lock can be taken has no owner.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def scratch(place: Path, prefix: str) -> Iterator[Path]:
    """A new empty folder in ``place``, named ``prefix`` and some letters; removed at the end with all in it.

    First removes what killed processes left there under the same prefix.

    Args:
        place: made if it is not there.
        prefix: of this kind of work alone; begins with a point where people look into ``place``.

    Raises:
        OSError: ``place`` cannot be written to.
    """
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place, prefix)
    folder, handle = _claimed(place, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keep other processes out of what the file ``path`` stands for; true if this one has the lock.

    The lock ends with the process, however it ends. Where the system has no locks, everybody has it.

    Args:
        path: made if it is not there, and left there.
        wait: until whoever has the lock lets go; otherwise it is false where another has it.

    Raises:
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        mine = True
        if sys.platform != "win32":
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                mine = False
            except OSError as error:
                if error.errno not in {errno.ENOLCK, errno.ENOTSUP}:
                    raise
        yield mine
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Make sure that a file or folder is on the disk, not only on its way there."""
    if sys.platform == "win32" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_private(path: Path) -> None:
    """Leave a file or folder to its owner alone; nothing, if it is not ours, not there or neither of both."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        found = path.stat()
        plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
        shared = found.st_mode & stat.S_ISVTX  # such as /tmp
        if plain and not shared and found.st_mode & 0o077 and found.st_uid == os.geteuid():
            path.chmod(found.st_mode & 0o700)


def make_private_folder(path: Path) -> None:
    """Have a folder there; if it was not, only its owner reads it.

    Raises:
        OSError: it cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_private(path: Path) -> None:
    """Have an empty file there that only its owner reads, unless there is one: that one is made private.

    A file that is there is not opened: to close it would end this process's SQLite locks on it.

    Raises:
        OSError: it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        keep_private(path)


def _claimed(place: Path, prefix: str) -> tuple[Path, int | None]:
    """A new folder and its lock, if there are locks here."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        try:
            handle = _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # another's sweep was quicker than the lock
        except OSError:  # this file system has no locks, so nobody can sweep either
            return folder, None
        if folder.exists():
            return folder, handle
        os.close(handle)


def _sweep(place: Path, prefix: str) -> None:
    with suppress(OSError):  # a place that cannot be listed, or a folder that another is removing
        for folder in place.iterdir():
            if not re.fullmatch(
                rf"{re.escape(prefix)}[a-z0-9_]{{8}}", folder.name
            ):  # as `tempfile` names them
                continue
            with suppress(OSError):  # its owner lives, or it is no folder
                handle = _lock(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(handle)


def _lock(folder: Path) -> int:
    """Lock a folder until its handle is closed or the process ends, however it ends.

    Raises:
        BlockingIOError: another has locked it.
        OSError: it cannot be locked.
    """
    if sys.platform == "win32":
        raise OSError("Windows cannot lock folders")
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
