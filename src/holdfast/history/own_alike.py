"""What a user's query may use where PostgreSQL or Spark is to run it: what means the same there.

SQLGlot writes most things in each dialect, but engines do not mean the same by a name or a sign: LOG is of
base 10 in DuckDB and of base e in Spark, LIKE takes a backslash for itself here and for nothing there. What
tests have found alike is translated (`holdfast.history.translate`); the rest is refused for that engine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from holdfast.history.own_checks import QueryError
from holdfast.history.own_types import with_a_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ALIKE = frozenset({
    # what a query is made of
    exp.Select, exp.From, exp.Join, exp.Table, exp.TableAlias, exp.Identifier, exp.Column, exp.Alias,
    exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.With, exp.CTE, exp.Subquery,
    exp.Paren, exp.Star, exp.Distinct, exp.Except, exp.Intersect, exp.Window, exp.WindowSpec, exp.Filter,
    exp.Union, exp.Literal, exp.Null, exp.Boolean, exp.Placeholder, exp.Interval, exp.Var, exp.DataType,
    # signs
    exp.And, exp.Or, exp.Not, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.DPipe, exp.EQ,
    exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Exists, exp.Like,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Case, exp.If, exp.Cast,
    # functions
    exp.Abs, exp.Avg, exp.Ceil, exp.Coalesce, exp.Corr, exp.Count, exp.DateDiff, exp.Exp, exp.Extract,
    exp.Floor, exp.Greatest, exp.Lag, exp.Lead, exp.Least, exp.Left, exp.Length, exp.Ln, exp.LogicalAnd,
    exp.LogicalOr, exp.Max, exp.Median, exp.Min, exp.Nullif, exp.PercentileCont, exp.Pow, exp.RegexpLike,
    exp.Round, exp.RowNumber, exp.Sqrt, exp.Stddev, exp.Substring, exp.Sum, exp.TimeToStr,
    exp.TimestampTrunc, exp.Trim,
})  # fmt: skip
"""All that a query may be made of; further, `_ARGUMENTS`, `_PLAIN` and `_TYPED` say with what."""

_ARGUMENTS: dict[type[exp.Expr], set[str]] = {
    exp.Group: {"expressions"},
    exp.Join: {"this", "on", "using", "side", "kind"},
    exp.Star: set(),
    exp.Distinct: {"expressions"},
    exp.Table: {"this", "alias", "joins"},
    exp.Union: {"this", "expression", "distinct", "with_"},
    exp.Except: {"this", "expression", "distinct", "with_"},
    exp.Intersect: {"this", "expression", "distinct", "with_"},
    exp.In: {"this", "expressions", "query"},
    exp.Count: {"this", "big_int"},
    exp.Max: {"this"},
    exp.Min: {"this"},
    exp.RegexpLike: {"this", "expression"},
    exp.Trim: {"this", "expression"},
}
"""The plain form of what has some that others do not know: GROUP BY ALL, ASOF JOIN, BY NAME, MAX(x, 3)."""

_ADVICE: dict[type[exp.Expr], str] = {
    exp.Lower: "name each spelling: x IN ('Yes', 'yes'); no two engines fold all letters alike",
    exp.Upper: "name each spelling: x IN ('Yes', 'yes'); no two engines fold all letters alike",
    exp.ILike: "name each spelling: x LIKE 'Yes%' OR x LIKE 'yes%'; no two engines fold all letters alike",
    exp.Like: "give LIKE a text without a backslash",
    exp.SimilarTo: "take LIKE",
    exp.Glob: "take LIKE",
    exp.RegexpLike: "take LIKE, or a pattern of letters, digits, [0-9], ( ), |, *, +, ? and ^ in front",
    exp.Substring: "count from the front, from 1 on: SUBSTRING(x, 1, 2)",
    exp.Left: "say how many in digits: LEFT(x, 2)",
    exp.Trim: "say what to take off: TRIM(x, ' ')",
    exp.DPipe: "put texts together alone",
    exp.Corr: "have CORR by itself as the value: of what does not vary it is missing, or no number",
    exp.TimeToStr: "take %Y, %m, %d, %H, %M, %S with signs between them",
    exp.Cast: "cast numbers to DOUBLE and moments to DATE or TIMESTAMP; write dates as DATE '2024-01-31', "
    "and of a condition CASE WHEN x THEN 1 ELSE 0 END",
    exp.Mod: "take whole numbers % a whole number in digits",
    exp.IntDiv: "take FLOOR(x / y)",
    exp.Pow: "take a power from 1 to 9 in digits, or SQRT",
    exp.Group: "name the columns",
    exp.Literal: "write dates as '2024-01-31' or '2024-01-31 18:00:00'; the present is :as_of",
    exp.Interval: "write it as INTERVAL 30 DAY",
    exp.Sub: "take DATE_DIFF('day', x, y)",
    exp.Extract: "take the year, month, day, hour or minute of a moment",
}
_ELSE = "write it with sums, counts, comparisons, DATE_DIFF('day', …)"

_PARTS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE")
_TRUNCATED = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR")
_FORMAT = re.compile(r"(%[YmdHMS]|[-/:., _])+")
_PATTERN = re.compile(r"(?!.*\(\?)\^?([A-Za-z0-9 _,;:@%&=<>~'/-]|[()|*+?]|\[[A-Za-z0-9]+\]|\[0-9\])+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
_CLOCK = re.compile(r"\b(now|today|tomorrow|yesterday|epoch|infinity|allballs)\b", re.IGNORECASE)
"""Words that PostgreSQL reads as moments."""

_COMPARED = (
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Between,
    exp.In,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
)
_STAND_IN = with_a_moment(exp.Placeholder()).sql("duckdb")
_PASSED_ON = (exp.Paren, exp.Alias, exp.Round, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Filter, exp.Window)


def insist_alike(text: str, engine: str, place: str, types: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse what is not known to give in another engine what it gives in DuckDB.

    Args:
        text: a query that `holdfast.history.own_checks.checked` let pass.
        engine: ``postgres`` or ``spark``.
        place: its file.
        types: of each table's columns.

    Raises:
        QueryError: it uses such a thing.
    """
    query = sqlglot.parse_one(text, read="duckdb")
    wrong = next((one for one in query.walk() if not _is_plain(one)), None)
    if wrong is None:
        typed = _typed(query, types)
        if typed is None:
            wrong = query
        else:
            wrong = next((one for one in typed.walk() if not _is_well_typed(one)), None)
    if wrong is not None:
        said = wrong.sql("duckdb").strip().replace("$", ":").replace(_STAND_IN, ":as_of")
        raise QueryError(
            f"The query uses {said}, which may give something else in {engine}.",
            where=place,
            hint=f"Take --engine duckdb, or {_ADVICE.get(type(wrong), _ELSE)}.",
        )


