"""Which columns of a table hold times, and what each of them times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess.dates import guess_dates
from holdfast.contract.history import ENDLESS
from holdfast.contract.types import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.guess.dates import Order
    from holdfast.contract.guess.kind import KindGuess
    from holdfast.contract.guess.profile import Profile

MOSTLY = 0.95
"""Share of rows in which an event's time, or a begin, must be there."""

ALMOST_ALL = 0.98
"""Share of rows in which an end lies after its begin, or a row becomes known after its time."""

MOST = 0.9
"""Enough for a begin and an end whose names say so: the other rows are mistakes, and `check` counts them."""

LOADED_AT_ONCE = 0.5
"""A known-at column with so large a share of its rows on one day says when the table was loaded."""

LASTING = 20
"""Days; what lasts longer on the whole is an interval, not an event with a beginning and an end."""

_MOST_WORDS = 3
_BEGIN = frozenset({
    "begin", "began", "beginning", "start", "started", "from", "since", "joined", "join", "joining",
    "registered", "registration", "register", "opened", "open", "activation", "activated", "enrolled",
    "enrollment", "enrolment", "onboarded", "onboarding", "effective", "created", "creation", "subscribed",
    "first", "acquired", "acquisition", "sign", "signup", "inception", "beginn", "debut",
})  # fmt: skip
_END = frozenset({
    "end", "ended", "ending", "stop", "stopped", "until", "to", "thru", "through", "termination",
    "terminated", "terminate", "cancel", "cancelled", "canceled", "cancellation", "churn", "churned", "left",
    "leave", "leaving", "exit", "exited", "closed", "close", "closing", "closure", "deactivation",
    "deactivated", "finish", "finished", "disconnect", "disconnected", "disconnection", "unsubscribed",
    "lapsed", "quit", "ende", "fin",
})  # fmt: skip
_EXPIRY = frozenset({"expiry", "expiration", "expire", "expired"})
_KNOWN = frozenset({
    "known", "recorded", "load", "loaded", "ingest", "ingested", "ingestion", "insert", "inserted", "import",
    "imported", "extract", "extracted", "sync", "synced", "noted", "logged", "arrived", "captured", "etl",
    "dwh", "warehouse", "recording",
})  # fmt: skip
_WRITTEN = frozenset({"created", "posted", "entered", "processed", "received", "booked"})
_REWRITTEN = frozenset({"updated", "modified", "changed", "update", "edited"})
KNOWN_WORDS = _KNOWN | _WRITTEN | _REWRITTEN
"""Words in the name of a column that may say when a row became known."""

_BIRTH = frozenset({"birth", "dob", "birthday", "birthdate", "born"})
PLANNED = frozenset({
    "due", "expected", "scheduled", "planned", "deadline", "estimated", "renewal", "renew", "next", "target",
    "promised", "required", "forecast",
}) | _EXPIRY  # fmt: skip
_LATER = frozenset({
    "resolved", "paid", "settled", "completed", "shipped", "ship", "delivered", "delivery", "returned",
    "refunded", "last", "latest", "confirmed", "approved", "answered", "solved",
}) | _END  # fmt: skip
_PLAIN = frozenset({
    "time", "timestamp", "date", "datetime", "day", "occurred", "happened", "event", "at", "ts", "when",
})  # fmt: skip
_TIMELY = _BEGIN | _END | KNOWN_WORDS | PLANNED | _LATER | _PLAIN
_SECONDS = 1_000_000_000
"""From 1970 to 2001; twice as many to 2033."""

_GOES_ON = frozenset({
    "no", "none", "never", "active", "current", "ongoing", "open", "present", "now", "still active", "n/a",
    "na",
})  # fmt: skip


@dataclass(frozen=True)
class Times:
    """A column of dates or times."""

    name: str
    words: tuple[str, ...]
    days: pl.Series
    """Date; null where nothing is there, or a word or a year (9999) that means so."""
    order: Order | None = None
    """Whether the day or the month comes first, if that matters."""
    spoken: tuple[str, ...] = ()
    """Words among the dates, such as "No" for what has not ended."""
    endless: bool = False
    """Whether some are so far ahead, such as 9999-12-31, that they can only say that something goes on."""

    @property
    def present(self) -> float:
        """Share of rows with a date."""
        return 1 - self.days.null_count() / max(1, len(self.days))

    @property
    def goes_on(self) -> bool:
        """Whether a missing end means that it goes on, so that one that is there has really come."""
        return self.present < 1 and not self.says(_EXPIRY)

    def says(self, *words: frozenset[str]) -> bool:
        """Whether one of the words stands in its name."""
        return any(some.intersection(self.words) for some in words)


