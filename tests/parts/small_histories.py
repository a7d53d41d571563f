"""Small histories for tests: written as a person would, prepared, and labelled in DuckDB."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from holdfast.contract.history import History
from holdfast.history.labels import labels_sql
from holdfast.history.moments import moments, snapshots
from holdfast.history.prepare import prepare
from holdfast.history.spine import spine_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from holdfast.history.prepared import Prepared

ECONOMICS = {"customer_value": 100.0, "contact_cost": 1.0, "offer_cost": 5.0, "success_rate": 0.2}


def history(tables: Mapping[str, Any], churn: Mapping[str, Any], **clock: Any) -> History:
    """A contract; each table's source is its name with .csv unless it says otherwise."""
    described = {
        name: {"source": f"{name}.csv", "customer": "customer", **table} for name, table in tables.items()
    }
    return History.model_validate(
        {"name": "small", "churn": churn, "economics": ECONOMICS, "tables": described, "clock": clock}
    )


@dataclass(frozen=True)
class Labelled:
    """What became of a small history."""

    history: History
    prepared: Prepared
    spine: pl.DataFrame
    labels: pl.DataFrame


def labelled(contract: History, folder: Path, files: Mapping[str, str]) -> Labelled:
    """Write the files (name to CSV text), prepare them and find spine and labels of all snapshots."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    prepared = prepare(contract, folder, folder / "prepared")
    tables = {name: pl.read_parquet(prepared.file(name)) for name in contract.tables}
    as_of = snapshots(contract.clock, prepared.since, prepared.until)
    spine, labels = spine_and_labels(contract, tables, as_of, prepared.until)
    return Labelled(contract, prepared, spine, labels)


def spine_and_labels(
    contract: History, tables: Mapping[str, pl.DataFrame], as_of: Sequence[datetime], until: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Run both on canonical tables, sorted by customer and moment."""
    db = _database()
    for name, frame in tables.items():
        db.register(name, frame.to_arrow())
    db.register("moments", moments(contract, as_of).to_arrow())
    spine = rows_of(db, spine_sql(contract)).sort("_customer", "as_of")
    db.register("spine", spine.to_arrow())
    labels = rows_of(db, labels_sql(contract, until)).sort("_customer", "as_of")
    return spine, labels


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all tests: its tables are replaced each time."""
    return duckdb.connect(config={"threads": 1})


def rows_of(db: duckdb.DuckDBPyConnection, sql: str) -> pl.DataFrame:
    """The rows that a query gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # DuckDB's advice to use another method
        found = pl.from_arrow(db.execute(sql).to_arrow_table())
    assert isinstance(found, pl.DataFrame)
    return found
