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


def horizon_of_rate(rate: float) -> int:
    """The shortest horizon, up to 180 days, in which enough customers leave; ``rate`` is of one day."""
    return next((days for days in HORIZONS[:4] if rate * days >= SOME_LEAVE), HORIZONS[3])
