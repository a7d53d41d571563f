"""What was prepared of a history's tables: how it is told from other runs', found again and opened."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast.history.engines.duck import Duck
from holdfast.history.problems import HistoryError
from holdfast.history.rows import NOT_YET
from holdfast.history.settle import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.contract.history import History

FORMAT = 6
"""Of the prepared files; those of another are made anew."""

STATE = "prepared.json"


@dataclass(frozen=True)
class TableCounts:
    """What became of a table's rows: ``read = kept + sum(rejected.values())``."""

    read: int
    kept: int
    rejected: dict[str, int] = field(default_factory=dict)
    """Reason to rows."""
    notes: dict[str, int] = field(default_factory=dict)
    """What is odd in rows that were kept, to how many."""

    @property
    def unknown_customers(self) -> int:
        """Rejected rows whose customer is not in the table of customers."""
        return self.rejected.get(UNKNOWN, 0)


@dataclass(frozen=True)
class Prepared:
    """A history's tables, ready for SQL.

    Each file has ``_customer`` (text); events ``_time``, others ``_begin`` and ``_end``; ``_known`` and
    ``_superseded`` (when the next version of the row became known, null for the latest); then the contract's
    own columns. All times are naive UTC, microseconds. Rows are sorted by customer and time.
    """

    folder: Path
    """``<folder>/<table>.parquet``, one file a table."""
    counts: dict[str, TableCounts]
    rejects: Path
    """CSV: table, file, row, column, value, reason; the first thousand a table and reason."""
    since: datetime
    """From when on the tables tell what happened (naive UTC): the first event, and not before those who left
    are recorded."""
    until: datetime
    """All that happened before this moment is in the tables (naive UTC); at the latest when this was read."""
    made: str = field(default="", compare=False)
    """Tells this preparation from any other in the same folder."""

    def file(self, table: str) -> Path:
        """The Parquet file of a table."""
        return self.folder / f"{table}.parquet"


def key_of(history: History, stamps: dict[str, str | None], names: dict[str, str]) -> str:
    """What the prepared files depend on: the tables and the clock, not how far ahead churn is looked for."""
    return json.dumps([*_terms(history), stamps, names], sort_keys=True, ensure_ascii=False)


def _terms(history: History) -> list[Any]:
    said = history.canonical()
    parts = ("event", "table", "returns", "where", "above", "cause", "causes")
    churn = {part: said["churn"].get(part) for part in parts}
    clock = {part: said.get("clock", {}).get(part) for part in ("time_zone", "until")}
    return [FORMAT, said["tables"], history.customers, churn, clock]


def _whole(file: Path, size: int) -> bool:
    """Whether a prepared file is there and as long as it was when it was written."""
    return file.is_file() and file.stat().st_size == size


def waits(found: Prepared) -> bool:
    """Whether rows were rejected that may have happened by now."""
    return any(reason in NOT_YET for counts in found.counts.values() for reason in counts.rejected)


def _state(folder: Path) -> dict[str, Any]:
    """What is known of the prepared files; nothing while they are replaced."""
    try:
        found = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def ready(folder: Path, key: str) -> Prepared | None:
    """What is there, if it is of these sources and this contract."""
    state = _state(folder)
    return _of_state(folder, state) if state.get("key") == key else None


def last_prepared(history: History, folder: Path) -> Prepared | None:
    """What was prepared last by this contract, wherever its sources were and however far they reached."""
    state = _state(folder)
    if not state:
        return None
    *terms, _, _ = json.loads(state["key"])
    same = _without_places(terms) == _without_places(json.loads(json.dumps(_terms(history))))
    return _of_state(folder, state) if same else None


def _without_places(terms: list[Any]) -> list[Any]:
    form, tables, register, churn, clock = terms
    plain = {name: {k: v for k, v in told.items() if k != "source"} for name, told in tables.items()}
    return [form, plain, register, churn, clock["time_zone"]]


def _of_state(folder: Path, state: dict[str, Any]) -> Prepared | None:
    if not all(_whole(folder / f"{name}.parquet", size) for name, size in state["sizes"].items()):
        return None
    return Prepared(
        folder,
        {name: TableCounts(**counts) for name, counts in state["counts"].items()},
        folder / "rejects.csv",
        datetime.fromisoformat(state["since"]),
        min(datetime.fromisoformat(state["until"]), datetime.now(UTC).replace(tzinfo=None)),
        state["made"],
    )


@contextmanager
def opened(
    prepared: Prepared, *, memory_mib: int | None = None, threads: int | None = None
) -> Iterator[Duck]:
    """DuckDB over prepared tables, which stay as they were prepared though another run prepares them anew.

    Args:
        prepared: the tables.
        memory_mib: see `holdfast.history.engines.duck.Duck`.
        threads: likewise.

    Raises:
        HistoryError: another run has prepared them anew already.
        EngineError: a file is gone.
    """
    tables = list(prepared.counts)
    with Duck(prepared.folder, tables, memory_mib=memory_mib, threads=threads) as engine:
        if prepared.made and _state(prepared.folder).get("made") != prepared.made:
            raise HistoryError(
                "Another run has prepared the tables anew in the meantime.",
                where=str(prepared.folder),
                hint="Run it again, or give each its own --home.",
            )
        yield engine
