"""From what a file holds to typed values: the one place that does it, as Polars expressions.

`holdfast.contract.infer` uses them to guess and `holdfast.quality` to conform, so what was guessed is what is
read. Each takes the column's name and its type in the table at hand; a column of text and a typed column with
the same values give the same result. A value that is missing or cannot be read as the kind asked for comes
out null; `missing_expr` tells the two apart.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import text
from holdfast.contract.text import MACHINE_MISSING, SAID_MISSING
from holdfast.contract.types import Column, Kind

if TYPE_CHECKING:
    from holdfast.contract.types import Churn

DType = pl.DataType | type[pl.DataType]

TRUE_WORDS = frozenset(
    "yes y true t on 1 enabled si sí oui ja sim da да tak".split()  # noqa: SIM905 - one readable line
)
FALSE_WORDS = frozenset(
    "no n false f off 0 disabled non nein nej não nao nee нет nie".split()  # noqa: SIM905 - one readable line
)


def number_expr(name: str, dtype: DType = pl.String, *, decimal: str = ".") -> pl.Expr:
    """The column as Float64; null where missing or no number. Infinities stay infinite.

    Text may carry blanks, a sign (also trailing, or parentheses for negative), one currency sign or code, a
    percent sign (12 % is 12), thousands separators (``,`` or ``.`` by ``decimal``, blank, apostrophe) and an
    exponent. The other mark is read as a decimal mark only where it can be nothing else (``12,5``).

    Args:
        name: the column.
        dtype: its type in the table.
        decimal: the decimal mark that text uses, ``.`` or ``,``.
    """
    column = pl.col(name)
    if dtype == pl.String:
        return column.map_batches(
            partial(text.numbers, decimal=decimal), return_dtype=pl.Float64, is_elementwise=True
        )
    if dtype == pl.Null or dtype.is_numeric() or dtype == pl.Boolean:
        return column.cast(pl.Float64, strict=False).fill_nan(None)
    return _nothing(name, pl.Float64)


def integer_expr(name: str, dtype: DType = pl.String, *, decimal: str = ".") -> pl.Expr:
    """The column as Int64; null where missing, no number, not whole or beyond 64 bits."""
    column = pl.col(name)
    if dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    whole = _whole(number_expr(name, dtype, decimal=decimal))
    if dtype == pl.String and decimal == ".":  # exact beyond 2**53, where floats are not
        return pl.coalesce(column.str.strip_chars().cast(pl.Int64, strict=False), whole)
    return whole


def _nothing(name: str, dtype: DType) -> pl.Expr:
    """Null for every row: a type that cannot hold such values."""
    return pl.repeat(None, pl.len(), dtype=dtype).alias(name)


def _whole(number: pl.Expr) -> pl.Expr:
    kept = pl.when(number.is_finite() & (number == number.round())).then(number)
    return kept.cast(pl.Int64, strict=False)


def boolean_expr(
    name: str, dtype: DType = pl.String, *, true: str | None = None, false: str | None = None
) -> pl.Expr:
    """The column as Boolean; null where missing or neither yes nor no.

    Text is compared by `level_key`: case, blanks, a stray final dot and ``.0`` do not matter.

    Args:
        name: the column.
        dtype: its type in the table.
        true: the contract's own spelling of yes, beside the words everyone knows.
        false: the contract's own spelling of no.
    """
    column = pl.col(name)
    if dtype == pl.Boolean:
        return column
    if dtype != pl.String and not dtype.is_numeric():
        return _nothing(name, pl.Boolean)
    yes, no = boolean_words(true, false)
    key = level_key(column if dtype == pl.String else level_expr(name, dtype))
    is_yes, is_no = key.is_in(sorted(yes)), key.is_in(sorted(no))
    return pl.when(is_yes | is_no).then(is_yes).alias(name)


def boolean_words(true: str | None = None, false: str | None = None) -> tuple[frozenset[str], frozenset[str]]:
    """The keys read as yes and as no. The contract's own spellings win over the common words."""
    own_yes = frozenset({key_of(true)} if true is not None else ())
    own_no = frozenset({key_of(false)} if false is not None else ())
    return (TRUE_WORDS - own_no) | own_yes, (FALSE_WORDS - own_yes) | own_no


