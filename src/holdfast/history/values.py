"""The contract's own columns of a table, typed: what cannot be read is missing, and noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind
from holdfast.contract.parse import key_of, level_key, missing_expr, typed_expr
from holdfast.contract.types import NUMERIC
from holdfast.history.times import INSTANT, read_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.contract.history import History, HistoryChurn, Table
    from holdfast.contract.types import Column
    from holdfast.history.times import Doubts


TYPES: dict[Kind, pl.DataType] = {
    Kind.NUMBER: pl.Float64(),
    Kind.INTEGER: pl.Int64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.DATE: INSTANT,
}
"""Of a contract's own columns; the rest is text. Dates are instants: midnights of the history's zone."""


def own_columns(history: History, name: str) -> dict[str, Column]:
    """The columns of a table that are read beside its clocks: all but those excluded and not asked for."""
    table, churn = history.tables[name], history.churn
    asked = {*churn.where, *churn.above, churn.cause} if name == churn.table else set[str | None]()
    return {c: column for c, column in table.columns.items() if not column.exclude or c in asked}


class OwnColumns:
    """Reads the contract's own columns of one table.

    Args:
        history: the contract.
        name: of the table in it.
        doubts: told how dates are written where the contract does not say; see `Doubts`.
    """

    def __init__(self, history: History, name: str, doubts: Doubts) -> None:
        self._doubts = doubts
        self._table = history.tables[name]
        self._zone = history.clock.time_zone
        self.columns = own_columns(history, name)
        self.schema = {c: TYPES.get(column.kind, pl.String()) for c, column in self.columns.items()}
        churn = history.churn if name == history.churn.table else None
        self._spellings = {column: spellings(self._table, column, churn) for column in self.columns}

    def read(self, raw: pl.DataFrame) -> tuple[list[pl.Series], dict[str, int]]:
        """The columns of a batch, and how many cells were given and are missing now, by what they are."""
        made, notes = [], {}
        for name, column in self.columns.items():
            value = self._value(raw, name, column)
            if name in raw.columns:
                missing = raw.select(missing_expr(name, raw.schema[name], column.kind)).to_series()
                wrong = int((value.is_null() & ~missing).sum())
                notes[f"{name}: no {column.kind}, or out of range, so missing"] = wrong
            made.append(value.alias(name))
        return made, notes

    def _value(self, raw: pl.DataFrame, name: str, column: Column) -> pl.Series:
        nothing = pl.Series([None], dtype=self.schema[name])
        if name not in raw.columns:
            return nothing.new_from_index(0, raw.height)
        if column.kind is Kind.DATE:
            day_first = self._table.day_first if column.day_first is None else column.day_first
            read = read_times(raw[name], zone=self._zone, day_first=bool(day_first))
            if read is None:
                return nothing.new_from_index(0, raw.height)
            known = read.instant.is_not_null()
            unsaid = self._doubts.look(name, raw[name], known) if day_first is None else None
            return read.instant if unsaid is None else read.instant.set(unsaid, None)
        value = raw.select(typed_expr(name, column, raw.schema[name])).to_series()
        if spelt := self._spellings[name]:
            return value.to_frame(name).select(_spelt(pl.col(name), spelt)).to_series()
        if column.kind is Kind.NUMBER:
            value += 0.0  # of zeros with two signs, the largest depends on which is read first
        return _in_range(value, column)


def _in_range(value: pl.Series, column: Column) -> pl.Series:
    if column.kind not in NUMERIC:
        return value
    good = value.is_finite() if column.kind is Kind.NUMBER else value.is_not_null()
    if column.min is not None:
        good &= value >= column.min
    if column.max is not None:
        good &= value <= column.max
    return value.set(~good.fill_null(value=True), None)


def spellings(table: Table, column: str, churn: HistoryChurn | None) -> dict[str, str]:
    """How the contract spells the levels that it names, by key: as it lists them, else as they stand first.

    Args:
        table: the contract's.
        column: of the table.
        churn: the contract's, where this is the table in which it is seen.
    """
    if table.columns[column].kind is not Kind.CATEGORY:
        return {}
    named = [*(table.columns[column].levels or ()), *table.failures.get(column, ())]
    if churn is not None:
        named += churn.where.get(column, ())
        named += (churn.causes or ()) if column == churn.cause else ()
    return {key_of(level): level for level in reversed(named)}


def as_spelt(levels: Iterable[str], spellings: Mapping[str, str]) -> list[str]:
    """Levels that the contract names somewhere as the rows have them, each once."""
    return list(dict.fromkeys(spellings.get(key_of(level), level) for level in levels))


def _spelt(value: pl.Expr, spellings: dict[str, str]) -> pl.Expr:
    key = level_key(value)
    return pl.coalesce(key.replace_strict(spellings, default=None, return_dtype=pl.String), value)
