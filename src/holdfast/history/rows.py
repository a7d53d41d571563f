"""Turns the rows of a table into canonical ones, typed and on one clock, and sets the others aside.

Canonical columns: ``_customer``; events ``_time``; others ``_begin`` and ``_end``; all ``_known``; ``_id``
where rows are versions; ``_file`` and ``_row``, where the row is from; then the contract's own columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind
from holdfast.contract.history import ENDLESS, ChurnEvent, TableKind
from holdfast.contract.parse import key_of, level_expr, level_key, missing_expr
from holdfast.history.problems import HistoryError
from holdfast.history.times import (
    INSTANT,
    UNSAID,
    Doubts,
    Times,
    counts_from_epoch,
    day_begin,
    day_first_at,
    next_day,
    read_times,
    shows_day_first,
    to_wall,
)
from holdfast.history.values import OwnColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.contract.history import History, Table
    from holdfast.sources import RawBatch

ALWAYS = datetime(1900, 1, 1)  # noqa: DTZ001 - canonical times are naive UTC
"""Since when the facts of a table without clocks are known; nothing in a history is older."""

NOT_YET = ("in the future", "known in the future")
"""Reasons that time itself removes."""

REJECTS = pl.Schema(
    {"file": pl.String, "row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}
)


@dataclass
class Read:
    """What one batch gives."""

    frame: pl.DataFrame
    rejects: pl.DataFrame
    """One line a rejected row: the first reason found."""
    notes: dict[str, int] = field(default_factory=dict)
    """Rows or cells that were kept although something is odd, by what."""


class TableReader:
    """Reads the batches of one table.

    Args:
        history: the contract.
        name: of the table in it.
        schema: the columns and types of its source.
        bound: what happens at or after this moment (naive UTC) is in the future.
        now: nothing is known after it.
        doubtful: what an earlier reader of the same table found, see `finish`.

    Raises:
        HistoryError: a column is missing, or holds no times where the contract says so.
    """

    def __init__(
        self,
        history: History,
        name: str,
        schema: Mapping[str, pl.DataType],
        *,
        bound: datetime,
        now: datetime,
        doubtful: frozenset[str] = frozenset(),
    ) -> None:
        self._name = name
        self._table: Table = history.tables[name]
        self._zone = history.clock.time_zone
        self._bound, self._now = bound, now
        self._by_contract = history.clock.until is not None
        self._doubts = Doubts(doubtful)
        self._values = OwnColumns(history, name, self._doubts)
        self._own = self._values.columns
        self._walls = needs_walls(history, name)
        missing = [c for c in self._table.clocks if c not in schema]
        missing += [c for c, kind in self._own.items() if c not in schema and kind.required]
        if missing:
            raise self._error(f'has no column "{missing[0]}"', missing[0], _nearest(missing[0], schema))
        self.columns = [c for c in schema if c in self._table.clocks or c in self._own]
        wrong = name_that_clashes(self._own)
        if wrong is not None:
            raise self._error(*wrong)
        self.schema = self._schema()
        self._seen = False

    def read(self, batch: RawBatch) -> Read:
        """The batch's canonical rows, and its rejects.

        Raises:
            HistoryError: a column of times holds something else altogether.
        """
        raw = _plain(batch.frame)
        if not self._seen and raw.height:
            self._look(raw, batch)
            self._seen = True
        table, zone = self._table, self._zone
        found = pl.DataFrame(
            {"_file": pl.repeat(batch.file, raw.height, dtype=pl.String, eager=True), "_row": batch.rows}
        )
        customer = raw.select(level_expr(table.customer, raw.schema[table.customer])).to_series()
        found = found.with_columns(customer.alias("_customer"))
        checks: list[tuple[pl.Series, str, str]] = [(_absent(customer), table.customer, "no customer id")]
        notes: dict[str, int] = {}
        if table.id is not None:
            key = raw.select(level_expr(table.id, raw.schema[table.id])).to_series().alias("_id")
            found = found.with_columns(key)
            notes["no id, so a fact of its own"] = key.null_count()
        start = table.time if table.kind is TableKind.EVENTS else table.begin
        begun = self._times(raw, start, checks, required=table.kind is not TableKind.CUSTOMERS)
        if start is not None:
            ahead = (begun.instant >= self._bound).fill_null(value=False)
            reason = "after the day until which the contract takes all" if self._by_contract else NOT_YET[0]
            checks.append((ahead, start, reason))
        if table.kind is TableKind.EVENTS:
            found = found.with_columns(begun.instant.alias("_time"))
        else:
            end = self._end(raw, checks)
            found = found.with_columns(begun.instant.alias("_begin"), end.alias("_end"))
            if table.end is not None:
                checks.append(
                    ((end < begun.instant).fill_null(value=False), table.end, "the end is before the begin")
                )
        happened = begun.instant if start is not None else _always(raw.height)
        found = found.with_columns(self._known(raw, happened.fill_null(ALWAYS), checks, notes))
        values, odd = self._values.read(raw)
        found = found.with_columns(*self._helpers(found, zone), *values)
        return _settled(found.select(self.schema.names()), raw, checks, batch, notes | odd)

    def finish(self) -> frozenset[str]:
        """After the last batch, the columns of which a few values leave open whether the day comes first.

        They were read month first. If there are such, the table must be read again by a reader that knows.

        Raises:
            HistoryError: a clock is written day first, and the contract does not say so.
        """
        for name in self._doubts.day_first():
            if name in self._table.clocks:
                raise self._day_first(name)
        return self._doubts.found()

    def _schema(self) -> pl.Schema:
        table = self._table
        names: dict[str, pl.DataType] = {"_file": pl.String(), "_row": pl.Int64()}
        names |= {"_id": pl.String()} if table.id is not None else {}
        names |= {"_day": INSTANT} if table.kind is TableKind.CUSTOMERS else {}
        names |= {"_customer": pl.String()}
        times = ("_time",) if table.kind is TableKind.EVENTS else ("_begin", "_end")
        names |= dict.fromkeys((*times, "_known"), INSTANT)
        names |= {f"{time}_wall": INSTANT for time in times} if self._walls else {}
        return pl.Schema(names | self._values.schema)

    def _helpers(self, found: pl.DataFrame, zone: str) -> list[pl.Series]:
        made = []
        if self._table.kind is TableKind.CUSTOMERS:
            made.append(day_begin(found["_begin"], zone).alias("_day"))
        if self._walls:
            made += [
                to_wall(found[n], zone).alias(f"{n}_wall")
                for n in ("_time", "_begin", "_end")
                if n in found.columns
            ]
        return made

    def _times(
        self, raw: pl.DataFrame, name: str | None, checks: list[tuple[pl.Series, str, str]], *, required: bool
    ) -> Times:
        """A column's times; what cannot be read, or is needed and missing, is checked for."""
        if name is None:
            return Times(pl.Series([None], dtype=INSTANT).new_from_index(0, raw.height), _never(raw.height))
        times = read_times(raw[name], zone=self._zone, day_first=bool(self._table.day_first))
        if times is None:
            raise self._error(f'has no times in column "{name}", but {raw[name].dtype}', name, _WRITE_ISO)
        missing = raw.select(missing_expr(name, raw.schema[name], Kind.DATE)).to_series()
        if required:
            checks.append((missing, name, "no time"))
        if self._table.day_first is None:
            unsaid = self._doubts.look(name, raw[name], times.instant.is_not_null())
            checks += [] if unsaid is None else [(unsaid, name, UNSAID)]
        checks.append((times.instant.is_null() & ~missing, name, "the time cannot be read"))
        checks.append(((times.instant < ALWAYS).fill_null(value=False), name, "before the year 1900"))
        return times

    def _end(self, raw: pl.DataFrame, checks: list[tuple[pl.Series, str, str]]) -> pl.Series:
        """Ends; null where it goes on."""
        name = self._table.end
        if name is None:
            return pl.Series([None], dtype=INSTANT).new_from_index(0, raw.height)
        if raw.schema[name] == pl.String:
            words = sorted({key_of(word) for word in (*self._table.ongoing, "no")})
            open_ended = level_key(pl.col(name)).is_in(words)
            raw = raw.with_columns(pl.when(~open_ended).then(pl.col(name)))
        end = self._times(raw, name, checks, required=False).instant
        return end.set(end.dt.year() >= ENDLESS, None)

    def _known(
        self,
        raw: pl.DataFrame,
        happened: pl.Series,
        checks: list[tuple[pl.Series, str, str]],
        notes: dict[str, int],
    ) -> pl.Series:
        """When each row became known.

        Who writes a day alone knew it by that day's end. What is not said is when it happened.
        """
        name = self._table.known
        if name is None:
            return happened.alias("_known")
        times = self._times(raw, name, checks, required=False)
        known = next_day(times.instant, self._zone).zip_with(times.dated, times.instant)
        if self._table.kind is TableKind.EVENTS:
            early = (known < happened).fill_null(value=False)
            checks.append((early, name, "known before it happened"))
        late = (times.instant > self._now).fill_null(value=False)
        checks.append((late, name, NOT_YET[1]))
        notes["no time at which it became known: taken as when it happened"] = known.null_count()
        return known.zip_with(known.is_not_null(), happened).alias("_known")

    def _look(self, raw: pl.DataFrame, batch: RawBatch) -> None:
        """Refuse what would be misread throughout."""
        table = self._table
        for name in filter(None, (table.time, table.begin, table.end, table.known)):
            if counts_from_epoch(raw[name]):
                shown = raw[name].drop_nulls()[0]
                raise self._error(
                    f'has numbers in column "{name}", such as {shown}, where the contract says times',
                    name,
                    _WRITE_ISO,
                )
            if table.day_first is None and shows_day_first(raw[name]):
                at = day_first_at(raw[name]) or 0
                row = f'"{raw[name][at]}" in row {batch.rows[at]:,}'
                file = f" of {batch.file.rpartition('/')[2]}" if batch.file else ""
                raise self._day_first(name, f", such as {row}{file},")

    def _day_first(self, column: str, shown: str = ",") -> HistoryError:
        return self._error(
            f'writes the day first in column "{column}"{shown} and the contract does not say so',
            column,
            f"Write  day_first = true  under [tables.{self._name}].",
        )

    def _error(self, what: str, column: str, hint: str) -> HistoryError:
        return HistoryError(
            f'Table "{self._name}" {what}.',
            where=f"table {self._name} ({self._table.source}), column {column}",
            hint=hint,
        )


