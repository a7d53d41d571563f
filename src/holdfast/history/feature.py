"""What a feature of a history is, and the parts that it is made of."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from holdfast.contract.types import Kind

if TYPE_CHECKING:
    from holdfast.contract.history import Table
    from holdfast.contract.types import Column

LONGEST_NAME = 63
"""Characters; PostgreSQL cuts longer names off."""


class Detail(IntEnum):
    """How much is made of each number."""

    FULL = 0
    """Sums and means over every window, deviations and percentiles over the long ones, shares, trends."""
    BRIEF = 1
    """Sums and means over the first window of at least 30 days and the longest; shares over the longest."""
    LEAST = 2
    """The mean over the longest window alone; no shares."""


@dataclass(frozen=True)
class Part:
    """An aggregate that features are made of.

    Attributes:
        name: of the aggregate's column.
        sql: an aggregate over the columns of its stage, in DuckDB's dialect.
        stage: which rows: ``seen``, or ``ordered`` (with the ``_rank`` of each row, the newest being 1, and
            the ``_gap`` in microseconds since the one before).
    """

    name: str
    sql: str
    stage: str = "seen"


@dataclass(frozen=True)
class HistoryFeature:
    """One feature.

    Attributes:
        name: of its column.
        table: that it is made of; none if it is a user's own query.
        kind: number, integer, boolean or category.
        unit: what its values are measured in, in words.
        doc: what it means, one sentence.
        value: SQL over its ``parts`` and ``as_of``.
        parts: the aggregates that it needs.
        empty: its value for a customer to whom nothing of the kind happened; missing if none.
        levels: of a category, where the contract declares them.
        query: the text of a user's own query.
        peers: the others that the customer is held against, if it is.
    """

    name: str
    table: str | None
    kind: Kind
    unit: str
    doc: str
    value: str = ""
    parts: tuple[Part, ...] = ()
    empty: int | None = None
    levels: tuple[str, ...] | None = None
    query: str | None = None
    peers: Peers | None = None


@dataclass(frozen=True)
class Input:
    """A column that features use, under the name it has in them.

    Attributes:
        column: its name in the table.
        slug: its name within the names of features and aggregates.
        told: the contract's description.
    """

    column: str
    slug: str
    told: Column


@dataclass(frozen=True)
class Peers:
    """Whose median a customer's number is held against: all in force with the same level, that day.

    Attributes:
        number: the number.
        category: whose level they have in common.
        alias: of the medians' table, in the feature's ``value``.
        level: the aggregate that gives the customer's level.
    """

    number: Input
    category: Input
    alias: str
    level: str


@dataclass(frozen=True)
class Source:
    """A table as the makers of features see it."""

    name: str
    table: Table
    windows: tuple[int, ...]
    detail: Detail
    inputs: tuple[Input, ...]

    def feature(
        self,
        name: str | tuple[str, ...],
        doc: str,
        value: str,
        *parts: Part,
        unit: str = "",
        kind: Kind = Kind.NUMBER,
        empty: int | None = None,
        levels: tuple[str, ...] | None = None,
    ) -> HistoryFeature:
        """A feature of this table, its name being the table's with ``name`` behind it."""
        whole = named(self.name, *((name,) if isinstance(name, str) else name))
        return HistoryFeature(whole, self.name, kind, unit, doc, value, parts, empty, levels)

    def count(self, name: str | tuple[str, ...], doc: str, part: Part) -> HistoryFeature:
        """A feature that counts rows: 0 for who has none."""
        return self.feature(name, doc, part.name, part, unit=self.name, kind=Kind.INTEGER, empty=0)

    def of(self, *kinds: Kind) -> list[Input]:
        """The inputs of some kinds, in the contract's order."""
        return [one for one in self.inputs if one.told.kind in kinds]

    @property
    def longest(self) -> int:
        """The longest window."""
        return self.windows[-1]

    @property
    def some(self) -> tuple[int, ...]:
        """The windows that sums and means look back, by detail."""
        if self.detail is Detail.FULL:
            return self.windows
        first = next((days for days in self.windows if days >= 30), self.windows[0])  # noqa: PLR2004 - as `Detail` says
        return tuple(dict.fromkeys((first, self.longest)))

    @property
    def long(self) -> tuple[int, ...]:
        """The windows long enough for deviations, percentiles and shares: 90 days and more."""
        found = tuple(days for days in self.windows if days >= 90) or (self.longest,)  # noqa: PLR2004 - as the text says
        return found if self.detail is Detail.FULL else (self.longest,)


def slug(text: str) -> str:
    """Text as part of a name: lower case, letters and digits, one ``_`` between them, a letter first.

    >>> slug("Monthly Charges (CAD)")
    'monthly_charges_cad'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "value"
    return f"n{found}" if found[0].isdigit() else found


def named(*parts: str) -> str:
    """A feature's name: its parts with ``_`` between them, shortened where PostgreSQL would cut it off."""
    whole = "_".join(part for part in parts if part)
    if len(whole) <= LONGEST_NAME:
        return whole
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: LONGEST_NAME - len(mark) - 1]}_{mark}"


def unlike(names: list[str]) -> list[str]:
    """The names, a repeated one with a number behind it."""
    taken: set[str] = set()
    found = []
    for name in names:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name[: LONGEST_NAME - len(str(number)) - 1]}_{number}"
        taken.add(free)
        found.append(free)
    return found
