"""What labels said at earlier moments: before some ends were told, and others were corrected.

Labels are by the latest that is known. A backtest must not learn from what was told after its period began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.history.clocks import has_versions, instant
from holdfast.history.labels import final_before, labels_sql
from holdfast.history.moments import moments
from holdfast.history.prepared import opened
from holdfast.history.spine import spine_sql
from holdfast.history.times import INSTANT
from holdfast.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.contract.history import History
    from holdfast.history.prepared import Prepared
    from holdfast.progress import Progress

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "customer": pl.String, "as_of": INSTANT, "at": INSTANT, "churned": pl.Int8, "left_at": INSTANT,
}  # fmt: skip


def labels_as_known(
    history: History,
    prepared: Prepared,
    as_of: Sequence[datetime],
    at: Sequence[datetime],
    *,
    memory_mib: int | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Labels that said something else at earlier moments than they say now.

    Args:
        history: the contract.
        prepared: its tables.
        as_of: the snapshots, aware or wall-clock times of the history's zone.
        at: the earlier moments (naive UTC).
        memory_mib: what DuckDB may use before it spills to disk; half of the machine's unless given.
        progress: told of each moment.

    Returns:
        ``customer, as_of, at``, and ``churned`` (1, 0, or null where there was no label) and ``left_at`` as
        known at ``at``. Only labels whose window and grace were over by then.

    Raises:
        HistoryError: another run has prepared the tables anew in the meantime.
        EngineError: there is not enough memory or disk.
    """
    found = [pl.DataFrame(schema=_SCHEMA)]
    if not at or not _may_change(history):
        return found[0]
    shown = progress or NullProgress()
    shown.start("Reading labels as they were known then", len(at))
    looks = moments(history, as_of)
    with opened(prepared, memory_mib=memory_mib) as engine:
        engine.store("moments", looks.filter(pl.col("label_known") <= max(at)))
        engine.run(f"CREATE TABLE _spine AS {spine_sql(history)}")
        engine.run("CREATE VIEW spine AS SELECT s.* FROM _spine AS s JOIN moments AS m ON m.as_of = s.as_of")
        engine.run(f"CREATE TABLE _now AS {labels_sql(history, prepared.until)}")
        for moment in at:
            engine.store("moments", looks.filter(pl.col("label_known") <= moment))
            final = instant(final_before(history, moment))
            told = (
                "SELECT t._customer AS customer, t.as_of, CAST(t.churned AS TINYINT) AS churned, t.left_at "
                f"FROM ({labels_sql(history, moment, known=moment)}) AS t "
                "JOIN _now AS n ON n._customer = t._customer AND n.as_of = t.as_of "
                "WHERE t.churned IS DISTINCT FROM n.churned OR "
                f"t.left_at IS DISTINCT FROM CASE WHEN n.left_at < {final} THEN n.left_at END"
            )
            part = engine.query(told).with_columns(at=pl.lit(moment, INSTANT))
            found.append(part.select(*_SCHEMA))
            shown.advance()
    return pl.concat(found).sort("at", "as_of", "customer")


def _may_change(history: History) -> bool:
    """Whether a fact that labels are made of can become known after it happened, or be corrected."""
    churn = history.churn
    names = [churn.table] if churn.returns is None else [churn.table, churn.returns]
    tables = [history.tables[name] for name in names]
    return any(has_versions(table) or table.known is not None for table in tables)
