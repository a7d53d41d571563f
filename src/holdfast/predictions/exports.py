"""Writes exports as files that are there whole or not at all."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from holdfast.disk import keep_private, make_private_folder, scratch, sync
from holdfast.errors import UsageError
from holdfast.predictions.archive import SCRATCH, keeping
from holdfast.predictions.formats import Format, export

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

    from holdfast.predictions.listing import Wanted
    from holdfast.progress import Progress

FOLDER = "exports"
"""In the home folder: where exports go unless told otherwise, and where an erasure finds them."""


def export_file(
    engine: sa.Engine,
    home: Path,
    wanted: Wanted,
    out: Path | None = None,
    *,
    actor: str,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write all wanted predictions, newest first, to a file, and say which.

    Args:
        engine: the database.
        home: the home folder.
        wanted: which predictions.
        out: ends in ``.csv``, ``.parquet`` or ``.ndjson``; unless given, a new CSV among the home's exports.
        actor: for the audit trail.
        overwrite: whether ``out`` may be there already.
        progress: told how many predictions were written.

    Raises:
        UsageError: the ending says nothing, the file is there already or cannot be written.
        StoreError: the database cannot be used.
    """
    if out is None:
        out = home / FOLDER / f"predictions-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z.csv"
    layout = _layout(out)
    if out.exists() and not overwrite:
        raise UsageError(
            "The file is already there.", where=str(out), hint="Choose another, or overwrite it with --force."
        )
    ours = out.parent.resolve() == (home / FOLDER).resolve()
    try:
        if ours:
            make_private_folder(home)
        make_private_folder(out.parent)
        # An erasure may not pass between reading a customer and the file's appearance.
        with keeping(home) if ours else nullcontext(), scratch(out.parent, SCRATCH) as work:
            new = work / out.name
            with new.open("wb") as file:
                for part in export(engine, wanted, layout, actor, progress):
                    file.write(part)
            sync(new)
            keep_private(new)
            new.replace(out)
            sync(out.parent)
    except OSError as error:
        raise UsageError(
            f"The file cannot be written: {error.strerror or error}.",
            where=str(out),
            hint="Choose another place, or free some disk space.",
        ) from error
    return out


def _layout(out: Path) -> Format:
    for layout in get_args(Format):
        if out.suffix.lower() == f".{layout}":
            found: Format = layout
            return found
    raise UsageError(
        "How to write the file follows from its ending, and this one is not known.",
        where=str(out),
        hint="Give it one of these: .csv, .parquet, .ndjson.",
    )
