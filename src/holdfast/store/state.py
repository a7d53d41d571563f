"""Which database this is, how full, and whether it fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from holdfast.store.engine import place_of, reading
from holdfast.store.schema import HEAD, REVISIONS, revision
from holdfast.store.tables import metadata


@dataclass(frozen=True, slots=True)
class StoreState:
    """``rows`` are those of the tables that are there; ``bytes`` is what it takes on disk, with its logs."""

    kind: str
    place: str
    schema: str | None
    expected: str
    state: Literal["current", "older", "newer", "empty"]
    bytes: int
    rows: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def state_of(opened: sa.Engine) -> StoreState:
    """Look at a database, whatever schema it has; changes nothing.

    Raises:
        StoreError: it cannot be read.
    """
    present = revision(opened)
    with reading(opened) as connection:
        there = set(sa.inspect(connection).get_table_names())
        rows = {
            table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
            if table.name in there
        }
        size = _size(connection)
    return StoreState(opened.dialect.name, place_of(opened), present, HEAD, _fits(present), size, rows)


def _fits(present: str | None) -> Literal["current", "older", "newer", "empty"]:
    if present is None:
        return "empty"
    if present == HEAD:
        return "current"
    return "older" if present in REVISIONS else "newer"


def _size(connection: sa.Connection) -> int:
    if connection.dialect.name == "postgresql":
        return connection.scalar(sa.select(sa.func.pg_database_size(sa.func.current_database()))) or 0
    path = connection.engine.url.database or ""
    files = (Path(f"{path}{ending}") for ending in ("", "-wal", "-shm"))
    return sum(file.stat().st_size for file in files if file.exists())
