"""The quality report as data: stable names, plain JSON types, the same for the same table."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Segment(_Frozen):
    """A group of customers and how many of them left."""

    name: str
    rows: int
    left: int
    rate: float | None
    """Share who left; none for an empty group."""
    low: float
    """95 % Wilson interval of the rate."""
    high: float


class Outliers(_Frozen):
    """Values far from the rest, counted by three rules. They are kept, not removed."""

    iqr: int
    """Beyond the quartiles by more than 1.5 interquartile ranges."""
    z: int
    """More than 3 standard deviations from the mean."""
    percentile: int
    """Outside the 1st to 99th percentile."""


class Histogram(_Frozen):
    """Counts between ``edges`` (one more than there are bins) of customers who left and who stayed."""

    edges: tuple[float, ...]
    left: tuple[int, ...]
    stayed: tuple[int, ...]
    below: int
    """Values below the first edge: the range is cut where a few values lie very far out."""
    above: int


class NumberSummary(_Frozen):
    """A numeric column's values, missing ones left out."""

    min: float
    max: float
    mean: float | None
    std: float | None
    """Sample standard deviation."""
    p1: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float
    outliers: Outliers
    histogram: Histogram | None


class Association(_Frozen):
    """How strongly a column goes with churn."""

    measure: str
    """``AUC`` (0.5 is nothing; above it, higher values leave more) or ``Cramér's V`` (0 is nothing)."""
    value: float
    strength: float
    """0 to 1, comparable between the two: the distance of the AUC from 0.5, doubled, or V itself."""


class ColumnFindings(_Frozen):
    """One column of the contract."""

    name: str
    kind: str
    meaning: str | None
    role: str
    """``input``, ``id``, ``text`` (not looked at by models) or ``excluded``."""
    exclude: str | None
    absent: bool
    """Optional and not in the table."""
    missing: int
    """Cells without a value among all rows read."""
    missing_share: float
    distinct: int
    """Different values."""
    constant: bool
    half_empty: bool
    repairs: int
    unseen: int
    rejects: int
    number: NumberSummary | None = None
    segments: tuple[Segment, ...] = ()
    """Churn along the column, by level or range."""
    other_levels: int = 0
    """How many levels the last segment stands for, if more than one."""
    missing_segment: Segment | None = None
    """Churn of customers without a value here."""
    association: Association | None = None


class Gate(_Frozen):
    """A condition the table should meet."""

    name: str
    passed: bool
    limit: str
    found: str


class RejectGroup(_Frozen):
    """Rejected cells of one column for one reason."""

    column: str
    reason: str
    cells: int
    examples: tuple[str, ...]
    rows: tuple[int, ...]
    """Numbers of the first few rows."""


class Change(_Frozen):
    """Cells of one column that were repaired, or levels that were not known."""

    column: str
    cells: int
    examples: tuple[str, ...]


class Correlations(_Frozen):
    """Square tables over ``columns``; null where a column does not vary."""

    columns: tuple[str, ...]
    pearson: tuple[tuple[float | None, ...], ...]
    spearman: tuple[tuple[float | None, ...], ...]
    left_out: int
    """Numeric columns beyond the most that are compared, weakest with churn first."""


class QualityReport(_Frozen):
    """What is in a table and how well it keeps the contract."""

    version: int = 1
    name: str
    """The contract's."""
    contract_digest: str
    label: str
    positive: str
    rows: int
    """Rows read, lines that could not be split not counted."""
    malformed: int
    """Lines that could not be split into the header's fields."""
    rejected: int
    """Rows left out by a cell or because they repeat a customer's id."""
    kept: int
    left: int
    stayed: int
    churn: Segment
    duplicate_ids: int
    """Rows that repeat an earlier customer's id."""
    repeated_rows: int
    """Rows equal to an earlier one in all but the id; they are kept."""
    sampled: int | None
    """Rows that ranks were taken on, where not all were."""
    gates: tuple[Gate, ...]
    warnings: tuple[str, ...]
    columns: tuple[ColumnFindings, ...]
    correlations: Correlations
    repairs: tuple[Change, ...]
    unseen: tuple[Change, ...]
    rejects: tuple[RejectGroup, ...]
    absent_columns: tuple[str, ...] = Field(default=())
    ignored_columns: tuple[str, ...] = Field(default=())

    @property
    def passed(self) -> bool:
        """Whether every gate is passed."""
        return all(gate.passed for gate in self.gates)

    @property
    def inputs(self) -> tuple[ColumnFindings, ...]:
        """The columns that models see."""
        return tuple(column for column in self.columns if column.role == "input")

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON types."""
        return self.model_dump(mode="json")
