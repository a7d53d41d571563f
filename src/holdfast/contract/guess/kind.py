"""What kind of values a column holds, from the values themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse, text
from holdfast.contract.guess.dates import guess_dates
from holdfast.contract.guess.words import NOMINAL, is_nominal
from holdfast.contract.types import OPEN_LEVELS, Column, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.guess.dates import Order
    from holdfast.contract.guess.profile import Profile

MOST_UNREADABLE = 0.01
"""A column with a larger share of words among its numbers is no column of numbers …"""

MOST_UNREADABLE_MANY = 0.05
"""… or this share, where the numbers are so many that they cannot be levels."""

LARGEST_AMOUNT = 2**53
"""Whole numbers from here on are names: no amount is so large, and floats no longer tell them apart."""

FEWEST_TWOS = 1.0
"""Where a Poisson count would be expected to show fewer twos than this, that none is there says little."""

PADDED = 0.005
"""Codes if more than this share of the values begins with a zero; one stray 07 makes no code."""


@dataclass(frozen=True)
class Hints:
    """What the other columns of the file say about how it is written."""

    decimal_comma: bool = False
    order: Order | None = None
    """Of day and month, where a column leaves it open."""


@dataclass(frozen=True)
class KindGuess:
    """A kind, the settings that go with it, and why."""

    column: Column
    why: str
    unreadable: int = 0
    """Rows whose value is neither missing nor of the kind."""
    sure_comma: bool | None = None
    """Whether the values themselves show a decimal comma (true) or point (false); none if neither."""
    order: Order | None = None
    """Of dates: whether the day or the month comes first, if they need it."""

    @property
    def kind(self) -> Kind:
        """The kind."""
        return self.column.kind


def guess_kinds(profiles: Mapping[str, Profile], order: Order | None) -> dict[str, KindGuess]:
    """Each column's kind; what some columns show of the file's habits decides where others leave it open.

    Args:
        profiles: the columns of one table.
        order: of day and month where a column leaves it open, from `guess_orders`.
    """
    alone = Hints(order=order)
    kinds = {name: _kind_or_none(profile, alone) for name, profile in profiles.items()}
    hints = Hints({guess.sure_comma for guess in kinds.values()} - {None} == {True}, order)
    if hints == alone:
        return kinds
    return {
        name: _kind_or_none(profile, hints) if profile.is_text else kinds[name]
        for name, profile in profiles.items()
    }


def _kind_or_none(profile: Profile, hints: Hints) -> KindGuess:
    if profile.present == 0 and profile.is_readable:
        return KindGuess(Column(kind=Kind.CATEGORY), "no value in any row")
    return guess_kind(profile, hints)


def guess_kind(profile: Profile, hints: Hints) -> KindGuess:
    """The kind of a column that has at least one value."""
    if not profile.is_readable:
        return KindGuess(Column(kind=Kind.TEXT), f"holds {str(profile.dtype).lower()} values")
    if profile.dtype == pl.Boolean:
        return KindGuess(Column(kind=Kind.BOOLEAN), "true or false")
    if profile.dtype in (pl.Date, pl.Datetime):
        return KindGuess(Column(kind=Kind.DATE), "dates")
    if profile.is_text:
        return _of_text(profile, hints)
    return _of_numbers(profile)


def _of_text(profile: Profile, hints: Hints) -> KindGuess:
    for guess in (_booleans, _text_numbers):
        found = guess(profile, hints)
        if found is not None:
            return found
    dates = guess_dates(profile.levels, order=hints.order)
    if dates is not None:
        column = Column(kind=Kind.DATE, day_first=True if dates.day_first else None)
        return KindGuess(column, dates.why, dates.unreadable, order=dates.order)
    return KindGuess(Column(kind=Kind.CATEGORY), _levels_in_words(profile.levels))


def _rows(values: pl.DataFrame) -> int:
    """How many rows have these values."""
    return int(values["count"].sum())


def _booleans(profile: Profile, _: Hints) -> KindGuess | None:
    """Yes and no in whatever spelling; both must be there."""
    if profile.levels.height > 12:  # noqa: PLR2004 - spellings of two words
        return None
    said = sorted(text.SAID_MISSING - {"unknown", "none"})  # these two are answers when asked yes or no
    values = profile.levels.filter(~pl.col("level").str.to_lowercase().is_in(said))
    keyed = values.with_columns(key=parse.level_key(pl.col("level")))
    yes = keyed.filter(pl.col("key").is_in(sorted(parse.TRUE_WORDS))).sort("count", descending=True)
    no = keyed.filter(pl.col("key").is_in(sorted(parse.FALSE_WORDS))).sort("count", descending=True)
    if not yes.height or not no.height or yes.height + no.height < values.height:
        return None
    digits = set(keyed["key"]) <= {"0", "1"}
    if digits and (is_nominal(profile.words) or _may_be_count(_rows(yes), _rows(no))):
        return None
    column = Column(kind=Kind.BOOLEAN, true=yes["level"][0], false=no["level"][0])
    share = _rows(yes) / _rows(values)
    return KindGuess(column, f"{column.true} or {column.false}; {share:.0%} {column.true}")


def _may_be_count(ones: int, zeros: int) -> bool:
    """Whether 0 and 1 may be a count (of boats, of complaints) so rare that its first 2 is still to come.

    A Poisson count with P(1)/P(0) = r has P(2) = P(0) r^2 / 2. A yes/no that is taken for a number loses
    nothing; a count that is taken for a yes/no would reject the customer with two.
    """
    return ones * ones / (2 * zeros) < FEWEST_TWOS


def _text_numbers(profile: Profile, hints: Hints) -> KindGuess | None:
    said = sorted(text.SAID_MISSING)
    values = profile.levels.filter(~pl.col("level").str.to_lowercase().is_in(said))
    if not values.height:
        return None
    sure_comma = _shows_comma(values)
    decimal = "," if sure_comma or (sure_comma is None and hints.decimal_comma) else "."
    numbers = text.numbers(values["level"], decimal)
    unreadable = _rows(values.filter(numbers.is_null()))
    many = numbers.n_unique() > OPEN_LEVELS
    if unreadable > (MOST_UNREADABLE_MANY if many else MOST_UNREADABLE) * _rows(values):
        return None
    codes = _codes(profile, values["level"], numbers)
    if codes is not None:
        return codes
    if not unreadable and values["level"].str.contains(r"^[12]\d{7}$").all():
        dates = guess_dates(values)
        if dates is not None and not dates.unreadable:
            return KindGuess(Column(kind=Kind.DATE), "dates written as YYYYMMDD")
    # 100.00 is whole by chance and money by form; the next customer pays 99.50.
    if not sure_comma and not values["level"].str.contains(r"[.,]").any():
        decimal = "."
    money = profile.raw.head(1_000).str.contains(rf"[.,]\d\d\s*$|[{text.MONEY_SIGNS}%]").any()
    return _numbers(
        numbers, whole_type=not money, decimal="," if decimal == "," else None, unreadable=unreadable,
        sure_comma=sure_comma,
    )  # fmt: skip


def _shows_comma(values: pl.DataFrame) -> bool | None:
    """Whether a comma is the decimal mark: by values that can be read in only one way; none if none can."""
    commas, points = (
        _rows(values.filter(pl.col("level").str.contains(_only_as_decimal(*marks))))
        for marks in ((",", r"\."), (r"\.", ","))
    )
    return None if commas == points == 0 else commas > points


def _only_as_decimal(mark: str, other: str) -> str:
    """Values in which ``mark`` can only be the decimal mark: 1,5 · 0,125 · 1.234,5 · 1.234.567."""
    alone = rf"^[^{mark}]*{mark}(?:\d{{1,2}}|\d{{4,}})\D*$"
    return rf"{alone}|^\D*0?{mark}\d+\D*$|{other}\d{{3}}{mark}\d|{other}\d{{3}}{other}\d{{3}}"


def _codes(profile: Profile, levels: pl.Series, numbers: pl.Series) -> KindGuess | None:
    """Digits that name something: a leading zero would be lost in a number, and so would the meaning."""
    whole = numbers.drop_nulls()
    if not len(whole) or not (whole == whole.round()).all():
        return None
    padded = levels.str.contains(r"^0\d+$")
    if padded.sum() > PADDED * len(levels):
        return KindGuess(Column(kind=Kind.CATEGORY), "codes with leading zeros, not amounts")
    if is_nominal(profile.words):
        return KindGuess(Column(kind=Kind.CATEGORY), _nominal_in_words(profile))
    return None


def _of_numbers(profile: Profile) -> KindGuess:
    raw = profile.raw.drop_nulls()
    if profile.dtype.is_float():
        raw = raw.drop_nans()
    distinct = set(raw.unique().head(3).to_list()) if profile.distinct <= 2 else set()  # noqa: PLR2004 - yes and no
    nominal = is_nominal(profile.words)
    ones = int((raw == 1).sum())
    if distinct == {0, 1} and not nominal and not _may_be_count(ones, raw.len() - ones):
        column = Column(kind=Kind.BOOLEAN, true="1", false="0")
        return KindGuess(column, f"1 or 0; {ones / len(raw):.0%} 1")
    numbers = raw.cast(pl.Float64)
    whole = bool((numbers == numbers.round()).all()) and bool(numbers.is_finite().all())
    if whole and nominal:
        return KindGuess(Column(kind=Kind.CATEGORY), _nominal_in_words(profile))
    if whole and raw.len() and numbers.min() >= 19_000_101 and numbers.max() <= 21_001_231:  # type: ignore[operator]  # noqa: PLR2004 - dates as YYYYMMDD
        dates = guess_dates(profile.levels)
        if dates is not None and not dates.unreadable:
            return KindGuess(Column(kind=Kind.DATE), "dates written as YYYYMMDD")
    # pandas turns integers into floats where some are missing; floats without a gap are floats by choice.
    whole_type = profile.dtype.is_integer() or (profile.dtype.is_float() and profile.missing > 0)
    return _numbers(numbers, whole_type=whole_type)


def _numbers(
    numbers: pl.Series,
    *,
    whole_type: bool,
    decimal: str | None = None,
    unreadable: int = 0,
    sure_comma: bool | None = None,
) -> KindGuess:
    finite = numbers.drop_nulls().filter(numbers.drop_nulls().is_finite())
    low, high = (float(finite.min() or 0), float(finite.max() or 0)) if len(finite) else (0.0, 0.0)  # type: ignore[arg-type]
    whole = whole_type and bool((finite == finite.round()).all())
    # One absurd value does not make names of amounts.
    if whole and len(finite) and finite.abs().quantile(0.99, "lower") >= LARGEST_AMOUNT:  # type: ignore[operator]
        return KindGuess(Column(kind=Kind.CATEGORY), "whole numbers too long to be amounts")
    kind = Kind.INTEGER if whole else Kind.NUMBER
    what = "whole numbers" if whole else "numbers"
    why = f"{what}, {low:,.6g} to {high:,.6g}" if abs(high) < 1e6 else f"{what}, {low:g} to {high:g}"  # noqa: PLR2004 - digits up to a million
    if decimal == ",":
        why += ", with a decimal comma"
    if unreadable:
        why += f"; {unreadable:,} rows hold something else and will be rejected"
    return KindGuess(Column(kind=kind, decimal=decimal), why, unreadable, sure_comma)


def _nominal_in_words(profile: Profile) -> str:
    found = next((word for word in profile.words if word in NOMINAL), profile.name)
    return f'{profile.distinct:,} codes; "{found}" in its name says they are names, not amounts'


def _levels_in_words(levels: pl.DataFrame) -> str:
    count = levels.height
    return f"{count:,} levels" if count != 1 else "one level"
