"""Numbers and dates as people write them: columns of text to columns of values.

Eager functions on Series. The common spelling is read at the speed of a cast; only what that leaves unread
goes through the patterns, so one dressed-up value does not slow a million plain ones. Use them through the
expressions of `holdfast.contract.parse`.
"""

from __future__ import annotations

import polars as pl

MACHINE_MISSING = frozenset({"", "null", "nan", "<na>", "#n/a", "#na", "\\n", "nat"})
"""Spellings that only machines write for *no value* (lower case). Missing for every kind."""

SAID_MISSING = MACHINE_MISSING | {
    "na", "n/a", "n.a.", "none", "nil", "-", "--", "---", ".", "?", "unknown", "missing",
    "not available", "not applicable", "undefined", "#null!", "#value!", "#ref!", "#div/0!", "#num!",
}  # fmt: skip
"""Missing for numbers, booleans and dates. In a category such a word may be a level of its own."""

MONEY_SIGNS = "$€£¥₹₽₩₺₪฿₴₦₱₡¢₫"
_MONEY_CODES = r"USD|EUR|GBP|CAD|AUD|CHF|INR|JPY|BRL|MXN|SEK|NOK|DKK|PLN|Rs\.?|kr\.?|zł"
_MONEY = f"(?:(?:US|CA|C|A|R)?[{MONEY_SIGNS}]|{_MONEY_CODES})"
_MINUS_SIGNS = "\\-\u2212\u2013"  # also the typographer's minus and dash
_BLANKS = " \u00a0\u202f\u2009"
_AROUND = "()-+\u2212\u2013%" + _BLANKS + MONEY_SIGNS + "ABCDEFGHIJKLMNOPQRSTUVWXYZkrsłz"
_GROUPS = {".": "[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}", ",": r"[0-9]{1,3}(?:\.[0-9]{3})+"}
_MARK = {".": r"\.", ",": ","}
_OTHER = {".": ",", ",": "."}


def numbers(text: pl.Series, decimal: str = ".") -> pl.Series:
    """Text as Float64; null where missing or no number. ``inf`` stays infinite, ``nan`` is null.

    Args:
        text: a String Series.
        decimal: the decimal mark, ``.`` or ``,``.
    """
    stripped = text.str.strip_chars()
    if decimal == ".":  # what Polars reads as a number is one
        found = stripped.cast(pl.Float64, strict=False)
    else:
        whole = stripped.str.contains("^[+-]?[0-9]+$|(?i)^[+-]?inf(inity)?$")
        found = stripped.zip_with(whole.fill_null(value=False), pl.Series([None], dtype=pl.String))
        found = found.cast(pl.Float64, strict=False)
    left = (found.is_null() & stripped.is_not_null() & (stripped != "")).arg_true()
    if len(left):
        found = found.scatter(left, _dressed(stripped.gather(left), decimal))
    return found.fill_nan(None).alias(text.name)


def _dressed(stripped: pl.Series, decimal: str) -> pl.Series:
    """Numbers with money, separators, signs. Patterns accept or delete, never capture: much faster."""
    single = stripped.str.contains(_pattern(_single(decimal)))
    grouped = stripped.str.contains(_pattern(_grouped(decimal)))
    negative = stripped.str.contains(rf"^[^0-9]*[{_MINUS_SIGNS}(]|[{_MINUS_SIGNS}][^0-9]*$")
    twice = stripped.str.contains(
        rf"[{_MINUS_SIGNS}(][^0-9]*[{_MINUS_SIGNS}(][^0-9]*[0-9]|[{_MINUS_SIGNS}(].*[{_MINUS_SIGNS}][^0-9]*$"
    ) & ~stripped.str.contains("[0-9][eE]-[0-9]")
    bracket = stripped.str.contains("(", literal=True) == stripped.str.contains(")", literal=True)
    digits = stripped.str.strip_prefix("Rs.").str.strip_suffix("kr.").str.strip_chars(_AROUND)
    one = digits.str.replace(",", ".", literal=True)
    other = _MARK[_OTHER[decimal]]
    many = digits.str.replace_all(f"[{other}{_BLANKS}'\u2019_]", "").str.replace(decimal, ".", literal=True)
    value = one.zip_with(single, many).cast(pl.Float64, strict=False)
    value = value.zip_with((single | grouped) & bracket & ~twice, pl.Series([None], dtype=pl.Float64))
    return (-value).zip_with(negative, value)


