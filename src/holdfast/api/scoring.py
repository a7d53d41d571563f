"""Where a model is asked: records in, answers and rejects out, all in one go. Knows nothing of HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl

from holdfast.api.intake import MOST_DETAILS, Reject
from holdfast.contract.text import MACHINE_MISSING
from holdfast.decisions import RECOMMENDATIONS, RISK_LEVELS, risk
from holdfast.quality.levels import is_plain
from holdfast.scoring.stay import stay_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from holdfast.api.intake import Taken
    from holdfast.api.live import Serving
    from holdfast.quality.conform import Conformed
    from holdfast.scoring import AnswerCache

UNSEEN = "not among the contract's levels; scored as missing"
MISSING = "missing, though nearly every customer the model learned from had it; do not rely on this answer"
UNUSED = "known to the contract, but not used for scoring"


@dataclass(frozen=True)
class Scored:
    """What became of a list of records; each has an answer or at least one reject."""

    answers: list[dict[str, Any] | None]
    """By the record's index; without what is told of the moment (id of the prediction, times)."""
    rejects: dict[int, list[Reject]]
    """By the record's index."""
    records: dict[int, dict[str, Any]]
    """What was scored, by the record's index."""
    taken: Taken


def at_once() -> None:
    """Give way to nobody."""


def score(
    serving: Serving,
    records: Sequence[object],
    starts: Sequence[int] = (),
    cache: AnswerCache | None = None,
    give_way: Callable[[], None] = at_once,
) -> Scored:
    """Score the records that keep the contract; each for itself, all in one go through the model.

    Args:
        serving: the model.
        records: as parsed from JSON, of one or several requests.
        starts: where each request but the first begins.
        cache: probabilities of equal records; they are the model's own, so an answer is the same with it.
        give_way: called between the steps, so that other threads' work may go first.
    """
    taken = serving.intake.take(records, starts)
    give_way()
    model, count = serving.model, len(taken.indexes)
    probability = np.full(count, np.nan)
    ids = _plain_ids(taken)
    keys: list[bytes] = []
    if cache is not None and count:
        keys = [
            blake2b(orjson.dumps(row), key=serving.identity, digest_size=20).digest() for row in taken.inputs
        ]
        known = [at for at in range(count) if taken.ids is not None or ids[at] is not None]
        for at, found in zip(known, cache.get_many([keys[at] for at in known]), strict=True):
            if found is not None:
                probability[at] = np.frombuffer(found)[0]
        give_way()
    places = np.flatnonzero(np.isnan(probability))
    rejects, warnings = list(taken.rejects), _unused(taken)
    if len(places):
        table = taken.table if len(places) == count else taken.table[places]
        conformed = model.conform(table, rows=pl.Series(places, dtype=pl.Int64))
        give_way()
        kept = conformed.rows.to_numpy()
        rejects += [
            Reject(taken.indexes[row], column, value, reason)
            for row, column, value, reason in conformed.rejects.iter_rows()
        ]
        if len(kept):
            probability[kept] = fresh = np.asarray(model.probability(conformed.frame))
            give_way()
            if taken.ids is None:
                for place, customer in zip(kept.tolist(), conformed.ids, strict=True):
                    ids[place] = customer
            doubtful = _warn(warnings, taken, conformed, model.rarely_missing)
            if cache is not None:
                pairs = zip(kept.tolist(), fresh, strict=True)
                cache.put_many([(keys[at], p.tobytes()) for at, p in pairs if at not in doubtful])
    answers = _answers(serving, taken, probability, ids if taken.ids is None else taken.ids, warnings)
    give_way()
    every: list[dict[str, Any] | None] = [None] * len(records)
    for index, answer in answers.items():
        every[index] = answer
    return Scored(every, _by_index(rejects), dict(zip(taken.indexes, taken.records, strict=True)), taken)


