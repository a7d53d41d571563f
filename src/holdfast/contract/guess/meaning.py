"""What a column means, by the words of its name and whether its values can mean it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.guess.names import has_phrase
from holdfast.contract.guess.vocabulary import RULES, Rule
from holdfast.contract.meanings import REPEATABLE, Meaning
from holdfast.contract.types import NUMERIC, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def could_mean(
    name_words: tuple[str, ...], kind: Kind, low: float | None, high: float | None
) -> list[tuple[float, Meaning]]:
    """Meanings that the name carries and the values allow, each with the share of the name explained.

    Args:
        name_words: the column name's words.
        kind: its kind.
        low: its smallest value, for numbers.
        high: its largest.
    """
    found: list[tuple[float, Meaning]] = []
    for rule in RULES:
        if kind not in rule.kinds or set(rule.never.split()).intersection(name_words):
            continue
        best = max(_score(name_words, phrase.strip()) for phrase in rule.phrases.split(","))
        if best > 0 and _plausible(rule, kind, low, high):
            found.append((best + (kind is rule.prefers), rule.meaning))
    return found


def _score(name_words: tuple[str, ...], phrase: str) -> float:
    """Share of the name that the phrase explains; 0 where it does not match."""
    whole = phrase.startswith("=")
    phrase = phrase.removeprefix("=")
    if whole:
        return 1.0 if name_words == tuple(phrase.split()) else 0.0
    return len(phrase.split()) / len(name_words) if has_phrase(name_words, phrase) else 0.0


def _plausible(rule: Rule, kind: Kind, low: float | None, high: float | None) -> bool:
    if kind not in NUMERIC or low is None or high is None:
        return True
    if rule.low is not None and low < rule.low:
        return False
    return rule.top is None or rule.top[0] <= high <= rule.top[1]


def share_out(candidates: Iterable[tuple[str, Sequence[tuple[float, Meaning]]]]) -> dict[str, Meaning]:
    """One meaning a column and, but for repeatable ones, one column a meaning: the best-named first.

    Args:
        candidates: each column's name with its possible meanings, in the file's order.
    """
    pairs = [(-score, place, name, m) for place, (name, found) in enumerate(candidates) for score, m in found]
    given: dict[str, Meaning] = {}
    for _, _, name, meaning in sorted(pairs, key=lambda pair: pair[:2]):
        if name in given or (meaning not in REPEATABLE and meaning in given.values()):
            continue
        given[name] = meaning
    return given
