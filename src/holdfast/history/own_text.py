"""Reads a user's query as one SELECT of plain parts.

SQLGlot writes anew what it has read, and that is what runs. So only a query is taken which reads the same
once it is written: a quoted name in the place of a type (``CAST(x AS "…")``) is written without its quotes,
and could be SQL that nobody has looked at.
"""

from __future__ import annotations

import sqlglot
from sqlglot import ErrorLevel, Token, TokenType, exp

from holdfast.errors import ContractError

LONGEST = 100_000
"""Characters."""

NESTED = 20
"""Brackets and CASEs in each other; SQLGlot takes up to 28 frames of Python's stack for each."""

DEEPEST = 60
"""Steps from the query down to a part of it, such as NOT NOT NOT x; long sums and lists aside."""

SHAPE = "Write one SELECT of customer and value: SELECT customer_id AS customer, COUNT(*) AS value FROM …"

_UNQUOTED = "Write types, units and functions without quotes: CAST(x AS DOUBLE), INTERVAL 3 DAY."

_OPEN = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE)
_CLOSE = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END)
_LONG = (exp.Connector, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe, exp.SetOperation)
"""Left to right, however many; they are written without going down."""

_STATEMENTS = (
    exp.Describe, exp.Summarize, exp.Show, exp.Pragma, exp.Set, exp.Use, exp.Command, exp.Copy, exp.Attach,
    exp.Detach, exp.Create, exp.Drop, exp.Alter, exp.Analyze,
)  # fmt: skip
_WRITES = (exp.DML, exp.Into, exp.Lock)
_RAW = (exp.ByteString, exp.HexString, exp.BitString, exp.UnicodeString, exp.National)


class QueryError(ContractError):
    """A feature's query is not one SELECT over the contract's tables, or looks where it must not."""

    code = "query"


def read(text: str, place: str) -> exp.Select:
    """The one SELECT that a text is; what is written of it reads the same again.

    Args:
        text: as the user wrote it.
        place: its file.

    Raises:
        QueryError: it is no such thing; ``where`` names file and line.
    """
    _insist_shallow(text, place)
    try:
        query = _only(sqlglot.parse(text, read="duckdb"), text, place)
        _insist_plain(query, text, place)
        written = _written(query)
        again = sqlglot.parse_one(written, read="duckdb")
        same = isinstance(again, exp.Select) and _written(again) == written
        _insist_plain(again, text, place)
    except sqlglot.errors.SqlglotError as error:
        raise _unreadable(error, place) from error
    except RecursionError as error:
        raise _too_deep(place) from error
    if not isinstance(again, exp.Select) or not same:
        raise QueryError(
            "The query cannot be read: written anew, it says something else.",
            where=place,
            hint=_UNQUOTED,
        )
    return again


def tokens(text: str, place: str) -> list[Token]:
    """The words of a text.

    Raises:
        QueryError: it has none of SQL's, such as a text that is not closed.
    """
    try:
        return sqlglot.tokenize(text, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise _unreadable(error, place) from error


def at(place: str, text: str, word: str) -> str:
    """The file and the first line that has a word."""
    for number, line in enumerate(text.splitlines(), start=1):
        if word.strip('"').lower() in line.partition("--")[0].lower():
            return f"{place}, line {number}"
    return place


def _written(query: exp.Expr) -> str:
    return query.sql(dialect="duckdb", comments=False, unsupported_level=ErrorLevel.RAISE)


def _only(statements: list[exp.Expr | None], text: str, place: str) -> exp.Select:
    """The one statement."""
    found = [one for one in statements if one is not None and not isinstance(one, exp.Semicolon)]
    if len(found) != 1:
        how_many = f"There are {len(found)} statements" if found else "The query is empty"
        raise QueryError(f"{how_many}; one SELECT is needed.", where=place, hint=SHAPE)
    if statements[0] is None:
        raise QueryError(
            "The query begins with a semicolon.", where=at(place, text, ";"), hint="Take it away."
        )
    query = found[0]
    if not isinstance(query, exp.Select):
        what = type(query).__name__.upper()
        raise QueryError(
            f"The query is no SELECT but {what}; a feature only reads.",
            where=at(place, text, what),
            hint=SHAPE,
        )
    return query


def _insist_plain(query: exp.Expr, text: str, place: str) -> None:
    """Refuse what does more than read, and what is written as it stands."""
    if _depth(query) > DEEPEST:
        raise _too_deep(place)
    writes = query.find(*_WRITES)
    if writes is not None:
        word = "for update" if isinstance(writes, exp.Lock) else "into"
        raise QueryError("The query writes; a feature only reads.", where=at(place, text, word), hint=SHAPE)
    statement = query.find(*_STATEMENTS)
    if statement is not None:
        word = type(statement).__name__.upper()
        raise QueryError(
            f"The query has {word} in it; a feature only reads rows.", where=at(place, text, word), hint=SHAPE
        )
    raw = query.find(*_RAW)
    if raw is not None:
        raise QueryError(
            f"The query has the bytes {raw.sql('duckdb')}, which engines read differently.",
            where=place,
            hint="Write a plain text: 'like this'.",
        )
    for one in query.find_all(exp.Var, exp.DataType):
        strange = one.this is exp.DType.USERDEFINED
        if strange or (isinstance(one, exp.Var) and not one.name.replace(" ", "_").isidentifier()):
            word = str(one.args.get("kind")) if strange else one.name
            raise QueryError(
                f"The query cannot be read: {word} is no {'type' if strange else 'unit'}.",
                where=at(place, text, word),
                hint=_UNQUOTED,
            )


def _insist_shallow(text: str, place: str) -> None:
    if len(text) > LONGEST:
        raise QueryError(
            f"The query has {len(text):,} characters; {LONGEST:,} are the most.",
            where=place,
            hint="Compare with a column of a table instead of a long list.",
        )
    depth = 0
    for token in tokens(text, place):
        depth += (token.token_type in _OPEN) - (token.token_type in _CLOSE)
        if depth > NESTED:
            raise _too_deep(f"{place}, line {token.line}")


def _depth(query: exp.Expr) -> int:
    """Steps down to the lowest part."""
    deepest, left = 0, [(query, 1)]
    while left:
        node, depth = left.pop()
        deepest = max(deepest, depth)
        left += [
            (child, depth if isinstance(node, _LONG) and child is node.this else depth + 1)
            for child in node.iter_expressions()
        ]
    return deepest


def _too_deep(where: str) -> QueryError:
    return QueryError(
        "The query is nested too deep.",
        where=where,
        hint=f"Put at most {NESTED} brackets or CASEs into each other; name the inner ones by WITH.",
    )


def _unreadable(error: sqlglot.errors.SqlglotError, place: str) -> QueryError:
    details = getattr(error, "errors", None) or [{}]
    line = details[0].get("line")
    said = details[0].get("description") or str(error).partition("\n")[0]
    where = f"{place}, line {line}" if line else place
    return QueryError(f"The query cannot be read: {said.rstrip('. ')}.", where=where, hint=SHAPE)
