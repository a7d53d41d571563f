"""Packs an artefact into a folder or an archive; the same artefact gives the same bytes."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
from typing import TYPE_CHECKING

from holdfast.disk import scratch
from holdfast.errors import UsageError
from holdfast.registry.files import contents
from holdfast.registry.version import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold; archives carry no real times, so that equal means equal."""

PLAIN_FILE = 0o100644


def pack(folder: Path, destination: Path, *, root: str) -> None:
    """Copy ``folder`` to ``destination``: ``*.tar.gz``, ``*.tgz``, ``*.zip``, or else a new folder.

    Args:
        folder: the artefact.
        destination: must not exist; appears complete or not at all.
        root: name of the one folder inside an archive.

    Raises:
        UsageError: ``destination`` exists.
        RegistryError: it cannot be written.
    """
    if destination.exists() or destination.is_symlink():
        raise UsageError(
            "The destination is already there.", where=str(destination), hint="Choose another name."
        )
    name = destination.name.casefold()
    try:
        with scratch(destination.parent, ".export-") as work:
            made = work / root
            if name.endswith((".tar.gz", ".tgz")):
                _tar(folder, made, root)
            elif name.endswith(".zip"):
                _zip(folder, made, root)
            else:
                shutil.copytree(folder, made)
            made.rename(destination)
    except OSError as error:
        raise RegistryError(
            f"The export failed: {error.strerror or error}.",
            where=str(destination),
            hint="Check the folder and the free space.",
        ) from error


def _tar(folder: Path, made: Path, root: str) -> None:
    with (
        made.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in contents(folder):
            entry = tarfile.TarInfo(f"{root}/{path.relative_to(folder).as_posix()}")
            entry.size, entry.mode = path.stat().st_size, PLAIN_FILE & 0o777
            with path.open("rb") as file:
                archive.addfile(entry, file)


def _zip(folder: Path, made: Path, root: str) -> None:
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in contents(folder):
            entry = zipfile.ZipInfo(f"{root}/{path.relative_to(folder).as_posix()}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on every system that packs
            entry.external_attr = PLAIN_FILE << 16
            with path.open("rb") as file, archive.open(entry, "w") as packed:
                shutil.copyfileobj(file, packed)
