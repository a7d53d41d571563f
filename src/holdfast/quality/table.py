"""The training table: rows that conform, each customer once, both outcomes present."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from holdfast.errors import DataError
from holdfast.quality.conform import Conformed, conform

if TYPE_CHECKING:
    from holdfast.contract import Contract
    from holdfast.sources import RawTable


class TableError(DataError):
    """No model can be learned from the table: no row is left, or all customers met the same fate."""

    code = "table"


def training_table(raw: RawTable, contract: Contract) -> Conformed:
    """Conform a table with its label and let each customer in once, the first time.

    ``rejects`` also holds the lines that could not be split into fields and the rows that repeat a customer's
    id; ``counts.rejected`` counts the latter.

    Raises:
        ColumnsError: a required column or the label is absent.
        TableError: no row is left, or only one outcome.
    """
    found = clean_table(raw, contract)
    insist_on_outcomes(found, contract)
    return found


def insist_on_outcomes(found: Conformed, contract: Contract) -> None:
    """Refuse a table with no usable row, or whose customers all met the same fate.

    Raises:
        TableError: it is such a table.
    """
    label = found.label
    if label is None or label.len() == 0:
        raise TableError(
            _nothing_left(found), hint="`holdfast check` lists every rejected row with its reason."
        )
    left = int(label.sum())
    if left in {0, label.len()}:
        churn = contract.churn
        fate = "left" if left else f'stayed: none has {churn.label} = "{churn.positive}"'
        raise TableError(
            f"All {label.len():,} usable rows are of customers who {fate}",
            where=f"column {churn.label}",
            hint="A model needs some who left and some who stayed; check `positive` in the contract.",
        )


def clean_table(raw: RawTable, contract: Contract) -> Conformed:
    """`training_table` without its demands on what must be left, for looking at any table."""
    found = conform(raw.frame, contract, with_label=True, rows=raw.rows)
    repeated = _repeated(found) if contract.id_column is not None else None
    parts = [raw.malformed.match_to_schema(found.rejects.schema), found.rejects]
    if repeated is not None and repeated.height:
        keep = ~found.rows.is_in(repeated["row"].implode())
        parts.append(
            repeated.select(
                "row",
                pl.lit(contract.id_column).alias("column"),
                pl.col("id").alias("value"),
                pl.format("the same customer id as row {}", "first").alias("reason"),
            )
        )
        found = replace(
            found,
            frame=found.frame.filter(keep),
            rows=found.rows.filter(keep),
            ids=found.ids.filter(keep),
            label=None if found.label is None else found.label.filter(keep),
            counts=replace(found.counts, rejected=found.counts.rejected + repeated.height),
        )
    if sum(part.height for part in parts) == found.rejects.height:
        return found
    return replace(found, rejects=pl.concat(parts).sort("row", maintain_order=True))


def left_out(raw: RawTable, found: Conformed) -> str | None:
    """How many rows of a `training_table` are left out and why most of them; none if all are used."""
    rows = raw.frame.height + raw.malformed.height
    lost = rows - found.frame.height
    if not lost:
        return None
    reason = found.rejects["reason"].value_counts(sort=True)["reason"][0]
    return f"{lost:,} of {rows:,} rows are left out; most often: {reason}. `holdfast check` lists them."


def _repeated(found: Conformed) -> pl.DataFrame:
    """Rows after the first with the same id: ``row, id, first``."""
    if found.ids.n_unique() == found.ids.len():
        return pl.DataFrame(schema={"row": pl.Int64, "id": pl.String, "first": pl.Int64})
    pairs = pl.DataFrame({"row": found.rows, "id": found.ids})
    firsts = pairs.with_columns(first=pl.col("row").first().over("id"))
    return firsts.filter(pl.col("row") != pl.col("first"))


def _nothing_left(found: Conformed) -> str:
    if not found.counts.rows:
        return "The table has a header but no rows"
    reasons = found.rejects["reason"].value_counts(sort=True).head(3)
    said = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.iter_rows())
    return f"Not one of {found.counts.rows:,} rows is usable. Most often: {said}"
