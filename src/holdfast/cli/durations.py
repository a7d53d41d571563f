"""Lengths of time as people type them."""

from __future__ import annotations

import math
import re

from holdfast.errors import UsageError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def parse_duration(text: str) -> float:
    """Seconds in ``text``: ``90``, ``30s``, ``5m``, ``1h``, ``1h30m``, ``90d``.

    >>> parse_duration("90"), parse_duration("2.5m"), parse_duration("1h30m")
    (90.0, 150.0, 5400.0)

    Raises:
        UsageError: it is no length of time, or not above zero.
    """
    parts = _PART.findall(text.strip().lower())
    whole = "".join(number + unit for number, unit in parts) == text.strip().lower()
    if not parts or not whole or (len(parts) > 1 and not all(unit for _, unit in parts)):
        raise UsageError(
            f'"{text}" is no length of time.', hint="Write it as 30s, 5m, 1h30m, 90d, or a number of seconds."
        )
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds < math.inf:
        raise UsageError("A length of time must be above zero.", hint="Try 30s or 5m.")
    return seconds
