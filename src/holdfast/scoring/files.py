"""Score a whole file in flat memory: read a batch, score it in another thread, write it in its turn."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from holdfast.errors import UsageError
from holdfast.progress import NullProgress
from holdfast.quality.columns import ColumnsError, Matched, match_columns
from holdfast.quality.counts import Counts
from holdfast.scoring.destination import destination
from holdfast.scoring.ordered import available_workers, in_order
from holdfast.scoring.output import answer_schema, writing
from holdfast.scoring.parts import Part, Parts
from holdfast.scoring.repeats import RepeatedIds
from holdfast.scoring.summary import FileSummary
from holdfast.sources import MALFORMED, SourceError, iter_batches, read_names, table_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.contract import Contract
    from holdfast.progress import Progress
    from holdfast.quality.conform import Conformed
    from holdfast.scoring.destination import Destination
    from holdfast.scoring.output import Output
    from holdfast.sources import RawBatch

BATCH_ROWS = 50_000
"""Fewer are handed over too often; more do not fit the processor's caches."""
MOST_REASONS = 20


class FileModel(Protocol):
    """What scoring asks of a model; `holdfast.model.Model` is one."""

    @property
    def contract(self) -> Contract:
        """What the model asks of a table."""

    @property
    def version(self) -> str:
        """Such as ``v3``."""

    def conform(self, frame: pl.DataFrame, *, first_row: int = 1, rows: pl.Series | None = None) -> Conformed:
        """Hold a table against the contract; called from several threads at once."""

    def answer(self, conformed: Conformed, *, reasons: int = 0) -> pl.DataFrame:
        """One row of `answer_schema` for each kept row; called from several threads at once."""


def score_file(
    model: FileModel,
    source: str | Path,
    out: str | Path | None = None,
    *,
    reasons: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    batch_rows: int = BATCH_ROWS,
    workers: int | None = None,
    parts: Path | None = None,
) -> FileSummary:
    """Score every row of a CSV or Parquet file, in flat memory whatever its length.

    Each row of ``source`` becomes one row of ``out``, in the same order, or at least one row of the file of
    rejects beside it (``OUT.rejects.csv``: ``row, column, value, reason``; only there if a row was rejected).
    Rows with the same customer id are each scored. Both files appear at the end or not at all.

    Args:
        model: what scores.
        source: the table.
        out: where the answers go; see `holdfast.scoring.destination.destination`.
        reasons: how many reasons to give with each answer, 0 to 20.
        overwrite: whether ``out`` may be there already.
        progress: told how many rows are done.
        batch_rows: rows scored at a time.
        workers: threads that score; as many as there are processors (at most four) unless given.
        parts: folder for what is scored already, so that a run that was killed can be resumed by another with
            the same arguments: to the same bits, without scoring again what the first had scored. Whoever
            gives it removes it afterwards.

    Raises:
        UsageError: ``out`` is there already, cannot be written or is the table itself; ``reasons`` is wrong.
        SourceError: there is no such table, it cannot be read or has no rows.
        ColumnsError: the table lacks columns that the contract requires.
        OutputError: the disk is full or fails.
    """
    plan = planned(model, source, out, reasons=reasons, overwrite=overwrite)
    kept = None if parts is None else Parts(parts, model=model.version, reasons=reasons, rows=batch_rows)
    columns = list(plan.matched.sources.values())
    batches = iter_batches(plan.table, batch_rows=batch_rows, columns=columns)
    scored = in_order(
        lambda numbered: _kept_or_scored(kept, *numbered, model, reasons),
        enumerate(batches),
        workers=workers or available_workers(),
    )
    return carried_out(plan, scored, progress or NullProgress())


@dataclass(frozen=True)
class Plan:
    """What is to be scored, whoever does it, and where the answers go."""

    model: FileModel
    table: Path
    place: Destination
    names: tuple[str, ...]
    """The table's columns."""
    matched: Matched
    reasons: int
    began: float


def planned(
    model: FileModel, source: str | Path, out: str | Path | None, *, reasons: int, overwrite: bool
) -> Plan:
    """Look at what is asked for before anything is read or written; see `score_file`."""
    if not 0 <= reasons <= MOST_REASONS:
        raise UsageError(f"From 0 to {MOST_REASONS} reasons can be given, not {reasons}.")
    began = time.perf_counter()
    table = Path(source)
    place = destination(table, None if out is None else Path(out), overwrite=overwrite)
    names = read_names(table)
    return Plan(model, table, place, names, _matched(model.contract, names), reasons, began)