def _pattern(core: str) -> str:
    sign = f"[+{_MINUS_SIGNS}]?"
    blank = f"[{_BLANKS}]*"
    return (
        rf"^\(?{sign}{blank}{_MONEY}?{blank}{sign}{blank}(?:{core})(?:[eE][+-]?[0-9]+)?"
        rf"{blank}(?:%|{_MONEY})?{blank}[{_MINUS_SIGNS}]?\)?$"
    )


def _grouped(decimal: str) -> str:
    mark = _MARK[decimal]
    spaced = f"[0-9]{{1,3}}(?:[{_BLANKS}'\u2019_][0-9]{{3}})+"
    return f"(?:{_GROUPS[decimal]}|{spaced}|[0-9]+)(?:{mark}[0-9]*)?|{mark}[0-9]+"


def _single(decimal: str) -> str:
    """The other mark where it cannot separate thousands: 12,5 · 0,125 · 1,2345 in a column with points."""
    other = _MARK[_OTHER[decimal]]
    return f"[0-9]+{other}(?:[0-9]{{1,2}}|[0-9]{{4,}})|0+{other}[0-9]+"


def dates(text: pl.Series, *, day_first: bool = False) -> pl.Series:
    """Text as Date; null where missing or no date. A time of day is dropped.

    Args:
        text: a String Series.
        day_first: whether 03/04/2024 is the third of April.
    """
    stripped = text.str.strip_chars()
    timed = stripped.str.contains("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]+[0-9]{1,2}:.*$").fill_null(value=False)
    day = stripped.str.slice(0, 10).zip_with(timed, stripped)
    found = day.str.to_date("%Y-%m-%d", strict=False)
    plain = stripped.str.contains("^[0-9]{4}-")  # Polars would also read 05-01-23 as the year 5
    found = found.zip_with(plain.fill_null(value=False), pl.Series([None], dtype=pl.Date))
    left = (found.is_null() & stripped.is_not_null() & (stripped != "")).arg_true()
    if len(left):
        found = found.scatter(left, _other_dates(stripped.gather(left), day_first=day_first))
    return found.alias(text.name)


def _other_dates(stripped: pl.Series, *, day_first: bool) -> pl.Series:
    clock = r"(?:[T ,]+[0-9]{1,2}:.*)?$"
    order = "-${2}-${1}" if day_first else "-${1}-${2}"
    number, year = "([0-9]{1,2})", "([0-9]{4})"
    normal = (
        stripped.str.replace(rf"^{year}[-/.]{number}[-/.]{number}{clock}", "${1}-${2}-${3}")
        .str.replace(r"^([12][0-9]{3})([0-9]{2})([0-9]{2})(?:\.0+)?$", "${1}-${2}-${3}")
        .str.replace(rf"^{number}[-/. ]{number}[-/. ]{year}{clock}", "${3}" + order)
        .str.replace(rf"^{number}[-/.]{number}[-/.]([7-9][0-9]|69){clock}", "19${3}" + order)
        .str.replace(rf"^{number}[-/.]{number}[-/.]([0-9]{{2}}){clock}", "20${3}" + order)
    )
    named = (
        stripped.str.replace(
            rf"^([A-Za-z]{{3,9}})\.?[- ]{number}(?:st|nd|rd|th)?,?[- ]+{year}{clock}", "${2}-${1}-${3}"
        )
        .str.replace(rf"^{number}[-/. ]([A-Za-z]{{3,9}})[-/., ]+{year}{clock}", "${1}-${2}-${3}")
        .str.replace(rf"^{number}[-/ ]([A-Za-z]{{3}})[-/ ]([7-9][0-9]|69){clock}", "${1}-${2}-19${3}")
        .str.replace(rf"^{number}[-/ ]([A-Za-z]{{3}})[-/ ]([0-9]{{2}}){clock}", "${1}-${2}-20${3}")
    )
    iso = normal.str.contains("^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$")
    first = normal.str.to_date("%Y-%m-%d", strict=False)
    second = named.str.to_date("%d-%B-%Y", strict=False)
    return first.zip_with(iso.fill_null(value=False), second)
