"""What the types of databases become, and in which form their values travel.

All values travel as text, in the one form that the type below is read from: so drivers cannot differ in what
they make of a value, and it costs no more.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from holdfast.sources.select import OPERATORS

if TYPE_CHECKING:
    from holdfast.sources.source import Where

_MOST_DIGITS = 38
_PLAIN = (sa.Date, sa.DateTime)


def polars_type(held: sa.types.TypeEngine[Any], kind: str) -> pl.DataType:  # noqa: PLR0911 - one a type
    """The type that values of a database's type have here; text, unless there is a better one.

    Args:
        held: as reflected.
        kind: ``postgresql`` or ``mysql``.
    """
    if isinstance(held, postgresql.DOMAIN):
        return polars_type(held.data_type, kind)
    if isinstance(held, sa.Boolean) or (isinstance(held, mysql.TINYINT) and held.display_width == 1):
        return pl.Boolean()
    if kind == "mysql" and isinstance(held, mysql.BIT):
        return pl.Boolean() if held.length in {None, 1} else pl.UInt64()
    if isinstance(held, sa.Integer | mysql.YEAR):
        return pl.UInt64() if getattr(held, "unsigned", False) else pl.Int64()
    if isinstance(held, sa.Float):
        return pl.Float32() if isinstance(held, sa.REAL | mysql.FLOAT) else pl.Float64()
    if isinstance(held, sa.Numeric):
        digits, scale = held.precision, held.scale or 0
        fits = digits is not None and digits <= _MOST_DIGITS and 0 <= scale <= digits
        return pl.Decimal(digits, scale) if fits else pl.String()
    if isinstance(held, sa.Date):
        return pl.Date()
    if isinstance(held, sa.DateTime):
        # MySQL's TIMESTAMP is a moment, its DATETIME is what a clock showed.
        zoned = held.timezone if kind == "postgresql" else isinstance(held, sa.TIMESTAMP)
        return pl.Datetime("us", "UTC" if zoned else None)
    return pl.String()


def as_text(column: sa.Column[Any] | sa.ColumnClause[Any], kind: str) -> sa.ColumnElement[str]:
    """SQL for the column's values as text."""
    held: sa.types.TypeEngine[Any] = column.type
    value: sa.ColumnElement[Any] = column
    if isinstance(held, postgresql.DOMAIN):
        held = held.data_type
    if isinstance(held, sa.LargeBinary | sa.BINARY | sa.VARBINARY):
        return sa.func.encode(column, "hex") if kind == "postgresql" else sa.func.lower(sa.func.hex(column))
    if kind == "mysql" and isinstance(held, mysql.BIT):
        value = sa.type_coerce(column, sa.BigInteger) + sa.literal_column("0")
    elif kind == "mysql" and isinstance(held, mysql.FLOAT):  # as text it would lose digits
        value = sa.type_coerce(column, sa.Double) + sa.literal_column("0e0")
    text = sa.cast(value, sa.Text)
    if kind == "postgresql" and isinstance(held, _PLAIN):  # "infinity" is PostgreSQL's word for no end
        return sa.case((sa.func.isfinite(column), text))
    return text


def in_sql(
    one: Where, column: sa.ColumnClause[Any], held: pl.DataType, kind: str
) -> sa.ColumnElement[bool] | None:
    """The condition in SQL, which chooses what it does here or more; none where that is not sure.

    Databases order text by their own rules, and hold texts for equal that are not.
    """
    value, bound = one.value, None
    if isinstance(value, bool):
        return None
    if held == pl.String and one.op == "==" and isinstance(value, str):
        plain = isinstance(column.type, sa.String) and not isinstance(column.type, sa.Enum)
        return (column if plain else as_text(column, kind)) == sa.literal(value, sa.String())
    if isinstance(value, date) and (held == pl.Date or isinstance(held, pl.Datetime)):
        if isinstance(value, datetime) and value.tzinfo:
            value = value.astimezone(UTC)
            value = (
                value.replace(tzinfo=None) if kind == "mysql" else value
            )  # its driver would not say the zone
        bound = sa.literal(
            value, sa.DateTime() if held == pl.Date and isinstance(value, datetime) else column.type
        )
    elif isinstance(value, int) and -(2**63) <= value < 2**63 and (held.is_integer() or held.is_decimal()):
        bound = sa.literal(value, sa.BigInteger())
    elif isinstance(value, float | int) and held == pl.Float64:
        bound = sa.literal(float(value), sa.Double())
    if bound is None:
        return None
    asked: sa.ColumnElement[bool] = OPERATORS[one.op](column, bound)
    return asked


def typed(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The values that texts of `as_text` stand for; days of no calendar (``0000-00-00``) are missing."""
    return frame.select(_typed(name, schema[name]) for name in frame.columns)


def _typed(name: str, held: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if held == pl.Boolean:
        return pl.when(column.is_not_null()).then(~column.is_in(["false", "0"]))
    if held == pl.Date:
        return column.str.to_date("%Y-%m-%d", strict=False)
    if isinstance(held, pl.Datetime):
        clock = column.str.strip_suffix("+00")  # told in UTC: no other offset comes
        read = clock.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
        return read.dt.replace_time_zone(held.time_zone)
    return column.cast(held, strict=False) if held != pl.String else column
