"""Put what is known of each column together: its kind, whether it stays, its meaning, range and levels."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess.bounds import bounds
from holdfast.contract.guess.identity import choose_id, identifier_reason
from holdfast.contract.guess.leak import leak_reason, leak_warning
from holdfast.contract.guess.meaning import could_mean, share_out
from holdfast.contract.guess.redundant import repeated
from holdfast.contract.guess.signal import Signal, measure, sample_rows
from holdfast.contract.types import NUMERIC, OPEN_LEVELS, Column, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from holdfast.contract.guess.kind import KindGuess
    from holdfast.contract.guess.profile import Profile
    from holdfast.contract.meanings import Meaning

TELLING_AUC, TELLING_Z = 0.515, 4.0
"""A column more than half empty stays if it alone reaches this AUC, so many standard errors from chance."""

ABSURD_TIMES, ABSURD_QUANTILE = 1e6, 0.99
"""A value so many times the usual size (that quantile of what is not 0) is a mistake, not a customer."""

LEARNED = ", too many to list: learned in training"
"""What is said of a category's levels if they are not listed."""

_WORDY_TEXT = 4
_DISTINCT_TEXT = 0.3


@dataclass
class Verdict:
    """What the contract will say of one column, and why."""

    column: Column
    notes: dict[tuple[str, ...], str] = field(default_factory=dict)
    """Key within the column's section (none: the column itself) to a sentence."""
    median: float | None = None
    """For numbers."""

    def set(self, note: str | None = None, **change: object) -> None:
        """Change the column, with the reason beside the first key changed."""
        self.column = Column.model_validate(self.column.model_dump() | change)
        if note is not None:
            self.notes[next(iter(change)),] = note

    @property
    def is_in(self) -> bool:
        """Whether it can still be an input."""
        return self.column.exclude is None and self.column.kind not in (Kind.ID, Kind.TEXT)


def judge(
    table: pl.DataFrame,
    profiles: Mapping[str, Profile],
    kinds: Mapping[str, KindGuess],
    left: pl.Series,
    *,
    label: str,
    id_column: str | None,
) -> dict[str, Verdict]:
    """A verdict for each column, in the file's order.

    Args:
        table: the whole table.
        profiles: each column but the label.
        kinds: their kinds.
        left: the label, 1 left, 0 stayed, null unknown.
        label: its name.
        id_column: the column that identifies a customer, if the user says so.
    """
    verdicts = {name: Verdict(guess.column, {("kind",): guess.why}) for name, guess in kinds.items()}
    _set_ids(verdicts, profiles, id_column)
    set_useless(verdicts, profiles)
    known = table.with_row_index("\0row").filter(left.is_not_null())["\0row"].to_numpy()
    rows = known[sample_rows(len(known), table.width)]
    outcome = left.gather(rows).cast(pl.Boolean).to_numpy()
    looked_at = table[rows] if len(rows) < table.height else table
    for name, verdict in verdicts.items():
        if verdict.is_in:
            _set_leak(verdict, profiles[name], looked_at, outcome, label=label)
    values = {
        name: (verdict.column.kind, _typed(table, name, verdict.column))
        for name, verdict in verdicts.items()
        if verdict.is_in
    }
    for name, reason in repeated(values).items():
        verdicts[name].set(exclude=f"redundant: {reason}")
        del values[name]
    ranges = {name: describe(verdicts[name], profiles[name], series) for name, (_, series) in values.items()}
    _set_meanings(verdicts, profiles, ranges)
    set_bounds(verdicts, profiles, ranges)
    for verdict in verdicts.values():
        if verdict.column.exclude:
            verdict.notes = {}  # the reason says what there is to say
    return verdicts


def _typed(table: pl.DataFrame, name: str, column: Column) -> pl.Series:
    return table.select(parse.typed_expr(name, column, table.schema[name])).to_series()


