"""Which columns name a customer instead of describing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.guess.names import has_phrase
from holdfast.contract.types import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.guess.profile import Profile

NEAR_UNIQUE = 0.9
"""Distinct values per row from which words name rather than describe."""

FEWEST = 20
"""Below so many rows uniqueness says nothing."""

CUSTOMER = frozenset({
    "customer", "client", "user", "account", "subscriber", "member", "policy", "msno", "msisdn", "person",
    "household",
})  # fmt: skip
"""Words for whom a table is about."""

_KEYS = frozenset(
    {"id", "key", "uuid", "guid", "msno", "msisdn", "imsi", "imei", "ssn", "identifier", "reference"}
)
_INDEX = (
    "row number",
    "row id",
    "unnamed 0",
    "unnamed",
    "index",
    "record number",
    "serial number",
    "sno",
    "row",
)
_PEOPLE = (
    "last name", "first name", "full name", "customer name", "client name", "user name", "name", "e mail",
    "mail address", "street", "address",
)  # fmt: skip
_PHONES = (
    "phone number",
    "telephone",
    "telephone number",
    "mobile number",
    "phone",
    "mobile",
    "fax",
    "contact number",
)
_NUMBERED = ("number", "no")
_PATTERNS = {
    "e-mail addresses": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "web addresses": r"^https?://",
    "universally unique ids": r"^\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?$",
}


def identifier_reason(profile: Profile, kind: Kind) -> str | None:
    """Why the column names customers, to stand after ``identifier: ``; none if it describes them."""
    if profile.present < FEWEST or kind in (Kind.BOOLEAN, Kind.DATE):
        return None
    said, share = profile.words, profile.distinct_share
    if any(said == tuple(index.split()) for index in _INDEX) and _is_counter(profile):
        return "it only numbers the rows"
    if kind in (Kind.CATEGORY, Kind.TEXT):
        return _of_words(profile)
    if kind is Kind.INTEGER and share >= NEAR_UNIQUE:
        return _of_integers(profile)
    return None


def _of_integers(profile: Profile) -> str | None:
    if is_key(profile.words):
        return f"{profile.distinct:,} different values in {profile.present:,} rows, and its name says so"
    if _is_counter(profile):
        return "it only numbers the rows"
    if profile.distinct_share == 1 and _unique_by_design(profile):
        return f"each of {profile.present:,} rows has its own, more than chance allows"
    return None


def is_key(said: tuple[str, ...]) -> bool:
    """Whether a name's words say that the column identifies something."""
    if _KEYS.intersection(said):
        return True
    numbered = bool(said) and said[-1] in _NUMBERED and bool(CUSTOMER.intersection(said))
    return numbered or any(said == tuple(phone.split()) for phone in _PHONES)


def _of_words(profile: Profile) -> str | None:
    said, share = profile.words, profile.distinct_share
    counts = f"{profile.distinct:,} different values in {profile.present:,} rows"
    if share >= NEAR_UNIQUE:
        return counts
    for what, pattern in _PATTERNS.items():
        if float(profile.levels["level"].str.contains(pattern).mean() or 0) > NEAR_UNIQUE:  # type: ignore[arg-type]
            return f"{what}, {counts}"
    personal = any(
        said == tuple(person.split()) or (" " in person and has_phrase(said, person)) for person in _PEOPLE
    )
    if personal and profile.distinct > 100:  # noqa: PLR2004 - fewer are names of plans or branches
        return f"names or addresses of people, {counts}"
    return None


def _is_counter(profile: Profile) -> bool:
    """Whole numbers without gap or repetition."""
    if not profile.raw.dtype.is_integer():
        numbers = profile.levels["level"].cast(pl.Int64, strict=False)
        if numbers.null_count():
            return False
    else:
        numbers = profile.raw.drop_nulls()
    if not len(numbers) or profile.distinct_share < 1:
        return False
    return int(numbers.max()) - int(numbers.min()) + 1 == profile.present  # type: ignore[arg-type]


def _unique_by_design(profile: Profile) -> bool:
    """Whether such amounts would have repeated: n draws from R values do so n²/2R times on average."""
    numbers = profile.levels["level"].cast(pl.Float64, strict=False) if profile.is_text else profile.raw
    span = float(numbers.max()) - float(numbers.min()) + 1  # type: ignore[arg-type]
    return profile.present**2 / (2 * span) > 20  # noqa: PLR2004 - chance of no repetition: one in e^20


def _is_code(profile: Profile) -> bool:
    """Whether text looks like ids: each row its own, no blanks, and neither an address nor a phone number."""
    if (
        not profile.is_text
        or profile.distinct_share < 1
        or any(profile.words == tuple(name.split()) for name in (*_PHONES, *_PEOPLE))
    ):
        return False
    some = profile.levels["level"].head(5_000)
    return not some.str.contains(r"\s|@|://").any() and bool(some.str.contains(r"\d").all())


def choose_id(profiles: Mapping[str, Profile], reasons: Mapping[str, str]) -> str | None:
    """The one column that identifies the customer, among those with a reason to be identifiers.

    Each row must have its own value or nearly so, and the name must say *customer id*, or at least *id*.
    """
    ranked: list[tuple[float, str]] = []
    for name, reason in reasons.items():
        profile = profiles[name]
        if profile.missing or profile.distinct_share < NEAR_UNIQUE:
            continue
        said = profile.words
        keyed = bool(_KEYS.intersection(said)) or (bool(said) and said[-1] in _NUMBERED)
        customer = bool(CUSTOMER.intersection(said))
        counter = reason == "it only numbers the rows"
        if said == ("id",):
            ranked.append((2.5, name))
        elif keyed and not any(said == tuple(index.split()) for index in (*_INDEX, *_PHONES)):
            ranked.append((3.0 * customer + 1.0 - 0.5 * counter, name))
        elif said == ("msno",):
            ranked.append((3.0, name))
        elif customer or _is_code(profile):
            ranked.append((1.0 if customer else 0.5, name))
    if not ranked:
        return None
    best = max(score for score, _ in ranked)
    return next(name for score, name in ranked if score == best)
