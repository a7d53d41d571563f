"""What numbers are measured in, and the one way in which a value is written with its unit.

>>> written(pl.DataFrame({"tenure": [1, 2, None]}), {"tenure": Measured(MONTHS)}).phrases.to_list()
['1 month', '2 months', 'not known']
>>> written(pl.DataFrame({"held": [0.25, 1 / 3, 1]}), {"held": Measured(SHARE)}).phrases.to_list()
['25 %', '33.3 %', '100 %']
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from holdfast.contract import Kind, Meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract import Column

NOT_KNOWN = "not known"
"""What is written of a value that is missing, not a number or without limit."""

_DIGITS = 3
"""Significant digits of a number that is not whole."""

_CENTS = 2
"""Decimals that a table's own number keeps: 70.35 is what the customer pays, and 70.4 is not."""

_SHORTEST, _LONGEST = 1e-5, 1e15
"""Between these a number is written in digits; beyond, in words."""

_FOR_MACHINES = {"1", "0", "y", "n", "t", "f", "true", "false"}
"""Spellings of a flag that are for machines: people read Yes and No."""


@dataclass(frozen=True)
class Unit:
    """What a number is measured in.

    Attributes:
        name: what it is called in tables about features.
        one: what follows the number 1.
        many: what follows any other number.
        times: what the number is multiplied by before it is written.
    """

    name: str
    one: str = ""
    many: str = ""
    times: float = 1.0


def _counted(thing: str, rest: str = "") -> Unit:
    return Unit(f"{thing}s{rest}", f"{thing}{rest}", f"{thing}s{rest}")


def _after(name: str, words: str) -> Unit:
    return Unit(name, words, words)


PLAIN = Unit("")
FLAG = Unit("yes/no")
BAND = Unit("band")
KIND = Unit("type")
LEVEL = Unit("low/medium/high")
RATIO = Unit("ratio")
SCORE = Unit("score")
MONEY = Unit("money")
MONEY_A_MONTH = _after("money a month", "a month")
MONEY_A_SERVICE = _after("money per service", "per service")
MONEY_IN_TOTAL = _after("money in total", "in total")
SHARE = Unit("share", "%", "%", times=100.0)
CHURN_RATE = Unit("churn rate", "%", "%", times=100.0)
DAYS = _counted("day")
MONTHS = _counted("month")
YEARS = _counted("year")
CALLS = _counted("call")
CALLS_A_MONTH = _counted("call", " a month")
MINUTES_A_MONTH = _counted("minute", " a month")
PAYMENTS = _counted("payment")
ISSUES = _counted("issue")
SERVICES = _counted("service")

_OF_MEANING = {
    Meaning.TENURE_MONTHS: MONTHS,
    Meaning.MONTHLY_CHARGE: MONEY_A_MONTH,
    Meaning.TOTAL_CHARGE: MONEY_IN_TOTAL,
    Meaning.CONTRACT_TERM: MONTHS,
    Meaning.SUPPORT_CALLS: CALLS,
    Meaning.LATE_PAYMENTS: PAYMENTS,
    Meaning.BILLING_ISSUES: ISSUES,
    Meaning.DATA_USAGE: _after("volume a month", "a month"),
    Meaning.PHONE_USAGE: MINUTES_A_MONTH,
    Meaning.AGE: YEARS,
}
"""Units of a contract's numbers, by what they mean."""


def unit_of(column: Column) -> Unit:
    """Unit of a contract's column."""
    if column.meaning is None or column.kind not in {Kind.NUMBER, Kind.INTEGER}:
        return PLAIN
    return _OF_MEANING.get(column.meaning, PLAIN)


class Measured(NamedTuple):
    """What the values of a reason are measured in, and the contract's column that they come from, if any."""

    unit: Unit
    column: Column | None = None


class Written(NamedTuple):
    """Values as people write them, and the unit that follows each: texts in the same places as the values."""

    values: pl.DataFrame
    units: pl.DataFrame

    @property
    def phrases(self) -> pl.Series:
        """The only column's values, each as `phrase` writes it."""
        return (self.values.to_series() + " " + self.units.to_series()).str.strip_suffix(" ")


