"""The columns of a history's table: kinds, ranges, levels, meanings, and those that know the future."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess.clocks import ALMOST_ALL, PLANNED
from holdfast.contract.guess.columns import LEARNED, Verdict, describe, set_bounds, set_useless
from holdfast.contract.guess.identity import identifier_reason, is_key
from holdfast.contract.guess.leak import leak_reason
from holdfast.contract.guess.meaning import could_mean, share_out
from holdfast.contract.guess.numbered import number_reason
from holdfast.contract.guess.roles import EVENTS
from holdfast.contract.guess.signal import measure, sample_rows
from holdfast.contract.history import TableKind, has_too_many_levels
from holdfast.contract.meanings import Meaning
from holdfast.contract.types import FEW_LEVELS, OPEN_LEVELS, Column, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from holdfast.contract.guess.clocks import Clocks, Times
    from holdfast.contract.guess.profile import Profile
    from holdfast.contract.guess.roles import Placed

FAILURES = frozenset({
    "failed", "fail", "failure", "declined", "decline", "rejected", "reject", "returned", "late", "bounced",
    "overdue", "unpaid", "error", "refused", "denied", "dishonoured", "dishonored", "chargeback", "missed",
    "timeout", "defaulted", "unsuccessful", "insufficient", "nsf", "rucklastschrift", "ruecklastschrift",
    "gemahnt", "abgelehnt", "fehlgeschlagen", "rejete", "impaye", "rechazado", "devuelto", "impagado",
    "respinto", "insoluto", "geweigerd", "mislukt",
})  # fmt: skip
"""Words in a level that say that something failed."""

_AFTERWARDS = "filled in afterwards"
"""How the reason ends why a date column is left out."""


_OUTCOMES = frozenset({
    "resolution", "resolved", "satisfaction", "rating", "outcome", "result", "solution", "solved", "response",
    "csat", "nps", "handling", "duration", "closing", "closed", "feedback",
})  # fmt: skip
"""Words of what is known only once something is over."""

_RUNNING = frozenset({Meaning.TOTAL_CHARGE, Meaning.TENURE_MONTHS})
_TODAY = frozenset(
    {"tenure", "lifetime", "cumulative", "last", "latest", "recency", "current", "balance", "ltv"}
)
_FEWEST = 50


@dataclass
class Fields:
    """The columns of one table that are neither key nor clock."""

    placed: Placed
    verdicts: dict[str, Verdict]
    ranges: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    failures: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def profiles(self) -> dict[str, Profile]:
        """The columns as they are in the table."""
        return {name: self.placed.look.profiles[name] for name in self.verdicts}


def look_at(placed: Placed, *, until: date) -> Fields:
    """What the columns of a table hold; meanings and ranges come later, see `finish`.

    Args:
        placed: the table.
        until: the last day on which anything happened in the history.
    """
    look = placed.look
    names = [name for name in look.frame.columns if name not in placed.used]
    verdicts = {name: Verdict(look.kinds[name].column, {("kind",): look.kinds[name].why}) for name in names}
    found = Fields(placed, verdicts)
    for name, verdict in verdicts.items():
        _set_identifier(verdict, look.profiles[name], placed)
        if name in look.times:
            reason = _later_reason(look.times[name], placed.clocks, until, versions=placed.versions)
            if reason is not None:
                verdict.set(exclude=f"leak: {reason}")
    _set_outcomes(verdicts, look.profiles)
    set_useless({name: v for name, v in verdicts.items() if not v.column.exclude}, found.profiles)
    for name, verdict in verdicts.items():
        if verdict.is_in:
            values = _typed(look.frame, name, verdict.column)
            found.ranges[name] = describe(verdict, look.profiles[name], values)
    if placed.kind is TableKind.EVENTS:
        found.failures = _failures(verdicts)
        _note_many_levels(found)
    return found


def _note_many_levels(found: Fields) -> None:
    """Say of categories of events that have too many levels that no features are made of them."""
    for name, verdict in found.verdicts.items():
        if verdict.is_in and name not in found.failures and has_too_many_levels(verdict.column):
            why = verdict.notes["kind",].replace(LEARNED, "")
            verdict.notes["kind",] = f"{why}; no features are made from more than {FEW_LEVELS} levels"


def _later_reason(column: Times, clocks: Clocks, until: date, *, versions: bool) -> str | None:
    """Why a date column must not be used: it is filled in after the row is known; none if it may be.

    A date beyond the end of the data is a plan and may be known beforehand; one that never is, but lies after
    the row's own time, was written later.

    Args:
        column: a date column that is no clock of the table.
        clocks: those of the table.
        until: the last day that anything happened in the history.
        versions: whether each change is a row of its own, so that what was written later is known to be.
    """
    since = clocks.known or clocks.time
    if since is None or versions or column.says(PLANNED):
        return None
    both = int((column.days.is_not_null() & since.days.is_not_null()).sum())
    after = int((column.days > since.days).fill_null(value=False).sum())
    beyond = int((column.days > until).fill_null(value=False).sum())
    if after <= (1 - ALMOST_ALL) * both or beyond > (1 - ALMOST_ALL) * both:
        return None
    return f'it is later than "{since.name}" in {after:,} rows and not beyond the data: {_AFTERWARDS}'


def _set_outcomes(verdicts: Mapping[str, Verdict], profiles: Mapping[str, Profile]) -> None:
    """Leave out what is written when a row is closed, in a table that keeps when that was."""
    late = (name for name, one in verdicts.items() if (one.column.exclude or "").endswith(_AFTERWARDS))
    closed = next(late, None)
    for name, verdict in verdicts.items():
        if closed and verdict.column.exclude is None and _OUTCOMES.intersection(profiles[name].words):
            verdict.set(exclude=f'leak: its name says that it is known only with "{closed}"')


def _typed(frame: pl.DataFrame, name: str, column: Column) -> pl.Series:
    return frame.select(parse.typed_expr(name, column, frame.schema[name])).to_series()


def _set_identifier(verdict: Verdict, profile: Profile, placed: Placed) -> None:
    reason = identifier_reason(profile, verdict.column.kind) if profile.is_readable else None
    names_kind = verdict.column.kind in (Kind.INTEGER, Kind.CATEGORY)
    names = names_kind and is_key(profile.words)
    numbered = names_kind and profile.words[-1:] in (("no",), ("number",))
    codes = verdict.column.kind is Kind.CATEGORY
    event = codes and len(profile.words) == 1 and profile.words[0] in EVENTS  # invoice, order, session
    if reason is None and (names or numbered or event) and profile.distinct > OPEN_LEVELS:
        reason = f"{profile.distinct:,} different values, and its name says that they are names"
    time = placed.clocks.time
    if reason is None and verdict.column.kind is Kind.INTEGER and placed.kind is TableKind.EVENTS and time:
        reason = number_reason(profile, time, placed.look.customers)
    if reason is not None:
        verdict.column = Column(kind=Kind.ID, exclude=f"identifier: {reason}")


def _failures(verdicts: Mapping[str, Verdict]) -> dict[str, tuple[str, ...]]:
    from holdfast.contract.guess.names import words  # noqa: PLC0415 - a short name that others here use

    found = {}
    for name, verdict in verdicts.items():
        levels = tuple(level for level in verdict.column.levels or () if FAILURES.intersection(words(level)))
        if levels and len(levels) < len(verdict.column.levels or ()) and verdict.is_in:
            found[name] = levels
            listed = ", ".join(f'"{level}"' for level in levels)
            verdict.notes["kind",] += (
                f"; {listed} {'mean' if len(levels) > 1 else 'means'} that something failed"
            )
    return found


def set_leaks(fields: Fields, left: pl.DataFrame | None, what: str) -> None:
    """Leave out what only knows today: running totals, and what tells who has left.

    Rows of customers and intervals are mostly changed in place, so what they hold is from today, not from the
    moment that is looked at.

    Args:
        fields: of a table of customers or intervals.
        left: ``customer`` and ``left``, each customer once.
        what: what leaving is, for the reasons.
    """
    look = fields.placed.look
    outcome = None
    if left is not None:
        joined = look.customers.to_frame().join(left, on="customer", how="left", maintain_order="left")[
            "left"
        ]
        known = joined.is_not_null().arg_true()
        rows = known.gather(pl.Series(sample_rows(len(known), look.frame.width)))
        outcome = rows, joined.gather(rows).cast(pl.Boolean).to_numpy()
    for name, verdict in fields.verdicts.items():
        if not verdict.is_in:
            continue
        words = look.profiles[name].words
        reason = None
        if not fields.placed.versions:
            reason = _of_today(words, verdict.column.kind, fields.ranges.get(name))
        if reason is None and outcome is not None and len(outcome[0]) >= _FEWEST:
            signal = measure(_typed(look.frame, name, verdict.column).gather(outcome[0]), outcome[1])
            reason = leak_reason(words, signal, kind=verdict.column.kind, label=what)
        if reason is not None:
            verdict.set(exclude=f"leak: {reason}")


def _of_today(words: tuple[str, ...], kind: Kind, span: tuple[float, float] | None) -> str | None:
    """Why a column can only be from today, by its name."""
    meanings = {meaning for _, meaning in could_mean(words, kind, *(span or (None, None)))}
    if meanings & _RUNNING:
        return "it grows from month to month, and the table holds only today's"
    if _TODAY.intersection(words) and kind in (Kind.NUMBER, Kind.INTEGER, Kind.DATE):
        return "its name says that it changes, and the table holds only today's"
    return None


def finish(everything: Sequence[Fields]) -> None:
    """Meanings, one a history but for repeatable ones, and the ranges that follow from them."""
    candidates = []
    place = {}
    for number, fields in enumerate(everything):
        if fields.placed.kind is TableKind.EVENTS:
            continue
        for name, span in fields.ranges.items():
            verdict = fields.verdicts[name]
            if verdict.is_in:
                key = f"{number}\0{name}"
                place[key] = verdict
                words = fields.profiles[name].words
                candidates.append((key, could_mean(words, verdict.column.kind, *(span or (None, None)))))
    for key, meaning in share_out(candidates).items():
        place[key].set("guessed from the name", meaning=meaning)
    for fields in everything:
        inside = {name: span for name, span in fields.ranges.items() if fields.verdicts[name].is_in}
        set_bounds(fields.verdicts, fields.profiles, inside)
        for verdict in fields.verdicts.values():
            if verdict.column.exclude:
                verdict.notes = {}  # the reason says what there is to say
            for path, note in verdict.notes.items():  # a history keeps the row, as a single table does not
                verdict.notes[path] = note.replace("will be rejected", "count as missing")
