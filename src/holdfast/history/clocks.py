"""The pieces of SQL that say what counts when; spine, labels and features are made of them.

All SQL of a history is written in DuckDB's dialect, of what SQLGlot translates to PostgreSQL and Spark.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.contract.history import TableKind
from holdfast.contract.parse import boolean_words, key_of
from holdfast.contract.types import NUMERIC, Kind
from holdfast.history.problems import HistoryError
from holdfast.history.settle import literal, quoted, version_key
from holdfast.history.values import as_spelt, spellings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.contract.history import History, HistoryChurn, Table

ALWAYS_SQL = "TIMESTAMP '1900-01-01 00:00:00'"
NEVER_SQL = "TIMESTAMP '9000-01-01 00:00:00'"


def start_of(table: Table) -> str:
    """The canonical column that says when a row's fact happened or began."""
    return "_time" if table.kind is TableKind.EVENTS else "_begin"


def began(table: Table, alias: str) -> str:
    """When a row's fact happened or began; a customer without a begin has always been one."""
    column = f"{alias}.{start_of(table)}"
    return f"COALESCE({column}, {ALWAYS_SQL})" if table.kind is TableKind.CUSTOMERS else column


def has_versions(table: Table) -> bool:
    """Whether a row may be superseded by another."""
    return version_key(table) is not None


def visible(table: Table, alias: str, moment: str = "m.as_of") -> str:
    """Both clocks: it happened before the moment, was known by then, and is the latest version known then."""
    return f"{began(table, alias)} < {moment} AND {told(table, alias, moment)}"


def told(table: Table, alias: str, moment: str) -> str:
    """Known by the moment, and the latest version known then, whenever it happened."""
    latest = f" AND ({alias}._superseded IS NULL OR {alias}._superseded > {moment})"
    return f"{alias}._known <= {moment}{latest if has_versions(table) else ''}"


def in_force(table: Table, alias: str, moment: str = "m.as_of") -> str:
    """Visible and not past its end; an end that is not yet past is not known."""
    return f"{visible(table, alias, moment)} AND ({alias}._end IS NULL OR {alias}._end >= {moment})"


def latest(table: Table, alias: str) -> str:
    """The last version of each fact."""
    return f"{alias}._superseded IS NULL" if has_versions(table) else "TRUE"


def chosen(table: Table, churn: HistoryChurn, alias: str) -> str:
    """Whether an event has, in each column, one of the levels or a number above that of the contract."""
    parts = [among(f"{alias}.{quoted(c)}", table, c, churn, levels) for c, levels in churn.where.items()]
    parts += [f"{alias}.{quoted(c)} > {bound!r}" for c, bound in churn.above.items()]
    return " AND ".join(parts) or "TRUE"


def among(value: str, table: Table, name: str, churn: HistoryChurn, levels: Sequence[str]) -> str:
    """Whether a column's value is one of some levels, however the contract writes them.

    Args:
        value: SQL for it.
        table: the one in which churn is seen.
        name: of the column.
        churn: the contract's.
        levels: those of ``where`` or ``causes``.

    Raises:
        HistoryError: a level is no value of such a column.
    """
    column = table.columns[name]
    if column.kind is Kind.BOOLEAN:
        yes, no = boolean_words(column.true, column.false)
        words = ["TRUE" if key_of(level) in yes else "FALSE" for level in levels if key_of(level) in yes | no]
    elif column.kind in NUMERIC:
        words = [repr(float(level)) for level in levels if _is_number(level)]
    else:
        words = [literal(level) for level in as_spelt(levels, spellings(table, name, churn))]
        return f"{value} IN ({', '.join(words)})"
    if len(words) < len(levels):
        raise HistoryError(
            f"The levels {', '.join(levels)} are no {column.kind} values.",
            where=f"column {value}",
            hint="Give the column the kind category, or write its values as they are.",
        )
    return f"{value} IN ({', '.join(words)})"


def instant(moment: datetime) -> str:
    """A naive UTC moment as SQL writes it."""
    return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S.%f}'"


def days_later(wall: str, days: int) -> str:
    """A wall-clock time, so many days later."""
    return f"{wall} + INTERVAL '{days}' DAY" if days else wall


def register_of(history: History) -> tuple[str, Table] | None:
    """The table of customers, if it says since when they are some."""
    name = history.customers
    if name is None or history.tables[name].begin is None:
        return None
    return name, history.tables[name]


def _is_number(level: str) -> bool:
    try:
        return math.isfinite(float(level))
    except ValueError:
        return False
