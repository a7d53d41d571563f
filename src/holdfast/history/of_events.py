"""Features of a table of events: how many, how recent, how regular, what share is of which kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.types import FEW_LEVELS, Kind
from holdfast.history.expressions import DAY, FIRST, SINCE_FIRST, Totals, days_between, deviation
from holdfast.history.feature import Detail, HistoryFeature, Input, Part, Source, slug, unlike
from holdfast.history.of_amounts import amount_features
from holdfast.history.settle import literal, quoted
from holdfast.history.values import as_spelt, spellings
from holdfast.history.windows import in_last, short_and_long, trend, within

if TYPE_CHECKING:
    from collections.abc import Iterator

VISIT_HOURS = 12
"""Hours without an event after which the next one is another visit."""

_LAST = Part("_last", "MAX(_time)")
_ROWS = Part("_rows_ever", "COUNT(*)")
_GAP_MEAN = f"{days_between('_first', '_last')} / NULLIF(_rows_ever - 1, 0)"


def event_features(source: Source) -> list[HistoryFeature]:
    """The features of one table of events."""
    return [
        *_counts(source),
        *_recency(source),
        *_rhythm(source),
        *(_failures(source) if source.table.failures else ()),
        *(
            feature
            for one in source.of(Kind.NUMBER, Kind.INTEGER)
            for feature in amount_features(source, one)
        ),
        *(feature for one in source.of(Kind.CATEGORY, Kind.BOOLEAN) for feature in _shares(source, one)),
        *(feature for one in source.of(Kind.DATE) for feature in _pending(source, one)),
    ]


def failed(source: Source, row: str) -> str:
    """SQL that is true of a row that failed, by any of the columns that say so."""
    table = source.table
    tests = [
        f"{row}.{quoted(column)} IN ("
        f"{', '.join(map(literal, as_spelt(levels, spellings(table, column, None))))})"
        for column, levels in table.failures.items()
    ]
    return f"COALESCE({' OR '.join(tests)}, FALSE)"


def _rows_in(days: int) -> Part:
    return Part(f"_rows_{days}d", f"COUNT(*) FILTER (WHERE {within(days)})")


def _counts(source: Source) -> Iterator[HistoryFeature]:
    table = source.name
    for days in source.windows:
        yield source.count(f"count_{days}d", f"Number of {table} {in_last(days)}.", _rows_in(days))
    yield source.count("count_ever", f"Number of {table} ever.", _ROWS)
    doc = f"Number of {table} ever, divided by the days since the first of them."
    yield source.feature(
        "count_per_day", doc, f"_rows_ever / ({SINCE_FIRST})", _ROWS, FIRST, unit=f"{table} a day"
    )
    recent, earlier = short_and_long(source)
    if recent != earlier:
        above, below = _rows_in(recent), _rows_in(earlier)
        doc = (
            f"Number of {table} a day {in_last(recent)}, divided by that {in_last(earlier)}; missing if zero."
        )
        value = trend(above.name, recent, below.name, earlier)
        yield source.feature("count_trend", doc, value, above, below, unit="ratio")


def _recency(source: Source) -> Iterator[HistoryFeature]:
    table = source.name
    for word, part in (("last", _LAST), ("first", FIRST)):
        doc = f"Days since the {word} of the customer's {table}."
        yield source.feature(f"days_since_{word}", doc, days_between(part.name, "as_of"), part, unit="days")
    doc = f"Time from the first to the last of the {table}, as a share of the time since the first."
    share = f"({days_between('_first', '_last')}) / ({SINCE_FIRST})"
    yield source.feature("active_share", doc, share, FIRST, _LAST, unit="share")


def _rhythm(source: Source) -> Iterator[HistoryFeature]:
    """Time between events. Its mean needs no order: it follows from the first, the last and the count."""
    table, ends = source.name, (_ROWS, FIRST, _LAST)
    doc = f"Mean days from one of the {table} to the next, ever; missing for fewer than two."
    yield source.feature("gap_mean", doc, _GAP_MEAN, *ends, unit="days")
    doc = (
        f"Days since the last of the {table}, divided by the mean days between two; missing where that is 0."
    )
    overdue = f"({days_between('_last', 'as_of')}) / NULLIF({_GAP_MEAN}, 0)"
    yield source.feature("overdue", doc, overdue, *ends, unit="ratio")
    if source.detail is not Detail.LEAST:
        yield from _gaps(source)


def _gaps(source: Source) -> Iterator[HistoryFeature]:
    """What needs the gaps one by one."""
    table, ends = source.name, (_ROWS, FIRST, _LAST)
    count = Part("_gaps", "COUNT(_gap)", "ordered")
    total = Part("_gap_total", "SUM(CAST(_gap AS HUGEINT))", "ordered")
    squares = Part("_gap_squares", "SUM(CAST(_gap AS HUGEINT) * CAST(_gap AS HUGEINT))", "ordered")
    doc = f"Sample standard deviation of the days from one of the {table} to the next; missing below three."
    value = deviation(count.name, total.name, squares.name, DAY)
    yield source.feature("gap_sd", doc, value, count, total, squares, unit="days")
    last = Part("_gap_last", "MIN(_gap) FILTER (WHERE _rank = 1)", "ordered")
    days = f"CAST({last.name} AS DOUBLE) / {DAY}"
    doc = f"Days between the last two of the {table}; missing for fewer than two."
    yield source.feature("gap_last", doc, days, last, unit="days")
    doc = f"Days between the last two of the {table}, divided by the mean; missing where that is 0."
    yield source.feature(
        "gap_last_ratio", doc, f"({days}) / NULLIF({_GAP_MEAN}, 0)", last, *ends, unit="ratio"
    )
    apart = Part(
        "_visits", f"COUNT(*) FILTER (WHERE _gap IS NULL OR _gap >= {VISIT_HOURS * 3_600_000_000})", "ordered"
    )
    doc = f"Number of visits ever: {table} less than {VISIT_HOURS} hours after another belong to its visit."
    yield source.count("visits_ever", doc, apart)


def _failures(source: Source) -> Iterator[HistoryFeature]:
    table = source.name
    failures = source.table.failures.items()
    said = " or ".join(f"{column} is {' or '.join(levels)}" for column, levels in failures)
    ever = Part("_failed_ever", "COUNT(*) FILTER (WHERE _failed)")
    yield source.count("failures_ever", f"Number of {table} ever that failed ({said}).", ever)
    for days in source.windows:
        if days < 30 and days != source.longest:  # noqa: PLR2004 - a rate over fewer days is noise
            continue
        rows = _rows_in(days)
        part = Part(f"_failed_{days}d", f"COUNT(*) FILTER (WHERE _failed AND {within(days)})")
        doc = f"Share of the {table} {in_last(days)} that failed ({said})."
        value = f"CAST({part.name} AS DOUBLE) / NULLIF({rows.name}, 0)"
        yield source.feature(f"failure_rate_{days}d", doc, value, part, rows, unit="share")
    last = Part("_failed_last", "MAX(_time) FILTER (WHERE _failed)")
    doc = f"Days since the last of the {table} that failed ({said})."
    yield source.feature("days_since_last_failure", doc, days_between(last.name, "as_of"), last, unit="days")


def _shares(source: Source, one: Input) -> Iterator[HistoryFeature]:
    """How often a category has each of its levels, or a boolean is true."""
    levels = one.told.levels or ()
    if source.detail is Detail.LEAST or (
        one.told.kind is Kind.CATEGORY and not 0 < len(levels) <= FEW_LEVELS
    ):
        return
    column = f"{one.slug}__value"
    if one.told.kind is Kind.BOOLEAN:
        tests = [("", column, "true")]
    else:
        names = unlike([slug(level) for level in levels])
        tests = [(n, f"{column} = {literal(level)}", level) for n, level in zip(names, levels, strict=True)]
    for days in source.long:
        known = Part(f"{one.slug}__n_{days}d", f"COUNT({column}) FILTER (WHERE {within(days)})")
        for name, test, level in tests:
            part = Part(
                f"{one.slug}__{name}_in_{days}d", f"COUNT(*) FILTER (WHERE {test} AND {within(days)})"
            )
            doc = (
                f"Share of the {source.name} {in_last(days)} whose {one.column} is {level}, "
                "of those where it is known."
            )
            value = f"CAST({part.name} AS DOUBLE) / NULLIF({known.name}, 0)"
            yield source.feature((one.slug, name, f"share_{days}d"), doc, value, part, known, unit="share")


def _pending(source: Source, one: Input) -> Iterator[HistoryFeature]:
    """A second time of an event, such as when a ticket was closed: how long until it, how often not yet."""
    table, column = source.name, one.column
    part = Part(f"{one.slug}__pending", f"COUNT(*) FILTER (WHERE {one.slug}_delay__value IS NULL)")
    doc = f"Number of {table} ever whose {column} is missing or not yet past."
    yield source.count((one.slug, "pending"), doc, part)
    if source.detail is Detail.FULL:
        some = Totals(f"{one.slug}_delay", Kind.NUMBER, "ever", "")
        doc = f"Mean days from each of the {table} ever to its {column}, where that is past."
        yield source.feature(
            (one.slug, "delay_mean_ever"), doc, some.mean, some.total, some.count, unit="days"
        )
    if source.detail is not Detail.LEAST:
        days = source.longest
        some = Totals(f"{one.slug}_delay", Kind.NUMBER, f"{days}d", within(days))
        doc = f"Mean days from each of the {table} {in_last(days)} to its {column}, where that is past."
        name = (one.slug, f"delay_mean_{days}d")
        yield source.feature(name, doc, some.mean, some.total, some.count, unit="days")
