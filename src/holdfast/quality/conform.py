"""The one door that turns any table into the contract's typed columns, with rejects, repairs and counts.

Training, file scoring, the API and a notebook all come through `conform`, so one row means the same
everywhere: it conforms alone as it does among a million, and as text, typed or built from JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind
from holdfast.quality.columns import match_columns
from holdfast.quality.counts import MOST_EXAMPLES, Counts
from holdfast.quality.levels import label_reader, text_reader
from holdfast.quality.readers import READABLE, column_reader, value_type

if TYPE_CHECKING:
    from holdfast.contract import Contract
    from holdfast.quality.reader import Reader

REJECTS = pl.Schema({"row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String})
"""One line a cell that keeps its row out."""

_NONE_REJECTED = pl.DataFrame(schema=REJECTS)

LONGEST_VALUE = 80
"""So many characters of a rejected value are kept."""


@dataclass(frozen=True, slots=True)
class Conformed:
    """A table that keeps the contract, and what it took.

    ``frame``, ``rows``, ``ids`` and ``label`` have one entry for each kept row, in the table's order.
    """

    frame: pl.DataFrame
    """Exactly the contract's inputs, in its order: Float64, Int64, Boolean, Date, Enum or String (open)."""
    rows: pl.Series
    """Int64: number of the row in the table, from ``first_row``."""
    ids: pl.Series
    """String: the customer's id, or the row's number where the table has no id column."""
    label: pl.Series | None
    """Int8: 1 left, 0 stayed; none unless asked for."""
    rejects: pl.DataFrame
    """``row, column, value, reason`` (see `REJECTS`), by row and then in the contract's order."""
    counts: Counts


def conform(
    frame: pl.DataFrame,
    contract: Contract,
    *,
    with_label: bool = False,
    first_row: int = 1,
    rows: pl.Series | None = None,
) -> Conformed:
    """Turn a table into the contract's typed columns.

    Null, blank and not-a-number are missing values; a level that the contract does not list becomes missing
    and is counted. A cell that cannot be read as its kind, is infinite or lies outside its range keeps its
    whole row out, as do a missing id (where the table has an id column) and, ``with_label``, a label that is
    missing or neither of the two. Excluded columns are not looked at; the order of columns does not matter.

    Args:
        frame: any table: text as from CSV, typed as from Parquet, or built from JSON.
        contract: what to hold it against.
        with_label: whether the label is needed.
        first_row: number of the table's first row, for a batch of a longer one.
        rows: each row's number (Int64) where they do not simply count up from ``first_row``, such as
            `holdfast.sources.RawTable.rows`.

    Raises:
        ColumnsError: a required column is absent (``code`` "columns"; the message holds the difference).
    """
    program = _program(contract, frame, with_label=with_label)
    if program.texts:
        frame = frame.with_columns(program.texts)
    values = frame.select(program.fast) if program.fast else pl.DataFrame()
    if rows is None:
        rows = pl.int_range(first_row, first_row + frame.height, dtype=pl.Int64, eager=True)
    rows = rows.alias("row")
    found = _Findings(rows)
    columns = {step.name: _column(step, frame, values, found) for step in program.steps}
    rejects = found.rejected()
    keep = ~rows.is_in(rejects["row"].unique().implode()) if rejects.height else None
    if keep is not None:
        rows = rows.filter(keep)
        columns = {name: column.filter(keep) for name, column in columns.items()}
    label = columns.pop(contract.churn.label) if with_label else None
    ids = columns.pop(program.id_column) if program.id_column is not None else rows.cast(pl.String)
    counts = Counts(
        rows=frame.height,
        rejected=frame.height - rows.len(),
        missing=found.missing,
        repairs=found.repairs,
        repair_examples=found.repair_examples,
        unseen=found.unseen,
        unseen_examples=found.unseen_examples,
        absent_columns=program.absent,
        ignored_columns=program.ignored,
    )
    return Conformed(pl.DataFrame(columns), rows, ids.alias("customer_id"), label, rejects, counts)


@dataclass(frozen=True, slots=True)
class _Step:
    """One column of the result: where it comes from and how it is read."""

    name: str
    source: str | None
    dtype: pl.DataType
    reader: Reader | None


@dataclass(frozen=True, slots=True)
class _Program:
    """All that depends on contract and schema only, made once and kept."""

    contract: Contract
    """Held, so that its identity in the cache's key stays its own."""
    steps: tuple[_Step, ...]
    texts: list[pl.Expr]
    """Casts of dictionary-encoded columns to text."""
    fast: list[pl.Expr]
    id_column: str | None
    """The id column, if the table has it."""
    absent: tuple[str, ...]
    ignored: tuple[str, ...]


