"""Guess a contract from a table, with a reason for every guess.

Deterministic: the same table gives the same contract. Kinds, levels, ranges and missing values are taken from
all rows; how well single columns tell who left is measured on at most 100,000 of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from holdfast.contract.guess.columns import Verdict, judge
from holdfast.contract.guess.dates import guess_orders
from holdfast.contract.guess.kind import guess_kinds
from holdfast.contract.guess.label import guess_label
from holdfast.contract.guess.money import guess_economics
from holdfast.contract.guess.profile import Profile
from holdfast.contract.meanings import Meaning
from holdfast.contract.parse import label_expr
from holdfast.contract.table import as_table
from holdfast.contract.types import Contract
from holdfast.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import polars as pl

    from holdfast.contract.types import Column

NotePath = tuple[str, ...]


@dataclass(frozen=True)
class Inferred:
    """A guessed contract and the reasons for it."""

    contract: Contract
    notes: dict[NotePath, str] = field(default_factory=dict)
    """Path of a key in the contract, such as ``("columns", "tenure", "meaning")``, to a sentence about it."""

    @property
    def excluded(self) -> dict[str, str]:
        """Columns that the contract leaves out, each with the reason."""
        return {name: column.exclude for name, column in self.contract.columns.items() if column.exclude}


def infer_contract(
    frame: pl.DataFrame | pd.DataFrame,
    *,
    label: str,
    positive: str | None = None,
    id_column: str | None = None,
    name: str = "customers",
) -> Inferred:
    """Guess kinds, levels, ranges, meanings, the id, leaks and economics.

    Args:
        frame: the table, one row a customer: text as `holdfast.sources.read_table` gives it, or typed.
        label: the column that says who left.
        positive: its value that means left; guessed if not given.
        id_column: the column that identifies a customer; guessed if not given.
        name: what to call the contract.

    Raises:
        UsageError: a column asked for is not there, or the positive value cannot be guessed.
        LabelError: the label has no values, one value or too many.
        DataError: the table has no rows, names twice, too many columns, or nothing to learn from.
    """
    table = as_table(frame)
    label = _column(table, label, "label")
    if id_column is not None:
        id_column = _column(table, id_column, "id")
        if id_column == label:
            raise UsageError(f'"{label}" cannot be both the label and the id.', hint="Leave one of them out.")
        if not Profile(table.get_column(id_column)).is_readable:
            raise UsageError(f'"{id_column}" holds no ids.', hint="Name a column of text or whole numbers.")
    profiles = {column: Profile(table.get_column(column)) for column in table.columns if column != label}
    labelled = guess_label(Profile(table.get_column(label)), positive=positive)
    left = table.select(label_expr(labelled.churn, table.schema[label])).to_series()
    kinds = guess_kinds(profiles, guess_orders({"": profiles})[""])
    verdicts = judge(table, profiles, kinds, left, label=label, id_column=id_column)
    columns = {column: verdict.column for column, verdict in verdicts.items()}
    charge, column = _monthly(columns, verdicts)
    economics, money_notes = guess_economics(charge, column)
    try:
        contract = Contract(name=tidy(name), churn=labelled.churn, economics=economics, columns=columns)
    except ValidationError as error:
        raise DataError(
            "Nothing is left to learn from: every column but the label is excluded.",
            hint=_reasons(verdicts),
        ) from error
    notes: dict[NotePath, str] = {("churn", key): note for key, note in labelled.notes.items()}
    notes |= {("economics", key): note for key, note in money_notes.items()}
    for column_name, verdict in verdicts.items():
        notes |= {("columns", column_name, *path): note for path, note in verdict.notes.items()}
    return Inferred(contract, notes)


def _column(table: pl.DataFrame, wanted: str, what: str) -> str:
    """The table's own name for a column asked for."""
    if wanted in table.columns:
        return wanted
    if wanted.strip() in table.columns:
        return wanted.strip()
    raise UsageError(
        f'There is no column "{wanted}" for the {what}.',
        where=f"--{what}",
        hint=nearest(wanted, table.columns),
    )


def _monthly(
    columns: Mapping[str, Column], verdicts: Mapping[str, Verdict]
) -> tuple[float | None, str | None]:
    for name, column in columns.items():
        if column.meaning is Meaning.MONTHLY_CHARGE and not column.exclude:
            return verdicts[name].median, name
    return None, None


def tidy(name: str) -> str:
    """A name that a contract may have."""
    kept = re.sub(r"[^A-Za-z0-9 ._-]+", "-", name).lstrip(" ._-")[:100]
    return kept or "customers"


def _reasons(verdicts: Mapping[str, Verdict]) -> str:
    shown = [
        f'"{name}" ({verdict.column.exclude or verdict.column.kind})' for name, verdict in verdicts.items()
    ]
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""  # noqa: PLR2004 - as many as shown
    return f"Excluded: {'; '.join(shown[:5])}{more}." if shown else "Give a table with more than the label."
