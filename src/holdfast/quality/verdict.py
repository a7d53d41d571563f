"""Whether a table is fit to learn from: the gates it passes or fails, and what a person should know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pages import words
from holdfast.quality.enough import about_few
from holdfast.quality.findings import Gate
from holdfast.sources import said_of_encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.quality.findings import ColumnFindings, RejectGroup, Segment

MOST_MISSING = 0.05
"""Largest share of missing values a column may have and pass."""
HALF = 0.5
RARE = 0.05
"""A rarer outcome than this is called out."""
LEAK = 0.8
"""So strong an association (an AUC beyond 0.9) is more often a record of the outcome than a cause of it."""
MANY_REJECTED = 0.05
MOST_NAMED = 5


def gates(columns: Sequence[ColumnFindings], duplicate_ids: int, id_column: str | None) -> tuple[Gate, ...]:
    """At most 5 % missing in any input column, and no customer twice."""
    inputs = [column for column in columns if column.role == "input"]
    holes = [column for column in inputs if column.missing_share > MOST_MISSING]
    worst = max(inputs, key=lambda column: column.missing_share, default=None)
    if holes:
        shown = _names([f"{column.name} ({words.percent(column.missing_share)})" for column in holes])
        missing = f"{words.count(len(holes), 'column')} above it: {shown}"
    elif worst is not None and worst.missing:
        missing = f"most in {worst.name}: {words.percent(worst.missing_share, 2)}"
    else:
        missing = "no value is missing"
    twice = words.count(duplicate_ids, "row repeats", "rows repeat") + " an earlier customer's id"
    return (
        Gate(
            name="Missing values in a column",
            passed=not holes,
            limit=f"at most {words.percent(MOST_MISSING, 0)}",
            found=missing,
        ),
        Gate(
            name="Customers that occur twice",
            passed=duplicate_ids == 0,
            limit="0",
            found=twice if id_column is not None else "the table has no id column to tell by",
        ),
    )


def warnings(
    columns: Sequence[ColumnFindings],
    gates: Sequence[Gate],
    churn: Segment,
    rejects: Sequence[RejectGroup],
    *,
    rows: int,
    rejected: int,
    malformed: int,
    windows_1252: int,
    repeated: int,
    absent: Sequence[str],
) -> tuple[str, ...]:
    """What a person should know before trusting a model learned from the table, most important first."""
    inputs = [column for column in columns if column.role == "input"]
    found = [*_about_churn(churn), *_about_leaks(inputs)]
    found += [f"{gate.name}: {gate.found} (the limit is {gate.limit})." for gate in gates if not gate.passed]
    if rejected > MANY_REJECTED * rows:
        worst = max(rejects, key=lambda group: group.cells, default=None)
        most = f" Most often: {worst.column}, {worst.reason}." if worst is not None else ""
        found.append(f"{words.share(rejected, rows)} rows were rejected.{most}")
    if malformed:
        found.append(f"{words.count(malformed, 'line')} of the file could not be split into its columns.")
    found += filter(None, [said_of_encoding(windows_1252)])
    found += _about_columns(inputs, absent)
    if repeated:
        said = words.count(repeated, "row repeats", "rows repeat")
        found.append(f"{said} another customer's in everything but an id. They are kept.")
    return tuple(found)


def _about_churn(churn: Segment) -> list[str]:
    stayed = churn.rows - churn.left
    if not churn.rows:
        return ["No row is usable; nothing can be said about churn."]
    if not churn.left:
        return [
            "No customer left; there is nothing to learn churn from. Is `positive` in the contract right?"
        ]
    if not stayed:
        return ["Every customer left; there is nothing to learn from. Is `positive` in the contract right?"]
    warning = about_few(churn.left, stayed)
    found = [] if warning is None else [warning]
    fewer, name = min((churn.left, "left"), (stayed, "stayed"))
    if fewer < RARE * churn.rows:
        found.append(
            f"Few customers {name}: {words.share(fewer, churn.rows)}. Accuracy says little here; look at the "
            "lift and the profit instead."
        )
    return found


def _about_leaks(inputs: Sequence[ColumnFindings]) -> list[str]:
    return [
        f'"{column.name}" tells the outcome unusually well ({column.association.measure} '
        f"{words.fixed(column.association.value, 3)}). If it is known only once a customer has left, "
        "exclude it in the contract."
        for column in inputs
        if column.association is not None and column.association.strength >= LEAK
    ]


def _about_columns(inputs: Sequence[ColumnFindings], absent: Sequence[str]) -> list[str]:
    found = []
    constant = [column.name for column in inputs if column.constant and not column.absent]
    empty = [column.name for column in inputs if column.half_empty and not column.absent]
    unseen = [column for column in inputs if column.unseen]
    if constant:
        found.append(f"The same value in every row, so nothing to learn from: {_names(constant)}.")
    if empty:
        found.append(f"More than half empty: {_names(empty)}.")
    if unseen:
        cells = sum(column.unseen for column in unseen)
        said = words.count(cells, "cell has a level", "cells have levels")
        names = _names([column.name for column in unseen])
        found.append(f"{said} that the contract does not list, read as missing: {names}.")
    if absent:
        found.append(f"Optional columns that the table does not have: {_names(absent)}.")
    return found


def _names(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
