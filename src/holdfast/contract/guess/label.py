"""Which value of the label means *left*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import parse
from holdfast.contract.guess.names import words
from holdfast.contract.types import Churn
from holdfast.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.contract.guess.profile import Profile

MOST_OUTCOMES = 20
"""A label with more values than this is a measurement, not an outcome."""

LEFT = frozenset({
    "churn", "churned", "churner", "attrited", "attrition", "attrite", "left", "leave", "leaver", "leaving",
    "lost",
    "exited", "exit", "cancelled", "canceled", "cancel", "quit", "gone", "terminated", "closed", "lapsed",
    "defected",
    "disconnected", "unsubscribed", "deactivated", "dropped", "departed", "inactive", "expired", "switched",
})  # fmt: skip
STAYED = frozenset({
    "stayed", "stay", "existing", "retained", "active", "current", "loyal", "remained", "kept", "renewed",
    "joined",
    "retention", "staying", "alive", "subscribed", "retain", "renew",
})  # fmt: skip
_NOT = frozenset({"no", "not", "non", "never", "un", "didnt"})


class LabelError(DataError):
    """The label column cannot tell who left."""

    code = "label"


@dataclass(frozen=True)
class LabelGuess:
    """The churn section, and the reasons for it by key."""

    churn: Churn
    notes: dict[str, str]


def guess_label(profile: Profile, *, positive: str | None) -> LabelGuess:
    """Choose the positive and, of two values, the negative.

    Args:
        profile: the label column.
        positive: the value that means left, if the user says so; any spelling of it.

    Raises:
        LabelError: no values, one value, or too many.
        UsageError: ``positive`` is not among the values, or cannot be guessed.
    """
    values = _values(profile)
    if positive is None:
        chosen, why = _positive(profile.name, values)
    else:
        chosen, why = _asked(profile.name, values, positive), "as asked for"
    others = [value for value in values["level"] if value != chosen]
    negative = others[0] if len(others) == 1 else None
    count = dict(values.iter_rows())
    total = sum(count.values())
    rate = count[chosen] / total
    said = f"{count[chosen]:,} of {total:,} customers left ({rate:.1%}); {why}"
    if rate > 0.5:  # noqa: PLR2004 - half
        said += "; more than half: check that this is not the value of those who stayed"
    notes = {"positive": said}
    if profile.missing:
        notes["label"] = f"missing in {profile.missing:,} rows, which training leaves out"
    if negative is None:
        stayed = ", ".join(f'"{value}" ({count[value]:,})' for value in others[:6])
        notes["positive"] += f"; every other value counts as stayed: {stayed}"
    return LabelGuess(Churn(label=profile.name, positive=chosen, negative=negative), notes)


def _values(profile: Profile) -> pl.DataFrame:
    """``level`` and ``count``, the commonest spelling for each; most frequent first."""
    where = f'column "{profile.name}"'
    if not profile.is_readable or (not profile.levels.height):
        raise LabelError(
            "The label is missing in every row."
            if profile.is_readable
            else f"The label holds {profile.dtype} values, not outcomes.",
            where=where,
            hint="Name the column that says who left (--label).",
        )
    keyed = profile.levels.with_columns(key=parse.level_key(pl.col("level")))
    merged = (
        keyed.sort("count", descending=True, maintain_order=True)
        .group_by("key", maintain_order=True)
        .agg(pl.col("level").first(), pl.col("count").sum())
        .sort("count", descending=True, maintain_order=True)
        .select("level", "count")
    )
    if merged.height == 1:
        raise LabelError(
            f'The label has one value only: "{merged["level"][0]}" in {merged["count"][0]:,} rows.',
            where=where,
            hint="A model needs customers who left and customers who stayed in one table.",
        )
    if merged.height > MOST_OUTCOMES:
        raise LabelError(
            f"The label has {merged.height:,} distinct values; it must say who left and who stayed.",
            where=where,
            hint="Name a yes/no column (--label), or make one from this column first.",
        )
    return merged


def _asked(label: str, values: pl.DataFrame, positive: str) -> str:
    known: list[str] = values["level"].to_list()
    if positive in known:
        return positive
    key = parse.key_of(positive)
    same = [value for value in known if parse.key_of(value) == key]
    if same:
        return same[0]
    shown = ", ".join(f'"{value}"' for value in known)
    raise UsageError(
        f'The label "{label}" never is "{positive}".',
        where=f'column "{label}"',
        hint=f"{nearest(positive, known)} It has {shown}.",
    )


def _positive(label: str, values: pl.DataFrame) -> tuple[str, str]:
    """The value that means left, and why."""
    known: list[str] = values["level"].to_list()
    scores = {value: _meaning(value) for value in known}
    left = [value for value, score in scores.items() if score > 0]
    stayed = [value for value, score in scores.items() if score < 0]
    if len(left) == 1 or (len(known) == 2 and not left and len(stayed) == 1):  # noqa: PLR2004 - one of two
        chosen = left[0] if left else next(value for value in known if value not in stayed)
        return chosen, "guessed by its name"
    if len(known) != 2:  # noqa: PLR2004 - two outcomes
        shown = ", ".join(f'"{value}"' for value in known)
        raise UsageError(
            f'Which value of "{label}" means that the customer left? It has {shown}.',
            where=f'column "{label}"',
            hint=f'Say so, for example: --positive "{known[-1]}".',
        )
    return _of_two(label, known)


def _of_two(label: str, known: Sequence[str]) -> tuple[str, str]:
    """Yes or no, larger or smaller; turned round where the label asks who stayed."""
    keys = {parse.key_of(value): value for value in known}
    yes = [value for key, value in keys.items() if key in parse.TRUE_WORDS]
    no = [value for key, value in keys.items() if key in parse.FALSE_WORDS]
    asks_who_stayed = bool(STAYED.intersection(words(label))) and not LEFT.intersection(words(label))
    if len(yes) == 1 and len(no) == 1:
        if asks_who_stayed:
            return no[0], "the label asks who stayed"
        return yes[0], "the yes of the two"
    try:
        high, low = max(known, key=float), min(known, key=float)
    except ValueError:
        return known[-1], "a guess: the rarer of the two; turn positive and negative round if it is wrong"
    if asks_who_stayed:
        return low, "a guess: the label asks who stayed, and this is the smaller number"
    return high, "a guess: the larger number; turn positive and negative round if it is wrong"


def _meaning(value: str) -> int:
    """1 if the value says left, -1 if stayed, 0 if neither."""
    said = words(value)
    score = bool(LEFT.intersection(said)) - bool(STAYED.intersection(said))
    negated = bool(_NOT.intersection(said)) and score != 0
    return -score if negated else score