class _Programs:
    """The programs used last; a service meets a handful of schemas, a hostile client any number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[object, _Program] = {}
        self._lock = Lock()

    def get(self, key: object) -> _Program | None:
        """The program, which then counts as used last."""
        with self._lock:
            found = self._held.pop(key, None)
            if found is not None:
                self._held[key] = found
            return found

    def put(self, key: object, program: _Program) -> None:
        """Keep a program and let go of the one not used for longest."""
        with self._lock:
            self._held[key] = program
            while len(self._held) > self._most:
                del self._held[next(iter(self._held))]


_PROGRAMS = _Programs(most=64)


def _program(contract: Contract, frame: pl.DataFrame, *, with_label: bool) -> _Program:
    key = (id(contract), with_label, tuple(zip(frame.columns, frame.dtypes, strict=True)))
    program = _PROGRAMS.get(key)
    if program is None:
        program = _compile(contract, frame, with_label=with_label)
        _PROGRAMS.put(key, program)
    return program


def _compile(contract: Contract, frame: pl.DataFrame, *, with_label: bool) -> _Program:
    matched = match_columns(contract, frame.columns, with_label=with_label)
    encoded = [n for n, t in frame.schema.items() if t in (pl.Categorical, pl.Enum)]
    types = frame.schema | dict.fromkeys(encoded, pl.String())
    names = [*contract.inputs]
    id_column = contract.id_column if contract.id_column in matched.sources else None
    if id_column is not None:
        names.append(id_column)
    if with_label:
        names.append(contract.churn.label)
    steps: list[_Step] = []
    for name in names:
        source = matched.sources.get(name)
        if source is None:
            steps.append(_Step(name, None, value_type(contract.columns[name]), None))
            continue
        reader = _reader(name, types[source], contract)
        steps.append(_Step(name, source, reader.dtype, reader))
    used = {step.source for step in steps}
    return _Program(
        contract,
        tuple(steps),
        [pl.col(name).cast(pl.String) for name in encoded if name in used],
        [
            step.reader.fast(pl.col(step.source)).alias(step.name)
            for step in steps
            if step.source is not None and step.reader is not None and step.reader.fast is not None
        ],
        id_column,
        matched.absent,
        matched.ignored,
    )


def _reader(name: str, dtype: pl.DataType, contract: Contract) -> Reader:
    if name == contract.churn.label:
        return label_reader(contract.churn, dtype)
    if name == contract.id_column:
        return text_reader(dtype, Kind.ID, missing_reason="customer id missing")
    return column_reader(contract.columns[name], dtype)


class _Findings:
    """What the careful readings of one table found."""

    def __init__(self, rows: pl.Series) -> None:
        self._rows = rows
        self._rejects: list[pl.DataFrame] = []
        self.missing: dict[str, int] = {}
        self.repairs: dict[str, int] = {}
        self.repair_examples: dict[str, tuple[tuple[str, str], ...]] = {}
        self.unseen: dict[str, int] = {}
        self.unseen_examples: dict[str, tuple[str, ...]] = {}

    def note(self, name: str, places: pl.Series, read: pl.DataFrame) -> None:
        """Count what `Reader.read` found in the cells at ``places`` (0-based rows)."""
        repaired, unseen = (read.filter(pl.col(what)) for what in ("repaired", "unseen"))
        if repaired.height:
            self.repairs[name] = repaired.height
            pairs = repaired.select(_shown(read["raw"].dtype, "raw"), _shown(read["value"].dtype, "value"))
            self.repair_examples[name] = tuple((before, after) for before, after in _first(pairs).iter_rows())
        if unseen.height:
            self.unseen[name] = unseen.height
            shown = _first(unseen.select(_shown(read["raw"].dtype, "raw")))
            self.unseen_examples[name] = tuple(shown["raw"])
        wrong = read.with_columns(self._rows.gather(places)).filter(pl.col("reason").is_not_null())
        if wrong.height:
            shown = wrong.select(
                "row", pl.lit(name).alias("column"), _shown(read["raw"].dtype, "raw").alias("value"), "reason"
            )
            self._rejects.append(shown)

    def rejected(self) -> pl.DataFrame:
        """All rejects so far, by row and then in the order the columns were read."""
        if not self._rejects:
            return _NONE_REJECTED.clone()
        return pl.concat(self._rejects).sort("row", maintain_order=True).match_to_schema(REJECTS)


def _first(shown: pl.DataFrame) -> pl.DataFrame:
    return shown.unique(maintain_order=True).head(MOST_EXAMPLES)


def _shown(dtype: pl.DataType, name: str) -> pl.Expr:
    """Cells as a person may see them, cut to a bearable length."""
    single = dtype == pl.Null or dtype.is_numeric() or dtype == pl.Enum or dtype in READABLE
    if not single:
        return pl.lit(f"({dtype.base_type()})".lower()).alias(name)
    text = pl.col(name).cast(pl.String)
    long = text.str.len_chars() > LONGEST_VALUE
    return pl.when(long).then(text.str.head(LONGEST_VALUE - 1) + "…").otherwise(text).alias(name)


def _column(step: _Step, frame: pl.DataFrame, values: pl.DataFrame, found: _Findings) -> pl.Series:
    """One typed column; what was found on the way is noted."""
    if step.source is None or step.reader is None:
        return pl.Series(step.name, [None], dtype=step.dtype).new_from_index(0, frame.height)
    raw = frame.get_column(step.source)
    if step.reader.fast is None:
        value = pl.Series(step.name, [None], dtype=step.dtype).new_from_index(0, frame.height)
    else:
        value = values.get_column(step.name)
    missing = raw.null_count()
    doubtful = step.reader.doubtful(raw, value)
    if doubtful is not None:
        places = doubtful.arg_true()
        read = step.reader.read(raw.gather(places))
        # a clone, because scatter writes in place and the fast value may be the caller's own column
        value = value.clone().scatter(places, read["value"])
        missing += int(read["missing"].sum()) - read["raw"].null_count()
        found.note(step.name, places, read)
    if missing:
        found.missing[step.name] = missing
    return value
