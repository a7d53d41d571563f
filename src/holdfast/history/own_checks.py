"""Refuses a user's query that is not one SELECT over the contract's tables, or looks where it must not.

Second to this come the views that a query sees, which end at as_of, and a DuckDB that reads nothing else
(`holdfast.history.engines.duck`). This is where a person is told which line to mend.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from holdfast.errors import ContractError, nearest
from holdfast.history.own_types import unsteady_functions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.contract.history import History

COLUMNS = ("customer", "value")
_SHAPE = "Write one SELECT of customer and value: SELECT customer_id AS customer, COUNT(*) AS value FROM …"
_ROWS_FROM = (exp.Unnest, exp.Explode, exp.Lateral, exp.Columns, exp.Pivot)
_IN_ORDER = (
    exp.First, exp.Last, exp.AnyValue, exp.ArrayAgg, exp.GroupConcat,
    exp.FirstValue, exp.LastValue, exp.NthValue, exp.RowNumber, exp.Lag, exp.Lead,
)  # fmt: skip
"""What depends on the order of rows, of which engines and threads have none."""

_LATER = (exp.GT, exp.GTE, exp.EQ)
_EARLIER = (exp.LT, exp.LTE, exp.EQ)


class QueryError(ContractError):
    """A feature's query is not one SELECT over the contract's tables, or looks where it must not."""

    code = "query"


def checked(history: History, text: str, place: str) -> exp.Select:
    """The query, if it may be run.

    Args:
        history: whose tables it may read.
        text: as the user wrote it.
        place: its file.

    Raises:
        QueryError: it may not; ``where`` names file and line.
    """
    _insist_steady(text, place)
    query = _parsed(text, place)
    _insist_order(query, text, place)
    _insist_tables(query, history, text, place)
    _insist_parameters(query, history, text, place)
    _insist_past(query, history, text, place)
    if sorted(query.named_selects) != sorted(COLUMNS):
        found = ", ".join(query.named_selects) or "none"
        raise QueryError(f"The query gives the columns {found}.", where=place, hint=_SHAPE)
    return query


def _parsed(text: str, place: str) -> exp.Select:
    try:
        found = [one for one in sqlglot.parse(text, read="duckdb") if one is not None]
    except sqlglot.errors.SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        line = details[0].get("line")
        said = details[0].get("description") or str(error).partition("\n")[0]
        at = f"{place}, line {line}" if line else place
        raise QueryError(f"The query cannot be read: {said.rstrip('.')}.", where=at, hint=_SHAPE) from error
    if len(found) != 1:
        how_many = f"There are {len(found)} statements" if found else "The query is empty"
        raise QueryError(f"{how_many}; one SELECT is needed.", where=place, hint=_SHAPE)
    query = found[0]
    if not isinstance(query, exp.Select):
        what = type(query).__name__.upper()
        raise QueryError(
            f"The query is no SELECT but {what}; a feature only reads.",
            where=_at(place, text, what),
            hint=_SHAPE,
        )
    sample = query.find(exp.TableSample)
    if sample is not None:
        raise QueryError(
            "The query takes a sample, which is another one in every run.",
            where=_at(place, text, "sample"),
            hint="Read all rows; nothing but :as_of may change from run to run.",
        )
    recursive = next((one for one in query.find_all(exp.With) if one.recursive), None)
    if recursive is not None:
        raise QueryError(
            "The query calls itself (WITH RECURSIVE), and nothing says that it comes to an end.",
            where=_at(place, text, "recursive"),
            hint="Write it without RECURSIVE.",
        )
    writes = query.find(exp.Insert, exp.Update, exp.Delete, exp.Into)
    if writes is not None:
        raise QueryError(
            "The query writes; a feature only reads.", where=_at(place, text, "into"), hint=_SHAPE
        )
    return query


def _insist_steady(text: str, place: str) -> None:
    """Refuse what gives another answer tomorrow: the clock, chance, settings of the machine."""
    unsteady = unsteady_functions()
    try:
        tokens = sqlglot.tokenize(text, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return  # the parser says what is wrong
    for token, following in zip_longest(tokens, tokens[1:]):
        name = token.text.lower()
        called = following is not None and following.text == "("
        quoted = token.token_type is sqlglot.TokenType.IDENTIFIER
        if name not in unsteady or (quoted and not called):  # a column may be called so
            continue
        if called or token.token_type is not sqlglot.TokenType.VAR:
            raise QueryError(
                f"The query uses {name}, which gives another answer at another time.",
                where=f"{place}, line {token.line}",
                hint="Take :as_of for the present; nothing else may change from run to run.",
            )


def _insist_order(query: exp.Select, text: str, place: str) -> None:
    """Refuse what takes rows as they happen to come."""
    for one in query.find_all(*_IN_ORDER, exp.Anonymous):
        if isinstance(one, exp.Anonymous) and one.name.lower() != "arbitrary":
            continue
        window = one.find_ancestor(exp.Window, exp.Select)
        if not isinstance(one.this, exp.Order) and not (window and window.args.get("order")):
            word = "arbitrary" if isinstance(one, exp.Anonymous) else one.sql("duckdb").partition("(")[0]
            raise QueryError(
                f"The query takes {word.lower()} of rows in no order, which may be another in every run.",
                where=_at(place, text, word),
                hint="Say which: first(x ORDER BY y), list(x ORDER BY x); or take min, max or arg_max.",
            )
    for select in query.find_all(exp.Select):
        distinct = select.args.get("distinct")
        some = select.args.get("limit") or (distinct and distinct.args.get("on"))
        if some and not select.args.get("order"):
            word = "LIMIT" if select.args.get("limit") else "DISTINCT ON"
            raise QueryError(
                f"The query has {word} and no ORDER BY: which rows it takes may be others in every run.",
                where=_at(place, text, word.split()[0]),
                hint="Give it an ORDER BY that leaves no ties.",
            )


def _insist_tables(query: exp.Select, history: History, text: str, place: str) -> None:
    """Refuse every table that is not the contract's."""
    named = {cte.alias for cte in query.find_all(exp.CTE)}
    for cte in sorted(named & set(history.tables)):
        raise QueryError(
            f'"{cte}" is a table of the contract already.',
            where=_at(place, text, cte),
            hint="Name it otherwise.",
        )
    other = query.find(*_ROWS_FROM)
    if other is not None:
        word = other.sql("duckdb")
        raise QueryError(
            f"The query makes rows with {word}.", where=place, hint="Read the contract's tables alone."
        )
    for table in query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            word = table.this.sql("duckdb")
            raise QueryError(
                f"The query reads from {word}; a feature reads the contract's tables alone.",
                where=_at(place, text, word.partition("(")[0]),
                hint=nearest(word, history.tables),
            )
        whole = table.sql("duckdb").partition(" AS ")[0]
        if table.db or table.catalog or table.name not in named | set(history.tables):
            raise QueryError(
                f"The query reads {whole}, which is no table of the contract.",
                where=_at(place, text, table.name),
                hint=nearest(table.name, history.tables),
            )
    for column in query.find_all(exp.Column):
        if column.name.startswith("_"):
            raise QueryError(
                f"The query uses {column.name}; names with _ in front are Holdfast's own.",
                where=_at(place, text, column.name),
                hint="Use the column names of the contract.",
            )


