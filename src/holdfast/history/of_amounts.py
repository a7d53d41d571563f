"""Features of a number that a table of events has: how much, how it varies, how it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.history.expressions import FIRST, SINCE_FIRST, Totals
from holdfast.history.feature import Detail, Part
from holdfast.history.windows import in_last, short_and_long, trend, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.history.feature import HistoryFeature, Input, Source

NEWEST = 30
"""Events that the rolling average over the newest looks at, and all that tie with the last of them."""

_PERCENTILES = {"0.5": ("median", "Median"), "0.9": ("p90", "90th percentile")}


def amount_features(source: Source, one: Input) -> Iterator[HistoryFeature]:
    """The features of one number, as far as the detail goes."""
    if source.detail is Detail.LEAST:
        yield _mean(source, one, source.longest)
        return
    for days in source.some:
        some = Totals(one.slug, one.told.kind, f"{days}d", within(days))
        doc = f"Sum of {_of(source, one, days)}; 0 without any."
        name = (one.slug, f"sum_{days}d")
        yield source.feature(name, doc, some.sum, some.total, unit=one.column, empty=0)
        yield _mean(source, one, days)
    ever = Totals(one.slug, one.told.kind, "ever")
    doc = f"Sum of {one.column} of all {source.name} ever; 0 without any."
    yield source.feature((one.slug, "sum_ever"), doc, ever.sum, ever.total, unit=one.column, empty=0)
    doc = f"Sum of {one.column} of all {source.name} ever, divided by the days since the first of them."
    per_day = f"COALESCE({ever.sum}, 0) / ({SINCE_FIRST})"
    yield source.feature(
        (one.slug, "sum_per_day"), doc, per_day, ever.total, FIRST, unit=f"{one.column} a day"
    )
    part = Part(f"{one.slug}__max_ever", f"MAX({one.slug}__value)")
    doc = f"Largest {one.column} of all {source.name} ever."
    yield source.feature((one.slug, "max_ever"), doc, part.name, part, unit=one.column)
    if source.detail is Detail.FULL:
        yield from _spread(source, one)
        yield from _newest(source, one)
        yield from _trend(source, one)


def _of(source: Source, one: Input, days: int) -> str:
    return f"{one.column} of the {source.name} {in_last(days)}"


def _mean(source: Source, one: Input, days: int) -> HistoryFeature:
    some = Totals(one.slug, one.told.kind, f"{days}d", within(days))
    doc = f"Mean of {_of(source, one, days)}."
    return source.feature(
        (one.slug, f"mean_{days}d"), doc, some.mean, some.total, some.count, unit=one.column
    )


def _spread(source: Source, one: Input) -> Iterator[HistoryFeature]:
    """Deviations and percentiles, over windows of 90 days and more: shorter ones hold too few events."""
    for days in source.long:
        some = Totals(one.slug, one.told.kind, f"{days}d", within(days))
        of = _of(source, one, days)
        doc = f"Sample standard deviation of {of}; missing for fewer than two."
        parts = (some.count, some.coarse, some.squares)
        yield source.feature((one.slug, f"sd_{days}d"), doc, some.deviation, *parts, unit=one.column)
        for share, (word, said) in _PERCENTILES.items():
            part = some.quantile(share)
            name, doc = (one.slug, f"{word}_{days}d"), f"{said} of {of}, interpolated."
            yield source.feature(name, doc, part.name, part, unit=one.column)


def _newest(source: Source, one: Input) -> Iterator[HistoryFeature]:
    some = Totals(one.slug, one.told.kind, "newest", f"_rank <= {NEWEST}", "ordered")
    doc = f"Mean of {one.column} of the newest {NEWEST} {source.name}; ties with the last of them count too."
    name = (one.slug, f"mean_last{NEWEST}")
    yield source.feature(name, doc, some.mean, some.total, some.count, unit=one.column)
    some = Totals(one.slug, one.told.kind, "last", "_rank = 1", "ordered")
    doc = f"Mean of {one.column} of the newest of the {source.name}: of one, unless several are as new."
    yield source.feature((one.slug, "last"), doc, some.mean, some.total, some.count, unit=one.column)
    high = Totals(one.slug, one.told.kind, f"{source.longest}d", within(source.longest)).quantile("0.9")
    doc = (
        f"Mean of {one.column} of the newest of the {source.name}, divided by the 90th percentile of "
        f"{_of(source, one, source.longest)}: whether little is little for this customer; missing where that "
        "is 0."
    )
    value = f"({some.mean}) / NULLIF({high.name}, 0)"
    name = (one.slug, "last_ratio")
    yield source.feature(name, doc, value, some.total, some.count, high, unit="ratio")


def _trend(source: Source, one: Input) -> Iterator[HistoryFeature]:
    recent, earlier = short_and_long(source)
    if recent == earlier:
        return
    above = Totals(one.slug, one.told.kind, f"{recent}d", within(recent)).total
    below = Totals(one.slug, one.told.kind, f"{earlier}d", within(earlier)).total
    value = trend(f"COALESCE({above.name}, 0)", recent, below.name, earlier)
    doc = f"Sum of {one.column} a day {in_last(recent)}, divided by that {in_last(earlier)}; missing if zero."
    yield source.feature((one.slug, "trend"), doc, value, above, below, unit="ratio")
