"""Medians of everybody (`holdfast.history.of_peers`) from PostgreSQL, and as a table of a later statement.

Statements there see some customers alone, so one of its own asks about everybody, once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.history.clocks import instant
from holdfast.history.engines.postgres import moments_sql, with_queries
from holdfast.history.of_peers import peers_sql
from holdfast.history.settle import literal
from holdfast.history.translate import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import polars as pl

    from holdfast.contract.history import History
    from holdfast.history.engines.postgres import Reading
    from holdfast.history.feature import HistoryFeature

Median = tuple[str, "datetime", str, float]
"""A feature's name, the begin of a day (naive UTC), a level and the median there."""

_NONE = "CAST(NULL AS TEXT), CAST(NULL AS TIMESTAMP), CAST(NULL AS TEXT), CAST(NULL AS DOUBLE PRECISION)"


def medians(
    history: History,
    reading: Reading,
    features: Sequence[HistoryFeature],
    looks: pl.DataFrame,
    bound: datetime | None = None,
) -> list[Median]:
    """What features need on the days of some moments, over everybody.

    Args:
        history: the contract.
        reading: of the database.
        features: `holdfast.history.of_peers.with_peers` of those that are built; at least one.
        looks: the moments (`holdfast.history.moments.moments`).
        bound: what happens at or after it is in the future (naive UTC); the reading's, unless given.
    """
    scope = reading.scope()
    if bound is not None:
        scope = replace(scope, bound=instant(bound))
    named = [*reading.canonical(scope), ("moments", moments_sql(looks))]
    query = translated(peers_sql(history, features), "postgres")
    return [
        (name, day, level, median) for name, day, level, median in reading.rows(with_queries(named, query))
    ]


def medians_sql(found: Iterable[Median]) -> str:
    """The table of medians as SQL."""
    rows = [
        f"{literal(name)}, {instant(day)}, {literal(level)}, {median!r}" for name, day, level, median in found
    ]
    columns = "_feature, _day, _level, _median"
    return f"SELECT * FROM (VALUES ({'), ('.join([_NONE, *rows])})) AS p({columns})"