def written(values: pl.DataFrame, measured: Mapping[str, Measured]) -> Written:
    """Values as people write them, each with its unit in the right number.

    Whole numbers are written in full, others to three significant digits (a table's own to the cent at
    least), never with zeros at the end; flags as words; levels as they are.

    Args:
        values: of any types.
        measured: says of each column what it is.
    """
    types = values.schema
    texts = values.select(
        _in_words(name, types[name], each).fill_null(NOT_KNOWN).alias(name) for name, each in measured.items()
    )
    return Written(
        texts, texts.select(_following(name, types[name], each.unit) for name, each in measured.items())
    )


def phrase(value: str, unit: str) -> str:
    """A value with its unit behind it, as in "1 month"; without a unit it stands alone."""
    return f"{value} {unit}" if unit else value


def _in_words(name: str, dtype: pl.DataType, measured: Measured) -> pl.Expr:
    if dtype.is_numeric():
        return _number(pl.col(name), measured, whole=dtype.is_integer())
    if dtype == pl.Boolean:
        yes, no = _spelled(measured.column)
        return pl.when(pl.col(name)).then(pl.lit(yes)).when(~pl.col(name)).then(pl.lit(no))
    return pl.col(name).cast(pl.String)


def _following(name: str, dtype: pl.DataType, unit: Unit) -> pl.Expr:
    """The unit behind each text of ``name``, which was of type ``dtype``: only numbers have one."""
    text = pl.col(name)
    one, many, none = (pl.lit(words, dtype=pl.String) for words in (unit.one, unit.many, ""))
    counts = pl.lit(dtype.is_numeric()) & (text != NOT_KNOWN)
    return pl.when(counts & (text == "1")).then(one).when(counts).then(many).otherwise(none).alias(name)


def _number(number: pl.Expr, measured: Measured, *, whole: bool) -> pl.Expr:
    """Numbers with commas between the thousands, in digits as long as anyone reads digits."""
    unit, column = measured
    in_full = whole and unit.times == 1
    if not in_full:
        number = _rounded(number.cast(pl.Float64) * unit.times, _CENTS if column is not None else 0)
    text = number.cast(pl.String).str.strip_suffix(".0")
    sign, integer, rest = (text.str.extract("^(-?)([0-9]+)(.*)$", at) for at in (1, 2, 3))
    thousands = integer.str.reverse().str.replace_all("([0-9]{3})", "${1},").str.reverse()
    # Four digits without a unit may be a year, and a year has no comma.
    least = 5 if in_full and not unit.many else 4
    short = integer.str.len_chars() < least
    shown = sign + pl.when(short).then(integer).otherwise(thousands.str.strip_prefix(",")) + rest
    if in_full:
        return shown
    return (
        pl.when(number > _LONGEST)
        .then(pl.lit("over 10^15"))
        .when(number < -_LONGEST)
        .then(pl.lit("under -10^15"))
        .when((number != 0) & (number.abs() < _SHORTEST))
        .then(pl.lit("nearly 0"))
        .otherwise(shown)
    )


def _rounded(number: pl.Expr, decimals: int) -> pl.Expr:
    """To ``decimals``, or to three significant digits where those are more; missing where not finite."""
    size = number.abs()
    near = pl.when(size >= 10.0 ** (_DIGITS - 1 - decimals)).then(number.round(decimals))
    rounded = near.otherwise(number.round_sig_figs(_DIGITS))
    return pl.when(size == 0).then(0.0).when(size.is_finite()).then(rounded)  # nothing has no sign


def _spelled(column: Column | None) -> tuple[str, str]:
    """How a flag's yes and no are written: the table's own words, where they are words."""
    yes, no = (column.true, column.false) if column is not None else (None, None)
    if yes and no and not {yes.strip().lower(), no.strip().lower()} & _FOR_MACHINES:
        return yes, no
    return "Yes", "No"