@dataclass(frozen=True)
class Clocks:
    """The times of one table, by what they time."""

    time: Times | None = None
    """When the event happened, or for a customer or an interval when it began."""
    end: Times | None = None
    known: Times | None = None
    notes: tuple[str, ...] = ()
    """What is to be said about times that are not used."""


def find_times(
    profiles: Mapping[str, Profile], kinds: Mapping[str, KindGuess], order: Order | None
) -> dict[str, Times]:
    """The columns of a table that hold dates or times, in its order; those of birth are none.

    Args:
        profiles: the columns of one table.
        kinds: what they hold.
        order: of day and month where a column leaves it open, from `guess_orders`.
    """
    found = {}
    for name, profile in profiles.items():
        times = _times(profile, kinds[name], order)
        if times is not None and not times.says(_BIRTH) and times.days.null_count() < len(times.days):
            found[name] = times
    return found


def _times(profile: Profile, guess: KindGuess, order: Order | None) -> Times | None:
    if guess.kind is Kind.DATE:
        first = bool(guess.column.day_first)
        days, endless = _days(profile, day_first=first)
        return Times(profile.name, profile.words, days, guess.order, _spoken(profile), endless)
    if not profile.is_text:
        return None
    spoken = _spoken(profile)
    dated = profile.levels.filter(~pl.col("level").is_in(spoken))
    if not spoken or len(spoken) > _MOST_WORDS or not dated.height:
        return None
    dates = guess_dates(dated, order=order)
    if dates is None:
        return None
    days, endless = _days(profile, day_first=dates.day_first)
    return Times(profile.name, profile.words, days, dates.order, spoken, endless)


def _spoken(profile: Profile) -> tuple[str, ...]:
    """Words that stand for dates: those that people use for what goes on, and any other that is common."""
    if not profile.is_text:
        return ()
    common = pl.col("count") >= (1 - ALMOST_ALL) * profile.height
    said = common | pl.col("level").str.to_lowercase().is_in(sorted(_GOES_ON))
    without_digit = pl.col("level").str.contains(r"^[^\d]*\p{L}[^\d]*$")
    return tuple(profile.levels.filter(without_digit & said)["level"].head(9))


def _days(profile: Profile, *, day_first: bool) -> tuple[pl.Series, bool]:
    """A column's dates, without those that stand for none, and whether it has such."""
    read = parse.date_expr("raw", profile.dtype, day_first=day_first)
    days = profile.raw.alias("raw").to_frame().select(read).to_series()
    endless = (days.dt.year() >= ENDLESS).fill_null(value=False)
    return days.set(endless, None), bool(endless.any())


def counts_from_1970(profile: Profile) -> bool:
    """Whether whole numbers under the name of a time seem to be seconds or milliseconds since 1970."""
    numbers = profile.levels["level"].cast(pl.Int64, strict=False).cast(pl.Float64)
    middle = numbers.median()
    if not isinstance(middle, float) or not _TIMELY.intersection(profile.words):
        return False
    return any(some <= middle < 2 * some for some in (_SECONDS, 1_000 * _SECONDS))


def pair(times: Mapping[str, Times]) -> tuple[Times, Times] | None:
    """The begin and the end that a table has, if it has both: the best-named pair in the right order."""
    ranked = []
    for begin in times.values():
        for end in times.values():
            score = _pair_score(begin, end)
            if begin.name != end.name and score is not None and _ordered(begin.days, end.days, MOST):
                ranked.append((score, begin, end))
    if not ranked:
        return None
    _, begin, end = max(ranked, key=lambda found: found[0])
    return begin, end


def _pair_score(begin: Times, end: Times) -> float | None:
    named = begin.says(_BEGIN) and end.says(_END, _EXPIRY)
    if begin.present < MOSTLY or begin.endless or not (named or end.endless):
        return None
    rest = set(begin.words) - _BEGIN, set(end.words) - _END - _EXPIRY
    score = 2.0 * (rest[0] == rest[1]) + 1.0 * end.says(_END) - 1.0 * begin.says(_WRITTEN)
    return score if named else score - 4.0 + begin.says(_BEGIN)


