"""Features of a table of intervals: what is in force, since when, what it says, what it said before.

The newest in force is the one that began last; of several that began at once the one that became known last,
and of those the one with the greatest values, column by column in the contract's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.types import NUMERIC, Kind
from holdfast.history.expressions import Totals, days_between
from holdfast.history.feature import Detail, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.history.feature import HistoryFeature, Input, Source

_NEWEST = "_order = 1 AND _ended IS NULL"


def interval_features(source: Source) -> list[HistoryFeature]:
    """The features of one table of intervals."""
    return [*_states(source), *_changes(source), *_attributes(source), *_dates(source)]


def newest(one: Input) -> Part:
    """What the newest in force says of a number, category or boolean."""
    of = f"{aggregate(one.told.kind)}({one.slug}__value)"
    return Part(f"{one.slug}__newest", f"{of} FILTER (WHERE {_NEWEST})")


def aggregate(kind: Kind) -> str:
    """The aggregate that gives the only value there is."""
    return "BOOL_OR" if kind is Kind.BOOLEAN else "MAX"


def _states(source: Source) -> Iterator[HistoryFeature]:
    table = source.name
    part = Part("_in_force", "COUNT(*) FILTER (WHERE _ended IS NULL)")
    yield source.count("in_force", f"Number of {table} in force.", part)
    begun = Part("_newest_begin", f"MAX(_begin) FILTER (WHERE {_NEWEST})")
    first = Part("_first_begin", "MIN(_begin)")
    ended = Part("_last_end", "MAX(_ended)")
    for name, doc, one in (
        ("days_in_force", f"Days since the newest of the {table} in force began.", begun),
        ("days_since_first", f"Days since the first of the customer's {table} began.", first),
        ("days_since_end", f"Days since the last end among the {table}; missing if none has ended.", ended),
    ):
        yield source.feature(name, doc, days_between(one.name, "as_of"), one, unit="days")


def _changes(source: Source) -> Iterator[HistoryFeature]:
    table = source.name
    yield source.count("begun_ever", f"Number of {table} that ever began.", Part("_rows_ever", "COUNT(*)"))
    for days in source.some:
        for word, verb, column in (("begun", "began", "_begin"), ("ended", "ended", "_ended")):
            part = Part(f"_{word}_{days}d", f"COUNT(*) FILTER (WHERE {column} >= _w{days})")
            doc = f"Number of {table} that {verb} in the last {days} days."
            yield source.count(f"{word}_{days}d", doc, part)


def _attributes(source: Source) -> Iterator[HistoryFeature]:
    """What the newest in force says."""
    table = source.name
    for one in source.of(Kind.CATEGORY, Kind.BOOLEAN, Kind.NUMBER, Kind.INTEGER):
        of = f"{one.column} of the newest of the {table} in force"
        part = newest(one)
        doc, name = f"The {of}.", one.slug
        if one.told.kind not in NUMERIC:
            yield source.feature(name, doc, part.name, part, kind=one.told.kind, levels=one.told.levels)
            continue
        yield source.feature(name, doc, part.name, part, unit=one.column)
        if source.detail is Detail.LEAST:
            continue
        total = Totals(one.slug, one.told.kind, "in_force", "_ended IS NULL")
        doc = f"Sum of {one.column} of all {table} in force; 0 without any."
        sums = (one.slug, "sum_in_force")
        yield source.feature(sums, doc, total.sum, total.total, unit=one.column, empty=0)
        before = Part(f"{one.slug}__before", f"MAX({one.slug}__before) FILTER (WHERE {_NEWEST})")
        doc = f"The {of}, less that of the one that began before it."
        value = f"{part.name} - {before.name}"
        yield source.feature((one.slug, "change"), doc, value, part, before, unit=one.column)
        doc = f"The {of}, divided by that of the one that began before it; missing where that is 0."
        value = f"{part.name} / NULLIF({before.name}, 0)"
        yield source.feature((one.slug, "change_ratio"), doc, value, part, before, unit="ratio")


def _dates(source: Source) -> Iterator[HistoryFeature]:
    for one in source.of(Kind.DATE):
        part = Part(f"{one.slug}__newest", f"MAX({one.slug}__value) FILTER (WHERE {_NEWEST})")
        doc = f"Days until {one.column} of the newest of the {source.name} in force; negative once past."
        value = days_between("as_of", part.name)
        yield source.feature(("days_until", one.slug), doc, value, part, unit="days")
