"""Features of a table of customers: what it says of each.

Dates become ages: a date itself would tell a model which part of the calendar it was trained on. Where more
than one row of a customer is known, the one that began last counts, then the one that became known last, then
the one with the greatest values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.types import NUMERIC, Kind
from holdfast.history.expressions import days_between
from holdfast.history.feature import Part
from holdfast.history.of_intervals import aggregate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.history.feature import HistoryFeature, Source

_NEWEST = "_order = 1"


def customer_features(source: Source) -> list[HistoryFeature]:
    """The features of one table of customers."""
    return list(_features(source))


def _features(source: Source) -> Iterator[HistoryFeature]:
    table = source.name
    if source.table.begin is not None:
        part = Part("_begun", f"MAX(_begin) FILTER (WHERE {_NEWEST})")
        doc = f"Days since the customer joined ({source.table.begin})."
        yield source.feature("days_since_begin", doc, days_between(part.name, "as_of"), part, unit="days")
    for one in source.inputs:
        kind = one.told.kind
        part = Part(f"{one.slug}__newest", f"{aggregate(kind)}({one.slug}__value) FILTER (WHERE {_NEWEST})")
        doc = f"The {one.column} that {table} has."
        if kind is Kind.DATE:
            doc = f"Days since {one.column} of {table}; negative if it is still to come."
            age = days_between(part.name, "as_of")
            yield source.feature((one.slug, "age"), doc, age, part, unit="days")
        elif kind in NUMERIC:
            yield source.feature(one.slug, doc, part.name, part, unit=one.column)
        else:
            yield source.feature(one.slug, doc, part.name, part, kind=kind, levels=one.told.levels)
