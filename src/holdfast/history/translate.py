"""SQL from DuckDB's dialect to another engine's, by SQLGlot, and what it leaves undone."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from holdfast.history.feature import LONGEST_NAME, named


def translated(sql: str, dialect: str) -> str:
    """The query, laid out to be read, for another engine.

    Beside what SQLGlot does: microseconds since the epoch, exact percentiles, whole numbers of 128 bits, and
    halves that are rounded away from zero.

    Args:
        sql: one query in DuckDB's dialect.
        dialect: ``duckdb``, ``postgres`` or ``spark``.
    """
    tree = sqlglot.parse_one(sql, read="duckdb")
    if dialect in _REWRITES:
        for one in reversed([*tree.find_all(exp.Round)]):  # those inside others first
            one.replace(_rounded(one))
        tree = tree.transform(_REWRITES[dialect])
    return tree.sql(dialect=dialect, pretty=True, max_text_width=110, normalize_functions=False)


def written(name: str, dialect: str) -> str:
    """A name of a user's query as another engine gets it: DuckDB does not tell capitals from others."""
    return name if dialect == "duckdb" else name.lower()


def as_in_duckdb(query: exp.Expr, dialect: str) -> exp.Expr:
    """A user's query, still in DuckDB's dialect, with what DuckDB does where other engines fail.

    Names are the same whatever their capitals. A division by zero is infinite or no number, as are roots,
    logarithms and powers of e that do not exist or are too large: PostgreSQL would end there, and Spark has
    something missing, or an error, or the largest whole number where an infinite one is rounded.

    Args:
        query: what `holdfast.history.own_alike.insist_alike` let pass.
        dialect: ``duckdb``, which changes nothing, ``postgres`` or ``spark``.
    """
    if dialect == "duckdb":
        return query
    query = query.copy()
    for name in query.find_all(exp.Identifier):
        name.replace(exp.to_identifier(written(name.name, dialect), quoted=True))
    whole = (exp.Floor, exp.Ceil) if dialect == "spark" else ()
    for kinds in ((exp.Round,), (exp.Div, exp.Sqrt, exp.Ln, exp.Exp, *whole)):
        for one in reversed([*query.find_all(*kinds)]):  # those inside others first
            one.replace(_rounded(one) if isinstance(one, exp.Round) else _unbounded(one))
    return query


_UNBOUNDED: dict[type[exp.Expr], str] = {
    exp.Sqrt: "CASE WHEN {0} < 0 THEN CAST('NaN' AS DOUBLE) ELSE SQRT({0}) END",
    exp.Ln: "CASE WHEN {0} < 0 THEN CAST('NaN' AS DOUBLE) WHEN {0} = 0 THEN CAST('-Infinity' AS DOUBLE) "
    "ELSE LN({0}) END",
    exp.Exp: "CASE WHEN {0} > 709.7 THEN CAST('Infinity' AS DOUBLE) WHEN {0} < -708.3 THEN 0 "
    "ELSE EXP({0}) END",
    exp.Floor: "CASE WHEN ABS({0}) < 9e15 THEN FLOOR({0}) ELSE {0} END",
    exp.Ceil: "CASE WHEN ABS({0}) < 9e15 THEN CEIL({0}) ELSE {0} END",
}
"""What has bounds in other engines; of numbers so large, none has a fraction."""

_DIVIDED = "CASE WHEN {1} = 0 THEN {0} * CAST('Infinity' AS DOUBLE) ELSE {0} / {1} END"


def _unbounded(node: exp.Expr) -> exp.Expr:
    of = [node.this, node.expression] if isinstance(node, exp.Div) else [node.this]
    if isinstance(node, exp.Div) and isinstance(node.expression, exp.Literal) and float(node.expression.name):
        return node.copy()
    given = [f"CAST({one.sql('duckdb')} AS DOUBLE)" for one in of]
    text = (_DIVIDED if isinstance(node, exp.Div) else _UNBOUNDED[type(node)]).format(*given)
    return exp.paren(sqlglot.parse_one(text, read="duckdb"))


def _postgres(node: exp.Expr) -> exp.Expr:
    if _is_epoch(node):
        return exp.cast(exp.Mul(this=exp.Extract(this=exp.Var(this="EPOCH"), expression=node.expressions[0]),
                                expression=exp.Literal.number(1_000_000)), "BIGINT")  # fmt: skip
    if isinstance(node, exp.Identifier) and len(node.name) > LONGEST_NAME:  # PostgreSQL cuts it off
        return exp.to_identifier(named(node.name), quoted=node.quoted)
    if isinstance(node, exp.Cast) and node.to.this is exp.DType.INT128:
        # From a double straight to a decimal, PostgreSQL keeps fifteen digits alone.
        node.set("this", exp.cast(node.this, "BIGINT"))  # in place, so that what is inside is looked at too
    return _exact(node)


def _spark(node: exp.Expr) -> exp.Expr:
    if _is_epoch(node):
        return exp.Anonymous(this="UNIX_MICROS", expressions=[exp.cast(node.expressions[0], "TIMESTAMPLTZ")])
    if isinstance(node, exp.DateDiff):  # midnights between, as everywhere else; Spark counts whole days
        dates = [exp.cast(one, "DATE") for one in (node.this, node.expression)]
        return exp.Anonymous(this="DATEDIFF", expressions=dates)
    if isinstance(node, exp.PercentileCont):  # Spark's own function of that name takes no column
        return exp.Anonymous(this="PERCENTILE", expressions=[node.this, node.expression])
    return _exact(node)


def _rounded(node: exp.Round) -> exp.Expr:
    """As DuckDB rounds; PostgreSQL takes halves to even numbers, Spark goes by a number's decimal digits."""
    value, unit = f"CAST({node.this.sql('duckdb')} AS DOUBLE)", 10 ** int(node.text("decimals") or 0)
    return exp.paren(
        sqlglot.parse_one(f"SIGN({value}) * FLOOR(ABS({value}) * {unit} + 0.5) / {unit}", read="duckdb")
    )


def _is_epoch(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.upper() == "EPOCH_US"


def _exact(node: exp.Expr) -> exp.Expr:
    """Whole numbers of 128 bits are decimals elsewhere."""
    if isinstance(node, exp.DataType) and node.this is exp.DType.INT128:
        return exp.DataType.build("DECIMAL(38, 0)")
    return node


_REWRITES = {"postgres": _postgres, "spark": _spark}
