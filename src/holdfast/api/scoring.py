"""Where a model is asked: records of one request in, answers and rejects out. Knows nothing of HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any

import polars as pl

from holdfast.api.intake import MOST_DETAILS, Reject
from holdfast.api.wire import new_ids, utc_now
from holdfast.contract.text import MACHINE_MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.api.intake import Taken
    from holdfast.api.live import Serving
    from holdfast.quality.conform import Conformed

UNSEEN = "not among the contract's levels; scored as missing"
MISSING = "missing, though nearly every customer the model learned from had it; do not rely on this answer"
UNUSED = "known to the contract, but not used for scoring"


@dataclass(frozen=True)
class Outcome:
    """What became of the records of one request. ``answers`` are by the record's index, rising."""

    answers: dict[int, dict[str, Any]]
    rejects: list[Reject]
    taken: Taken


def score(serving: Serving, records: Sequence[object]) -> Outcome:
    """Score the records that keep the contract; each for itself, all in one go through the model.

    The one call site of the model: requests that arrive together may one day meet here.
    """
    taken = serving.intake.take(records)
    rejects = taken.rejects
    if not taken.indexes:
        return Outcome({}, rejects, taken)
    model = serving.model
    conformed = model.conform(taken.table, rows=pl.Series(taken.indexes, dtype=pl.Int64))
    wrong = conformed.rejects
    if wrong.height > MOST_DETAILS:
        wrong = wrong.unique("row", keep="first", maintain_order=True)
    if wrong.height:
        rejects = sorted([*rejects, *starmap(Reject, wrong.iter_rows())], key=lambda reject: reject.index)
    if not conformed.frame.height:
        return Outcome({}, rejects, taken)
    kept: list[int] = conformed.rows.to_list()
    warnings = _warnings(taken, conformed, kept, model.rarely_missing)
    name = {"name": model.name, "version": model.version}
    carried = None if taken.ids is None else dict(zip(taken.indexes, taken.ids, strict=True))
    answers = {}
    rows = model.answer(conformed).iter_rows(named=True)
    now = utc_now()
    for index, row, prediction_id in zip(kept, rows, new_ids(len(kept)), strict=True):
        probability, will_churn = row["churn_probability"], row["will_churn"]
        answers[index] = {
            "customer_id": row["customer_id"] if carried is None else carried[index],
            "prediction": int(will_churn),
            "churn_probability": probability,
            "will_churn": will_churn,
            "confidence": probability if will_churn else 1 - probability,
            "risk_level": row["risk_level"],
            "recommendation": row["recommendation"],
            "threshold": model.threshold,
            "model": name,
            "prediction_id": prediction_id,
            "timestamp": now,
            "warnings": warnings.get(index, []),
        }
    return Outcome(answers, rejects, taken)


def _warnings(
    taken: Taken, conformed: Conformed, kept: list[int], rarely_missing: frozenset[str]
) -> dict[int, list[dict[str, str]]]:
    """What was not scored as it was written, or rests on little, by the record's index."""
    found: dict[int, list[dict[str, str]]] = {}
    for index, names in taken.ignored.items():
        found.setdefault(index, []).extend({"column": name, "reason": UNUSED} for name in names)
    places = {index: at for at, index in enumerate(taken.indexes)}
    for name in conformed.counts.unseen:
        raw = taken.table.get_column(name)
        for index, value in zip(kept, conformed.frame.get_column(name), strict=True):
            written = raw[places[index]]
            if value is None and written is not None and written.strip().lower() not in MACHINE_MISSING:
                found.setdefault(index, []).append({"column": name, "value": written[:80], "reason": UNSEEN})
    for name in conformed.counts.missing.keys() & rarely_missing:
        for at in conformed.frame.get_column(name).is_null().arg_true():
            told = found.setdefault(kept[at], [])
            if all(warning["column"] != name for warning in told):
                told.append({"column": name, "reason": MISSING})
    return found


def explain(serving: Serving, taken: Taken, most: int) -> dict[str, Any]:
    """What speaks for and against one customer's leaving, strongest first, at most ``most`` each way.

    Args:
        serving: the model.
        taken: a request's one record, scored already, so known to conform.
        most: reasons each way.
    """
    reasons = serving.model.explain(taken.table)
    shown = ("feature", "value", "unit", "effect", "points", "direction")
    return {
        f"reasons_{way}": reasons.filter(pl.col("direction") == way).head(most).select(shown).to_dicts()
        for way in ("up", "down")
    }
