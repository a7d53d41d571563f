"""Fit the spline logistic regression: caps, knots and weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import BSpline

from holdfast.model.estimators.linear import SplineLogistic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from holdfast.features import Slot

KNOTS = (0.2, 0.4, 0.6, 0.8)
"""Quantiles of the inner knots."""

_DEGREE = 3

_LOOK_ROWS = 20_000
"""Caps and knots are taken from about so many rows, evenly spread."""

CAPS = (0.005, 0.995)
"""Values beyond these quantiles are taken as the quantile: a curve is not trusted where nobody was seen."""

_WIDE = 700
"""Beyond so many columns a Newton step costs more than many small steps."""


def fit_spline_logistic(
    X: NDArray[np.float32], y: NDArray[np.int8], slots: Sequence[Slot], penalties: Sequence[float]
) -> list[SplineLogistic]:
    """L2-penalised logistic regression on cubic B-splines, kept in their truncated power form.

    Args:
        X: training matrix, shape (n, d).
        y: labels.
        slots: what the columns are; flags stay straight.
        penalties: inverse strengths C of the penalty on columns of unit variance; one model each. Fitted in
            this order, each from where the last one ended.
    """
    design = _Design(X, slots)
    Z, mean, scale = design.standardised(X)
    return [
        design.estimator(weights / scale, intercept - float(weights / scale @ mean), X)
        for weights, intercept in _solve(Z, y, penalties)
    ]


class _Design:
    """Columns of the regression: straight ones, one for each gap, and the splines of those that bend."""

    def __init__(self, X: NDArray[np.float32], slots: Sequence[Slot]) -> None:
        step = max(1, len(X) // _LOOK_ROWS)
        self._low, self._span, self._middle = _caps(X[::step], slots)
        u, absent = self._scaled(X)
        self._curved, inner = _knots(u[::step], slots)
        self._straight = np.setdiff1d(np.arange(X.shape[1]), self._curved)
        self._gaps = np.flatnonzero(absent.any(axis=0))
        self._bases = [_basis(knots) for knots in inner]
        self._knots = np.hstack([np.zeros((len(self._curved), 1)), inner])

    def _scaled(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        u = np.clip((X - self._low) / self._span, 0.0, 1.0)
        absent = np.isnan(u)
        return np.where(absent, self._middle, u), absent

    def standardised(
        self, X: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The columns at unit variance, shape (n, k), and the mean and scale taken out of them."""
        u, absent = self._scaled(X)
        bent = [basis(u[:, column]) for basis, column in zip(self._bases, self._curved, strict=True)]
        Z = np.hstack([u[:, self._straight], absent[:, self._gaps].astype(np.float64), *bent])
        mean, scale = Z.mean(axis=0), Z.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        Z -= mean
        Z /= scale
        return Z, mean, scale

    def estimator(
        self, weights: NDArray[np.float64], intercept: float, X: NDArray[np.float32]
    ) -> SplineLogistic:
        """The model of these weights (in the columns' own units)."""
        ends = np.cumsum([len(self._straight), len(self._gaps)])
        flat, gap_weights, bends = np.split(weights, ends)
        d = len(self._low)
        slope, square, cubic = np.zeros(d), np.zeros(len(self._curved)), np.zeros_like(self._knots)
        slope[self._straight] = flat
        own = np.split(bends, len(self._bases)) if self._bases else []  # among flags alone, nothing bends
        for at, (basis, column) in enumerate(zip(self._bases, self._curved, strict=True)):
            power = _power_form(basis, own[at], self._knots[at])
            constant, slope[column], square[at], *cubic[at] = power
            intercept += constant
        fitted = SplineLogistic(
            low=self._low,
            span=self._span,
            slope=slope,
            missing=np.zeros(d),
            curved=self._curved,
            knots=self._knots,
            cubic=cubic,
            square=square,
            base=np.zeros(d),
            intercept=intercept,
        )
        # What a missing value adds: the curve at the median, and the weight of being missing.
        missing = fitted.terms((self._middle * self._span + self._low)[None, :])[0]
        missing[self._gaps] += gap_weights
        fitted = replace(fitted, missing=missing)
        return replace(fitted, base=fitted.terms(X).mean(axis=0))


def _caps(
    X: NDArray[np.float32], slots: Sequence[Slot]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lower cap, span and scaled median of each column; a flag is taken as it is."""
    known = X.astype(np.float64)
    known[:, np.isnan(known).all(axis=0)] = 0.0  # a column that is missing everywhere has no quantile
    low, middle, high = np.nanquantile(known, [CAPS[0], 0.5, CAPS[1]], axis=0)
    highest, lowest = np.nanmax(known, axis=0), np.nanmin(known, axis=0)
    flag = np.array([slot.role == "flag" for slot in slots])
    narrow = ~(high > low)
    low = np.where(flag, 0.0, np.where(narrow, lowest, low))
    high = np.where(flag, 1.0, np.where(narrow, highest, high))
    span = np.where(high > low, high - low, 1.0)
    return low, span, np.clip((middle - low) / span, 0.0, 1.0)


def _knots(u: NDArray[np.float64], slots: Sequence[Slot]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Columns that bend and their inner knots, shapes (c,) and (c, 4).

    Knots are quantiles of the values; where many customers share one value, quantiles of the distinct values.
    A column with too few distinct values for either stays straight.
    """
    curved, knots = [], []
    for column in np.flatnonzero([slot.role != "flag" for slot in slots]):
        for values in (u[:, column], np.unique(u[:, column])):
            inner = np.quantile(values, KNOTS)
            if (np.diff([0.0, *inner, 1.0]) > 1e-3).all():  # noqa: PLR2004 - a thousandth of the span
                curved.append(column)
                knots.append(inner)
                break
    return np.array(curved, dtype=np.int64), np.array(knots).reshape(len(curved), len(KNOTS))


def _basis(inner: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Cubic B-splines on [0, 1] with these inner knots: (n,) to (n, 8)."""
    ends = np.r_[[0.0] * (_DEGREE + 1), inner, [1.0] * (_DEGREE + 1)]

    def columns(u: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(BSpline.design_matrix(u, ends, _DEGREE).toarray())

    return columns


def _power_form(
    basis: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    weights: NDArray[np.float64],
    knots: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The same curve as ``constant, slope, square, cubic_k``: solved on a grid, exact up to rounding."""
    grid = np.linspace(0.0, 1.0, 200)
    above = np.maximum(grid[:, None] - knots, 0.0) ** _DEGREE
    power = np.column_stack([np.ones_like(grid), grid, grid**2, above])
    found, *_ = np.linalg.lstsq(power, basis(grid) @ weights, rcond=None)
    return np.asarray(found)


def _solve(
    Z: NDArray[np.float64], y: NDArray[np.int8], penalties: Sequence[float]
) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Weights and intercept for each C, each fit starting from the last."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import

    solver = "newton-cholesky" if Z.shape[1] <= _WIDE else "lbfgs"
    model = LogisticRegression(solver=solver, max_iter=300, tol=1e-5, warm_start=True)
    for C in penalties:
        model.set_params(C=C).fit(Z, y)
        yield model.coef_[0].copy(), float(model.intercept_[0])