def date_expr(name: str, dtype: DType = pl.String, *, day_first: bool = False) -> pl.Expr:
    """The column as Date; null where missing or no date. A time of day is dropped.

    Read are ISO dates (also with ``/`` or ``.``, also ``20240305``), day and month by ``day_first`` with any
    of ``/ . -``, years of two digits (69 to 99 are 19xx) and month names in English.
    """
    column = pl.col(name)
    if dtype == pl.Date:
        return column
    if dtype == pl.Datetime:
        return column.dt.date()
    if dtype.is_float():
        column = _whole(column).cast(pl.String)
    elif dtype.is_integer():
        column = column.cast(pl.String)
    elif dtype != pl.String:
        return _nothing(name, pl.Date)
    reader = partial(text.dates, day_first=day_first)
    return column.map_batches(reader, return_dtype=pl.Date, is_elementwise=True)


def level_expr(name: str, dtype: DType = pl.String) -> pl.Expr:
    """The column as the text of a level: stripped, null where missing.

    Numbers that are whole are written without a fraction, so ``1``, ``1.0`` and the float 1.0 (as pandas
    makes of integers beside missing values) are one level.
    """
    column = pl.col(name)
    if dtype == pl.String:
        stripped = column.str.strip_chars()
        return (
            pl.when(~stripped.str.to_lowercase().is_in(sorted(MACHINE_MISSING)))
            .then(stripped.str.replace(r"^([+-]?[0-9]+)\.0+$", "${1}"))
            .alias(name)
        )
    if dtype.is_float():
        return pl.coalesce(_whole(column).cast(pl.String), column.fill_nan(None).cast(pl.String))
    return column.cast(pl.String)


def level_key(level: pl.Expr) -> pl.Expr:
    """What two spellings of one level share: lower case, no blanks around, no final dot, no ``.0``."""
    return (
        level.str.strip_chars()
        .str.to_lowercase()
        .str.replace(r"^([+-]?[0-9]+)\.0*$", "${1}")
        .str.replace(r"\.$", "")
    )


def key_of(level: str) -> str:
    """`level_key` of one string."""
    found = pl.select(level_key(pl.lit(level))).item()
    return str(found)


def missing_expr(name: str, dtype: DType, kind: Kind) -> pl.Expr:
    """Whether the value is missing (null, blank, or a word that says so), as against unreadable."""
    column = pl.col(name)
    if dtype == pl.String:
        words = MACHINE_MISSING if kind in (Kind.CATEGORY, Kind.TEXT, Kind.ID) else SAID_MISSING
        return column.is_null() | column.str.strip_chars().str.to_lowercase().is_in(sorted(words))
    if dtype.is_float():
        return column.is_null() | column.is_nan()
    return column.is_null()


def typed_expr(name: str, column: Column, dtype: DType = pl.String) -> pl.Expr:
    """The column as its contract kind: Float64, Int64, Boolean, Date or String."""
    decimal = column.decimal or "."
    if column.kind is Kind.NUMBER:
        return number_expr(name, dtype, decimal=decimal)
    if column.kind is Kind.INTEGER:
        return integer_expr(name, dtype, decimal=decimal)
    if column.kind is Kind.BOOLEAN:
        return boolean_expr(name, dtype, true=column.true, false=column.false)
    if column.kind is Kind.DATE:
        return date_expr(name, dtype, day_first=bool(column.day_first))
    return level_expr(name, dtype)


def label_expr(churn: Churn, dtype: DType = pl.String) -> pl.Expr:
    """The label as Int8, 1 for left and 0 for stayed; null where missing or neither.

    Spellings are compared by `level_key`. Where the contract's two values are a yes and a no, any other yes
    or no counts too (``1`` beside ``Yes``).
    """
    key = level_key(level_expr(churn.label, dtype))
    left, stayed = {key_of(churn.positive)}, set[str]()
    if churn.negative is not None:
        stayed = {key_of(churn.negative)}
        if left <= TRUE_WORDS and stayed <= FALSE_WORDS:
            left, stayed = set(TRUE_WORDS), set(FALSE_WORDS)
        elif left <= FALSE_WORDS and stayed <= TRUE_WORDS:
            left, stayed = set(FALSE_WORDS), set(TRUE_WORDS)
        negative = key.is_in(sorted(stayed))
    else:
        negative = key.is_not_null()
    one, zero = pl.lit(1, pl.Int8), pl.lit(0, pl.Int8)
    return pl.when(key.is_in(sorted(left))).then(one).when(negative).then(zero).alias(churn.label)
