"""How good probabilities and decisions are; each figure from the field's usual definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from holdfast.decisions import expected_gain

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from holdfast.contract import Economics

CALIBRATION_BINS = 10

_NEWTON_STEPS = 50
_LONGEST_STEP = 2.0
_LEAST_CURVE = 1e-9


def row_log_loss(y: NDArray[np.int8], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log loss of each row, shape (n,), probabilities kept 1e-15 from 0 and 1."""
    q = np.clip(p, 1e-15, 1 - 1e-15)
    return -np.where(y == 1, np.log(q), np.log1p(-q))


def log_odds_loss(y: NDArray[np.int8], logit: NDArray[np.float64]) -> float:
    """Mean log loss of log-odds of any size."""
    return float(row_log_loss(y, expit(logit)).mean())


def calibration_error(y: NDArray[np.int8], p: NDArray[np.float64]) -> float:
    """Expected calibration error: mean gap between predicted and seen share over 10 bins of equal size."""
    order = np.argsort(p, kind="stable")
    bins = [part for part in np.array_split(order, CALIBRATION_BINS) if len(part)]
    gaps = [abs(float(p[part].mean()) - float(y[part].mean())) * len(part) for part in bins]
    return sum(gaps) / len(y)


def lift(y: NDArray[np.int8], p: NDArray[np.float64], share: float = 0.1) -> float:
    """Churn rate among the ``share`` of customers with the highest probabilities, over the overall rate."""
    top = np.argsort(-p, kind="stable")[: max(1, round(share * len(y)))]
    return float(y[top].mean() / y.mean()) if y.any() else float("nan")


def profit(y: NDArray[np.int8], p: NDArray[np.float64], threshold: float, economics: Economics) -> float:
    """Expected gain per customer (money) of acting on every one at or above ``threshold``, given who left."""
    acted = p >= threshold
    return float(expected_gain(y[acted].astype(np.float64), economics).sum() / len(y))


def calibration_line(y: NDArray[np.int8], p: NDArray[np.float64]) -> tuple[float, float]:
    """Intercept and slope of calibration (Cox 1958): 0 and 1 where probabilities are right.

    The slope is that of a logistic regression of the outcome on the predicted log-odds: below 1 they are too
    far apart. The intercept is the shift of the log-odds, slope kept at 1, that makes the mean right: below 0
    too many are expected to leave. Not-a-number where all met the same fate.
    """
    if y.min() == y.max():
        return float("nan"), float("nan")
    z = logit(np.clip(p, 1e-9, 1 - 1e-9))
    shift, line = 0.0, np.array([0.0, 1.0])
    for _ in range(_NEWTON_STEPS):
        q = expit(z + shift)
        step = float((y - q).sum() / max(float((q * (1 - q)).sum()), _LEAST_CURVE))
        shift += min(max(step, -_LONGEST_STEP), _LONGEST_STEP)
        q = expit(line[0] + line[1] * z)
        w = q * (1 - q)
        curve = np.array([[w.sum(), (w * z).sum()], [(w * z).sum(), (w * z * z).sum()]])
        steps = np.linalg.lstsq(curve, np.array([(y - q).sum(), ((y - q) * z).sum()]), rcond=None)[0]
        line = line + np.clip(steps, -_LONGEST_STEP, _LONGEST_STEP)
    return shift, float(line[1])


def confusion(y: NDArray[np.int8], p: NDArray[np.float64], threshold: float) -> dict[str, int]:
    """Counts: ``tp, fp, fn, tn`` at the threshold."""
    acted, left = p >= threshold, y == 1
    return {
        "tp": int((acted & left).sum()),
        "fp": int((acted & ~left).sum()),
        "fn": int((~acted & left).sum()),
        "tn": int((~acted & ~left).sum()),
    }


def evaluate_predictions(
    y: NDArray[np.int8], p: NDArray[np.float64], *, threshold: float, economics: Economics
) -> dict[str, Any]:
    """All figures of one set of predictions.

    Returns:
        ``accuracy, precision, recall, f1`` at the threshold, ``roc_auc, pr_auc, log_loss, brier,
        calibration_error, lift_top_decile, profit_per_customer`` and ``confusion``. Those that need both
        outcomes are None where only one is there.
    """
    counts = confusion(y, p, threshold)
    both = 0 < int(y.sum()) < len(y)
    precision = _share(counts["tp"], counts["tp"] + counts["fp"])
    recall = _share(counts["tp"], counts["tp"] + counts["fn"])
    return {
        "accuracy": (counts["tp"] + counts["tn"]) / len(y),
        "precision": precision,
        "recall": recall,
        "f1": _share(2 * counts["tp"], 2 * counts["tp"] + counts["fp"] + counts["fn"]),
        "roc_auc": float(roc_auc_score(y, p)) if both else None,
        "pr_auc": float(average_precision_score(y, p)) if both else None,
        "log_loss": float(log_loss(y, p, labels=[0, 1])),
        "brier": float(brier_score_loss(y, p)),
        "calibration_error": calibration_error(y, p),
        "lift_top_decile": lift(y, p) if both else None,
        "profit_per_customer": profit(y, p, threshold, economics),
        "confusion": counts,
    }


def bootstrap_intervals(
    y: NDArray[np.int8],
    p: NDArray[np.float64],
    *,
    threshold: float,
    economics: Economics,
    resamples: int,
    seed: int,
    on_resample: Callable[[], None] = lambda: None,
    customer: NDArray[np.int64] | None = None,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap (Efron 1979): 95 % interval of each figure over resampled customers.

    The calibration error has none: resampling adds its own noise to it and its interval would miss the
    figure.

    Args:
        y: labels.
        p: probabilities.
        threshold: from which customers are acted on.
        economics: what a mistake costs.
        resamples: how many.
        seed: of the drawing.
        on_resample: called after each.
        customer: number of each row's customer, from 0, where one may have several rows: they are drawn
            together. Without it each row is a customer.
    """
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    of_customer = None if customer is None else _rows_by(customer)
    drawn_from = len(y) if customer is None else int(customer.max()) + 1
    for _ in range(resamples):
        rows = random.integers(0, drawn_from, drawn_from)
        if of_customer is not None:
            rows = of_customer(rows)
        found = evaluate_predictions(y[rows], p[rows], threshold=threshold, economics=economics)
        for name, value in found.items():
            if isinstance(value, float) and name != "calibration_error":
                drawn.setdefault(name, []).append(value)
        on_resample()
    ends = {name: np.quantile(values, [0.025, 0.975]) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def _rows_by(customer: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """A function from customers, repeated as drawn, to their rows."""
    order = np.argsort(customer, kind="stable")
    sizes = np.bincount(customer)
    starts = np.cumsum(sizes) - sizes

    def rows(drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        counts = sizes[drawn]
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(order[np.repeat(starts[drawn], counts) + offsets])

    return rows


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
