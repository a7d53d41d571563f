"""From a history's tables to a registered model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holdfast.disk import scratch
from holdfast.history.as_known import labels_as_known
from holdfast.history.build import build as build_table
from holdfast.history.build import folder_of
from holdfast.history.labels import final_before
from holdfast.history.moments import moments
from holdfast.history.prepare import prepare
from holdfast.progress import NullProgress, Progress
from holdfast.training.intime import TimeTable, train_in_time
from holdfast.training.recipes import chosen_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.contract.history import History
    from holdfast.settings import Settings
    from holdfast.training.train import Trained


def train_history(
    history: History,
    root: Path,
    *,
    home: Path,
    settings: Settings | None = None,
    budget: float = 180.0,
    models: Sequence[str] | None = None,
    seed: int = 42,
    actor: str = "python",
    progress: Progress | None = None,
) -> Trained:
    """Prepare a history's tables, build its examples, train in time and register the version.

    Args:
        history: the contract.
        root: its folder, from which sources are seen.
        home: where prepared tables and the version go.
        settings: addresses and credentials of sources, memory.
        budget: seconds for the backtest and its rehearsal; what is done before and after them comes on top.
        models: names among `holdfast.training.recipes.NAMES`; all but the stack by default.
        seed: the same seed, data and plan give the same model.
        actor: in whose name, for the audit trail.
        progress: is told of each step.

    Raises:
        HistoryError: a table is missing, nobody is eligible, or another run prepared the tables anew.
        PeriodsError, TableError: the history is too short, or all customers met the same fate.
        UsageError: a model's name is unknown.
    """
    chosen_names(models)  # a name that is unknown is said before the work
    told = progress or NullProgress()
    memory_mib = None if settings is None else settings.memory_mib
    begin = time.monotonic()
    folder = folder_of(home, history)
    prepared = prepare(history, root, folder, settings=settings, progress=told)
    with scratch(folder, ".examples-") as work:  # of this run alone
        built = build_table(
            history,
            prepared,
            work / "examples.parquet",
            memory_mib=memory_mib,
            progress=told,
        )
        table = TimeTable(
            built.path,
            built.contract,
            moments(history, built.as_of),
            prepared.until,
            final_before(history, prepared.until),
            lambda at: labels_as_known(
                history, prepared, built.as_of, at, memory_mib=memory_mib, progress=told
            ),
        )
        trained = train_in_time(
            table,
            history,
            budget=budget,
            models=models,
            seed=seed,
            home=home,
            actor=actor,
            progress=told,
            before=time.monotonic() - begin,
        )
        built.path.replace(folder / built.path.name)
    return trained