def _answers(
    serving: Serving,
    taken: Taken,
    probability: NDArray[np.float64],
    ids: Sequence[str | None],
    warnings: dict[int, list[dict[str, str]]],
) -> dict[int, dict[str, Any]]:
    """The answer to each record that has a probability, by its index."""
    good = np.flatnonzero(~np.isnan(probability))
    if not len(good):
        return {}
    model = serving.model
    name = {"name": model.name, "version": model.version}
    levels = risk(probability[good], model.threshold)
    told = zip(good.tolist(), probability[good].tolist(), levels.tolist(), strict=True)
    return {
        taken.indexes[at]: {
            "customer_id": ids[at],
            "prediction": int(level > 0),
            "churn_probability": p,
            "will_churn": level > 0,
            "confidence": p if level else 1 - p,
            "risk_level": RISK_LEVELS[level],
            "recommendation": RECOMMENDATIONS[RISK_LEVELS[level]],
            "threshold": model.threshold,
            "model": name,
            "warnings": warnings.get(taken.indexes[at], []),
        }
        for at, p, level in told
    }


def _by_index(rejects: list[Reject]) -> dict[int, list[Reject]]:
    ordered = sorted(rejects, key=lambda reject: reject.index)
    return {index: [*found] for index, found in groupby(ordered, key=lambda reject: reject.index)}


def rejects_between(scored: Scored, begin: int, end: int) -> list[Reject]:
    """The rejects of one request's records, numbered from 0; of very many, the first of each record."""
    found = [(at, many) for at, many in scored.rejects.items() if begin <= at < end]
    if sum(len(many) for _, many in found) > MOST_DETAILS:
        found = [(at, many[:1]) for at, many in found]
    return [replace(one, index=at - begin) if begin else one for at, many in found for one in many]


def _plain_ids(taken: Taken) -> list[str | None]:
    """The ids of a required id column that need no look by `conform`; None for the others."""
    if taken.id_column is None:
        return [None] * len(taken.indexes)
    ids = taken.table.get_column(taken.id_column).to_list()
    return [one if one and is_plain(one) else None for one in ids]


def _unused(taken: Taken) -> dict[int, list[dict[str, str]]]:
    """Warnings of fields that are known but not used, by the record's index."""
    return {
        index: [{"column": name, "reason": UNUSED} for name in names]
        for index, names in taken.ignored.items()
    }


def _warn(
    warnings: dict[int, list[dict[str, str]]],
    taken: Taken,
    conformed: Conformed,
    rarely_missing: frozenset[str],
) -> set[int]:
    """Add what was not scored as it was written, or rests on little; returns the rows that this is about."""
    doubtful: set[int] = set()
    kept: list[int] | None = None
    for name in conformed.counts.unseen:
        kept = conformed.rows.to_list() if kept is None else kept
        raw = taken.table.get_column(name)
        for row, value in zip(kept, conformed.frame.get_column(name), strict=True):
            written = raw[row]
            if value is None and written is not None and written.strip().lower() not in MACHINE_MISSING:
                doubtful.add(row)
                told = {"column": name, "value": written[:80], "reason": UNSEEN}
                warnings.setdefault(taken.indexes[row], []).append(told)
    for name in conformed.counts.missing.keys() & rarely_missing:
        kept = conformed.rows.to_list() if kept is None else kept
        for at in conformed.frame.get_column(name).is_null().arg_true():
            row = kept[at]
            doubtful.add(row)
            told_of = warnings.setdefault(taken.indexes[row], [])
            if all(warning["column"] != name for warning in told_of):
                told_of.append({"column": name, "reason": MISSING})
    return doubtful


def explain(serving: Serving, table: pl.DataFrame, most: int) -> dict[str, Any]:
    """What speaks for and against one customer's leaving, strongest first, at most ``most`` each way.

    Where the model learned the time until churn, also how long the customer is expected to stay.

    Args:
        serving: the model.
        table: one row, scored already, so known to conform.
        most: reasons each way.
    """
    reasons = serving.model.explain(table)
    shown = ("feature", "value", "unit", "effect", "points", "direction")
    stay = stay_of(serving.model, serving.model.conform(table).frame)
    return {
        f"reasons_{way}": reasons.filter(pl.col("direction") == way).head(most).select(shown).to_dicts()
        for way in ("up", "down")
    } | {name: float(values[0]) for name, values in stay.items()}
