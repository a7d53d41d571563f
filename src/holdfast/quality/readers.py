"""A reader for each kind of column and each type its raw values may have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import polars as pl

from holdfast.contract import Kind, parse
from holdfast.quality.levels import listed_reader, text_reader
from holdfast.quality.reader import RAW, VALUE, Check, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.contract import Column

READABLE = (pl.String, pl.Boolean, pl.Date, pl.Datetime)
"""Types, beside numbers, that single cells may have; lists, objects and bytes are rejected."""


def column_reader(column: Column, dtype: pl.DataType) -> Reader:
    """The reader for an input column whose raw values have type ``dtype``."""
    if dtype != pl.Null and not dtype.is_numeric() and dtype not in READABLE:
        return _unreadable(value_type(column))
    if column.kind is Kind.NUMBER:
        return _number(column, dtype)
    if column.kind is Kind.INTEGER:
        return _integer(column, dtype)
    if column.kind is Kind.BOOLEAN:
        return _boolean(column, dtype)
    if column.kind is Kind.DATE:
        return _date(column, dtype)
    return (
        listed_reader(column.levels, dtype)
        if column.levels is not None
        else text_reader(dtype, Kind.CATEGORY)
    )


def value_type(column: Column) -> pl.DataType:
    """The type of a column's values once they conform."""
    if column.levels is not None:
        return pl.Enum(column.levels)
    return {
        Kind.NUMBER: pl.Float64(),
        Kind.INTEGER: pl.Int64(),
        Kind.BOOLEAN: pl.Boolean(),
        Kind.DATE: pl.Date(),
    }.get(column.kind, pl.String())


def _unreadable(dtype: pl.DataType) -> Reader:
    no_value = pl.lit(None, dtype)
    everything = (pl.lit(value=True), "not a single value")
    return Reader(dtype, None, no_value, RAW.is_null(), (everything,))


def _number(column: Column, dtype: pl.DataType) -> Reader:
    careful = parse.number_expr("raw", dtype, decimal=column.decimal or ".")
    checks: list[Check] = [(VALUE.is_infinite(), "infinite"), (VALUE.is_null(), "not a number")]
    return Reader(
        pl.Float64(),
        _plain_cast(pl.Float64(), column, dtype),
        careful,
        parse.missing_expr("raw", dtype, Kind.NUMBER),
        (*checks, *_range_check(column)),
        _plainly(column, dtype),
        doubt=~VALUE.is_finite() | _out_of_range(column),
        quick=lambda value: math.isfinite(float(value.sum())) and _within(value, column),
    )


def _integer(column: Column, dtype: pl.DataType) -> Reader:
    decimal = column.decimal or "."
    number = parse.number_expr("raw", dtype, decimal=decimal)
    checks: list[Check] = [
        (number.is_infinite(), "infinite"),
        (number.is_null(), "not a number"),
        (VALUE.is_null() & (number != number.round()), "not a whole number"),
        (VALUE.is_null(), "too large for an integer"),
    ]
    doubt = _out_of_range(column)
    if dtype.is_integer() or dtype == pl.String:
        return Reader(
            pl.Int64(),
            _plain_cast(pl.Int64(), column, dtype),
            parse.integer_expr("raw", dtype, decimal=decimal),
            parse.missing_expr("raw", dtype, Kind.INTEGER),
            (*checks, *_range_check(column)),
            _plainly(column, dtype),
            doubt=doubt,
            quick=lambda value: _within(value, column),
        )
    fraction = VALUE.cast(pl.Float64) != RAW.cast(pl.Float64)
    return Reader(
        pl.Int64(),
        (lambda raw: raw.cast(pl.Int64, strict=False)) if dtype.is_numeric() else None,
        parse.integer_expr("raw", dtype, decimal=decimal),
        parse.missing_expr("raw", dtype, Kind.INTEGER),
        (*checks, *_range_check(column)),
        doubt=(fraction | doubt) if dtype.is_numeric() else doubt,
    )


def _plain_cast(
    wanted: pl.DataType, column: Column, dtype: pl.DataType
) -> Callable[[pl.Expr], pl.Expr] | None:
    """A cast, where that reads a plainly written number."""
    if dtype == pl.String and column.decimal not in (None, "."):
        return None
    if dtype == wanted:
        return lambda raw: raw
    if dtype.is_numeric() or dtype in (pl.String, pl.Boolean):
        return lambda raw: raw.cast(wanted, strict=False)
    return None