def _ordered(first: pl.Series, second: pl.Series, share: float = ALMOST_ALL) -> bool:
    """Whether the second is no earlier than the first in almost all rows, or such a share, that have both."""
    both = first.is_not_null() & second.is_not_null()
    count = int(both.sum())
    return not count or int((second >= first).fill_null(value=False).sum()) >= share * count


def lasts(begin: Times, end: Times) -> bool:
    """Whether what goes from one to the other lasts for weeks, or goes on: an interval more than an event."""
    span = (end.days - begin.days).dt.total_days().median()
    return span is None or float(span) >= LASTING  # type: ignore[arg-type]


def event_clocks(times: Mapping[str, Times], table_words: tuple[str, ...], *, versions: bool) -> Clocks:
    """The time of a table's events, and when they became known.

    Args:
        times: from `find_times`.
        table_words: the words of the table's name.
        versions: whether rows may repeat a fact in a later version.
    """
    there = [one for one in times.values() if one.present >= MOSTLY]
    ranked = [one for one in there if not one.says(_KNOWN)] or there
    if not ranked:
        return Clocks()
    time = max(ranked, key=lambda one: (_time_score(one, table_words), -_middle(one)))
    known, notes = _known(time, times, versions=versions, in_place=False)
    return Clocks(time, None, known, notes)


def _time_score(times: Times, table_words: tuple[str, ...]) -> float:
    score = 1.0 * times.says(_PLAIN) + 0.5 * times.says(_BEGIN)
    score += 2.0 * bool(set(table_words).intersection(times.words)) - 1.0 * times.says(_WRITTEN)
    return score - 2.0 * times.says(_LATER) - 3.0 * times.says(PLANNED) - 3.0 * times.says(_REWRITTEN)


def _middle(times: Times) -> float:
    """Its median day as a number."""
    return float(times.days.cast(pl.Int32).median() or 0)  # type: ignore[arg-type]


def span_clocks(times: Mapping[str, Times], begin: Times, end: Times, *, versions: bool) -> Clocks:
    """The clocks of intervals or customers with a begin and an end."""
    others = {name: one for name, one in times.items() if name not in (begin.name, end.name)}
    known, notes = _known(begin, others, versions=versions, in_place=True)
    return Clocks(begin, end, known, notes)


def customer_clocks(times: Mapping[str, Times], *, versions: bool) -> Clocks:
    """When customers joined, if a table of theirs says so."""
    joined = [
        one
        for one in times.values()
        if one.present >= MOSTLY and not one.says(_KNOWN, _REWRITTEN, _LATER, PLANNED)
    ]
    if not joined:
        return Clocks()
    begin = max(joined, key=lambda one: (one.says(_BEGIN), one.says(_PLAIN), -_middle(one)))
    known, notes = _known(begin, times, versions=versions, in_place=True)
    return Clocks(begin, None, known, notes)


def _known(
    time: Times, times: Mapping[str, Times], *, versions: bool, in_place: bool
) -> tuple[Times | None, tuple[str, ...]]:
    """When rows became known, if a column can be believed to say so, and what is to be said of the others.

    Rows that are changed in place carry the moment of their last change. To take that for the moment when
    they became known would hide a subscription until the day it was cancelled; so it is taken only for
    events, and where each change is a row of its own.
    """
    notes = []
    for words in (_KNOWN, _WRITTEN, _REWRITTEN):
        for one in times.values():
            if one.name == time.name or not one.says(words) or one.present < MOSTLY:
                continue
            if words is _REWRITTEN and in_place and not versions:
                notes.append(
                    f'"{one.name}" is when a row was last changed: what it said before is lost, so it is not '
                    "taken for when the row became known"
                )
            elif not _ordered(time.days, one.days):
                notes.append(
                    f'"{one.name}" is often before "{time.name}", so it is not when rows became known'
                )
            elif _at_once(one, time):
                notes.append(
                    f'"{one.name}" is the same day in most rows: it says when the table was loaded, not when '
                    "its rows became known"
                )
            else:
                return one, tuple(notes)
    return None, tuple(notes)


def _at_once(known: Times, time: Times) -> bool:
    """Whether most rows were written on one day though they happened on many."""
    commonest = known.days.drop_nulls().value_counts()["count"].max() or 0
    spread = time.days.n_unique() > 2 * known.days.n_unique()
    return spread and int(commonest) > LOADED_AT_ONCE * len(known.days)  # type: ignore[arg-type]
