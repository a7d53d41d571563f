"""Refuses a user's query that is not one SELECT over the contract's tables, or looks where it must not.

Second to this come the views that a query sees, which end at as_of, and a DuckDB that reads nothing else
(`holdfast.history.engines.duck`). This is where a person is told which line to mend.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING

from sqlglot import TokenType, exp

from holdfast.errors import nearest
from holdfast.history.own_tables import ANSWERED, bound, insist_tables
from holdfast.history.own_text import SHAPE, QueryError, at, read, tokens
from holdfast.history.own_types import WHY_UNSTEADY, unsteady_functions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.contract.history import History

__all__ = ["QueryError", "checked"]

COLUMNS = ("customer", "value")
_OF_THE_ENGINE = re.compile(
    r"(current|pg|inet)_\w*|has_\w+_privilege|(extension_)?versions?|user_agent|format_type|"
    r"get_block_size|reservoir_quantile"
)
"""Functions of chance, or that tell of the database, which DuckDB says are steady."""

_IN_ORDER = (
    exp.First, exp.Last, exp.AnyValue, exp.ArrayAgg, exp.GroupConcat,
    exp.FirstValue, exp.LastValue, exp.NthValue, exp.RowNumber, exp.Lag, exp.Lead,
)  # fmt: skip
"""What depends on the order of rows, of which engines and threads have none."""

_LATER = (exp.GT, exp.GTE, exp.EQ)
_EARLIER = (exp.LT, exp.LTE, exp.EQ)


def checked(history: History, text: str, place: str) -> exp.Select:
    """The query, if it may be run; its tables are named as the contract names them.

    Args:
        history: whose tables it may read.
        text: as the user wrote it.
        place: its file.

    Raises:
        QueryError: it may not; ``where`` names file and line.
    """
    query = read(text, place)
    _insist_steady(query, text, place)
    _insist_order(query, text, place)
    insist_tables(query, history.tables, text, place)
    _insist_columns(query, history, text, place)
    _insist_parameters(query, history, text, place)
    _insist_past(query, history, text, place)
    if sorted(query.named_selects) != sorted(COLUMNS):
        found = ", ".join(query.named_selects) or "none"
        raise QueryError(f"The query gives the columns {found}.", where=place, hint=SHAPE)
    return bound(query, history.tables)


def _insist_steady(query: exp.Select, text: str, place: str) -> None:
    """Refuse what gives another answer tomorrow: the clock, chance, settings of the machine."""
    unsteady = unsteady_functions()
    words = [*tokens(text, place), *tokens(query.sql("duckdb"), place)]  # as written, and as run
    for token, following in zip_longest(words, words[1:]):
        name = token.text.lower()
        called = following is not None and following.token_type is TokenType.L_PAREN
        if token.token_type is TokenType.STRING:
            continue
        if called and (name in unsteady or _OF_THE_ENGINE.fullmatch(name)):
            raise _changing(name, at(place, text, name))
        # A column may be called so.
        if name in unsteady | ANSWERED and token.token_type not in {TokenType.VAR, TokenType.IDENTIFIER}:
            raise _changing(name, at(place, text, name))
    for one in query.find_all(exp.Anonymous):
        if one.name.lower() == "age" and len(one.expressions) == 1:  # up to today
            raise _changing("age of one moment", at(place, text, "age"))
    sample = query.find(exp.TableSample)
    if sample is not None:
        raise QueryError(
            "The query takes a sample, which is another one in every run.",
            where=at(place, text, "sample"),
            hint="Read all rows; nothing but :as_of may change from run to run.",
        )
    recursive = next((one for one in query.find_all(exp.With) if one.recursive), None)
    if recursive is not None:
        raise QueryError(
            "The query calls itself (WITH RECURSIVE), and nothing says that it comes to an end.",
            where=at(place, text, "recursive"),
            hint="Write it without RECURSIVE.",
        )


def _changing(what: str, where: str) -> QueryError:
    if what in WHY_UNSTEADY:
        return QueryError(
            f"The query uses {what}, which {WHY_UNSTEADY[what]}.",
            where=where,
            hint="Take what is exact: quantile_cont(x, 0.5), min, max; or count each value.",
        )
    return QueryError(
        f"The query uses {what}, which gives another answer at another time.",
        where=where,
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
                where=at(place, text, word),
                hint="Say which: first(x ORDER BY y), list(x ORDER BY x); or take min, max or arg_max.",
            )
    for some in query.find_all(exp.Query):
        distinct = some.args.get("distinct")
        words = [word for word in ("limit", "offset") if some.args.get(word)]
        words += ["distinct on"] if isinstance(distinct, exp.Distinct) and distinct.args.get("on") else []
        if words and not some.args.get("order"):
            word = words[0].upper()
            raise QueryError(
                f"The query has {word} and no ORDER BY: which rows it takes may be others in every run.",
                where=at(place, text, word.split()[0]),
                hint="Give it an ORDER BY that leaves no ties.",
            )
    if any(join.method.upper() == "POSITIONAL" for join in query.find_all(exp.Join)):
        raise QueryError(
            "The query joins rows by their position, which may be another in every run.",
            where=at(place, text, "positional"),
            hint="Join them by columns: JOIN … ON ….",
        )


def _insist_columns(query: exp.Select, history: History, text: str, place: str) -> None:
    """Refuse columns of Holdfast's own, and words that engines answer themselves."""
    shown = {
        column.casefold() for table in history.tables.values() for column in (*table.clocks, *table.columns)
    }
    for column in query.find_all(exp.Column):
        name = column.name.casefold()
        if name.startswith("_"):
            raise QueryError(
                f"The query uses {column.name}; names with _ in front are Holdfast's own.",
                where=at(place, text, column.name),
                hint="Use the column names of the contract.",
            )
        if name in ANSWERED and name not in shown:
            raise _changing(name, at(place, text, name))


def _insist_parameters(query: exp.Select, history: History, text: str, place: str) -> None:
    known = ["as_of", *(f"w{days}" for days in history.clock.windows)]
    for one in query.find_all(exp.Placeholder, exp.Parameter):
        if one.name not in known:
            shown = f":{one.name}" if one.name else one.sql("duckdb")
            raise QueryError(
                f"There is no parameter {shown}.",
                where=at(place, text, one.name or shown),
                hint=nearest(f":{one.name}", [f":{name}" for name in known]),
            )


def _insist_past(query: exp.Select, history: History, text: str, place: str) -> None:
    """Refuse a condition that nothing known at as_of can meet: its author wants the future."""
    read_ = {table.name.casefold() for table in query.find_all(exp.Table)}
    clocks = {
        column.casefold()
        for table in (table for name, table in history.tables.items() if name.casefold() in read_)
        for column in (table.time, table.begin, table.end, table.known)
        if column is not None
    }
    for column, condition in _at_or_after(query):
        if column.name.casefold() in clocks:
            raise QueryError(
                f"The query reads the future: {condition.sql('duckdb').replace('$', ':')} holds of nothing "
                "that had happened and was known at :as_of.",
                where=at(place, text, column.name),
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
