"""Columns of times, however written, to instants: naive UTC, microseconds.

A time without a zone is a wall-clock time of the history's zone. One that the clocks skip in spring counts
with the offset before the change, one that they show twice in autumn is the first of the two: as Python's
`zoneinfo` does, so that midnights computed there are the same instants.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import text

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

INSTANT = pl.Datetime("us")
_DAY = pl.duration(days=1)

_CLOCK = (
    r"^(?<day>.*?[0-9])(?:[T ,]+)(?<hour>[0-9]{1,2}):(?<minute>[0-9]{2})"
    r"(?::(?<second>[0-9]{2})(?:[.,](?<fraction>[0-9]{1,9}))?)?"
    r"\s*(?:(?<half>[AaPp])\.?[Mm]\.?)?\s*(?<zone>Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
)
_TWO = r"^\s*([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ](?:[0-9]{4}|[0-9]{2})(?:[T ,]|$)"
_EPOCH = r"^[+-]?[0-9]{9,}(?:\.[0-9]*)?$"
_MONTHS = 12
SOME = 0.05
"""Share of values in one of several ways of writing, from which it is no slip."""

UNSAID = "the day or the month could come first: say day_first in the contract"
"""Why a value such as 03/04/2024 is not read where most are like 2024-03-05."""


@dataclass(frozen=True, slots=True)
class Times:
    """What a column of times holds."""

    instant: pl.Series
    """Datetime (µs, UTC, no zone); null where missing or unreadable."""
    dated: pl.Series
    """Boolean: the day is all that is written; the instant is its first."""


def read_times(column: pl.Series, *, zone: str, day_first: bool) -> Times | None:
    """A column's times; none if its type can hold none.

    Read are ISO 8601 (blank or T, with or without seconds, fraction and zone), day and month by ``day_first``
    with ``/ . -`` and names of months, each with or without a time of day (also AM and PM), and
    20240305. Numbers that count from an epoch are not: nothing says from when and in what.

    Args:
        column: text, or typed as from Parquet or a database.
        zone: of times without one.
        day_first: whether 03/04/2024 is in April.
    """
    kind = column.dtype
    if kind == pl.Date:
        wall = column.cast(INSTANT)
        return Times(to_utc(wall, zone), column.is_not_null())
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is not None:
            plain = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(INSTANT)
            return Times(plain, pl.repeat(value=False, n=len(column), eager=True))
        return Times(to_utc(column.cast(INSTANT), zone), pl.repeat(value=False, n=len(column), eager=True))
    if kind == pl.Null:
        return Times(column.cast(INSTANT), pl.repeat(value=False, n=len(column), eager=True))
    if kind.is_integer():
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        return None
    return _read_text(column.str.strip_chars(), zone, day_first=day_first)


def counts_from_epoch(column: pl.Series) -> bool:
    """Whether most of a column's values are numbers such as 1700000000: seconds since some moment."""
    if column.dtype.is_float():
        return bool(column.is_not_null().any())
    if column.dtype.is_integer():
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        return False
    given = column.drop_nulls()
    return bool(len(given)) and 2 * int(given.str.contains(_EPOCH).sum()) > len(given)


def shows_day_first(column: pl.Series) -> bool:
    """Whether values are written like 25/12/2024, not just a few, and they show that the day comes first."""
    doubts = Doubts()
    doubts.look("", column, column.is_not_null())
    return bool(doubts.day_first())


def day_first_at(column: pl.Series) -> int | None:
    """Where the first value like 25/12/2024 is, if there is one."""
    found: int | None = _parts(column).select((pl.col("one") > _MONTHS).arg_true().first()).item()
    return found


@dataclass
class Doubts:
    """How a table's columns write dates, counted batch by batch, where the contract has no ``day_first``.

    Where most are like 2024-03-05, nothing says how a few like 03/04/2024 are meant. Whether that is so is
    known only at the end of the table, wherever its batches end: then it is read again with ``columns``.
    """

    columns: frozenset[str] = frozenset()
    """Those of which that is known."""
    _counts: dict[str, Counter[str]] = field(default_factory=dict)

    def look(self, name: str, column: pl.Series, read: pl.Series) -> pl.Series | None:
        """Count a batch of a column.

        Args:
            name: the column's.
            column: its values.
            read: Boolean, which of them are dates.

        Returns:
            Boolean, which values leave open what they mean, if the column is one of ``columns``.
        """
        if column.dtype != pl.String:
            return None
        counts = self._counts.setdefault(name, Counter())
        if not column.str.contains(_TWO).any():
            counts["other"] += int(read.sum())
            return None
        parts = _parts(column)
        one, other = parts["one"], parts["other"]
        two = one.is_not_null()
        unsaid = (one.is_between(1, _MONTHS) & other.is_between(1, _MONTHS) & (one != other)).fill_null(
            value=False
        )
        counts["two"] += int(two.sum())
        counts["other"] += int((read & ~two).sum())
        counts["unsaid"] += int(unsaid.sum())
        counts["day"] += int((one > _MONTHS).sum())
        counts["month"] += int((other > _MONTHS).sum())
        return unsaid if name in self.columns else None

    def found(self) -> frozenset[str]:
        """The columns in which a few values leave open what they mean."""
        return frozenset(
            name for name, found in self._counts.items() if found["unsaid"] and found["other"] > found["two"]
        )

    def day_first(self) -> list[str]:
        """The columns in which not just a few values show that the day comes first, and none the month."""
        return [
            name
            for name, found in self._counts.items()
            if found["day"] and not found["month"] and found["two"] > SOME * (found["two"] + found["other"])
        ]


