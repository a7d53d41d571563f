"""Chooses rows and reconciles types, alike for all sources."""

from __future__ import annotations

import operator
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING

import polars as pl

from holdfast.errors import nearest
from holdfast.sources.problems import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.sources.source import Where
    from holdfast.sources.tables import RawBatch

OPERATORS = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def condition(where: Sequence[Where], schema: pl.Schema, source: str) -> pl.Expr:
    """Whether all of ``where`` hold; false where a value is missing.

    Raises:
        SourceError: a condition names no column, or compares it with a value of another kind.
    """
    asked = []
    for one in where:
        if one.column not in schema:
            raise SourceError(
                f'There is no column "{one.column}" to choose rows by.',
                where=source,
                hint=nearest(one.column, schema),
            )
        asked.append(_holds(one, schema[one.column], source))
    return reduce(operator.and_, asked, pl.lit(value=True)).fill_null(value=False)


def selected(batch: RawBatch, columns: Sequence[str], chosen: pl.Expr | None, limit: int | None) -> RawBatch:
    """The batch with these columns, and only rows for which ``chosen`` holds, at most ``limit``."""
    frame, rows = batch.frame, batch.rows
    if chosen is not None:
        mask = frame.select(chosen).to_series()
        frame, rows = frame.filter(mask), rows.filter(mask)
    if limit is not None and frame.height > limit:
        frame, rows = frame.head(limit), rows.head(limit)
    numbered = batch.numbered if frame.height == batch.frame.height else rows
    return replace(batch, frame=frame.select(columns), numbered=numbered)


def common_type(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    """The type that holds the values of both: equal ones, numbers, or one without values; else none."""
    if other in (one, pl.Null):
        return one
    if one == pl.Null:
        return other
    plain = (one.is_integer() or one.is_float()) and (other.is_integer() or other.is_float())
    clocks = isinstance(one, pl.Datetime) and isinstance(other, pl.Datetime) and _zone(one) == _zone(other)
    if plain or clocks:
        empty = [pl.DataFrame(schema={"x": held}) for held in (one, other)]
        return pl.concat(empty, how="vertical_relaxed").schema["x"]
    return None


def _zone(held: pl.DataType) -> str | None:
    return held.time_zone if isinstance(held, pl.Datetime) else None


def _holds(one: Where, held: pl.DataType, source: str) -> pl.Expr:
    value, zone = pl.lit(one.value), _zone(held)
    if isinstance(one.value, datetime) and one.value.tzinfo and zone:
        value = value.dt.convert_time_zone(zone)
    asked: pl.Expr = OPERATORS[one.op](pl.col(one.column), value)
    try:
        pl.DataFrame(schema={one.column: held}).select(asked)
    except pl.exceptions.PolarsError as error:
        raise SourceError(
            f'Column "{one.column}" has the type {held}, which is not compared with {one.value!r}.',
            where=source,
            hint="Compare text with text, numbers with numbers, times with times (zones in both or in none).",
        ) from error
    return asked
