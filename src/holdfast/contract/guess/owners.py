"""Which column of each table says whose row it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess.identity import CUSTOMER, is_key
from holdfast.contract.guess.names import words
from holdfast.contract.guess.words import is_nominal
from holdfast.contract.types import OPEN_LEVELS, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.guess.kind import KindGuess
    from holdfast.contract.guess.profile import Profile

PEOPLE = CUSTOMER | {"people", "personal", "profile", "demographic", "customer"}
"""Words in the name of a table that holds one row a customer."""

ENOUGH_SHARED = 0.5
"""Share of the values of a key that another table must have too, for the two to be the same."""

NEARLY = 0.9
"""Share of the rows that have their own value, from which a column numbers them."""

_FEWEST = 2
_FEWEST_UNNAMED = 20
_SAMPLE = 200_000


@dataclass(frozen=True)
class Key:
    """A column that may name whose row it is."""

    table: str
    name: str
    words: tuple[str, ...]
    values: pl.Series
    """Its different values as text (of a long column some)."""
    unique: bool
    """Whether each row has its own."""
    rows: int
    named: bool = True
    """Whether its name or its form speaks of a key; else only that another table has it, too."""

    @property
    def says_customer(self) -> bool:
        """Whether the name, or that of a table whose own id it is, speaks of customers."""
        own = self.unique and self.words in {("id",), ("key",), ("code",)}
        return bool(CUSTOMER.intersection(self.words)) or (
            own and bool(PEOPLE.intersection(words(self.table)))
        )

    @property
    def numbers_rows(self) -> bool:
        """Whether nearly each row has its own."""
        return len(self.values) >= NEARLY * min(self.rows, _SAMPLE)


def candidate_keys(
    table: str, profiles: Mapping[str, Profile], kinds: Mapping[str, KindGuess], *, asked: str | None
) -> list[Key]:
    """The columns of a table that may name customers.

    Args:
        table: its name.
        profiles: its columns.
        kinds: their kinds.
        asked: the column that a user says it is: in a table that has it, no other comes into question.
    """
    if asked is not None and asked in profiles:
        return [_key(table, profiles[asked])]
    return [
        _key(table, profile, named=named)
        for name, profile in profiles.items()
        if kinds[name].kind in (Kind.INTEGER, Kind.CATEGORY, Kind.ID, Kind.NUMBER)
        and profile.distinct >= _FEWEST
        and ((named := _named(profile, kinds[name].kind)) or profile.distinct >= _FEWEST_UNNAMED)
    ]


def _named(profile: Profile, kind: Kind) -> bool:
    said = profile.words
    of_customers = bool(CUSTOMER.intersection(said)) and not (len(said) > 1 and _describes(profile))
    return is_key(said) or of_customers or (kind is not Kind.NUMBER and _names_rows(profile))


def _describes(profile: Profile) -> bool:
    """Whether a few values recur in so many rows that they say something of customers: customer_status."""
    return profile.distinct < _FEWEST_UNNAMED and profile.height > 100 * profile.distinct


def _names_rows(profile: Profile) -> bool:
    """Whether codes without a telling name look like names: text that each row has for itself."""
    return profile.is_text and profile.distinct_share == 1 and not profile.missing


def _key(table: str, profile: Profile, *, named: bool = True) -> Key:
    raw = profile.raw.head(_SAMPLE).alias("raw")
    values = raw.to_frame().select(parse.level_expr("raw", raw.dtype)).to_series().drop_nulls().unique()
    unique = profile.distinct == profile.height and not profile.missing
    return Key(table, profile.name, profile.words, values, unique, profile.height, named)


def choose_owner(keys: Mapping[str, list[Key]]) -> dict[str, Key]:
    """The column of each table that names the customer; tables without one are left out.

    Columns of different tables are one key if their names agree and they share values. The key that speaks of
    customers wins, then the one that most tables have, then the one that some table has a row for each of.
    A name that says nothing is enough where one table has a row for each of its values, and another does not,
    even if that table writes them otherwise: without leading zeros, or in capitals. What numbers the rows of
    one table, such as its payments, is no customer where other columns of it are in several tables.
    """
    everything = [key for some in keys.values() for key in some]
    best: dict[str, Key] = {}
    best_score: tuple[float, ...] = ()
    for first in everything:
        family = _family(first, keys)
        refers = any(key.unique for key in family.values()) and any(not key.unique for key in family.values())
        if (
            not refers
            and not any(key.named for key in family.values())
            and not _refers_otherwise(family, keys)
        ):
            continue
        if len(family) == 1 and first.numbers_rows and not first.says_customer and shared_codes(keys, first):
            continue
        score = (
            any(key.says_customer for key in family.values()),
            len(family),
            refers,
            is_key(first.words),
            not first.unique or len(keys) > 1,
            sum(key.rows for key in family.values()),
        )
        if score > best_score:
            best, best_score = family, score
    return best


def _family(first: Key, keys: Mapping[str, list[Key]]) -> dict[str, Key]:
    """The columns that hold the same key as one column, at most one a table."""
    family = {first.table: first}
    for table, some in keys.items():
        if table == first.table:
            continue
        same = [key for key in some if _same(first, key)]
        if same:
            family[table] = max(same, key=lambda key: (key.words == first.words, key.says_customer))
    return {table: family[table] for table in keys if table in family}


def _same(one: Key, other: Key) -> bool:
    named = (
        one.words == other.words
        or (one.says_customer and other.says_customer)
        or _refers(one, other)
        or _refers(other, one)
    )
    if not named and not (one.named and other.named):
        return False
    codes = one.values.dtype == pl.String and bool(one.values.head(100).str.contains(r"\D").any())
    shared = other.values.is_in(one.values.implode()).sum()
    least = min(len(one.values), len(other.values))
    if not least or shared < ENOUGH_SHARED * least:
        return False
    return named or (codes and shared >= 0.9 * least)


def _refers_otherwise(family: Mapping[str, Key], keys: Mapping[str, list[Key]]) -> bool:
    """Whether several tables have a key that another one has a row for each of, but writes otherwise."""
    registers = [key for table, some in keys.items() if table not in family for key in some if key.unique]
    return len(family) > 1 and any(
        register.words == key.words and spelled_alike(key.values, register.values) is not None
        for register in registers
        for key in family.values()
        if not key.unique
    )


def shared_codes(keys: Mapping[str, list[Key]], beside: Key | None = None) -> str | None:
    """The first column of codes or whole numbers that repeats in a table and that another table has, too.

    Args:
        keys: of all tables.
        beside: only columns of its table.
    """
    for table, some in keys.items():
        for one in some:
            if (beside is not None and table != beside.table) or one.numbers_rows or not _may_be_codes(one):
                continue
            if any(
                other.words == one.words and _same(one, other)
                for found in keys.values()
                for other in found
                if other.table != table
            ):
                return one.name
    return None


def _may_be_codes(key: Key) -> bool:
    """Whether its values are many, with digits and not of a place, such as a postal code, or an amount."""
    if len(key.values) <= OPEN_LEVELS or (is_nominal(key.words) and not is_key(key.words)):
        return False
    return bool(key.values.str.contains(r"\d").all()) and not key.values.str.contains(r"[.,]").any()


def spelled_alike(values: pl.Series, others: pl.Series) -> tuple[str, str] | None:
    """A value and another that differ only in leading zeros or capitals, if most values of one have such.

    Args:
        values: as text.
        others: as text.
    """
    one, other = (
        some.unique(maintain_order=True).alias("value").to_frame().with_columns(
            plain=pl.col("value").str.to_lowercase().str.strip_chars_start("0")
        )
        for some in (values.drop_nulls(), others.drop_nulls())
    )  # fmt: skip
    both = one.join(other, on="plain", suffix="_other", maintain_order="left")
    unlike = both.filter(pl.col("value") != pl.col("value_other"))
    if not unlike.height or both["plain"].n_unique() < ENOUGH_SHARED * min(one.height, other.height):
        return None
    return unlike["value"][0], unlike["value_other"][0]


def _refers(one: Key, other: Key) -> bool:
    """Whether one is ``id`` of a table and the other that table's name and ``id``: users.id, user_id."""
    return one.words == ("id",) and other.words == (*words(one.table), "id")
