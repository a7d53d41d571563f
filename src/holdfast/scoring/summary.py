"""What happened when a file was scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from holdfast.quality.counts import Counts


@dataclass(frozen=True, slots=True)
class FileSummary:
    """The account of one scored file: every row of it is either scored or rejected."""

    source: Path
    out: Path
    rejects: Path | None
    """None where no row was rejected."""
    version: str
    """The model's, such as ``v3``."""
    rows_in: int
    scored: int
    malformed: int
    """Lines that could not be split into columns; they are among the rejected."""
    windows_1252: int
    """Lines that are no UTF-8 and were read as Windows-1252."""
    counts: Counts
    """What conforming the other rows took."""
    reordered: bool
    """Whether the table has its columns in another order than the contract."""
    repeated_ids: int | None
    """Rows whose customer id an earlier row had; all were scored. None where the table has no ids."""
    repeated_ids_exact: bool
    will_churn: int
    expected_churners: float
    """Sum of the probabilities."""
    risk_levels: Mapping[str, int]
    seconds: float

    @property
    def rejected(self) -> int:
        """Rows that were not scored; the file of rejects says why."""
        return self.counts.rejected + self.malformed

    @property
    def rows_per_second(self) -> float:
        """Rows read in a second, all work included."""
        return self.rows_in / max(self.seconds, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain JSON types."""
        counts = self.counts.as_dict()
        told = ("missing", "repairs", "repair_examples", "unseen", "unseen_examples")
        return {
            "source": str(self.source),
            "out": str(self.out),
            "rejects": str(self.rejects) if self.rejects else None,
            "model_version": self.version,
            "rows_in": self.rows_in,
            "scored": self.scored,
            "rejected": self.rejected,
            "malformed": self.malformed,
            "windows_1252": self.windows_1252,
            "will_churn": self.will_churn,
            "expected_churners": self.expected_churners,
            "risk_levels": dict(self.risk_levels),
            "absent_columns": counts["absent_columns"],
            "ignored_columns": counts["ignored_columns"],
            "reordered_columns": self.reordered,
            "repeated_ids": self.repeated_ids,
            "repeated_ids_exact": self.repeated_ids_exact,
            **{name: counts[name] for name in told},
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second),
        }
