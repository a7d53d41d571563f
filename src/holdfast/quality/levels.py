"""Readers for text that names something: levels of a category, a customer's id, the label."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind, parse
from holdfast.contract.text import MACHINE_MISSING
from holdfast.quality.reader import RAW, VALUE, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.contract import Churn

LONGEST_WORD = max(map(len, MACHINE_MISSING))

FEW = 64
"""Up to so many texts are looked at one by one: for so few, starting an expression takes longer."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def listed_reader(levels: tuple[str, ...], dtype: pl.DataType) -> Reader:
    """A category whose levels the contract lists: Enum values; what is not a level comes out null, unseen.

    A cell is matched exactly, else as `parse.level_expr` writes it, else by `parse.level_key`, if only one
    level has that key.
    """
    wanted = pl.Enum(levels)
    text = parse.level_expr("raw", dtype)
    keys = {level: parse.key_of(level) for level in levels}
    times = Counter(keys.values())
    unique = {key: level for level, key in keys.items() if times[key] == 1}
    careful = text.cast(wanted, strict=False)
    if dtype == pl.String:
        careful = pl.coalesce(RAW.cast(wanted, strict=False), careful)
    if unique:
        by_key = parse.level_key(text).replace_strict(
            list(unique), list(unique.values()), default=None, return_dtype=pl.String
        )
        careful = pl.coalesce(careful, by_key.cast(wanted, strict=False))
    plain: Callable[[pl.Expr], pl.Expr] | None = None
    if dtype == pl.String:
        plain = lambda raw: raw.cast(wanted, strict=False)  # noqa: E731 - chosen by type
    elif dtype.is_integer() or dtype in (pl.Boolean, pl.Date):
        plain = lambda raw: raw.cast(pl.String).cast(wanted, strict=False)  # noqa: E731 - as above
    elif dtype.is_float():
        plain = lambda raw: _whole_text(raw).cast(wanted, strict=False)  # noqa: E731 - as above
    as_written = RAW.cast(wanted, strict=False).is_not_null() if dtype == pl.String else pl.lit(value=True)
    missing = parse.missing_expr("raw", dtype, Kind.CATEGORY) & VALUE.is_null()
    return Reader(wanted, plain, careful, missing, (), as_written)


def _whole_text(raw: pl.Expr) -> pl.Expr:
    """Whole numbers as text, null for others."""
    whole = raw.cast(pl.Int64, strict=False)
    return pl.when(whole.cast(pl.Float64) == raw).then(whole.cast(pl.String))


def is_plain(text: str) -> bool:
    """Whether `text_reader` surely leaves this text as it is; there are others that it does."""
    return _PLAIN.fullmatch(text) is not None and text.lower() not in MACHINE_MISSING


def _few_and_plain(values: pl.Series) -> bool:
    return values.len() <= FEW and all(one is None or is_plain(one) for one in values.to_list())


def text_reader(dtype: pl.DataType, kind: Kind, *, missing_reason: str | None = None) -> Reader:
    """An open category or an id: String, without blanks around, whole numbers without a fraction.

    Args:
        dtype: type of the raw values.
        kind: category or id.
        missing_reason: why a row without a value is rejected, if it is.
    """
    if dtype != pl.String:
        return Reader(
            pl.String(),
            (lambda raw: raw.cast(pl.String)) if dtype.is_integer() else None,
            parse.level_expr("raw", dtype),
            parse.missing_expr("raw", dtype, kind),
            missing_reason=missing_reason,
        )
    # `parse.level_expr` changes only text that is one of a few short words, ends as a fraction or has blanks.
    careful = parse.level_expr("raw", dtype)
    doubt = (
        (RAW.str.len_bytes() <= LONGEST_WORD) & RAW.str.to_lowercase().is_in(sorted(MACHINE_MISSING))
        | (RAW.str.ends_with("0") & RAW.str.contains(".0", literal=True))
        | (RAW.str.strip_chars() != RAW)
    )
    return Reader(
        pl.String(),
        lambda raw: raw,
        careful,
        parse.missing_expr("raw", dtype, kind),
        as_written=careful == RAW,
        missing_reason=missing_reason,
        doubt=doubt,
        quick=_few_and_plain,
    )


def label_reader(churn: Churn, dtype: pl.DataType) -> Reader:
    """The label: Int8, 1 for left and 0 for stayed. A missing or an unknown one is rejected."""
    left = f'"{churn.positive}" (left)'
    plain: Callable[[pl.Expr], pl.Expr] | None = None
    as_written = pl.lit(value=True)
    careful = parse.label_expr(churn.model_copy(update={"label": "raw"}), dtype)
    if dtype == pl.String:
        known = [churn.positive] if churn.negative is None else [churn.positive, churn.negative]
        plain = lambda raw: _label_words(raw, churn)  # noqa: E731 - chosen by type
        careful = pl.coalesce(_label_words(RAW, churn), careful)
        as_written = RAW.is_in(known) if churn.negative is not None else RAW.str.strip_chars() == RAW
    return Reader(
        pl.Int8(),
        plain,
        careful,
        parse.missing_expr("raw", dtype, Kind.CATEGORY) & VALUE.is_null(),
        ((VALUE.is_null(), f'neither {left} nor "{churn.negative}" (stayed)'),),
        as_written,
        missing_reason="label missing",
    )


def _label_words(raw: pl.Expr, churn: Churn) -> pl.Expr:
    one, zero = pl.lit(1, pl.Int8), pl.lit(0, pl.Int8)
    left = pl.when(raw == churn.positive).then(one)
    return left.when(raw == churn.negative).then(zero) if churn.negative is not None else left.otherwise(None)
