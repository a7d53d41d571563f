"""What a definition of leaving is, and what all ways to leave share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from holdfast.contract.history import HistoryChurn

HORIZONS = (30, 60, 90, 180, 365)
"""Days; what a guess is rounded up to."""

SOME_LEAVE = 0.02
"""Share of customers that leave within the horizon, at least, where it is chosen by how many leave."""

LONGEST_MONTH = 31
"""Days; windows as long as this leave no day out from one first of a month to the next."""

MANY_ON_THE_31ST = 0.1
"""Share of those who leave, from which windows of 30 days lose too many; spread over the year it is 2 %."""

SIDE = frozenset({
    "ticket", "support", "call", "complaint", "email", "campaign", "survey", "review", "contact", "click",
    "message", "response", "address", "price", "offer", "return", "refund",
})  # fmt: skip
"""Words of tables that are not where a customer's staying shows."""


@dataclass(frozen=True)
class Leaving:
    """A definition of churn and the reasons for it."""

    churn: HistoryChurn
    notes: dict[str, str] = field(default_factory=dict)
    """Key of ``[churn]``, such as ``event`` or ``where.type``, to a sentence."""
    left: pl.DataFrame | None = None
    """``customer`` and ``left`` (Boolean): who has left by the end of the data, as a rough guess."""
    aside: bool = False
    """Whether it is seen in a table of what is not a customer's staying, such as addresses."""
    first: date | None = None
    """No snapshot before it, where ends seem not to have been kept earlier."""
    first_note: str = ""

    @property
    def share(self) -> float:
        """Share of customers that have left."""
        return float(self.left["left"].mean() or 0) if self.left is not None else 0.0  # type: ignore[arg-type]


def horizon_of_rate(rate: float, left: pl.Series) -> tuple[int, str]:
    """The shortest horizon, up to 180 days, in which enough customers leave; and why not 30, if it is 31.

    Args:
        rate: share of customers that leave in a day.
        left: the days on which they left.
    """
    days = next((some for some in HORIZONS[:4] if rate * some >= SOME_LEAVE), HORIZONS[3])
    last = int((left.dt.day() == LONGEST_MONTH).sum()) / max(1, len(left))
    if days != HORIZONS[0] or last <= MANY_ON_THE_31ST:
        return days, ""
    return LONGEST_MONTH, (
        f"; {last:.0%} of all who left did so on the 31st, which {days} days from the first of a month "
        "leave out"
    )