def _set_ids(verdicts: Mapping[str, Verdict], profiles: Mapping[str, Profile], asked: str | None) -> None:
    """One column identifies the customer; the others that could are left out."""
    reasons: dict[str, str] = {}
    for name, verdict in verdicts.items():
        profile = profiles[name]
        if name != asked and profile.is_readable and not _is_prose(profile, verdict.column.kind):
            reason = identifier_reason(profile, verdict.column.kind)
            if reason is not None:
                reasons[name] = reason
    chosen = asked if asked is not None else choose_id(profiles, reasons)
    for name, reason in reasons.items():
        if name != chosen:
            verdicts[name].column = Column(kind=Kind.ID, exclude=f"identifier: {reason}")
    if chosen is not None:
        profile = profiles[chosen]
        repeats = profile.present - profile.distinct
        why = f"identifies the customer: {profile.distinct:,} different values"
        if repeats or profile.missing:
            why += f" in {profile.height:,} rows; repeated and missing ones will be rejected"
        verdicts[chosen].column = Column(kind=Kind.ID)
        verdicts[chosen].notes = {("kind",): why}


def _is_prose(profile: Profile, kind: Kind) -> bool:
    """Sentences: many words, seldom the same."""
    if (
        kind is not Kind.CATEGORY
        or profile.distinct <= OPEN_LEVELS
        or profile.distinct_share < _DISTINCT_TEXT
    ):
        return False
    blanks = profile.levels["level"].head(5_000).str.count_matches(r"\s+").mean()
    return isinstance(blanks, float) and blanks + 1 >= _WORDY_TEXT


def set_useless(verdicts: Mapping[str, Verdict], profiles: Mapping[str, Profile]) -> None:
    """Leave out what is empty, always the same, or prose."""
    for name, verdict in verdicts.items():
        profile = profiles[name]
        if not verdict.is_in and verdict.column.kind is not Kind.TEXT:
            continue
        if not profile.is_readable:
            verdict.set(exclude=f"free text: values of type {profile.dtype} are not read")
        elif profile.present == 0:
            verdict.set(exclude="empty: no value in any row")
        elif profile.distinct == 1 and not profile.missing:
            only = str(profile.levels["level"][0])
            verdict.set(exclude=f'constant: always "{only[:40]}"')
        elif _is_prose(profile, verdict.column.kind):
            verdict.column = Column(
                kind=Kind.TEXT,
                exclude=f"free text: {profile.distinct:,} different texts in {profile.present:,} rows",
            )


def _set_leak(
    verdict: Verdict, profile: Profile, table: pl.DataFrame, left: np.ndarray, *, label: str
) -> None:
    """Leave out what gives the label away, and what is mostly empty and says nothing by it."""
    values = _typed(table, profile.name, verdict.column)
    signal = measure(values, left)
    reason = leak_reason(profile.words, signal, kind=verdict.column.kind, label=label)
    if reason is not None:
        verdict.set(exclude=f"leak: {reason}")
        return
    empty = values.null_count() / len(values)
    if empty > 0.5:  # noqa: PLR2004 - half
        telling = signal.auc >= TELLING_AUC and signal.z >= TELLING_Z
        if not telling:
            verdict.set(exclude=f">50 % empty: {empty:.1%}, and neither that nor its values tell who left")
            return
        verdict.notes[()] = _half_empty(empty, signal)
    warning = leak_warning(profile.words, signal)
    if warning is not None:
        verdict.notes[()] = "; ".join(filter(None, [verdict.notes.get(()), warning]))


def _half_empty(empty: float, signal: Signal) -> str:
    by = "its being empty" if signal.missing_auc > 0.5 + 0.8 * (signal.auc - 0.5) else "its values"
    return f"{empty:.1%} empty, kept because {by} tells who left (AUC {signal.auc:.2f})"


