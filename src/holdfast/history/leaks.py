"""Finds what in a history's tables is known only because customers left, before anybody trains on it.

Each finding names table, column and level, says what gives it away and what to do. A column that the contract
excludes is not looked at. Large histories are judged on a sample of customers, the same in every run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.history.leak import Leak, set_scene
from holdfast.history.leaks_of_attributes import leaks_of_attributes
from holdfast.history.leaks_of_clocks import leaks_of_clocks
from holdfast.history.leaks_of_ends import leaks_of_ends
from holdfast.history.leaks_of_events import leaks_of_events
from holdfast.history.leaks_of_intervals import leaks_of_intervals
from holdfast.history.prepared import opened
from holdfast.history.sensitivity import sample
from holdfast.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.contract.history import History
    from holdfast.history.prepared import Prepared
    from holdfast.progress import Progress
    from holdfast.settings import Settings

SAMPLE_ROWS = 1_000_000
"""More rows than these are not judged: customers are sampled."""

_LOOKS = (leaks_of_attributes, leaks_of_intervals, leaks_of_ends, leaks_of_events)


def find_leaks(
    history: History,
    prepared: Prepared,
    root: Path,
    *,
    settings: Settings | None = None,
    memory_mib: int | None = None,
    progress: Progress | None = None,
) -> tuple[Leak, ...]:
    """Look for leaks in every table; none are found where no label has matured.

    Args:
        history: the contract.
        prepared: its tables.
        root: the contract's folder, from which sources are seen.
        settings: addresses and credentials of sources; those of this process, unless given.
        memory_mib: what DuckDB may use; see `holdfast.history.engines.duck`.
        progress: told of each kind of table.

    Raises:
        HistoryError: there is no snapshot.
        EngineError: there is not enough memory or disk.
        SourceError: a source cannot be read.
    """
    shown = progress or NullProgress()
    every = math.ceil(sum(counts.kept for counts in prepared.counts.values()) / SAMPLE_ROWS)
    shown.start("Looking for leaks", 1 + len(_LOOKS))
    found = list(leaks_of_clocks(history, root, settings))
    with opened(prepared, memory_mib=memory_mib) as engine:
        if every > 1:
            sample(engine, history, every)
        scene = set_scene(history, prepared, engine)
        shown.advance()
        for look in _LOOKS:
            found += look(scene) if scene else ()
            shown.advance()
    return tuple(found)