def _parts(column: pl.Series) -> pl.DataFrame:
    """The first two numbers (``one``, ``other``) of values such as 03/04/2024; null in others."""
    return column.to_frame("text").select(
        pl.col("text").str.extract(_TWO, place).cast(pl.Int64).alias(name)
        for place, name in ((1, "one"), (2, "other"))
    )


def to_utc(wall: pl.Series, zone: str) -> pl.Series:
    """Wall-clock times of a zone as instants."""
    if zone == "UTC":
        return wall
    found = wall.to_frame("wall").select(
        pl.coalesce(_instant(pl.col("wall"), zone), _instant(pl.col("wall") - _DAY, zone) + _DAY)
    )
    return found.to_series()


def to_wall(instants: pl.Series, zone: str) -> pl.Series:
    """Instants as the wall-clock times of a zone."""
    if zone == "UTC":
        return instants
    return instants.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)


def day_begin(instants: pl.Series, zone: str) -> pl.Series:
    """The first instant of the zone's day in which each instant lies."""
    return to_utc(to_wall(instants, zone).dt.truncate("1d"), zone)


def next_day(instants: pl.Series, zone: str) -> pl.Series:
    """The first instant of the zone's day after the one in which each instant lies."""
    return to_utc(to_wall(instants, zone).dt.truncate("1d").dt.offset_by("1d"), zone)


def naive(moment: datetime, zone: ZoneInfo) -> datetime:
    """An aware moment, or the wall-clock time of a zone, as naive UTC."""
    from datetime import UTC  # noqa: PLC0415 - a name of its own beside Polars' zones

    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return aware.astimezone(UTC).replace(tzinfo=None)


def aware(instant: datetime, zone: str) -> datetime:
    """A naive UTC moment by a zone's clock, and saying so."""
    from datetime import UTC  # noqa: PLC0415 - as above
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - for types alone elsewhere

    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))


def _instant(wall: pl.Expr, zone: str) -> pl.Expr:
    placed = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return placed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _read_text(stripped: pl.Series, zone: str, *, day_first: bool) -> Times:
    """The plain spellings at the speed of a cast; only what they leave goes through the pattern."""
    plain = stripped.str.contains("^[0-9]{4}-[0-9]{2}-[0-9]{2}").fill_null(value=False)
    shape = stripped.set(~plain, None).str.replace("T", " ", literal=True)
    wall = shape.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    day = shape.str.to_date("%Y-%m-%d", strict=False)
    dated = day.is_not_null() & wall.is_null()
    wall = wall.zip_with(~dated, day.cast(INSTANT))
    instant = to_utc(wall, zone)
    left = (wall.is_null() & stripped.is_not_null() & (stripped != "")).arg_true()
    if len(left):
        rest = _careful(stripped.gather(left), zone, day_first=day_first)
        instant = instant.scatter(left, rest.instant)
        dated = dated.scatter(left, rest.dated)
    return Times(instant, dated)


def _careful(stripped: pl.Series, zone: str, *, day_first: bool) -> Times:
    frame = stripped.to_frame("text").select(
        "text", pl.col("text").str.extract_groups(_CLOCK).struct.unnest()
    )
    whole = frame["text"].zip_with(~frame["text"].str.contains(":", literal=True), frame["day"])
    frame = frame.with_columns(
        text.dates(whole, day_first=day_first).cast(INSTANT).alias("midnight"),
        pl.col("hour", "minute", "second").cast(pl.Int64),
        pl.col("fraction").str.pad_end(9, "0").cast(pl.Int64) // 1_000,
        pl.col("zone").str.to_uppercase(),
    ).with_columns(
        pl.when(pl.col("half").is_null())
        .then(pl.col("hour"))
        .when(pl.col("hour").is_between(1, 12))
        .then(pl.col("hour") % 12 + 12 * (pl.col("half").str.to_lowercase() == "p").cast(pl.Int64))
        .alias("hour")
    )
    timed, second = pl.col("day").is_not_null(), pl.col("second").fill_null(0)
    on_a_clock = (pl.col("hour") < 24) & (pl.col("minute") < 60) & (second < 60)  # noqa: PLR2004 - a clock's
    wall = pl.col("midnight") + pl.duration(
        hours=pl.col("hour"),
        minutes=pl.col("minute"),
        seconds=second,
        microseconds=pl.col("fraction").fill_null(0),
    )
    frame = frame.select(
        "zone",
        pl.when(~timed).then("midnight").when(on_a_clock).then(wall).alias("wall"),
        timed.alias("timed"),
    )
    minutes = frame.select(
        pl.when(pl.col("zone").is_in(["Z", "UTC", "GMT"]))
        .then(0)
        .otherwise(
            (
                pl.col("zone").str.slice(1, 2).cast(pl.Int64, strict=False) * 60
                + pl.col("zone").str.extract("([0-9]{2})$", 1).cast(pl.Int64, strict=False)
                * (pl.col("zone").str.len_chars() > 3).cast(pl.Int64)  # noqa: PLR2004 - +02 has no minutes
            )
            * pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
        )
    ).to_series()
    zoned = frame.with_columns(minutes.alias("offset")).select(
        pl.col("wall") - pl.duration(minutes=pl.col("offset"))
    )
    instant = zoned.to_series().zip_with(frame["zone"].is_not_null(), to_utc(frame["wall"], zone))
    return Times(instant, ~frame["timed"] & instant.is_not_null())
