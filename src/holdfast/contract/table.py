"""Any table a caller has, as Polars with names that a contract can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.types import MAX_COLUMNS
from holdfast.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd


def as_table(frame: pl.DataFrame | pd.DataFrame) -> pl.DataFrame:
    """A Polars frame with stripped, different names and no dictionary-encoded columns.

    Raises:
        UsageError: it is no table at all.
        DataError: no rows, names twice, too many columns, or a pandas column of mixed types.
    """
    table = _polars(frame)
    names = [column.strip() or f"Unnamed: {place}" for place, column in enumerate(table.columns)]
    twice = (
        sorted({column for column in names if names.count(column) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if twice:
        raise DataError(
            "Column names are there more than once: "
            + ", ".join(f'"{column}"' for column in twice[:10])
            + ".",
            hint="Rename them; blanks around a name do not count.",
        )
    if len(names) > MAX_COLUMNS:
        raise DataError(
            f"The table has {len(names):,} columns; at most {MAX_COLUMNS:,} are read.",
            hint="Keep one row per customer and one column per fact about them; leave out the rest.",
        )
    if table.height == 0:
        raise DataError("The table has no rows.", hint="Give a table with one row a customer.")
    table = table.rename(dict(zip(table.columns, names, strict=True)))
    encoded = [column for column, dtype in table.schema.items() if dtype in (pl.Categorical, pl.Enum)]
    decimals = [column for column, dtype in table.schema.items() if dtype == pl.Decimal]
    return table.with_columns(pl.col(encoded).cast(pl.String), pl.col(decimals).cast(pl.Float64))


def _polars(frame: pl.DataFrame | pd.DataFrame) -> pl.DataFrame:
    if isinstance(frame, pl.DataFrame):
        return frame
    if not hasattr(frame, "columns") or not hasattr(frame, "to_numpy"):
        raise UsageError(
            f"A table is needed, not a {type(frame).__name__}.", hint="Give a Polars or pandas DataFrame."
        )
    named = frame.rename(columns=str)
    if not named.columns.is_unique:
        twice = sorted(set(named.columns[named.columns.duplicated()]))
        shown = ", ".join(f'"{column}"' for column in twice[:10])
        raise DataError(f"Column names are there more than once: {shown}.", hint="Rename them.")
    try:
        return pl.from_pandas(named)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return _mixed(named)
    except Exception as error:
        # pyarrow raises its own classes here; it is not imported only to name them
        if type(error).__module__.startswith("pyarrow"):
            return _mixed(named)
        raise


def _mixed(named: pd.DataFrame) -> pl.DataFrame:
    """Columns of Python objects of several types, as text; the rest as they are."""
    objects = [column for column in named.columns if named[column].dtype == object]
    texts = {
        column: named[column].map(lambda value: None if value is None else str(value)) for column in objects
    }
    try:
        return pl.from_pandas(named.assign(**texts))
    except Exception as error:
        raise DataError(
            f"The pandas table cannot be read: {error}.", hint="Give each column values of one type."
        ) from error
