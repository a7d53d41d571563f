"""Columns of PostgreSQL's tables as canonical values: what `holdfast.contract.parse` does, as SQL.

Texts are ordered by their bytes everywhere (``COLLATE "C"``), as other engines order them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.parse import boolean_words
from holdfast.contract.text import MACHINE_MISSING
from holdfast.contract.types import NUMERIC, Kind
from holdfast.history.problems import HistoryError
from holdfast.history.settle import literal, quoted
from holdfast.history.values import spellings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from holdfast.contract.history import History
    from holdfast.contract.types import Column

_BLANKS = (
    *range(9, 14),
    0x20,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
)
_STRIPPED = "E'" + "".join(f"\\u{place:04x}" for place in _BLANKS) + "'"
_TYPES = {
    Kind.NUMBER: "double precision",
    Kind.INTEGER: "bigint",
    Kind.BOOLEAN: "boolean",
    Kind.DATE: "timestamp",
}
_LARGEST = "1.7976931348623157e308::double precision"
_BEYOND = "9223372036854775808::double precision"


@dataclass(frozen=True)
class Held:
    """A table as the database holds it.

    Attributes:
        name: with its schema, quoted.
        place: which table of which database, for people.
        types: of its columns, as `holdfast.sources` reads them.
        spelt: each column's name in the database, where blanks may be around it.
        numeric: columns of numbers, of whatever size.
        order: SQL over a row ``t``: which of two equal ones counts as the last.
        alias: of a row, with the point behind it.
    """

    name: str
    place: str
    types: Mapping[str, pl.DataType]
    spelt: Mapping[str, str]
    numeric: frozenset[str]
    order: str
    alias: str = "t."

    def column(self, name: str) -> str:
        """SQL for a column of a row."""
        return f"{self.alias}{quoted(self.spelt[name])}"

    def instant(self, name: str, zone: str) -> str:
        """SQL for a column of times as instants (UTC, no zone).

        Raises:
            HistoryError: it holds no times.
        """
        column, kind = self.column(name), self.types[name]
        if kind != pl.Date and not isinstance(kind, pl.Datetime):
            raise self.refusal(name, "times")
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
            found = f"({column} AT TIME ZONE 'UTC')"
        else:
            found = moment(f"{column}::timestamp", zone)
        return f"CASE WHEN isfinite({column}) THEN {found} END"

    def refusal(self, name: str, what: str) -> HistoryError:
        """What to say where a column is of a type that `holdfast.history.prepare` alone can read."""
        return HistoryError(
            f'Column "{name}" is of another type in the database than {what}.',
            where=f"{self.place}, column {name}",
            hint="Change its type there, or build with --engine duckdb, which reads text.",
        )


def moment(clock: str, zone: str) -> str:
    """SQL for what a zone's clock shows as an instant: as `holdfast.history.times.to_utc`.

    PostgreSQL takes the second of two moments that clocks show alike, we the first; of one that clocks skip,
    both count on with the offset before. That is the offset of the day before, wherever it fits.
    """
    if zone == "UTC":
        return f"({clock})"
    day, there = "INTERVAL '1 day'", f"AT TIME ZONE {literal(zone)} AT TIME ZONE 'UTC'"
    direct, before = f"({clock} {there})", f"(({clock} - {day}) {there} + {day})"
    fits = f"{wall(before, zone)} = {clock} OR {wall(direct, zone)} <> {clock}"
    return f"CASE WHEN {fits} THEN {before} ELSE {direct} END"


def wall(instant: str, zone: str) -> str:
    """SQL for an instant as a zone's clock shows it."""
    if zone == "UTC":
        return f"({instant})"
    return f"({instant} AT TIME ZONE 'UTC' AT TIME ZONE {literal(zone)})"


def next_day(instant: str, zone: str) -> str:
    """SQL for the first instant of the zone's day after."""
    return moment(f"(date_trunc('day', {wall(instant, zone)}) + INTERVAL '1 day')", zone)


def level(held: Held, name: str) -> str:
    """SQL for a column as the text of a level; null where missing. Immutable, so that it can be indexed."""
    column, kind = held.column(name), held.types[name]
    if kind == pl.String:
        bare = _bare(f"{column}::text")
        words = ", ".join(literal(word) for word in sorted(MACHINE_MISSING))
        # A pattern costs as much as all the rest; hardly any text needs it.
        pattern = f"regexp_replace({bare}, '^([+-]?[0-9]+)[.]0+$', '\\1')"
        whole = f"CASE WHEN strpos({bare}, '.0') > 0 THEN {pattern} ELSE {bare} END"
        text = f'CASE WHEN lower({bare} COLLATE "C") NOT IN ({words}) THEN {whole} END'
    elif kind.is_float():
        whole = f"{column} = trunc({column}) AND abs({column}) < {_BEYOND}"
        text = f"CASE WHEN {whole} THEN {column}::bigint::text WHEN {column} <> 'NaN' THEN {column}::text END"
    else:
        text = f"{column}::text"
    return f'({text}) COLLATE "C"'


