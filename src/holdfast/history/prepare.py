"""From a history's sources to one typed Parquet file a table, on one clock, with every rejected row counted.

Single rows are read and judged batch by batch (`holdfast.history.rows`); what needs several of them, such
as versions of one fact and customers that nobody knows, in DuckDB (`holdfast.history.settle`). Both in flat
memory.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
import polars as pl
from pyarrow import parquet

from holdfast.contract.history import ChurnEvent, TableKind
from holdfast.disk import locked, scratch
from holdfast.history.clocks import chosen, latest
from holdfast.history.engines.duck import limit_mib, told
from holdfast.history.own import own_features
from holdfast.history.prepared import STATE, TableCounts, key_of, ready, waits
from holdfast.history.problems import HistoryError
from holdfast.history.rows import REJECTS, TableReader
from holdfast.history.settle import EXAMPLES, UNKNOWN, Settler, literal
from holdfast.history.spans import bound_of, since_of, until_of
from holdfast.progress import NullProgress
from holdfast.sources import SourceError, open_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from holdfast.contract.history import History
    from holdfast.history.prepared import Prepared
    from holdfast.progress import Progress
    from holdfast.settings import Settings
    from holdfast.sources import Source

BATCH_ROWS = 250_000
TWICE = "another file has the same row, so what it tells of counts twice"
AGAIN = "its own file has the same row, so what it tells of counts twice: right if it happened twice"
WRITTEN_TWICE = (
    "its own file has the same row, as of nearly every row: it looks as if the file was written twice. "
    "Export it again, or all of it counts twice"
)
FOREIGN = "its line is not UTF-8 and was read as Windows-1252"


def prepare(
    history: History,
    root: Path,
    folder: Path,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Read a history's tables. What is in ``folder`` is used again if neither sources nor contract changed.

    A row is rejected, with its reason, that has no customer or time, a time that cannot be read, in the
    future (or after the contract's ``until``), before 1900 or before the customer's own begin in the table of
    customers (by day, as first told); an event known before it happened; an end before its begin; a row of a
    customer that the table of customers does not have; one of two versions of an id known at the same moment,
    of which the last one counts. A known-at that is a day alone counts as that day's end.

    Args:
        history: the contract.
        root: its folder, from which sources are seen.
        folder: where the prepared files go; made if it is not there.
        settings: addresses and credentials of sources; those of this process, unless given.
        progress: told of each table.

    Raises:
        HistoryError: a table or column is missing, or nothing in a table can be used.
        QueryError: a feature of one's own cannot be used.
        EngineError: there is not enough memory or disk.
        OSError: the folder cannot be written to.
    """
    shown = progress or NullProgress()
    own_features(history)  # a query that cannot be used is told before tables are read for minutes
    named = {name: table.source for name, table in history.tables.items()}
    with open_sources(named, root, settings) as sources, locked(folder / ".lock"):
        stamps = {name: _asked(name, source, source.stamp) for name, source in sources.items()}
        key = key_of(history, stamps, {name: source.name for name, source in sources.items()})
        found = None if None in stamps.values() else ready(folder, key)
        if found is not None and not waits(found):
            return found
        with scratch(folder, ".prepare-") as work:
            memory = limit_mib(settings.memory_mib if settings else None)
            made = _Preparation(history, sources, work, shown, memory).run()
            (folder / STATE).unlink(missing_ok=True)  # from here on what was there is gone
            for name in history.tables:
                (work / f"{name}.parquet").replace(folder / f"{name}.parquet")
            (work / "rejects.csv").replace(folder / "rejects.csv")
            state = work / STATE
            sizes = {name: (folder / f"{name}.parquet").stat().st_size for name in history.tables}
            made |= {"key": key, "sizes": sizes, "made": uuid4().hex}
            state.write_text(json.dumps(made, indent=1), encoding="utf-8")
            state.replace(folder / STATE)
    found = ready(folder, key)
    if found is None:  # written a moment ago
        raise HistoryError("The prepared tables are gone.", where=str(folder), hint="Run it again.")
    return found


