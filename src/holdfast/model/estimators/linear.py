"""Logistic regression on smooth curves: each number may bend, each flag has a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from holdfast.model.artefact import read_json
from holdfast.model.estimators.additive import Additive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class SplineLogistic(Additive):
    """log-odds = intercept + sum over columns of a cubic spline.

    A column's value x is clipped to its learned caps and scaled to u in [0, 1]; its curve is
    ``slope u + square u^2 + sum_k cubic_k max(u - knot_k, 0)^3``, the truncated power form of a cubic spline
    (de Boor 2001, ch. VIII) whose first knot is 0. Flags have a slope only. A missing value adds ``missing``.

    Attributes:
        low: lower cap of each column, shape (d,).
        span: upper cap less lower cap, shape (d,), above 0.
        slope: shape (d,).
        missing: shape (d,).
        curved: positions of the columns that bend, shape (c,).
        knots: in units of u, shape (c, k).
        cubic: shape (c, k).
        square: shape (c,).
    """

    kind: ClassVar[str] = "spline_logistic"
    low: NDArray[np.float64]
    span: NDArray[np.float64]
    slope: NDArray[np.float64]
    missing: NDArray[np.float64]
    curved: NDArray[np.int64]
    knots: NDArray[np.float64]
    cubic: NDArray[np.float64]
    square: NDArray[np.float64]

    def terms(self, X: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
        """What each column adds, shape (n, d)."""
        u = (X - self.low) / self.span
        absent = np.isnan(u)
        np.clip(u, 0.0, 1.0, out=u)
        terms = u * self.slope
        bent = u[:, self.curved]
        total = terms[:, self.curved] + self.square * (bent * bent)
        for k in range(self.knots.shape[1]):
            above = np.maximum(bent - self.knots[:, k], 0.0)
            total += self.cubic[:, k] * (above * above * above)
        terms[:, self.curved] = total
        return np.where(absent, self.missing, terms)

    @classmethod
    def load(cls, folder: Path, description: dict[str, Any]) -> SplineLogistic:
        """Take back what `save` wrote."""
        content = read_json(folder, description["file"])
        shape = (len(content["curved"]), -1)
        arrays = {
            name: np.asarray(content[name], dtype=np.float64)
            for name in ("low", "span", "slope", "missing", "square", "base")
        }
        lengths = {name: array.shape for name, array in arrays.items() if name != "square"}
        if set(lengths.values()) != {(len(content["base"]),)} or arrays["square"].shape != shape[:1]:
            raise ValueError("the terms of the curves are of different lengths")
        return cls(
            **arrays,
            curved=np.asarray(content["curved"], dtype=np.int64),
            knots=np.asarray(content["knots"], dtype=np.float64).reshape(shape if shape[0] else (0, 0)),
            cubic=np.asarray(content["cubic"], dtype=np.float64).reshape(shape if shape[0] else (0, 0)),
            intercept=float(content["intercept"]),
        )
