"""The contract's own columns of a table, typed: what cannot be read is missing, and noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind
from holdfast.contract.parse import key_of, level_key, missing_expr, typed_expr
from holdfast.contract.types import NUMERIC
from holdfast.history.times import INSTANT, read_times

if TYPE_CHECKING:
    from holdfast.contract.history import History, Table
    from holdfast.contract.types import Column


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
    """

    def __init__(self, history: History, name: str) -> None:
        self._table = history.tables[name]
        self._zone = history.clock.time_zone
        self.columns = own_columns(history, name)
        self.schema = {c: TYPES.get(column.kind, pl.String()) for c, column in self.columns.items()}
        self._spellings = {column: spellings(history, name, column) for column in self.columns}

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
            read = read_times(raw[name], zone=self._zone, day_first=_day_first(column, self._table))
            return read.instant if read else nothing.new_from_index(0, raw.height)
        value = raw.select(typed_expr(name, column, raw.schema[name])).to_series()
        if spelt := self._spellings[name]:
            return value.to_frame(name).select(_spelt(pl.col(name), spelt)).to_series()
        return _in_range(value, column)


def _day_first(column: Column, table: Table) -> bool:
    return bool(table.day_first if column.day_first is None else column.day_first)


def _in_range(value: pl.Series, column: Column) -> pl.Series:
    if column.kind not in NUMERIC:
        return value
    good = value.is_finite() if column.kind is Kind.NUMBER else value.is_not_null()
    if column.min is not None:
        good &= value >= column.min
    if column.max is not None:
        good &= value <= column.max
    return value.set(~good.fill_null(value=True), None)


def spellings(history: History, name: str, column: str) -> dict[str, str]:
    """How the contract spells the levels that it names, by key."""
    table, churn = history.tables[name], history.churn
    if table.columns[column].kind is not Kind.CATEGORY:
        return {}
    named = [*(table.columns[column].levels or ()), *table.failures.get(column, ())]
    if name == churn.table:
        named += churn.where.get(column, ())
        named += (churn.causes or ()) if column == churn.cause else ()
    return {key_of(level): level for level in reversed(named)}


def _spelt(value: pl.Expr, spellings: dict[str, str]) -> pl.Expr:
    key = level_key(value)
    return pl.coalesce(key.replace_strict(spellings, default=None, return_dtype=pl.String), value)