class _Preparation:
    """One run over all tables."""

    def __init__(
        self, history: History, sources: dict[str, Source], work: Path, progress: Progress, memory_mib: int
    ) -> None:
        self._history = history
        self._sources = sources
        self._work = work
        self._progress = progress
        self._memory_mib = memory_mib
        self._now = datetime.now(UTC).replace(tzinfo=None)
        self._bound = bound_of(history, self._now)
        self._rejects: list[pl.DataFrame] = []

    def run(self) -> dict[str, Any]:
        """Prepare each table, the register of customers first; what `ready` reads back."""
        names = sorted(self._history.tables, key=lambda name: name != self._history.customers)
        staged = {name: self._stage(name) for name in names}
        counts: dict[str, TableCounts] = {}
        spans = {}
        (self._work / "spill").mkdir()
        with told(), duckdb.connect() as db:
            db.execute(f"SET temp_directory = {literal(str(self._work / 'spill'))}")
            db.execute(f"SET memory_limit = '{self._memory_mib}MiB'")
            settler = Settler(db, self._history.customers)
            for name in names:
                counts[name] = self._settle(name, settler, *staged[name])
                spans[name] = settler.span(self._work / f"{name}.parquet", self._history.tables[name].kind)
            left = self._first_left(settler)
        listed = (
            pl.concat(self._rejects)
            if self._rejects
            else pl.DataFrame(schema={"table": pl.String, **REJECTS})
        )
        listed.sort("table", "file", "row", maintain_order=True).write_csv(self._work / "rejects.csv")
        since, until = since_of(self._history, spans, left), until_of(self._history, spans, self._bound)
        return {
            "counts": {name: asdict(counts[name]) for name in self._history.tables},
            "since": since.isoformat(),
            "until": until.isoformat(),
        }

    def _stage(self, name: str) -> tuple[Path, TableCounts]:
        """Read one table row by row into a Parquet file; every row has a customer and is on the one clock."""
        source = self._sources[name]
        schema = _asked(name, source, source.schema)
        start = partial(TableReader, self._history, name, schema, bound=self._bound, now=self._now)
        reader, listed = start(), len(self._rejects)
        staged = self._read(name, reader)
        if doubtful := reader.finish():
            del self._rejects[listed:]
            staged = self._read(name, start(doubtful=doubtful))
        return staged

    def _read(self, name: str, reader: TableReader) -> tuple[Path, TableCounts]:
        source = self._sources[name]
        path = self._work / f"{name}.staged"
        self._progress.start(f"Reading {name}", 1.0)
        rejected, notes, kept, done = Counter[str](), Counter[str](), 0, 0.0
        listed = Counter[str]()
        arrow = pl.DataFrame(schema=reader.schema).to_arrow().schema
        with parquet.ParquetWriter(path, arrow, compression="lz4") as writer:
            batches = source.batches(reader.columns, batch_rows=BATCH_ROWS)
            for batch in _told(name, source, batches):
                read = reader.read(batch)
                if read.frame.height:
                    writer.write_table(read.frame.to_arrow().cast(arrow))
                kept += read.frame.height
                notes.update(read.notes)
                notes.update({FOREIGN: batch.windows_1252} if batch.windows_1252 else {})
                rejected.update(dict(read.rejects["reason"].value_counts().iter_rows()))
                self._list(name, read.rejects, listed)
                self._progress.advance(batch.done - done)
                done = batch.done
        return path, TableCounts(kept + rejected.total(), kept, dict(rejected), dict(notes))

    def _list(self, name: str, rejects: pl.DataFrame, listed: Counter[str]) -> None:
        """Keep the first rejects a reason for the file."""
        for (reason,), rows in rejects.group_by("reason", maintain_order=True):
            room = EXAMPLES - listed[str(reason)]
            if room > 0:
                self._rejects.append(rows.head(room).select(pl.lit(name).alias("table"), pl.all()))
                listed[str(reason)] += rows.height

    def _settle(self, name: str, settler: Settler, staged: Path, counts: TableCounts) -> TableCounts:
        self._progress.start(f"Putting {name} in order", None)
        table = self._history.tables[name]
        out = self._work / f"{name}.parquet"
        kept, rejected, examples = settler.settle(name, table, staged, out)
        repeats = settler.twice(name, table, out)
        staged.unlink()
        if examples:
            frame = pl.DataFrame(examples, schema=REJECTS, orient="row")
            self._rejects.append(frame.select(pl.lit(name).alias("table"), pl.all()))
        notes = dict(counts.notes)
        if table.kind is TableKind.INTERVALS and (overlaps := settler.overlaps(out)):
            notes["begin while another one of the customer's goes on"] = overlaps
        if repeats.across:
            notes[TWICE] = repeats.across
        if repeats.within:
            notes[WRITTEN_TWICE if repeats.whole else AGAIN] = repeats.within
        whole = TableCounts(counts.read, kept, counts.rejected | rejected, notes)
        place = f"table {name} ({self._sources[name].name})"
        insist_usable(self._history, name, whole, place, self._rejects, work=self._work)
        return whole

    def _first_left(self, settler: Settler) -> datetime | None:
        churn = self._history.churn
        table, out = self._history.tables[churn.table], self._work / f"{churn.table}.parquet"
        if churn.event is ChurnEvent.END:
            return settler.first_left(out, "_end", latest(table, "t"))
        if churn.event is ChurnEvent.CANCELLATION:
            where = f"{latest(table, 't')} AND {chosen(table, churn, 't')}"
            return settler.first_left(out, "_time", where)
        return None


