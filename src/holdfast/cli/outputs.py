"""Writes the files that commands leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.disk import scratch
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_files(folder: Path, contents: Mapping[str, str]) -> dict[str, Path]:
    """Write texts into ``folder`` under their names; none is replaced before all are written.

    Raises:
        UsageError: the folder cannot be written to.
    """
    targets = {name: folder / name for name in contents}
    try:
        with scratch(folder, ".writing-") as work:
            for name, text in contents.items():
                (work / name).write_text(text, encoding="utf-8", newline="")
            for name, target in targets.items():
                (work / name).replace(target)
    except OSError as error:
        raise UsageError(
            f"Cannot write to the folder: {error.strerror or error}.",
            where=str(folder),
            hint="Choose another with --out.",
        ) from error
    return targets