def value(history: History, table: str, held: Held, name: str) -> str:
    """SQL for one of the contract's own columns, typed; null where it cannot be read.

    Raises:
        HistoryError: it is of a type that `holdfast.history.prepare` alone can read.
    """
    told = history.tables[table].columns[name]
    if name not in held.types:
        return f"CAST(NULL AS {_TYPES.get(told.kind, 'text')})"
    if told.kind is Kind.DATE:
        return held.instant(name, history.clock.time_zone)
    if told.kind in NUMERIC:
        return _number(held, name, told)
    if told.kind is Kind.BOOLEAN:
        return _boolean(held, name, told)
    text = level(held, name)
    known = spellings(history.tables[table], name, history.churn if table == history.churn.table else None)
    if not known:
        return text
    cases = " ".join(f"WHEN {_small(key)} THEN {literal(said)}" for key, said in known.items())
    found = f"CASE {_key(text, known)} {cases} ELSE {text} END"
    plain = [said for key, said in known.items() if said.lower() == key and key not in MACHINE_MISSING]
    if held.types[name] == pl.String and plain:  # as the contract spells it: nothing to look for
        raw, known_as = f"{held.column(name)}::text", ", ".join(map(literal, plain))
        found = f"CASE WHEN {raw} IN ({known_as}) THEN {raw} ELSE {found} END"
    return f'({found}) COLLATE "C"'


def _bare(text: str) -> str:
    return f"btrim({text}, {_STRIPPED})"


def _key(text: str, keys: Collection[str]) -> str:
    """As `holdfast.contract.parse.level_key`, as far as it tells which of some keys a text has.

    PostgreSQL folds the case of ASCII alone where texts are compared by their bytes, and what else it can
    fold depends on how it was built. So the letters beyond ASCII that the keys have are written small here,
    and no others: a statement whose keys are ASCII stays as quick as it was. A word has a key here if it has
    it by Polars, but for the signs for kelvin and ångström, which nobody writes levels with; and here a sigma
    that ends a word may also be written as one that does not.
    """
    folded = f"lower({_bare(text)})"
    beyond = sorted({letter for key in keys for letter in key if not letter.isascii()})
    pairs = [(great, letter) for letter in beyond for great in _capitals().get(letter, "")]
    if "\u03c2" in beyond:
        pairs += [("\u03a3", "\u03c3"), ("\u03c2", "\u03c3")]
    if pairs:
        great, small = ("".join(letters) for letters in zip(*dict(pairs).items(), strict=True))
        folded = f"translate({folded}, {literal(great)}, {literal(small)})"
    if "\u0307" in beyond:  # the one letter that is two when it is small
        folded = f"replace({folded}, '\u0130', 'i\u0307')"
    whole = f"regexp_replace({folded}, '^([+-]?[0-9]+)[.]0*$', '\\1')"
    return f"regexp_replace({whole}, '[.]$', '')"


def _small(key: str) -> str:
    """A key as `_key` writes it."""
    return literal(key.replace("\u03c2", "\u03c3"))


@cache
def _capitals() -> dict[str, str]:
    """Of each small letter beyond ASCII, those that are written small by it, as Polars does."""
    letters = map(chr, chain(range(0x80, 0xD800), range(0xE000, 0x20000)))  # without surrogates
    both = pl.DataFrame({"great": list(letters)}).with_columns(small=pl.col("great").str.to_lowercase())
    both = both.filter(pl.col("great") != pl.col("small"))
    return dict(both.group_by("small").agg(pl.col("great").str.join("")).iter_rows())


def _number(held: Held, name: str, told: Column) -> str:
    column, kind = held.column(name), held.types[name]
    if kind == pl.Boolean:
        column = f"{column}::integer"
    elif name not in held.numeric:
        raise held.refusal(name, f"{told.kind}s")
    double = f"{column}::double precision"
    if told.kind is Kind.INTEGER:
        whole = f"{double} = trunc({double}) AND abs({double}) < {_BEYOND}"
        found = f"{column}::bigint" if kind.is_integer() else f"CASE WHEN {whole} THEN {double}::bigint END"
    else:
        # Of zeros with two signs, the largest depends on which is read first.
        found = f"({double} + 0.0)" if kind.is_float() else double
    tests = [] if kind.is_integer() else [f"{double} BETWEEN -{_LARGEST} AND {_LARGEST}"]
    tests += [f"{found} >= {told.min!r}"] if told.min is not None else []
    tests += [f"{found} <= {told.max!r}"] if told.max is not None else []
    return f"CASE WHEN {' AND '.join(tests)} THEN {found} END" if tests else found


def _boolean(held: Held, name: str, told: Column) -> str:
    kind = held.types[name]
    if kind == pl.Boolean:
        return held.column(name)
    if kind != pl.String and name not in held.numeric:
        return "CAST(NULL AS boolean)"
    text = f'{held.column(name)}::text COLLATE "C"' if kind == pl.String else level(held, name)
    words = boolean_words(told.true, told.false)
    key = _key(text, words[0] | words[1])
    yes, no = (_listed(some) for some in words)
    return f"CASE WHEN {key} IN ({yes}) THEN TRUE WHEN {key} IN ({no}) THEN FALSE END"


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(sorted({_small(key) for key in keys}))