def _insist_parameters(query: exp.Select, history: History, text: str, place: str) -> None:
    known = ["as_of", *(f"w{days}" for days in history.clock.windows)]
    for one in query.find_all(exp.Placeholder, exp.Parameter):
        if one.name not in known:
            shown = f":{one.name}" if one.name else one.sql("duckdb")
            raise QueryError(
                f"There is no parameter {shown}.",
                where=_at(place, text, one.name or shown),
                hint=nearest(f":{one.name}", [f":{name}" for name in known]),
            )


def _insist_past(query: exp.Select, history: History, text: str, place: str) -> None:
    """Refuse a condition that nothing known at as_of can meet: its author wants the future."""
    tables = {table.name for table in query.find_all(exp.Table)} & set(history.tables)
    clocks = {
        column
        for table in map(history.tables.__getitem__, tables)
        for column in (table.time, table.begin, table.end, table.known)
        if column is not None
    }
    for column, condition in _at_or_after(query):
        if column.name in clocks:
            raise QueryError(
                f"The query reads the future: {condition.sql('duckdb').replace('$', ':')} holds of nothing "
                "that had happened and was known at :as_of.",
                where=_at(place, text, column.name),
                hint="Look back from :as_of; an end that is not yet past is missing (IS NULL).",
            )


def _at_or_after(query: exp.Select) -> Iterator[tuple[exp.Column, exp.Expr]]:
    """Each condition that a column is at as_of or later."""
    for one in query.find_all(exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.Between):
        if isinstance(one, exp.Between):
            pairs = [(one.this, one.args["low"])]
        else:
            pairs = [(one.this, one.expression)] if isinstance(one, _LATER) else []
            pairs += [(one.expression, one.this)] if isinstance(one, _EARLIER) else []
        for column, moment in pairs:
            if isinstance(column, exp.Column) and _is_ahead(moment):
                yield column, one


def _is_ahead(moment: exp.Expr) -> bool:
    """Whether it is as_of, or as_of and more."""
    bare = moment.unnest()
    if isinstance(bare, exp.Cast):
        bare = bare.this
    if isinstance(bare, exp.Add):
        return _is_ahead(bare.this) or _is_ahead(bare.expression)
    return isinstance(bare, exp.Placeholder) and bare.name == "as_of"


def _at(place: str, text: str, word: str) -> str:
    """The file and the first line that has a word."""
    for number, line in enumerate(text.splitlines(), start=1):
        if word.strip('"').lower() in line.partition("--")[0].lower():
            return f"{place}, line {number}"
    return place
