"""Explore a table and judge it against its contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.contract import Kind, parse
from holdfast.quality import verdict
from holdfast.quality.association import auc, correlations, cramers_v
from holdfast.quality.columns import match_columns
from holdfast.quality.conform import LONGEST_VALUE
from holdfast.quality.findings import (
    Association,
    Change,
    ColumnFindings,
    Correlations,
    QualityReport,
    RejectGroup,
)
from holdfast.quality.summaries import (
    level_counts,
    level_segments,
    number_summary,
    range_segments,
    segment,
)
from holdfast.quality.table import clean_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.contract import Column, Contract
    from holdfast.quality.conform import Conformed
    from holdfast.sources import RawTable

SAMPLE = 200_000
"""Ranks are taken on so many rows, drawn with a fixed seed, where the table has more."""
MOST_CORRELATED = 40
"""So many numeric columns are compared with each other."""
MOST_REJECT_GROUPS = 200
EXAMPLES = 5
LABEL = "\0label"
"""Name of the label beside the inputs; no file can hold it."""
RANGED = frozenset({Kind.NUMBER, Kind.INTEGER, Kind.DATE})
NOT_HASHED = (pl.Object, pl.List, pl.Array, pl.Struct, pl.Binary)


def explore(raw: RawTable, contract: Contract) -> QualityReport:
    """Describe a table with its label, column by column, and say what to know before learning from it.

    Values are described on the rows that conform, each customer once; missing values, repairs, unseen levels
    and rejects are counted over all rows. Equal tables give equal reports.

    Raises:
        ColumnsError: a required column or the label is absent.
    """
    found = clean_table(raw, contract)
    label = _label(found)
    sample = _sample(found.frame.with_columns(label.alias(LABEL)))
    columns = _columns(raw, found, contract, sample)
    left = int(label.sum())
    churn = segment("all customers", label.len(), left)
    duplicates = found.rejects.filter(pl.col("reason").str.starts_with("the same customer id as row")).height
    repeated = _repeated_rows(raw, found, contract)
    groups = _reject_groups(found.rejects)
    passed = verdict.gates(columns, duplicates, contract.id_column)
    return QualityReport(
        name=contract.name,
        contract_digest=contract.digest(),
        label=contract.churn.label,
        positive=contract.churn.positive,
        rows=found.counts.rows,
        malformed=raw.malformed.height,
        rejected=found.counts.rejected,
        kept=found.counts.kept,
        left=left,
        stayed=label.len() - left,
        churn=churn,
        duplicate_ids=duplicates,
        repeated_rows=repeated,
        sampled=SAMPLE if found.frame.height > SAMPLE else None,
        gates=passed,
        warnings=verdict.warnings(
            columns,
            passed,
            churn,
            groups,
            rows=found.counts.rows,
            rejected=found.counts.rejected,
            malformed=raw.malformed.height,
            windows_1252=raw.windows_1252,
            repeated=repeated,
            absent=found.counts.absent_columns,
        ),
        columns=columns,
        correlations=_correlations(sample, columns),
        repairs=_repairs(found, contract),
        unseen=tuple(
            Change(column=name, cells=cells, examples=found.counts.unseen_examples.get(name, ()))
            for name, cells in found.counts.unseen.items()
        ),
        rejects=groups,
        absent_columns=found.counts.absent_columns,
        ignored_columns=found.counts.ignored_columns,
    )


def _label(found: Conformed) -> pl.Series:
    """The label, which `clean_table` always has."""
    return found.label if found.label is not None else pl.Series([], dtype=pl.Int8)


def _sample(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.height <= SAMPLE:
        return frame
    return frame.sample(SAMPLE, seed=0, shuffle=False)


def _columns(
    raw: RawTable, found: Conformed, contract: Contract, sample: pl.DataFrame
) -> tuple[ColumnFindings, ...]:
    """Findings on every column of the contract, in its order."""
    rejected = dict(found.rejects.filter(pl.col("column").is_not_null())["column"].value_counts().rows())
    sources = match_columns(contract, raw.frame.columns, with_label=True).sources
    stripped = {name.strip(): name for name in reversed(raw.frame.columns)}
    columns = []
    for name, column in contract.columns.items():
        if name in contract.inputs:
            columns.append(_input(name, column, found, sample, rejected.get(name, 0)))
            continue
        source = sources.get(name, name if name in raw.frame.columns else stripped.get(name.strip()))
        columns.append(_other(name, raw.frame, source, contract, rejected.get(name, 0)))
    return tuple(columns)


def _input(
    name: str, column: Column, found: Conformed, sample: pl.DataFrame, rejected: int
) -> ColumnFindings:
    values, label = found.frame[name], _label(found)
    counts = found.counts
    absent = name in counts.absent_columns
    missing = counts.rows if absent else counts.missing.get(name, 0)
    distinct = values.drop_nulls().n_unique()
    hole = values.is_null()
    others = 0
    if column.kind in RANGED:
        segments = range_segments(values, label)
    else:
        segments, others = level_segments(values, label, column)
    return ColumnFindings(
        name=name,
        kind=column.kind.value,
        meaning=column.meaning.value if column.meaning else None,
        role="input",
        exclude=None,
        absent=absent,
        missing=missing,
        missing_share=missing / counts.rows if counts.rows else 0.0,
        distinct=distinct,
        constant=distinct <= 1,
        half_empty=missing > verdict.HALF * counts.rows,
        repairs=counts.repairs.get(name, 0),
        unseen=counts.unseen.get(name, 0),
        rejects=rejected,
        number=number_summary(values, label) if column.kind in RANGED - {Kind.DATE} else None,
        segments=segments,
        other_levels=others,
        missing_segment=segment("(missing)", int(hole.sum()), int(label.filter(hole).sum()))
        if hole.any()
        else None,
        association=_ranked(sample, name) if column.kind in RANGED else _leveled(values, label),
    )


def _ranked(sample: pl.DataFrame, name: str) -> Association | None:
    area = auc(sample[name].to_physical(), sample[LABEL])
    return None if area is None else Association(measure="AUC", value=area, strength=abs(2 * area - 1))


def _leveled(values: pl.Series, label: pl.Series) -> Association | None:
    """Levels against churn; having none counts as a level."""
    counted = level_counts(values, label)
    hole = values.is_null()
    rows = np.append(counted["rows"].to_numpy(), int(hole.sum())).astype(np.float64)
    left = np.append(counted["left"].to_numpy(), int(label.filter(hole).sum())).astype(np.float64)
    strength = cramers_v(left, rows - left)
    return None if strength is None else Association(measure="Cramér's V", value=strength, strength=strength)


def _other(
    name: str, frame: pl.DataFrame, source: str | None, contract: Contract, rejected: int
) -> ColumnFindings:
    """A column that models do not see: the id, text, or one excluded."""
    column = contract.columns[name]
    missing, distinct = frame.height, 0
    if source is not None:
        values = frame[source]
        if values.dtype in (pl.Categorical, pl.Enum):
            values = values.cast(pl.String)
        asked = parse.missing_expr("raw", values.dtype, Kind.TEXT)
        missing = int(values.alias("raw").to_frame().select(asked).to_series().sum())
        distinct = values.drop_nulls().n_unique() if values.dtype not in NOT_HASHED else 0
    role = "excluded" if column.exclude else "id" if name == contract.id_column else "text"
    return ColumnFindings(
        name=name,
        kind=column.kind.value,
        meaning=column.meaning.value if column.meaning else None,
        role=role,
        exclude=column.exclude,
        absent=source is None,
        missing=missing,
        missing_share=missing / frame.height if frame.height else 0.0,
        distinct=distinct,
        constant=source is not None and distinct <= 1,
        half_empty=missing > verdict.HALF * frame.height,
        repairs=0,
        unseen=0,
        rejects=rejected,
    )


def _repeated_rows(raw: RawTable, found: Conformed, contract: Contract) -> int:
    """Kept rows that equal an earlier one in every column but the id."""
    own = contract.id_column.strip() if contract.id_column is not None else None
    names = [
        name for name, dtype in raw.frame.schema.items() if name.strip() != own and dtype not in NOT_HASHED
    ]
    if not names:
        return 0
    hashes = raw.frame.select(names).hash_rows(seed=0)
    kept = hashes.filter(raw.rows.is_in(found.rows.implode())) if found.rows.len() < hashes.len() else hashes
    return kept.len() - kept.n_unique()


def _correlations(sample: pl.DataFrame, columns: tuple[ColumnFindings, ...]) -> Correlations:
    numeric = [column for column in columns if column.number is not None and column.distinct > 1]
    strongest = sorted(numeric, key=_strength, reverse=True)[:MOST_CORRELATED]
    chosen = [column.name for column in numeric if column in strongest]
    frame = sample.select(chosen)
    pearson, spearman = (
        _rows(correlations(frame, ranked=ranked)) if chosen else () for ranked in (False, True)
    )
    return Correlations(
        columns=tuple(chosen), pearson=pearson, spearman=spearman, left_out=len(numeric) - len(chosen)
    )


def _strength(column: ColumnFindings) -> float:
    return column.association.strength if column.association is not None else 0.0


def _rows(square: NDArray[np.float64]) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(None if np.isnan(value) else float(value) for value in row) for row in square)


def _repairs(found: Conformed, contract: Contract) -> tuple[Change, ...]:
    changes = []
    for name, cells in found.counts.repairs.items():
        column = contract.columns.get(name)
        spelt = {}
        if column is not None and column.kind is Kind.BOOLEAN:
            spelt = {"true": column.true or "yes", "false": column.false or "no"}
        pairs = found.counts.repair_examples.get(name, ())
        said = tuple(f'"{before}" read as {spelt.get(after, after)}' for before, after in pairs)
        changes.append(Change(column=name, cells=cells, examples=said))
    return tuple(changes)


def _reject_groups(rejects: pl.DataFrame) -> tuple[RejectGroup, ...]:
    """Rejects by column and reason, most first; each duplicate id's own reason counts as one."""
    reason = pl.col("reason").str.replace(r"^(the same customer id as) row \d+$", "${1} an earlier row")
    grouped = (
        rejects.with_columns(reason, pl.col("column").fill_null("(whole line)"))
        .group_by("column", "reason", maintain_order=True)
        .agg(
            cells=pl.len(),
            examples=pl.col("value")
            .drop_nulls()
            .unique(maintain_order=True)
            .head(EXAMPLES)
            .str.head(LONGEST_VALUE),
            rows=pl.col("row").head(EXAMPLES),
        )
        .sort("cells", descending=True, maintain_order=True)
        .head(MOST_REJECT_GROUPS)
    )
    return tuple(
        RejectGroup(column=column, reason=why, cells=cells, examples=tuple(examples), rows=tuple(rows))
        for column, why, cells, examples, rows in grouped.iter_rows()
    )
