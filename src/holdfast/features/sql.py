"""Why an SQL expression fails, in the words of the contract: which function, and what it was given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind
from holdfast.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.contract import Contract

REFERENCE = "https://docs.pola.rs/api/python/stable/reference/sql/index.html"

EVERYDAY = tuple(
    "ABS CEIL COALESCE EXP FLOOR GREATEST IF LEAST LENGTH LN LOWER MOD POW ROUND SQRT UPPER".split()  # noqa: SIM905 - one readable line
)
"""Functions that features are most often made with; the reference has all."""

_CASTS = (
    "CAST(column AS VARCHAR) makes text of a category, CAST(column AS DOUBLE) a number. "
    f"What each function takes: {REFERENCE}"
)
_KINDS = {
    Kind.NUMBER: "a number",
    Kind.INTEGER: "a whole number",
    Kind.BOOLEAN: "a boolean",
    Kind.CATEGORY: "a category",
    Kind.DATE: "a date",
}
_TAKES = {"string": "text", "boolean": "a boolean", "numeric": "a number"}
_NO_CALLS = frozenset("AND OR NOT IN IS LIKE BETWEEN CASE WHEN THEN ELSE OVER".split())  # noqa: SIM905 - one readable line
_MOST_NAMED = 4
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(?P<call>[A-Za-z_]\w*)\s*\(|[()]")

Words = tuple[str, str]
"""A message and what to do."""


def not_understood(error: Exception) -> Words:
    """Of an expression that Polars cannot read: what is wrong, and what to do."""
    said = first_line(error)
    if found := re.search(r"unsupported function '([^']+)'", said):
        known = nearest(found[1].upper(), EVERYDAY)
        return f'There is no function "{found[1]}".', f"{known} All that there are: {REFERENCE}"
    if found := re.search(r"no function matches .*: `((\w+)\(.*\))`", said):
        return (
            f"The function {found[2]} takes another number of values or others than these: {found[1]}.",
            f"What each function takes: {REFERENCE}",
        )
    if found := re.match(r"(\S+) expects (.+) \(found (\d+)\)", said):
        return f"The function {found[1]} takes {found[2]}, not {found[3]}.", f"See {REFERENCE}"
    if found := re.search(r'datatype "(.+)" is not currently supported', said):
        return f"There is no type {found[1]} to cast to.", _CASTS
    return (
        f"The expression does not parse: {said}",
        "Write one SQL expression over the columns; a name with blanks goes in double quotes.",
    )


def not_computed(sql: str, contract: Contract, frame: pl.DataFrame, error: Exception) -> Words:
    """Of an expression that fails on the data: which function, and what it was given."""
    for name, call in _calls(sql):
        try:
            expr = pl.sql_expr(call)
        except (pl.exceptions.PolarsError, TypeError, ValueError):  # an operator before a parenthesis
            continue
        try:
            frame.select(expr)
        except pl.exceptions.PolarsError as failed:
            given = _given(expr, contract)
            takes = re.search(r"expected:? `?(string|boolean|numeric)", str(failed), re.IGNORECASE)
            if takes and given:
                return f"The function {name} takes {_TAKES[takes[1].lower()]}, but {given}: {call}.", _CASTS
            where = f" where {given}" if given else ""
            return f"The function {name} cannot be computed{where}: {call}.", _CASTS
    given = _given(pl.sql_expr(sql), contract)
    return f"The expression cannot be computed where {given} (Polars: {first_line(error)}).", _CASTS


def first_line(error: Exception) -> str:
    """The first line of an error, or its kind."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _given(expr: pl.Expr, contract: Contract) -> str:
    """What the columns of an expression are: ``"plan" is a category``."""
    names = dict.fromkeys(expr.meta.root_names())
    said = [f'"{name}" is {_KINDS[contract.inputs[name].kind]}' for name in names if name in contract.inputs]
    more = ["…"] if len(said) > _MOST_NAMED else []
    return " and ".join(said[:_MOST_NAMED] + more)


def _calls(sql: str) -> Iterator[tuple[str, str]]:
    """Name and text of each function call, inner ones first.

    >>> list(_calls("ROUND(ABS(x), 2) + IF(y IN ('a(', 'b'), 1, 2)"))
    [('ABS', 'ABS(x)'), ('ROUND', 'ROUND(ABS(x), 2)'), ('IF', "IF(y IN ('a(', 'b'), 1, 2)")]
    """
    opened: list[tuple[str, int]] = []
    for token in _TOKEN.finditer(sql):
        if token[0].endswith("("):
            opened.append((token["call"] or "", token.start()))
        elif token[0] == ")" and opened:
            name, start = opened.pop()
            if name and name.upper() not in _NO_CALLS:
                yield name, sql[start : token.end()]