def _typed(query: exp.Expr, types: Mapping[str, Mapping[str, str]]) -> exp.Expr | None:
    """The query with the type of each expression; none if SQLGlot cannot tell whose its columns are."""
    schema: dict[str, object] = {name: dict(columns) for name, columns in types.items()}
    try:
        named = qualify(
            query.transform(with_a_moment), schema=schema, dialect="duckdb", quote_identifiers=False,
            identify=False, validate_qualify_columns=False,
        )  # fmt: skip
        return annotate_types(named, schema=schema, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return None


def _is_plain(one: exp.Expr) -> bool:
    """Whether it is known alike by what is written."""
    if type(one) not in ALIKE:
        return False
    given = {name for name, value in one.args.items() if value}
    if not given <= _ARGUMENTS.get(type(one), given):
        return False
    return _PLAIN[type(one)](one) if type(one) in _PLAIN else True


def _is_well_typed(one: exp.Expr) -> bool:
    """Whether it is known alike by the types of what it is given."""
    return _TYPED[type(one)](one) if type(one) in _TYPED else True


def _whole(one: exp.Expr | None, least: int, most: int | None = None) -> bool:
    """Whether it is a whole number in digits, within bounds."""
    if not (isinstance(one, exp.Literal) and one.is_int):
        return False
    return least <= int(one.name) and (most is None or int(one.name) <= most)


def _text(one: exp.Expr | None, shape: re.Pattern[str]) -> bool:
    return isinstance(one, exp.Literal) and one.is_string and shape.fullmatch(one.name) is not None


def _is_the_value(one: exp.Expr) -> bool:
    """Whether what is no number makes the value missing, as what is missing does."""
    above = one.parent
    while isinstance(above, _PASSED_ON):
        above = above.parent
    return isinstance(above, exp.Select) and above.parent is None


def _framed(one: exp.Expr) -> bool:
    sides = {str(one.args.get(side)).upper() for side in ("start", "end")}
    plain = one.text("kind").upper() == "ROWS" or sides <= {"UNBOUNDED", "CURRENT ROW", "NONE"}
    return plain and not one.args.get("exclude")


_NOT_ESCAPED = re.compile(r"[^\\]*")
_PLAIN: dict[type[exp.Expr], Callable[[exp.Expr], bool]] = {
    exp.Like: lambda one: _text(one.expression, _NOT_ESCAPED),
    exp.RegexpLike: lambda one: _text(one.expression, _PATTERN),
    exp.Trim: lambda one: _text(one.expression, re.compile(r"[ -\[\]-~]+")),
    exp.Substring: lambda one: (
        _whole(one.args.get("start"), 1) and (one.args.get("length") is None or _whole(one.args["length"], 0))
    ),
    exp.Left: lambda one: _whole(one.expression, 0),
    exp.Pow: lambda one: _whole(one.expression, 1, 9),
    exp.Mod: lambda one: _whole(one.expression, 1),
    exp.Round: lambda one: one.args.get("decimals") is None or _whole(one.args["decimals"], 0),
    exp.TimeToStr: lambda one: _text(one.args.get("format"), _FORMAT),
    exp.TimestampTrunc: lambda one: one.text("unit").upper() in _TRUNCATED,
    exp.DateDiff: lambda one: one.text("unit").upper() == "DAY",
    exp.Extract: lambda one: one.name.upper() in _PARTS,
    exp.Interval: lambda one: (
        _text(one.this, re.compile(r"\d+"))
        and one.text("unit").upper().rstrip("S") in (*_PARTS, "WEEK", "SECOND")
    ),
    exp.Cast: lambda one: (
        one.args["to"].this in (exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.DOUBLE)
        and (not isinstance(one.this, exp.Literal) or not one.this.is_string or _text(one.this, _MOMENT))
    ),
    exp.Join: lambda one: (
        one.text("kind").upper() in ("", "INNER", "OUTER", "CROSS")
        and one.text("side").upper() in ("", "LEFT", "RIGHT", "FULL")
    ),
    exp.TableAlias: lambda one: not one.args.get("columns") or isinstance(one.parent, exp.CTE),
    exp.Ordered: lambda one: not isinstance(one.this, exp.Var),
    exp.WindowSpec: _framed,
    exp.Corr: _is_the_value,
}


def _is(one: exp.Expr | None, kinds: set[exp.DType]) -> bool:
    return one is not None and one.type is not None and one.type.this in kinds


_TEXT, _NUMBER = exp.DataType.TEXT_TYPES, exp.DataType.NUMERIC_TYPES
_INTEGER, _TEMPORAL = exp.DataType.INTEGER_TYPES, exp.DataType.TEMPORAL_TYPES


def _is_text(one: exp.Expr) -> bool:
    while isinstance(one, exp.Paren | exp.Max | exp.Min):
        one = one.this
    return _is(one, _TEXT) or isinstance(one, exp.Left)  # of which SQLGlot knows no type


def _compared(one: exp.Expr) -> list[exp.Expr]:
    """What is compared with each other."""
    return [*one.iter_expressions()] if isinstance(one, (*_COMPARED, exp.Like, exp.RegexpLike)) else []


def _literal(one: exp.Expr) -> bool:
    """A text next to moments is one as all engines write them, and none is PostgreSQL's for the present."""
    if not one.is_string or isinstance(one.parent, exp.Interval | exp.Cast):
        return True
    others = [other for other in _compared(one.parent) if other is not one] if one.parent else []
    if any(_is(other, _TEMPORAL) for other in others):
        return _text(one, _MOMENT)
    return not _CLOCK.search(one.name) or any(
        _is(other, _TEXT) and not isinstance(other, exp.Literal) for other in others
    )


def _cast(one: exp.Expr) -> bool:
    if isinstance(one.this, exp.Literal):
        return True
    return _is(one.this, _NUMBER if one.args["to"].this is exp.DType.DOUBLE else _TEMPORAL)


def _moved(one: exp.Expr) -> bool:
    """Moments are moved by intervals; the time between two is compared alone."""
    sides = (one.this, one.expression)
    if not any(_is(side, _TEMPORAL) for side in sides):
        return True
    if any(isinstance(side, exp.Interval) for side in sides):
        return True
    bare = one.parent
    while isinstance(bare, exp.Paren):
        bare = bare.parent
    return (
        isinstance(one, exp.Sub)
        and isinstance(bare, _COMPARED)
        and not any(_is(side, {exp.DType.DATE}) for side in sides)
    )


_TYPED: dict[type[exp.Expr], Callable[[exp.Expr], bool]] = {
    exp.Literal: _literal,
    exp.Cast: _cast,
    exp.Add: _moved,
    exp.Sub: _moved,
    exp.Mod: lambda one: _is(one.this, _INTEGER),
    exp.DPipe: lambda one: _is_text(one.this) and _is_text(one.expression),
    exp.Extract: lambda one: _is(one.expression, _TEMPORAL),
    exp.TimeToStr: lambda one: _is(one.this, _TEMPORAL),
    exp.TimestampTrunc: lambda one: _is(one.this, _TEMPORAL),
}
