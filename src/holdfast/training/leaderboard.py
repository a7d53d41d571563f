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
    """Figures of every candidate out of fold, best log loss first, the base rate last."""
    rate = np.full(len(y), y.mean())
    rows = []
    for candidate in candidates:
        figures = evaluate_predictions(y, candidate.probability, threshold=threshold, economics=economics)
        rows.append(
            {
                "model": candidate.name,
                "chosen": candidate is chosen,
                **{name: figures[name] for name in _SHOWN},
                "fit_seconds": candidate.fit_seconds,
                "score_us_per_row": candidate.score_seconds / len(y) * 1e6,
                "within_noise": within.get(candidate.name, False),
                "note": candidate.note,
            }
        )
    figures = evaluate_predictions(y, rate, threshold=threshold, economics=economics)
    shown = {name: figures[name] for name in _SHOWN}
    nothing = {"fit_seconds": 0.0, "score_us_per_row": 0.0, "within_noise": False}
    board = pl.DataFrame(rows).sort("log_loss", maintain_order=True)
    naive = {"model": "base rate", "chosen": False, **shown, **nothing, "note": "the same share for everyone"}
    return pl.concat([board, pl.DataFrame([naive]).match_to_schema(board.schema)])


def why_chosen(chosen: Candidate, candidates: Sequence[Candidate], y: NDArray[np.int8]) -> str:
    """The selection rule's reasoning."""
    losses = {c.name: float(row_log_loss(y, c.probability).mean()) for c in candidates}
    best = min(losses, key=losses.__getitem__)
    words = chosen.name.replace("_", " ")
    if chosen.name == best:
        simpler = [c.name for c in candidates if NAMES.index(c.name) < NAMES.index(best)]
        tail = " and every simpler model is worse by more than noise" if simpler else ""
        return f"{words} has the lowest log loss ({losses[best]:.4f}){tail}."
    return (
        f"{words} (log loss {losses[chosen.name]:.4f}) is the simplest within one standard error of the "
        f"best, {best.replace('_', ' ')} ({losses[best]:.4f})."
    )
