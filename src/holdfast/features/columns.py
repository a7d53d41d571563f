"""What a record feature sees of a table: its columns by meaning, each as a clean expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind, Meaning
from holdfast.contract.parse import TRUE_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.contract import Contract


FLAG_MARK = " \0"
"""Between a column's name and a question about it; no file's column name holds it."""


class Columns:
    """The input columns of one contract, found by meaning, as expressions of known type.

    Args:
        contract: whose input columns; the frames that the expressions meet are conformed to it.
    """

    def __init__(self, contract: Contract) -> None:
        self._inputs = contract.inputs
        self.flags: dict[str, pl.Expr] = {}
        """Truths about levels that several features ask for: computed once, in a step of their own."""
        self._by_meaning: dict[Meaning, list[str]] = {}
        for name, column in self._inputs.items():
            if column.meaning is not None:
                self._by_meaning.setdefault(column.meaning, []).append(name)

    def names(self, *meanings: Meaning) -> list[str]:
        """Columns that carry any of ``meanings``, in the order asked for."""
        return [name for meaning in meanings for name in self._by_meaning.get(meaning, [])]

    def number(self, meaning: Meaning) -> pl.Expr:
        """The column with ``meaning`` as Float64."""
        return pl.col(self.names(meaning)[0]).cast(pl.Float64)

    def is_numeric(self, meaning: Meaning) -> bool:
        """Whether the column with ``meaning`` holds numbers."""
        names = self.names(meaning)
        return bool(names) and self._inputs[names[0]].kind in {Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN}

    def is_date(self, meaning: Meaning) -> bool:
        """Whether the column with ``meaning`` holds dates."""
        names = self.names(meaning)
        return bool(names) and self._inputs[names[0]].kind is Kind.DATE

    def is_category(self, meaning: Meaning) -> bool:
        """Whether the column with ``meaning`` holds levels."""
        names = self.names(meaning)
        return bool(names) and self._inputs[names[0]].kind is Kind.CATEGORY

    def yes(self, name: str) -> pl.Expr:
        """Whether ``name`` says yes: true, a number above zero, a level such as "Yes"; null if missing."""
        return self._flag(name, "yes", lambda level: level.strip().casefold() in TRUE_WORDS)

    def present(self, name: str) -> pl.Expr:
        """Whether the customer has the service in ``name``: any level but no, none or "No … service"."""
        return self._flag(name, "present", lambda level: not _ABSENT.match(level.strip()))

    def matches(self, name: str, pattern: str) -> pl.Expr:
        """Whether the level in ``name`` matches the regular expression ``pattern`` (case folded)."""
        compiled = re.compile(pattern, re.IGNORECASE)
        return self._flag(name, pattern, lambda level: compiled.search(level) is not None)

    def _flag(self, name: str, question: str, holds: Callable[[str], bool]) -> pl.Expr:
        """A reference to the truth ``question`` about ``name``, which `FeatureProgram` computes first."""
        key = f"{name}{FLAG_MARK}{question}"
        if key not in self.flags:
            self.flags[key] = self._truth(name, holds).alias(key)
        return pl.col(key)

    def _truth(self, name: str, holds: Callable[[str], bool]) -> pl.Expr:
        """Looked up where levels are listed, computed a distinct level at a time where they are open."""
        column = self._inputs[name]
        if column.kind is Kind.BOOLEAN:
            return pl.col(name)
        if column.kind in {Kind.NUMBER, Kind.INTEGER}:
            return pl.col(name) > 0
        if column.kind is Kind.DATE:  # the day that something began: it is there
            return pl.when(pl.col(name).is_not_null()).then(statement=True)
        if column.levels is None:
            return pl.col(name).map_batches(
                lambda values: _each_level(values, holds), return_dtype=pl.Boolean, is_elementwise=True
            )
        codes = [code for code, level in enumerate(column.levels) if holds(level)]
        return pl.col(name).to_physical().cast(pl.UInt32).is_in(codes)


def _each_level(values: pl.Series, holds: Callable[[str], bool]) -> pl.Series:
    """``holds`` of each value, asked once for each distinct one."""
    levels = values.unique().drop_nulls()
    truths = pl.Series([holds(level) for level in levels], dtype=pl.Boolean)
    return values.replace_strict(levels, truths, default=None, return_dtype=pl.Boolean)


_ABSENT = re.compile(r"(?:no|none|n|false|0|not? .*|without.*)$", re.IGNORECASE)
