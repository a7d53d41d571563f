"""What each table of a history is: customers, events or intervals, and its clocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess import clocks as clock
from holdfast.contract.guess.clocks import Clocks, Times
from holdfast.contract.guess.identity import is_key
from holdfast.contract.guess.names import words
from holdfast.contract.guess.owners import PEOPLE, Key
from holdfast.contract.guess.unusable import unread_times
from holdfast.contract.history import TableKind
from holdfast.contract.types import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.contract.guess.kind import KindGuess
    from holdfast.contract.guess.profile import Profile

MOST_VERSIONS = 3.0
"""Rows an id, on average, up to which they may be versions of one fact."""

EVENTS = frozenset({
    "event", "transaction", "order", "purchase", "payment", "invoice", "bill", "billing", "charge", "ticket",
    "call", "case", "complaint", "log", "usage", "session", "visit", "click", "login", "message", "activity",
    "interaction", "contact", "sale", "receipt", "basket", "delivery", "return", "refund", "review", "survey",
    "play", "stream", "download", "cancellation", "churn", "booking", "shipment", "trip", "ride", "view",
    "email", "campaign", "response", "termination", "deactivation", "history",
})  # fmt: skip
"""Words in the name of a table of things that happen."""

SPANS = frozenset({
    "subscription", "contract", "membership", "policy", "plan", "account", "service", "lease", "loan",
    "tariff", "address", "assignment", "enrollment", "term", "agreement", "product", "licence", "license",
})  # fmt: skip
"""Words in the name of a table of things that last."""


@dataclass(frozen=True)
class Look:
    """One table, as far as it explains itself."""

    name: str
    frame: pl.DataFrame
    profiles: Mapping[str, Profile]
    kinds: Mapping[str, KindGuess]
    times: Mapping[str, Times]
    key: Key

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of its name."""
        return words(self.name)

    def says(self, *some: frozenset[str]) -> bool:
        """Whether one of the words stands in its name."""
        return any(one.intersection(self.words) for one in some)

    @cached_property
    def customers(self) -> pl.Series:
        """Whose row each is, as text."""
        name = self.key.name
        return (
            self.frame.select(parse.level_expr(name, self.frame.schema[name])).to_series().alias("customer")
        )


@dataclass(frozen=True)
class Placed:
    """A table and its part in the history."""

    look: Look
    kind: TableKind
    clocks: Clocks
    id: str | None = None
    versions: bool = False
    why: str = ""

    @property
    def used(self) -> frozenset[str]:
        """The columns that are keys or clocks."""
        times = (self.clocks.time, self.clocks.end, self.clocks.known)
        return frozenset(
            {self.look.key.name, *(one.name for one in times if one), *([self.id] if self.id else [])}
        )


def place(looks: Iterable[Look]) -> tuple[list[Placed], dict[str, str]]:
    """Each table's part, the register of customers first; and why tables were left out."""
    placed, left_out = [], {}
    for look in looks:
        found = _place(look)
        if found is None:
            left_out[look.name] = (
                f'"{look.key.name}" says whose row it is, but no column says when, and customers have several'
                f"{unread_times(look)}"
            )
        else:
            placed.append(found)
    return _with_register(placed), left_out


def _place(look: Look) -> Placed | None:
    fact, versions = _fact(look)
    both = clock.pair(look.times)
    unique = look.key.unique or (versions and fact == look.key.name)
    if both is not None and unique and look.says(PEOPLE):
        spans = clock.span_clocks(look.times, *both, versions=versions)
        return Placed(
            look, TableKind.CUSTOMERS, spans, fact, versions, "a row a customer, with begin and end"
        )
    if both is not None and (look.says(SPANS) or (not look.says(EVENTS) and clock.lasts(*both))):
        spans = clock.span_clocks(look.times, *both, versions=versions)
        return Placed(look, TableKind.INTERVALS, spans, fact, versions, "each row has a begin and an end")
    if unique and not look.says(EVENTS):
        joined = clock.customer_clocks(look.times, versions=versions)
        return Placed(look, TableKind.CUSTOMERS, joined, fact, versions, "a row a customer")
    happened = clock.event_clocks(look.times, look.words, versions=versions)
    if happened.time is None:
        return None
    return Placed(look, TableKind.EVENTS, happened, fact, versions, "each row happened at one time")


def _fact(look: Look) -> tuple[str | None, bool]:
    """The column that says which fact a row is, and whether facts have several versions."""
    ids = [
        name
        for name, guess in look.kinds.items()
        if name != look.key.name
        and guess.kind in (Kind.INTEGER, Kind.CATEGORY, Kind.ID)
        and is_key(look.profiles[name].words)
        and not look.profiles[name].missing
    ]
    ids.sort(key=lambda name: _own(look, name), reverse=True)
    for name in ids:
        if look.profiles[name].distinct == look.frame.height:
            return name, False
    written = [one for one in look.times.values() if one.says(clock.KNOWN_WORDS)]
    if look.says(PEOPLE) and not look.key.unique:
        ids.append(look.key.name)
    for name in ids:
        if (_own(look, name) or name == look.key.name) and any(
            _is_version(look, name, known) for known in written
        ):
            return name, True
    return None, False


def _own(look: Look, name: str) -> bool:
    """Whether an id is of the table's own facts by its name: id, order_id in orders."""
    said = look.profiles[name].words
    return said == ("id",) or bool(set(said) & set(look.words))


def _is_version(look: Look, name: str, known: Times) -> bool:
    """Whether rows with one id are one customer's, few, and became known on different days."""
    facts = pl.DataFrame(
        {"id": look.frame[name], "customer": look.customers, "known": look.frame[known.name]}
    )
    distinct = facts["id"].n_unique()
    if facts.height > MOST_VERSIONS * distinct or facts.height == distinct:
        return False
    owners = facts.select(pl.struct("id", "customer").n_unique()).item()
    moments = facts.select(pl.struct("id", "known").n_unique()).item()
    repeated = facts.height - distinct
    return bool(owners <= 1.01 * distinct and facts.height - moments <= 0.02 * repeated)


def _with_register(placed: list[Placed]) -> list[Placed]:
    """The register first; further tables of customers without times, or as intervals."""
    people = [one for one in placed if one.kind is TableKind.CUSTOMERS]
    if not people:
        return placed
    register = max(people, key=_register_score)
    rest = [_beside(one) for one in placed if one is not register]
    return [replace(register, why=f"{register.why}; whoever is not in it is unknown"), *rest]


def _register_score(one: Placed) -> tuple[bool, bool, int]:
    return one.look.says(PEOPLE), one.clocks.time is not None, one.look.frame.height


def _beside(one: Placed) -> Placed:
    if one.kind is not TableKind.CUSTOMERS:
        return one
    if one.clocks.end is not None:
        return replace(one, kind=TableKind.INTERVALS)
    return replace(one, clocks=Clocks(known=one.clocks.known), why="says more about the customers")
