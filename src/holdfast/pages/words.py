"""Numbers as people write them. Thin spaces and true minus signs; no more digits than anyone reads."""

from __future__ import annotations

import math

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_PLAIN = 1e15
_TINY = 1e-4


def count(value: float | None, thing: str | None = None, things: str | None = None) -> str:
    """A whole number, with what was counted in the right number.

    >>> count(7043), count(1, "row"), count(2, "row"), count(0, "loss", "losses")
    ('7,043', '1 row', '2 rows', '0 losses')
    """
    if value is None:
        return NONE
    shown = f"{value:,.0f}".replace("-", MINUS)
    if thing is None:
        return shown
    return f"{shown} {thing}" if value == 1 else f"{shown} {things or thing + 's'}"


def number(value: float | None, digits: int = 3) -> str:
    """A number to ``digits`` significant digits, whole numbers in full.

    >>> number(0.84912), number(2283.3004), number(12.0), number(1.5e20)
    ('0.849', '2,283', '12', '1.5e+20')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    if value == round(value) and abs(value) < _PLAIN:
        return count(value)
    if abs(value) < _TINY or abs(value) >= _PLAIN:
        return f"{value:.{digits - 1}g}".replace("-", MINUS)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{decimals}f}"
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown).replace("-", MINUS)


def fixed(value: float | None, decimals: int = 2) -> str:
    """A number to so many decimals, for values that stand below each other.

    >>> fixed(0.84912), fixed(1, 3)
    ('0.85', '1.000')
    """
    if value is None or math.isnan(value):
        return NONE
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace(
        "-", MINUS
    )  # + 0.0: nothing below is minus nothing


def percent(share_of_one: float | None, decimals: int = 1) -> str:
    """A share as per cent; what is there but rounds away says so.

    >>> percent(0.26537), percent(0.00001), percent(0.0), percent(0.99999)
    ('26.5 %', '< 0.1 %', '0 %', '> 99.9 %')
    """
    if share_of_one is None or math.isnan(share_of_one):
        return NONE
    hundred = 100 * share_of_one
    step = 10.0**-decimals
    if 0 < hundred < step / 2:
        return f"< {step:.{decimals}f} %"
    if 100 - step / 2 < hundred < 100:  # noqa: PLR2004 - per cent
        return f"> {100 - step:.{decimals}f} %"
    if hundred in {0, 100}:
        return f"{hundred:.0f} %"
    return f"{hundred:.{decimals}f} %".replace("-", MINUS)


def share(part: float, whole: float) -> str:
    """A part of a whole, in counts and per cent.

    >>> share(1869, 7043), share(0, 0)
    ('1,869 of 7,043 = 26.5 %', '0 of 0')
    """
    said = f"{count(part)} of {count(whole)}"
    return f"{said} = {percent(part / whole)}" if whole else said


def money(value: float | None) -> str:
    """An amount in the business's own money, without its sign; cents only where they matter.

    >>> money(1234.5), money(12.5), money(3)
    ('1,235', '12.50', '3')
    """
    if value is None or math.isnan(value):
        return NONE
    cents = abs(value) < 100 and value != round(value)  # noqa: PLR2004 - three digits are enough
    return (f"{value:,.2f}" if cents else f"{math.floor(value + 0.5):,}").replace("-", MINUS)


def compact(value: float) -> str:
    """A number as short as an axis needs it.

    >>> compact(0.25), compact(1500), compact(20_000), compact(3_000_000)
    ('0.25', '1,500', '20k', '3M')
    """
    for least, unit, name in ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return number(value / unit) + name
    return number(value)
