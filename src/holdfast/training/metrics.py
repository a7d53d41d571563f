"""How good probabilities and decisions are; each figure from the field's usual definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit

from holdfast.decisions import expected_gain

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from holdfast.contract import Economics

CALIBRATION_BINS = 10
TOP = 0.1
"""Share of customers whose lift is told."""

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


class Judged:
    """Predictions whose figures are wanted again and again, each row counted as often as one likes.

    What a figure needs is computed and sorted once, so that a resample costs a few sums.

    Args:
        y: labels, shape (n,).
        p: probabilities, shape (n,).
        threshold: from which customers are acted on.
        economics: what a mistake costs.
    """

    def __init__(
        self, y: NDArray[np.int8], p: NDArray[np.float64], *, threshold: float, economics: Economics
    ) -> None:
        self._order = np.argsort(-p, kind="stable")
        ranked = p[self._order]
        self._left = y[self._order].astype(np.int64)
        self._log_loss = row_log_loss(y[self._order], ranked)
        self._brier = np.square(ranked - self._left)
        self._last = np.append(ranked[1:] != ranked[:-1], True)  # of those with the same probability
        self._acted = int((ranked >= threshold).sum())
        self._worth = expected_gain(np.array([0.0, 1.0]), economics)

    def figures(self, counts: NDArray[np.int64]) -> dict[str, Any]:
        """All figures but the calibration error, row i being there ``counts[i]`` times."""
        weight = counts[self._order]
        n = int(weight.sum())
        seen, found = np.cumsum(weight), np.cumsum(weight * self._left)
        left = int(found[-1])
        tp = int(found[self._acted - 1]) if self._acted else 0
        acted = int(seen[self._acted - 1]) if self._acted else 0
        fp, fn = acted - tp, left - tp
        return {
            "accuracy": (n - fp - fn) / n,
            "precision": _share(tp, acted),
            "recall": _share(tp, left),
            "f1": _share(2 * tp, 2 * tp + fp + fn),
            **self._ranking(seen, found),
            "log_loss": float(weight @ self._log_loss) / n,
            "brier": float(weight @ self._brier) / n,
            "profit_per_customer": float(np.array([fp, tp]) @ self._worth) / n,
            "confusion": {"tp": tp, "fp": fp, "fn": fn, "tn": n - acted - fn},
        }

    def _ranking(self, seen: NDArray[np.int64], found: NDArray[np.int64]) -> dict[str, float | None]:
        """Figures of the order alone, from how many were seen and left down to each row."""
        n, left = int(seen[-1]), int(found[-1])
        if not 0 < left < n:
            return dict.fromkeys(("roc_auc", "pr_auc", "lift_top_decile"))
        tp, acted = (np.append(0, counts[self._last]) for counts in (found, seen))
        steps, fp = np.diff(tp), acted - tp
        precision = tp[1:] / np.maximum(acted[1:], 1)
        top = max(1, round(TOP * n))
        return {
            "roc_auc": float(np.diff(fp) @ (tp[1:] + tp[:-1])) / (2 * left * (n - left)),
            "pr_auc": float(steps @ precision) / left,
            # of those with the last probability among the top, each is as likely to be taken
            "lift_top_decile": float(np.interp(top, acted, tp)) / top / (left / n),
        }


def evaluate_predictions(
    y: NDArray[np.int8], p: NDArray[np.float64], *, threshold: float, economics: Economics
) -> dict[str, Any]:
    """All figures of one set of predictions.

    Returns:
        ``accuracy, precision, recall, f1`` at the threshold, ``roc_auc, pr_auc`` (average precision),
        ``log_loss, brier, calibration_error, lift_top_decile`` (churn rate among the tenth with the highest
        probabilities over the overall rate), ``profit_per_customer`` (money: of acting on every one at or
        above the threshold, given who left) and ``confusion`` (``tp, fp, fn, tn``). Those that need both
        outcomes are None where only one is there.
    """
    judged = Judged(y, p, threshold=threshold, economics=economics)
    return {**judged.figures(np.ones(len(y), np.int64)), "calibration_error": calibration_error(y, p)}


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
    judged = Judged(y, p, threshold=threshold, economics=economics)
    for _ in range(resamples):
        rows = random.integers(0, drawn_from, drawn_from)
        if of_customer is not None:
            rows = of_customer(rows)
        for name, value in judged.figures(np.bincount(rows, minlength=len(y))).items():
            if isinstance(value, float):
                drawn.setdefault(name, []).append(value)
        on_resample()
    ends = {name: np.quantile(values, [0.025, 0.975]) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def figures_with_intervals(
    y: NDArray[np.int8],
    p: NDArray[np.float64],
    *,
    threshold: float,
    economics: Economics,
    resamples: int,
    seed: int,
    on_resample: Callable[[], None] = lambda: None,
    customer: NDArray[np.int64] | None = None,
) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    """`evaluate_predictions` and `bootstrap_intervals` of the same predictions."""
    judge: dict[str, Any] = {"threshold": threshold, "economics": economics}
    more: dict[str, Any] = {"resamples": resamples, "seed": seed, "on_resample": on_resample}
    return (
        evaluate_predictions(y, p, **judge),
        bootstrap_intervals(y, p, **judge, **more, customer=customer),
    )


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
