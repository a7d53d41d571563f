"""What the model leans on: SHAP and permutation importance on the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.model.explain import Reasons
from holdfast.training.crossval import side_by_side
from holdfast.training.metrics import row_log_loss

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from holdfast.model.model import Scorer
    from holdfast.progress import Progress

MOST_ROWS = 3_000
_REPEATS = 3


def importances(
    scorer: Scorer, conformed: pl.DataFrame, y: NDArray[np.int8], *, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """Importance of each thing a reason can be about, most important first.

    Args:
        scorer: built without these rows.
        conformed: test rows.
        y: their labels.
        seed: of the shuffles.
        progress: is told of each feature.

    Returns:
        ``feature``; ``unit``; ``shap``: mean absolute effect in log-odds; ``permutation``: rise of the log
        loss when the feature's values are shuffled among customers (Breiman 2001), mean of three shuffles.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(y))[:MOST_ROWS])
    conformed, y = conformed[rows], y[rows]
    features = scorer.program.frame(conformed)
    X = scorer.encoder.transform(features)
    reasons = Reasons(scorer.program, scorer.encoder.slots)
    shap = np.abs(reasons.effects(scorer.contributions(X))).mean(axis=0)
    start = float(row_log_loss(y, scorer.of_matrix(X)).mean())
    shuffles = [random.permutation(len(y)) for _ in range(_REPEATS)]
    progress.start("measuring importance", len(reasons.names))

    def shuffled_loss(name: str) -> float:
        losses = []
        for order in shuffles:
            p = scorer.of_matrix(_shuffled(scorer, conformed, X, name, order))
            losses.append(float(row_log_loss(y, p).mean()))
        progress.advance(1, name)
        return float(np.mean(losses))

    losses = side_by_side(shuffled_loss, reasons.names)
    found = [
        {
            "feature": name,
            "unit": scorer.program.units[name].many,
            "shap": float(effect),
            "permutation": loss - start,
        }
        for name, effect, loss in zip(reasons.names, shap, losses, strict=True)
    ]
    return sorted(found, key=lambda entry: -entry["shap"])


def _shuffled(
    scorer: Scorer,
    conformed: pl.DataFrame,
    X: NDArray[np.float32],
    name: str,
    order: NDArray[np.int64],
) -> NDArray[np.float32]:
    """The matrix with one column's values shuffled, and all that is computed from it."""
    program = scorer.program
    told = {feature: program.told_as(feature) for feature in program.names}
    beside = [feature for feature in told if name in program.made_of(feature) and told[feature] != name]
    if beside and name in conformed.columns:  # features of several columns are computed anew
        return scorer.matrix(conformed.with_columns(conformed[name][order]))
    mixed = X.copy(order="K")
    own = np.flatnonzero([told[slot.feature] == name for slot in scorer.encoder.slots])
    mixed[:, own] = X[np.ix_(order, own)]
    return mixed
