"""Times at which rows were written, that the contract does not declare: rows count before anybody knew them.

Without ``known`` a row is taken as known once it happened. Where a column beside says that rows are written
days later, those days are a future that features would see: tickets entered after a customer left, with the
date of the complaint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.guess.clocks import KNOWN_WORDS, PLANNED
from holdfast.contract.guess.names import words
from holdfast.contract.history import TableKind
from holdfast.contract.types import Kind
from holdfast.history.leak import Leak
from holdfast.history.settle import quoted
from holdfast.history.times import read_times
from holdfast.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.contract.history import History, Table
    from holdfast.history.engines.duck import Duck
    from holdfast.settings import Settings

LOOKED_AT = 500_000
"""Rows of the beginning of a table."""

MOSTLY = 0.98
"""Share of rows in which it is there, and not before the time (by day)."""

LATER = 0.9
"""Share of an event's dates after its time from which on they are filled in later."""

LATE_DAYS = 1
FEWEST_LATE, LATE = 10, 0.001
"""Rows that must be later than a day, and as a share."""


def leaks_of_clocks(history: History, root: Path, settings: Settings | None) -> Iterator[Leak]:
    """Look in the sources of events and intervals without ``known`` for a column that says it.

    Raises:
        SourceError: a source cannot be read.
    """
    for name, table in history.tables.items():
        start = table.time or table.begin
        if table.kind is TableKind.CUSTOMERS or table.known is not None or start is None:
            continue
        with open_source(table.source, root, settings) as source:
            columns = [c for c in source.names() if _may_say(table, c)]
            if not columns:
                continue
            batches = [b.frame for b in source.batches([start, *columns], limit=LOOKED_AT)]
        if not batches:
            continue
        rows = pl.concat(batches)
        for column in columns:
            reason = _written_later(history, table, rows, start, column)
            if reason:
                yield Leak(
                    name,
                    column,
                    None,
                    reason,
                    f'Write  known = "{column}"  under [tables.{name}]; if it is not when rows became known, '
                    'list it under its columns with  exclude = "not when rows became known".',
                )


def filled_in_later(engine: Duck, history: History) -> list[str]:
    """What to say of events without versions that are told of again later, as a date among them shows."""
    found = []
    for name, table in history.tables.items():
        if table.kind is not TableKind.EVENTS or table.id is not None or table.known is not None:
            continue
        dates = [c for c, told in table.inputs.items() if told.kind is Kind.DATE]
        others = [c for c in table.inputs if c not in dates]
        for date in dates if others else ():
            share = engine.query(
                f"SELECT avg(CASE WHEN t.{quoted(date)} > t._time THEN 1.0 ELSE 0.0 END) AS later "
                f"FROM {quoted(name)} AS t WHERE t.{quoted(date)} IS NOT NULL"
            )["later"].item()
            if share is not None and share > LATER and not PLANNED.intersection(words(date)):
                found.append(
                    f"{date} of {name} is later than {table.time} in {share:.0%} of the rows that have one. "
                    f"What else is written then ({', '.join(others[:3])}?) is seen from {table.time} on: "
                    "exclude it, or keep each change as a row of its own, with id and known."
                )
    return found


def _may_say(table: Table, column: str) -> bool:
    told = table.columns.get(column)
    ours = column in table.clocks or (told is not None and bool(told.exclude))
    return not ours and bool(KNOWN_WORDS.intersection(words(column)))


def _written_later(history: History, table: Table, rows: pl.DataFrame, start: str, column: str) -> str | None:
    zone, first = history.clock.time_zone, bool(table.day_first)
    happened, written = (read_times(rows[c], zone=zone, day_first=first) for c in (start, column))
    if happened is None or written is None:
        return None
    days = (written.instant - happened.instant).dt.total_seconds() / 86_400
    there = days.drop_nulls()
    if there.len() < MOSTLY * rows.height or not there.len() or (there > -1).mean() < MOSTLY:  # type: ignore[operator]
        return None
    late = int((there > LATE_DAYS).sum())
    if late < max(FEWEST_LATE, LATE * there.len()):
        return None
    longest = there.to_numpy().max()
    return (
        f"{late:,} of {there.len():,} rows were written more than a day after {start}, up to "
        f"{longest:.0f} days, and the contract does not say so: they count before anybody knew them"
    )
