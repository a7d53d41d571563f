"""Columns of intervals that say whether a row has ended: a status of today, a reason, what was paid back.

A customer with several contracts leaves with the last of them, so that many with an ended one stay: what
tells of the end is seen beside the row's own end, not beside the customer's leaving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.history import TableKind
from holdfast.contract.types import Kind
from holdfast.history.clocks import instant, latest
from holdfast.history.leak import FEWEST, PURE, Leak, excluded
from holdfast.history.settle import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.history.leak import Scene

MOST_LEVELS = 20
"""With more levels than these a column is no state of a row."""

BETTER = 0.1
"""Of the rows that are wrong by the commoner state alone, so many may be wrong by the column's level."""


def leaks_of_ends(scene: Scene) -> Iterator[Leak]:
    """Look at each column of each intervals table whose rows are changed in place."""
    for name, table in scene.history.tables.items():
        if table.kind is not TableKind.INTERVALS or table.known is not None:
            continue
        for column, told in table.inputs.items():
            worded = told.kind in (Kind.CATEGORY, Kind.BOOLEAN)
            level = f"CAST(t.{quoted(column)} AS VARCHAR)" if worded else f"t.{quoted(column)} IS NULL"
            counts = scene.engine.query(
                f"SELECT {level} AS level, count(*) AS rows, count(*) FILTER (WHERE t._end < "
                f"{instant(scene.prepared.until)}) AS ended FROM {quoted(name)} AS t "
                f"WHERE {latest(table, 't')} GROUP BY level LIMIT {MOST_LEVELS + 1}"
            )
            reason = _says_ended(counts["rows"].to_list(), counts["ended"].to_list())
            if reason:
                yield Leak(name, column, None, reason, excluded(name, column, "known once it has ended"))


def _says_ended(rows: list[int], ended: list[int]) -> str | None:
    """Whether the levels part the rows that have ended from those that go on.

    Args:
        rows: of each level.
        ended: how many of them have ended.
    """
    total, gone = sum(rows), sum(ended)
    rarer = min(gone, total - gone)
    wrong = sum(min(past, every - past) for every, past in zip(rows, ended, strict=True))
    if len(rows) > MOST_LEVELS or rarer < FEWEST or wrong > min((1 - PURE) * total, BETTER * rarer):
        return None
    return (
        f"it tells whether a row has ended, right in {total - wrong:,} of {total:,} rows, of which {gone:,} "
        "have, as a state does that is written once somebody has left"
    )