def _plainly(column: Column, dtype: pl.DataType) -> pl.Expr:
    """Whether text is a number with nothing around it."""
    if dtype != pl.String:
        return pl.lit(value=True)
    number = RAW.str.replace(",", ".", literal=True) if column.decimal == "," else RAW
    return number.cast(pl.Float64, strict=False).is_not_null()


def _out_of_range(column: Column) -> pl.Expr:
    out = pl.lit(value=False)
    if column.min is not None:
        out |= column.min > VALUE
    if column.max is not None:
        out |= column.max < VALUE
    return out


def _within(value: pl.Series, column: Column) -> bool:
    if value.null_count() == value.len():
        return True
    low, high = cast("float", value.min()), cast("float", value.max())
    return (column.min is None or low >= column.min) and (column.max is None or high <= column.max)


def _range_check(column: Column) -> tuple[Check, ...]:
    low, high = (None if bound is None else f"{bound:,.15g}" for bound in (column.min, column.max))
    if low is not None and high is not None:
        return ((_out_of_range(column), f"outside the allowed range {low} to {high}"),)
    if low is not None:
        return ((_out_of_range(column), f"below the smallest allowed value, {low}"),)
    if high is not None:
        return ((_out_of_range(column), f"above the largest allowed value, {high}"),)
    return ()


def _boolean(column: Column, dtype: pl.DataType) -> Reader:
    own = (column.true, column.false)
    yes, no = parse.boolean_words(*own)
    fast: Callable[[pl.Expr], pl.Expr] | None = None
    as_written = pl.lit(value=True)
    careful = parse.boolean_expr("raw", dtype, true=column.true, false=column.false)
    if dtype == pl.Boolean:
        fast = _same
    elif dtype == pl.String:
        plain = [word for word in own if word is not None]
        if len(plain) != 1:
            fast = lambda raw: _either(raw, column.true or "true", column.false or "false")  # noqa: E731 - chosen by type
            careful = pl.coalesce(fast(RAW), careful)
        as_written = RAW.is_in(plain) if plain else RAW.str.strip_chars() == RAW
    elif dtype.is_numeric():
        if "1" in yes and "0" in no:
            fast = lambda raw: _either(raw, 1, 0)  # noqa: E731 - as above
        key = parse.level_key(parse.level_expr("raw", dtype))  # the contract may say 1 and 2
        left, right = key.is_in(sorted(yes)), key.is_in(sorted(no))
        careful = pl.when(left).then(pl.lit(value=True)).when(right).then(pl.lit(value=False))
    said = f'"{column.true}" or "{column.false}"' if all(own) else "yes or no, true or false, 1 or 0"
    return Reader(
        pl.Boolean(),
        fast,
        careful,
        parse.missing_expr("raw", dtype, Kind.BOOLEAN) & VALUE.is_null(),
        ((VALUE.is_null(), f"neither {said.replace(' or ', ' nor ')}" if all(own) else f"not {said}"),),
        as_written,
    )


def _same(raw: pl.Expr) -> pl.Expr:
    return raw


def _either(raw: pl.Expr, true: str | int, false: str | int) -> pl.Expr:
    return pl.when(raw == true).then(pl.lit(value=True)).when(raw == false).then(pl.lit(value=False))


def _date(column: Column, dtype: pl.DataType) -> Reader:
    fast: Callable[[pl.Expr], pl.Expr] | None = None
    as_written = pl.lit(value=True)
    if dtype == pl.Date:
        fast = _same
    elif dtype == pl.Datetime:
        fast = _day
    elif dtype == pl.String:
        fast = _iso
        as_written = RAW.str.strip_chars() == RAW  # every way to write a date is as good
    return Reader(
        pl.Date(),
        fast,
        parse.date_expr("raw", dtype, day_first=bool(column.day_first)),
        parse.missing_expr("raw", dtype, Kind.DATE),
        ((VALUE.is_null(), "not a date"),),
        as_written,
    )


def _day(raw: pl.Expr) -> pl.Expr:
    return raw.dt.date()


def _iso(raw: pl.Expr) -> pl.Expr:
    year_first = raw.str.contains("^[0-9]{4}-")  # Polars would also read 05-01-23 as the year 5
    return pl.when(year_first).then(raw.str.to_date("%Y-%m-%d", strict=False))