_WRITE_ISO = (
    "Write times such as 2024-03-05 or 2024-03-05T14:30:00+01:00; seconds since an epoch are not read."
)


def name_that_clashes(columns: Iterable[str]) -> tuple[str, str, str] | None:
    """What is wrong with the names of a table's columns, which column, and what to do; none if nothing is.

    To SQL a name is the same in any case, and names of our own begin with an underscore.
    """
    seen: dict[str, str] = {}
    for name in columns:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            return f'has the columns "{other}" and "{name}"', name, "Rename one; case is no difference."
        if name.startswith("_"):
            return f'has a column "{name}"', name, "Rename it; names with _ in front are taken."
    return None


def needs_walls(history: History, name: str) -> bool:
    """Whether the label counts days between times of this table: a grace, which no snapshot anchors."""
    return history.churn.event is not ChurnEvent.INACTIVITY and name in {
        history.churn.table,
        history.churn.returns,
    }


def _nearest(name: str, schema: Mapping[str, object]) -> str:
    from holdfast.errors import nearest  # noqa: PLC0415 - used in errors alone

    return f"{nearest(name, schema)} Mend the contract, or add the column to the table."


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Dictionary-encoded columns as text."""
    encoded = [name for name, kind in frame.schema.items() if kind in (pl.Categorical, pl.Enum)]
    return frame.with_columns(pl.col(encoded).cast(pl.String)) if encoded else frame


def _absent(column: pl.Series) -> pl.Series:
    return column.is_null() | (column == "").fill_null(value=False)


def _never(height: int) -> pl.Series:
    return pl.repeat(value=False, n=height, eager=True)


def _always(height: int) -> pl.Series:
    return pl.Series([ALWAYS], dtype=INSTANT).new_from_index(0, height)


def _settled(
    found: pl.DataFrame,
    raw: pl.DataFrame,
    checks: list[tuple[pl.Series, str, str]],
    batch: RawBatch,
    notes: dict[str, int],
) -> Read:
    """Parts good rows from rejected ones, each with its first reason."""
    malformed = batch.malformed.with_columns(file=pl.lit(batch.file, pl.String)).match_to_schema(REJECTS)
    rejected = [malformed]
    good = ~_never(found.height)
    for wrong, column, reason in checks:
        here = wrong & good
        if here.any():
            rejected.append(
                found.filter(here).select(
                    pl.col("_file").alias("file"),
                    pl.col("_row").alias("row"),
                    pl.lit(column).alias("column"),
                    raw.filter(here)[column].cast(pl.String, strict=False).alias("value"),
                    pl.lit(reason).alias("reason"),
                )
            )
            good &= ~here
    frame = found if len(rejected) == 1 else found.filter(good)
    return Read(frame, pl.concat(rejected), {what: count for what, count in notes.items() if count})
