"""What a user's query may use where PostgreSQL or Spark is to run it: what means the same there.

SQLGlot writes every function in each dialect, but engines do not mean the same by a name: LOG is of base 10
in DuckDB and of base e in Spark, and a COUNT_IF of nothing is missing here and 0 there. What tests have found
alike is translated; the rest is refused for that engine.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from holdfast.history.own_checks import QueryError

ALIKE = (
    exp.Abs, exp.And, exp.Avg, exp.Case, exp.Ceil, exp.Coalesce, exp.Corr, exp.Count, exp.Exp, exp.Floor,
    exp.Greatest, exp.If, exp.Lag, exp.Lead, exp.Least, exp.Left, exp.Length, exp.Ln, exp.LogicalAnd,
    exp.LogicalOr, exp.Lower, exp.Max, exp.Median, exp.Min, exp.Nullif, exp.Or, exp.PercentileCont, exp.Pow,
    exp.RegexpLike, exp.RowNumber, exp.Sqrt, exp.Stddev, exp.Substring, exp.Sum,
    exp.TimeToStr, exp.TimestampTrunc, exp.Trim, exp.Upper,
)  # fmt: skip
"""Functions; casts, parts of dates and roundings aside."""

_CASTS = (exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.DOUBLE)
"""To whole numbers some round and some cut off; texts of numbers differ."""

_PARTS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE")


def insist_alike(text: str, engine: str, place: str) -> None:
    """Refuse what is not known to give in another engine what it gives in DuckDB.

    Args:
        text: a query that `holdfast.history.own_checks.checked` let pass.
        engine: ``postgres`` or ``spark``.
        place: its file.

    Raises:
        QueryError: it uses such a function.
    """
    for one in sqlglot.parse_one(text, read="duckdb").find_all(exp.Func):
        if not isinstance(one, ALIKE) and not _is_alike(one):
            raise QueryError(
                f"The query uses {one.sql('duckdb')}, which may give something else in {engine}.",
                where=place,
                hint="Take --engine duckdb, or write it with sums, counts, comparisons, DATE_DIFF('day', …).",
            )


def _is_alike(one: exp.Func) -> bool:
    if isinstance(one, exp.TryCast):
        return False
    if isinstance(one, exp.Cast):
        return one.to.this in _CASTS
    if isinstance(one, exp.DateDiff):
        return one.text("unit").upper() == "DAY"
    if isinstance(one, exp.Round):
        decimals = one.args.get("decimals")
        return decimals is None or (isinstance(decimals, exp.Literal) and decimals.is_int)
    return isinstance(one, exp.Extract) and one.name.upper() in _PARTS
