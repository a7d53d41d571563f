"""What happened to a table on its way through `holdfast.quality.conform`, as counts that add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

MOST_EXAMPLES = 5
"""So many different examples are kept of each column's repairs and unseen levels."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts over one table or, added together with ``+``, over the batches of one.

    All mappings are by the contract's column name and hold only columns with something to tell. They count
    cells of every row that was read, kept or not. Examples are the first few different ones met.
    """

    rows: int = 0
    """Rows read."""
    rejected: int = 0
    """Rows left out because of at least one cell; lines that could not be split are not among them."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """Cells without a value: null, blank text, not-a-number."""
    repairs: Mapping[str, int] = field(default_factory=dict)
    """Cells that were not written as the contract writes them but whose value is beyond doubt."""
    repair_examples: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Pairs (as written, as read)."""
    unseen: Mapping[str, int] = field(default_factory=dict)
    """Cells holding a level that the contract does not list; they became missing."""
    unseen_examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent_columns: tuple[str, ...] = ()
    """Optional columns of the contract that the table does not have; all their values are missing."""
    ignored_columns: tuple[str, ...] = ()
    """Columns of the table that the contract does not know."""

    @property
    def kept(self) -> int:
        """Rows that conform."""
        return self.rows - self.rejected

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            rows=self.rows + other.rows,
            rejected=self.rejected + other.rejected,
            missing=_sums(self.missing, other.missing),
            repairs=_sums(self.repairs, other.repairs),
            repair_examples=_firsts(self.repair_examples, other.repair_examples),
            unseen=_sums(self.unseen, other.unseen),
            unseen_examples=_firsts(self.unseen_examples, other.unseen_examples),
            absent_columns=tuple(dict.fromkeys((*self.absent_columns, *other.absent_columns))),
            ignored_columns=tuple(dict.fromkeys((*self.ignored_columns, *other.ignored_columns))),
        )

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain JSON types."""
        return {
            "rows": self.rows,
            "kept": self.kept,
            "rejected": self.rejected,
            "missing": dict(self.missing),
            "repairs": dict(self.repairs),
            "repair_examples": {
                name: [{"from": before, "to": after} for before, after in pairs]
                for name, pairs in self.repair_examples.items()
            },
            "unseen": dict(self.unseen),
            "unseen_examples": {name: list(levels) for name, levels in self.unseen_examples.items()},
            "absent_columns": list(self.absent_columns),
            "ignored_columns": list(self.ignored_columns),
        }


def _sums(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in dict.fromkeys((*left, *right))}


def _firsts(
    left: Mapping[str, tuple[T, ...]], right: Mapping[str, tuple[T, ...]]
) -> dict[str, tuple[T, ...]]:
    return {
        name: tuple(dict.fromkeys((*left.get(name, ()), *right.get(name, ()))))[:MOST_EXAMPLES]
        for name in dict.fromkeys((*left, *right))
    }
