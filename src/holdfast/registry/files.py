"""Moves, sweeps and copies of artefact folders. Each happens whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import shutil
from typing import TYPE_CHECKING

from holdfast.disk import sync
from holdfast.registry.version import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(folder: Path) -> Iterator[Path]:
    """Every file in ``folder`` and below, in order of its name.

    Raises:
        RegistryError: something in it is neither a plain file nor a folder (a link could lead anywhere).
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RegistryError("An artefact may hold plain files only.", where=str(path))
        if path.is_file():
            yield path


def settle(folder: Path) -> None:
    """Make sure that ``folder`` is on the disk, not only on its way there."""
    for path in (*contents(folder), folder):
        sync(path)


def move(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``; through a copy beside the target when they are on different disks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = target.with_name(f".{target.name}.copy")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(source, beside)
        settle(beside)
        beside.rename(target)
        shutil.rmtree(source, ignore_errors=True)
    sync(target.parent)


def sweep_orphans(artefacts: Path, next_number: int) -> None:
    """Remove folders of versions that never got their row: those numbered from ``next_number`` on.

    Only for the holder of the write lock: every other registration is before its move or after its row.
    """
    for folder in artefacts.glob("*/*"):
        name = folder.name.removeprefix(".").removesuffix(".copy")
        if name.isdecimal() and int(name) >= next_number:
            shutil.rmtree(folder, ignore_errors=True)