def describe(verdict: Verdict, profile: Profile, series: pl.Series) -> tuple[float, float] | None:
    """Missing values, levels, and for numbers the smallest and largest."""
    column = verdict.column
    unknown = parse.missing_expr("raw", profile.dtype, column.kind)
    missing = int(profile.raw.alias("raw").to_frame().select(unknown.sum()).item())
    if missing:
        share = missing / profile.height
        shown = f"{share:.1%}" if share >= 0.001 else "under 0.1%"  # noqa: PLR2004 - one digit
        verdict.set(f"missing in {missing:,} rows ({shown})", required=False)
    if column.kind is Kind.CATEGORY:
        _set_levels(verdict, profile)
    if column.kind not in NUMERIC:
        return None
    numbers = series.cast(pl.Float64).drop_nulls()
    finite = numbers.filter(numbers.is_finite())
    if not len(finite):
        return None
    if len(finite) < len(numbers):
        verdict.notes["kind",] += f"; {len(numbers) - len(finite):,} rows are infinite and will be rejected"
    believed = _believed(finite)
    if len(believed) < len(finite):
        absurd = len(finite) - len(believed)
        verdict.notes["kind",] += f"; {_many(absurd, 'row')} far beyond all others will be rejected"
    verdict.median = float(believed.median())  # type: ignore[arg-type]
    return float(believed.min()), float(believed.max())  # type: ignore[arg-type]


def _believed(finite: pl.Series) -> pl.Series:
    """Without the few values that dwarf all others: one -9e99 must not set the range or cost the meaning."""
    sizes = finite.abs()
    usual = sizes.filter(sizes > 0).quantile(ABSURD_QUANTILE, "lower")
    return finite if usual is None else finite.filter(sizes <= ABSURD_TIMES * usual)


def _set_levels(verdict: Verdict, profile: Profile) -> None:
    keyed = profile.levels.with_columns(key=parse.level_key(pl.col("level")))
    spelled = (
        keyed.sort("count", descending=True, maintain_order=True)
        .group_by("key", maintain_order=True)
        .agg(pl.col("level").first(), pl.col("count").sum(), pl.len().alias("spellings"))
    )
    repaired = int(spelled.filter(pl.col("spellings") > 1).height)
    why = verdict.notes["kind",]
    if spelled.height > OPEN_LEVELS:
        why = f"{spelled.height:,} levels{LEARNED}" + _after(why)
    else:
        counts = dict(spelled.select("level", "count").iter_rows())
        levels = sorted(counts, key=_natural)
        verdict.set(levels=tuple(levels))
        commonest = spelled["level"][0]
        share = spelled["count"][0] / profile.present
        why = f'{_many(len(levels), "level")}; "{commonest}" is {share:.0%}' + _after(why)
    if repaired:
        why += f"; {_many(repaired, 'level')} in several spellings"
    verdict.notes["kind",] = why


def _after(why: str) -> str:
    """What the kind's guess said beyond counting levels."""
    said = re.sub(r"^(?:[\d,]+ levels|one level|[\d,]+ codes;? ?)", "", why).strip("; ")
    return f"; {said}" if said else ""


def _natural(level: str) -> tuple[tuple[int, float, str], ...]:
    """Sorts 2 before 10."""
    parts = re.findall(r"\d+|\D+", level.casefold())
    return tuple(
        (0, float(part), "") if part.isdigit() and part.isascii() else (1, 0.0, part) for part in parts
    )


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _set_meanings(
    verdicts: Mapping[str, Verdict],
    profiles: Mapping[str, Profile],
    ranges: Mapping[str, tuple[float, float] | None],
) -> None:
    candidates: list[tuple[str, list[tuple[float, Meaning]]]] = []
    for name, span in ranges.items():
        low, high = span or (None, None)
        candidates.append((name, could_mean(profiles[name].words, verdicts[name].column.kind, low, high)))
    for name, meaning in share_out(candidates).items():
        verdicts[name].set("guessed from the name", meaning=meaning)


def set_bounds(
    verdicts: Mapping[str, Verdict],
    profiles: Mapping[str, Profile],
    ranges: Mapping[str, tuple[float, float] | None],
) -> None:
    """``min`` and ``max`` of numbers, from the smallest and largest seen and from what they mean."""
    for name, span in ranges.items():
        if span is None:
            continue
        column = verdicts[name].column
        low, high, why = bounds(*span, meaning=column.meaning, name_words=profiles[name].words)
        if high is not None:
            verdicts[name].set(why, max=high)
        verdicts[name].set(min=low)
