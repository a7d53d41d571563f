"""Writes the files that commands leave behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_files(folder: Path, contents: Mapping[str, str]) -> dict[str, Path]:
    """Write texts into ``folder`` under their names; none is replaced before all are written.

    Raises:
        UsageError: the folder cannot be written to.
    """
    targets = {name: folder / name for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as work:
            for name, text in contents.items():
                (Path(work) / name).write_text(text, encoding="utf-8", newline="")
            for name, target in targets.items():
                (Path(work) / name).replace(target)
    except OSError as error:
        raise UsageError(
            f"Cannot write to the folder: {error.strerror or error}.",
            where=str(folder),
            hint="Choose another with --out.",
        ) from error
    return targets
