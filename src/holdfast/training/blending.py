"""Weights of a blend and the calibrator: both learned on out-of-fold log-odds, both judged across folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from holdfast.model.calibration import Calibrator
from holdfast.training.metrics import row_log_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SMALLEST_WEIGHT = 0.03
"""A member with less weight than this costs more time than it brings."""

ISOTONIC_ROWS = 1_000
"""With fewer leavers than this a free curve fits noise (Niculescu-Mizil & Caruana 2005, fig. 7)."""

_EVEN = 1e-4
_EDGE = 1e-4
_FLATTEST = 0.01
_NOTHING = 1e-9


def blend_weights(
    Z: NDArray[np.float64], y: NDArray[np.int8], *, smallest: float = SMALLEST_WEIGHT
) -> NDArray[np.float64]:
    """Non-negative weights that minimise the log loss of the weighted log-odds, shape (m,).

    A stacked generalisation with non-negative weights (Wolpert 1992; Breiman 1996), drawn a little to equal
    weights. Members below the smallest weight are left out and the rest weighted again.

    Args:
        Z: out-of-fold log-odds of each member, shape (n, m).
        y: labels.
        smallest: weight with which a member is kept.
    """
    kept = np.arange(Z.shape[1])
    while True:
        weights = _solve(Z[:, kept], y)
        enough = weights >= smallest
        if enough.all() or enough.sum() == 0:
            break
        kept = kept[enough]
    full = np.zeros(Z.shape[1])
    full[kept] = weights
    return full


def _solve(Z: NDArray[np.float64], y: NDArray[np.int8]) -> NDArray[np.float64]:
    m = Z.shape[1]

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        p = expit(Z @ weights)
        away = weights - 1 / m
        loss = float(row_log_loss(y, p).mean()) + _EVEN * float(away @ away)
        return loss, Z.T @ (p - y) / len(y) + 2 * _EVEN * away

    found = minimize(objective, np.full(m, 1 / m), jac=True, bounds=[(0.0, None)] * m, method="L-BFGS-B")
    return np.asarray(found.x)


def fit_platt(logit: NDArray[np.float64], y: NDArray[np.int8]) -> Calibrator:
    """Platt's (1999) slope and shift on log-odds; the slope stays positive."""
    # In units of their size the two parameters are of one scale, whatever the model.
    size = max(float(np.abs(logit).mean()), _NOTHING)
    x = logit / size

    def objective(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = at[0] * x + at[1]
        away = expit(z) - y
        return float((np.logaddexp(0.0, z) - y * z).mean()), np.array([(away * x).mean(), away.mean()])

    found = minimize(
        objective, [size, 0.0], jac=True, bounds=[(_FLATTEST, None), (None, None)], method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    return Calibrator("logistic", float(found.x[0] / size), float(found.x[1]))


def fit_isotonic(logit: NDArray[np.float64], y: NDArray[np.int8]) -> Calibrator:
    """An isotonic curve (Zadrozny & Elkan 2002), straight between the middles of its steps."""
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - slow to import

    order = np.argsort(logit, kind="stable")
    x = logit[order]
    level = IsotonicRegression(y_min=_EDGE, y_max=1 - _EDGE).fit_transform(x, y[order])
    starts = np.flatnonzero(np.r_[True, np.diff(level) > 0])
    ends = np.r_[starts[1:], len(level)]
    middle = np.array([x[start:end].mean() for start, end in zip(starts, ends, strict=True)])
    platt = fit_platt(logit, y)
    points = tuple((float(a), float(b)) for a, b in zip(middle, level[starts], strict=True))
    return Calibrator("isotonic", platt.slope, platt.shift, points) if len(points) > 1 else platt


def calibrated_across(
    fitter: Callable[[NDArray[np.float64], NDArray[np.int8]], Calibrator],
    logit: NDArray[np.float64],
    y: NDArray[np.int8],
    part: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Probability of each row under a calibrator fitted on the other folds' rows, shape (n,)."""
    probability = np.empty(len(y))
    for number in np.unique(part):
        out = part == number
        probability[out] = fitter(logit[~out], y[~out]).probability(logit[out])
    return probability


def choose_calibrator(
    logit: NDArray[np.float64], y: NDArray[np.int8], part: NDArray[np.int64]
) -> tuple[Calibrator, NDArray[np.float64]]:
    """The calibrator to deploy, and what it would give each row across folds.

    Two parameters by default; a free curve only with many leavers and where it is better by more than one
    standard error of the difference.
    """
    smooth = calibrated_across(fit_platt, logit, y, part)
    if int(y.sum()) >= ISOTONIC_ROWS:
        free = calibrated_across(fit_isotonic, logit, y, part)
        gain = row_log_loss(y, smooth) - row_log_loss(y, free)
        if gain.mean() > gain.std() / np.sqrt(len(y)):
            return fit_isotonic(logit, y), free
    return fit_platt(logit, y), smooth


def blended_across(
    Z: NDArray[np.float64], y: NDArray[np.int8], part: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log-odds of each row under weights fitted on the other folds' rows, shape (n,): an honest blend."""
    logit = np.empty(len(y))
    for number in np.unique(part):
        out = part == number
        logit[out] = Z[out] @ blend_weights(Z[~out], y[~out])
    return logit