def insist_usable(
    history: History,
    name: str,
    counts: TableCounts,
    where: str,
    rejects: Sequence[pl.DataFrame] = (),
    *,
    work: Path | None = None,
) -> None:
    """Refuse a table of which nothing can be used, and one without rows that should show who leaves.

    Args:
        history: the contract.
        name: of the table in it.
        counts: what became of its rows.
        where: the table and its place.
        rejects: examples, as of `Prepared.rejects`.
        work: folder of the tables that are ready, the register of customers among them.
    """
    if counts.kept or not (counts.read or name == history.churn.table):
        return
    if not counts.read:
        raise HistoryError(
            f'Table "{name}" has no rows.',
            where=where,
            hint="Export it again, with its rows; if nothing has happened yet, nothing can be learned.",
        )
    reason, rows = max(counts.rejected.items(), key=lambda item: item[1])
    first = next(
        (f.filter(pl.col("reason") == reason) for f in reversed(rejects) if reason in f["reason"]), None
    )
    shown = f', such as "{first["value"][0]}"' if first is not None and first["value"][0] is not None else ""
    hint = f"Look at how the contract describes [tables.{name}]"
    if reason == UNKNOWN:
        hint += f" and [tables.{history.customers}]: their customer columns have nothing in common"
        if first is not None and shown and work is not None:
            hint += _and_theirs(work / f"{history.customers}.parquet", first["value"][0])
    raise HistoryError(
        f'No row of table "{name}" can be used. {rows:,} of {counts.read:,}: {reason}{shown}.',
        where=where,
        hint=f"{hint}.",
    )


def _and_theirs(register: Path, unknown: str) -> str:
    """A customer of the register beside one that is not in it: the one written most like it, if any is."""
    plain = pl.col("_customer").str.to_lowercase().str.strip_chars_start("0")
    known = pl.scan_parquet(register).select("_customer")
    alike = known.filter(plain == unknown.lower().lstrip("0")).head(1).collect()
    either = alike if alike.height else known.head(1).collect()
    return f': "{unknown}" here, "{either["_customer"][0]}" there' if either.height else ""


def _asked(name: str, source: Source, ask: Any) -> Any:
    """What a source answers; its failure names the table."""
    try:
        return ask()
    except SourceError as error:
        raise _of_source(name, source, error) from error


def _told(name: str, source: Source, batches: Iterable[Any]) -> Iterable[Any]:
    try:
        yield from batches
    except SourceError as error:
        raise _of_source(name, source, error) from error


def _of_source(name: str, source: Source, error: SourceError) -> HistoryError:
    return HistoryError(
        f'Table "{name}" cannot be read. {error.message}', where=error.where or source.name, hint=error.hint
    )
