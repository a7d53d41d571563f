"""Bounds that next month's customers pass and absurd values do not."""

from __future__ import annotations

import math

from holdfast.contract.meanings import Meaning

ROOM = 10.0
"""The largest value seen, so many times over, is still believed."""

OLDEST = 120.0
"""Years."""


def bounds(
    low: float, high: float, *, meaning: Meaning | None, name_words: tuple[str, ...]
) -> tuple[float | None, float | None, str]:
    """Least and largest value to accept, and why.

    Args:
        low: smallest value seen (finite).
        high: largest value seen (finite).
        meaning: what the column means.
        name_words: words of its name.
    """
    if meaning is Meaning.AGE and low >= 0 and high <= OLDEST:
        return 0.0, OLDEST, "an age in years"
    for axis, limit in (("latitude", 90.0), ("longitude", 180.0)):
        if coordinate(name_words) == axis and -limit <= low and high <= limit:
            return -limit, limit, "degrees"
    reach = _round_up(ROOM * max(abs(low), abs(high)))
    if reach == 0:
        return 0.0, None, "only 0 was seen"
    if low >= 0:
        return 0.0, reach, f"{ROOM:g} times the largest seen, rounded up"
    top = reach if high > 0 else 0.0
    return -reach, top, f"{ROOM:g} times the farthest from 0 seen, rounded up"


def coordinate(name_words: tuple[str, ...]) -> str | None:
    """``latitude`` or ``longitude``, if the name says so; *long* in a longer name is only a word."""
    for axis, short in (("latitude", ("lat",)), ("longitude", ("lon", "lng", "long"))):
        if axis in name_words or (len(name_words) == 1 and name_words[0] in short):
            return axis
    return None


def _round_up(value: float) -> float:
    """To one digit: 1,187 becomes 2,000."""
    if value <= 0 or not math.isfinite(value):
        return 0.0
    unit = 10.0 ** math.floor(math.log10(value))
    rounded = math.ceil(round(value / unit, 9)) * unit
    return float(f"{rounded:.12g}") if math.isfinite(rounded) else 0.0
