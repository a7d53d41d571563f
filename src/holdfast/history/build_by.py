"""Builds a history's table by the engine that is asked for, from the sources to the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.history.build import build, folder_of
from holdfast.history.engines.duck import limit_mib
from holdfast.history.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from holdfast.contract.history import History
    from holdfast.history.build import Built
    from holdfast.history.prepared import TableCounts
    from holdfast.progress import Progress
    from holdfast.settings import Settings


def build_by(
    engine: str,
    history: History,
    root: Path,
    out: Path,
    *,
    settings: Settings,
    as_of: Sequence[datetime] | None,
    labels: bool,
    memory_mib: int | None = None,
    progress: Progress | None = None,
) -> tuple[Built, dict[str, TableCounts], Path | None]:
    """Build features, and labels, of everyone eligible at each moment.

    Args:
        engine: ``duckdb``, ``postgres`` or ``spark``.
        history: the contract.
        root: its folder.
        out: the Parquet file to write; replaced if it is there.
        settings: home, memory, addresses.
        as_of: moments; all snapshots of the contract, unless given.
        labels: whether to say what became of each.
        memory_mib: what may be used before it spills to disk; what the settings say, unless given.
        progress: told of each step.

    Returns:
        The table; what became of each source's rows; the file of rejects, if there is one.

    Raises:
        HoldfastError: as the engine's own function.
        OSError: ``out`` cannot be written.
    """
    memory = memory_mib or settings.memory_mib
    if engine == "postgres":
        from holdfast.history.build_in_place import build_in_postgres  # noqa: PLC0415 - needs an extra

        built, counts = build_in_postgres(
            history, out, settings=settings, as_of=as_of, labels=labels, progress=progress
        )
        return built, counts, None
    folder = folder_of(settings.home, history)
    if engine == "spark":
        from holdfast.history.build_in_spark import build_in_spark  # noqa: PLC0415 - needs an extra
        from holdfast.spark import Spark  # noqa: PLC0415 - as above

        with Spark(settings, memory_mib=limit_mib(memory)) as spark:
            prepared = prepare(history, root, folder, settings=settings, progress=progress)
            built = build_in_spark(
                history, prepared, out, spark=spark, as_of=as_of, labels=labels, memory_mib=memory,
                progress=progress,
            )  # fmt: skip
    else:
        prepared = prepare(history, root, folder, settings=settings, progress=progress)
        built = build(
            history, prepared, out, as_of=as_of, labels=labels, memory_mib=memory, progress=progress
        )
    return built, prepared.counts, prepared.rejects
