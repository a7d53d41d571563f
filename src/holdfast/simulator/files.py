"""Writes a simulated table and its oracle to a folder, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from holdfast.disk import scratch
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.simulator.snapshot import Snapshot

ORACLE_MARK = "holdfast.oracle"
"""Parquet metadata key of the oracle. `holdfast.sources` refuses every file that has it."""

BLANK = " "
"""How IBM's table spells a missing ``TotalCharges``; kept, because real files do such things."""


def write(
    snapshot: Snapshot,
    folder: Path,
    *,
    suffix: Literal["csv", "parquet"] = "csv",
    overwrite: bool = False,
) -> tuple[Path, Path]:
    """Write ``customers.csv`` (or ``.parquet``) and ``oracle.parquet``; returns both paths.

    The same snapshot gives the same bytes.

    Raises:
        UsageError: a file of that name is there and ``overwrite`` is false, or the folder cannot be written.
    """
    table, oracle = folder / f"customers.{suffix}", folder / "oracle.parquet"
    there = [path for path in (table, oracle) if path.exists()]
    if there and not overwrite:
        raise UsageError(
            f"{there[0].name} is already there.",
            where=str(there[0]),
            hint="Choose another folder, or allow overwriting (--force).",
        )
    try:
        with scratch(folder, ".simulate-") as work:
            fresh_table, fresh_oracle = work / table.name, work / oracle.name
            if suffix == "csv":
                snapshot.customers.write_csv(fresh_table, null_value=BLANK)
            else:
                snapshot.customers.write_parquet(fresh_table)
            snapshot.oracle.write_parquet(fresh_oracle, metadata={ORACLE_MARK: "true"})
            fresh_oracle.replace(oracle)
            fresh_table.replace(table)
    except OSError as error:
        raise UsageError(
            f"Cannot write to the folder: {error.strerror or error}.",
            where=str(folder),
            hint="Choose another --out.",
        ) from error
    return table, oracle
