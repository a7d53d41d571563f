"""The artefact: a directory whose manifest names every file and its SHA-256, checked before any is parsed."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "manifest.json"
FORMAT = 1
"""Version of the directory's layout; a reader refuses one that it does not know."""

_LARGEST_MANIFEST = 4 * 1024 * 1024


class ArtefactError(HoldfastError):
    """An artefact is damaged, incomplete or not one of ours; nothing of it was used."""

    code = "artefact"


def write_manifest(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Seal ``folder``: write its manifest over every file in it.

    Args:
        folder: a fully written artefact without a manifest.
        facts: what else the manifest says (recipe, hashes of contract and data, versions, …).

    Returns:
        The manifest as written.
    """
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in _files(folder)}
    manifest = {"format": FORMAT, **facts, "files": dict(sorted(files.items()))}
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artefact, its form checked but not yet its files.

    Raises:
        ArtefactError: no manifest, or not one of ours.
    """
    path = folder / MANIFEST
    if not folder.is_dir() or not path.is_file() or path.is_symlink():
        raise ArtefactError(
            "This is not a Holdfast artefact: it has no manifest.json.",
            where=str(folder),
            hint="Give the directory of a version; `holdfast models list` shows them.",
        )
    if path.stat().st_size > _LARGEST_MANIFEST:
        raise ArtefactError("The manifest is too large to be one of ours.", where=str(path))
    manifest = read_json(folder, MANIFEST)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise ArtefactError("The manifest does not list files and their checksums.", where=str(path))
    if manifest.get("format") != FORMAT:
        raise ArtefactError(
            f"The manifest is of format {manifest.get('format')!r}; this version reads format {FORMAT}.",
            where=str(path),
            hint="Train again, or use the release that wrote it.",
        )
    return dict(manifest)


def verify(folder: Path) -> dict[str, Any]:
    """Check every file of an artefact against its manifest, before anything is parsed.

    Returns:
        The manifest.

    Raises:
        ArtefactError: a file is changed, missing, added, or a symbolic link; each is named.
    """
    manifest = read_manifest(folder)
    expected: dict[str, str] = manifest["files"]
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    present.pop(MANIFEST, None)
    faults = [f"{name} is missing" for name in expected if name not in present]
    faults += [f"{name} was added" for name in present if name not in expected]
    faults += [
        f"{name} was changed"
        for name, digest in expected.items()
        if name in present and _sha256(present[name]) != digest
    ]
    if faults:
        raise ArtefactError(
            f"The artefact is not what was written: {'; '.join(sorted(faults)[:5])}.",
            where=str(folder),
            hint="Do not use it; restore it from a copy or train again.",
        )
    return manifest


def read_json(folder: Path, name: str) -> Any:
    """A JSON file of a verified artefact; every number in it is finite.

    Raises:
        ArtefactError: it is missing, no strict JSON, or no plain file of this folder.
    """
    try:
        text = plain_file(folder, name).read_text(encoding="utf-8")
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{name} cannot be read.", where=str(folder)) from error


def plain_file(folder: Path, name: object) -> Path:
    """The file ``name`` of ``folder``: a name that leads elsewhere is refused, whoever wrote it.

    Raises:
        ArtefactError: ``name`` is no plain file directly in ``folder``.
    """
    if isinstance(name, str) and name not in {"", ".", ".."} and not set(name) & {"/", "\\", "\0"}:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            return path
    raise ArtefactError(f"{name!r} is no file of the artefact.", where=str(folder))


def write_json(folder: Path, name: str, content: Any) -> None:
    """Write a JSON file of an artefact in the making; floats keep every bit."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def _files(folder: Path) -> list[Path]:
    """Every file below ``folder``, in order; anything that is no plain file or directory is refused."""
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArtefactError(
                f"{path.relative_to(folder).as_posix()} is a link or no plain file.", where=str(folder)
            )
        if path.is_file():
            found.append(path)
    return found


def _finite(text: str) -> float:
    """A number of JSON; one that only Python's JSON knows (NaN, Infinity), or that overflows, is refused."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
