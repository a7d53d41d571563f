"""When what happened became known: mostly soon, sometimes late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.simulator.telco.calendar import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

LATE = 0.03
"""Share of what becomes known days later."""

UTC = pl.Datetime("us", "UTC")
"""What times are in every table."""


def lag(size: int, rng: np.random.Generator, *, late: float = LATE) -> Whole:
    """Seconds until something is known: up to four hours, or with the chance ``late`` one to 20 days."""
    soon = rng.integers(MINUTE, 4 * HOUR, size)
    days = rng.integers(DAY, 20 * DAY, size)
    return np.where(rng.random(size) < late, days, soon)


def moment(name: str) -> pl.Expr:
    """A column of seconds since 1970 as times."""
    return pl.from_epoch(pl.col(name), "s").dt.cast_time_unit("us").dt.replace_time_zone("UTC").alias(name)
