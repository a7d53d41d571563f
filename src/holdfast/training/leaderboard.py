"""The candidates side by side, and why one of them was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.training.metrics import evaluate_predictions, row_log_loss
from holdfast.training.recipes import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.contract import Economics
    from holdfast.training.search import Candidate

_SHOWN = ("log_loss", "roc_auc", "pr_auc", "brier", "calibration_error", "profit_per_customer")


def leaderboard(
    candidates: Sequence[Candidate],
    *,
    chosen: Candidate,
    within: dict[str, bool],
    y: NDArray[np.int8],
    threshold: float,
    economics: Economics,
) -> pl.DataFrame:
    """Figures of every candidate out of fold, best log loss first, the base rate last.

    Where a history has no period to compare them in (no ``y``), nobody has any.
    """

    def shown(p: NDArray[np.float64]) -> dict[str, float | None]:
        if not len(y):
            return dict.fromkeys(_SHOWN)
        figures = evaluate_predictions(y, p, threshold=threshold, economics=economics)
        return {name: figures[name] for name in _SHOWN}

    rows = [
        {
            "model": candidate.name,
            "chosen": candidate is chosen,
            **shown(candidate.probability),
            "fit_seconds": candidate.fit_seconds,
            "score_us_per_row": candidate.score_seconds / max(1, len(y)) * 1e6,
            "within_noise": within.get(candidate.name, False),
            "note": candidate.note,
        }
        for candidate in candidates
    ]
    nothing = {"fit_seconds": 0.0, "score_us_per_row": 0.0, "within_noise": False}
    numbers = dict.fromkeys((*_SHOWN, "fit_seconds", "score_us_per_row"), pl.Float64)
    board = pl.DataFrame(rows, schema_overrides=numbers).sort("log_loss", maintain_order=True)
    rate = shown(np.full(len(y), y.mean() if len(y) else np.nan))
    naive = {"model": "base rate", "chosen": False, **rate, **nothing, "note": "the same share for everyone"}
    return pl.concat([board, pl.DataFrame([naive]).match_to_schema(board.schema)])


def why_chosen(chosen: Candidate, candidates: Sequence[Candidate], y: NDArray[np.int8]) -> str:
    """The selection rule's reasoning."""
    words = chosen.name.replace("_", " ")
    if not len(y):
        return f"{words} is the usual choice: there was no period to compare models in."
    losses = {c.name: float(row_log_loss(y, c.probability).mean()) for c in candidates}
    best = min(losses, key=losses.__getitem__)
    if chosen.name == best:
        simpler = [c.name for c in candidates if NAMES.index(c.name) < NAMES.index(best)]
        tail = " and every simpler model is worse by more than noise" if simpler else ""
        return f"{words} has the lowest log loss ({losses[best]:.4f}){tail}."
    return (
        f"{words} (log loss {losses[chosen.name]:.4f}) is the simplest within one standard error of the "
        f"best, {best.replace('_', ' ')} ({losses[best]:.4f})."
    )
