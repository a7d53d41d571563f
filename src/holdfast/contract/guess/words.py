"""Words in column names that decide something."""

from __future__ import annotations

from holdfast.contract.guess.names import has_phrase

NOMINAL = frozenset({
    "code", "id", "zip", "postal", "pin", "gender", "sex", "city", "state", "country", "region", "province",
    "district", "county", "area", "branch", "geography",
})  # fmt: skip
"""Numbers under such a name are names, not amounts."""

_AMOUNTS = frozenset({
    "count", "number", "average", "total", "sum", "amount", "distance", "population", "size", "rate", "share",
    "ratio", "percent", "score", "latitude", "longitude", "lat", "long", "lon", "lng", "time", "day", "month",
    "year", "age", "income", "length", "duration", "balance", "charge", "index", "rank", "minute", "call",
})  # fmt: skip
"""… unless it also says what is counted: number of cities, area in square metres, months in region."""

_NOMINAL_PHRASES = (
    "payment method",
    "payment type",
    "contract type",
    "plan type",
    "area code",
    "registered via",
)


def is_nominal(name_words: tuple[str, ...]) -> bool:
    """Whether whole numbers under this name are codes."""
    if any(has_phrase(name_words, phrase) for phrase in _NOMINAL_PHRASES):
        return True
    return bool(NOMINAL.intersection(name_words)) and not _AMOUNTS.intersection(name_words)
