"""Find one customer's record in a file of any length."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from holdfast.errors import DataError, UsageError
from holdfast.quality.columns import match_columns
from holdfast.sources import iter_batches, read_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.contract import Contract

MOST_ALIKE = 2_000
"""So many ids are held to name the nearest where the one asked for is not there."""


class UnknownCustomerError(UsageError):
    """The file has no such customer or row."""

    code = "customer"


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a table."""

    frame: pl.DataFrame
    """The row, as it is in the file."""
    row: int | None
    """Its number, from 1; none where it was built from a history's tables."""
    others: int = 0
    """Further rows with the same id."""
    as_of: datetime | None = None
    """The moment as of which it was built, aware."""


def find_customer(path: str | Path, contract: Contract, customer: str) -> Found:
    """The first row of the customer with this id.

    Ids are compared as text without the blanks around; a whole number is the same with and without ``.0``.

    Args:
        path: the table.
        contract: says which column holds the id.
        customer: the id.

    Raises:
        UnknownCustomerError: no row has it; names the nearest ids.
        UsageError: the contract has no id column.
        SourceError: the table cannot be read.
        ColumnsError: it lacks columns that the contract requires.
    """
    file = Path(path)
    matched = match_columns(contract, read_names(file), with_label=False)
    column = matched.sources.get(contract.id_column) if contract.id_column else None
    if column is None:
        raise UsageError(
            "The table has no column that identifies a customer.",
            where=str(file),
            hint="Name the row by its number instead: --row N",
        )
    wanted = customer.strip()
    frame: pl.DataFrame | None = None
    row, matches, seen = 0, 0, 0
    alike: list[str] = []
    for batch in iter_batches(file):
        ids = batch.frame.select(_id_text(column, batch.frame.schema[column])).to_series()
        places = (ids == wanted).fill_null(value=False).arg_true()
        if frame is None and places.len():
            frame, row = batch.frame[int(places[0])], int(batch.rows[int(places[0])])
        if frame is None and len(alike) < MOST_ALIKE:
            alike += ids.filter(_alike(ids, wanted)).head(MOST_ALIKE - len(alike)).to_list()
        matches += places.len()
        seen += ids.len()
    if frame is None:
        raise UnknownCustomerError(
            f'There is no customer "{wanted}" among {seen:,} rows.',
            where=f'{file}, column "{column}"',
            hint=_nearest(wanted, alike),
        )
    return Found(frame, row, matches - 1)


def find_row(path: str | Path, number: int) -> Found:
    """The row with this number, from 1.

    Raises:
        UnknownCustomerError: the table has fewer rows.
        DataError: the line cannot be split into columns.
        SourceError: the table cannot be read.
    """
    last = 0
    for batch in iter_batches(path):
        last = batch.first_row + batch.frame.height + batch.malformed.height - 1
        if number > last or number < batch.first_row:
            continue
        places = (batch.rows == number).arg_true()
        if places.len():
            return Found(batch.frame[int(places[0])], number)
        wrong = batch.malformed.filter(pl.col("row") == number)
        raise DataError(
            f"Row {number:,} cannot be read: {wrong['reason'][0]}.", where=f"{path}, data row {number:,}"
        )
    raise UnknownCustomerError(
        f"There is no row {number:,}: the rows are numbered from 1 to {last:,}.",
        where=str(path),
        hint="Give another --row.",
    )


def _id_text(column: str, dtype: pl.DataType) -> pl.Expr:
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return text.str.replace(r"^(-?\d+)\.0+$", "$1") if dtype.is_float() else text


def _alike(ids: pl.Series, wanted: str) -> pl.Series:
    """Ids worth a closer look: the same but for case, or the same at either end."""
    folded, key = ids.str.to_lowercase(), wanted.lower()
    ends = (folded.str.starts_with(key[:3]) | folded.str.ends_with(key[-3:])) if key else folded.is_null()
    return ends.fill_null(value=False)


def _nearest(wanted: str, alike: Sequence[str]) -> str:
    close = difflib.get_close_matches(wanted.lower(), [one.lower() for one in alike], n=3, cutoff=0.6)
    spelled = {one.lower(): one for one in reversed(alike)}
    if not close:
        return "Check the id, or name the row by its number: --row N"
    return "Did you mean " + " or ".join(f'"{spelled[one]}"' for one in dict.fromkeys(close)) + "?"