def carried_out(
    plan: Plan, scored: Iterable[Part], progress: Progress, *, doing: str = "Scoring"
) -> FileSummary:
    """Write what is scored, in the order in which it comes; see `score_file`."""
    model, table, place, matched = plan.model, plan.table, plan.place, plan.matched
    tally = _Tally(RepeatedIds() if model.contract.id_column in matched.sources else None)
    size = float(table_size(table).bytes)
    progress.start(f"{doing} {table.name}", size)
    with writing(place, reasons=plan.reasons) as output:
        for batch in scored:
            tally.add(batch, output)
            progress.advance(size * (batch.done - tally.done), f"{tally.rows:,} rows")
            tally.done = batch.done
        if not tally.rows:
            raise SourceError(
                "The file has a header and no rows.",
                where=str(table),
                hint="Export the table again, with its rows.",
            )
    order = [matched.sources[name] for name in model.contract.columns if name in matched.sources]
    return FileSummary(
        source=table,
        out=place.out,
        rejects=place.rejects if tally.counts.rejected or tally.malformed else None,
        version=model.version,
        rows_in=tally.rows,
        scored=tally.scored,
        malformed=tally.malformed,
        windows_1252=tally.windows_1252,
        counts=replace(tally.counts, absent_columns=matched.absent, ignored_columns=matched.ignored),
        reordered=order != [name for name in plan.names if name in set(order)],
        repeated_ids=tally.ids.count() if tally.ids else None,
        repeated_ids_exact=tally.ids.exact if tally.ids else True,
        will_churn=tally.will_churn,
        expected_churners=tally.expected,
        risk_levels=dict(sorted(tally.risk_levels.items())),
        seconds=time.perf_counter() - plan.began,
    )


def _matched(contract: Contract, names: tuple[str, ...]) -> Matched:
    matched = match_columns(contract, names, with_label=False)
    if not matched.sources.keys() & contract.inputs.keys():
        raise ColumnsError(
            "The table has none of the columns that the contract learns from.",
            missing=tuple(contract.inputs),
            unexpected=names,
        )
    return matched


def _kept_or_scored(kept: Parts | None, number: int, batch: RawBatch, model: FileModel, reasons: int) -> Part:
    part = None if kept is None else kept.get(number)
    if part is None:
        part = score_batch(model, batch, reasons)
        if kept is not None:
            kept.put(number, part)
    return part


def score_batch(model: FileModel, batch: RawBatch, reasons: int) -> Part:
    """The answers to some rows of a table, and what kept others out."""
    conformed = model.conform(batch.frame, first_row=batch.first_row, rows=batch.numbered)
    schema = answer_schema(reasons)
    answers = (
        model.answer(conformed, reasons=reasons) if conformed.rows.len() else pl.DataFrame(schema=schema)
    )
    rejects = conformed.rejects.match_to_schema(MALFORMED)
    if batch.malformed.height:
        rejects = pl.concat([rejects, batch.malformed]).sort("row", maintain_order=True)
    return Part(
        answers.match_to_schema(schema),
        rejects,
        conformed.counts,
        batch.malformed.height,
        batch.windows_1252,
        conformed.ids.hash().to_numpy(),
        batch.done,
    )


class _Tally:
    """Sums over the batches so far."""

    def __init__(self, ids: RepeatedIds | None) -> None:
        self.ids = ids
        self.counts = Counts()
        self.scored = 0
        self.malformed = 0
        self.windows_1252 = 0
        self.will_churn = 0
        self.expected = 0.0
        self.risk_levels: Counter[str] = Counter()
        self.done = 0.0

    @property
    def rows(self) -> int:
        """Rows read."""
        return self.counts.rows + self.malformed

    def add(self, batch: Part, output: Output) -> None:
        """Write a batch and count it."""
        output.write(batch.answers, batch.rejects)
        self.counts += batch.counts
        self.scored += batch.answers.height
        self.malformed += batch.malformed
        self.windows_1252 += batch.windows_1252
        self.will_churn += int(batch.answers["will_churn"].sum())
        self.expected += float(batch.answers["churn_probability"].sum())
        self.risk_levels.update(dict(batch.answers["risk_level"].value_counts().iter_rows()))
        if self.ids is not None:
            self.ids.add(batch.ids)
