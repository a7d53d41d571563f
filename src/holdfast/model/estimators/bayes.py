"""Naive Bayes: every column speaks for itself; a missing value says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from holdfast.model.artefact import read_json
from holdfast.model.estimators.additive import Additive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MOST = float(np.log(1_000))
"""No column alone says more than 1,000 to 1: far out, a Gaussian claims certainty that no data bear out."""


@dataclass(frozen=True)
class NaiveBayes(Additive):
    """Gaussian likelihoods for numbers, Bernoulli for flags.

    Both are a parabola in x: a column adds ``quadratic x^2 + linear x + constant`` to the log-odds (the log
    of the ratio of its two likelihoods), at most 1,000 to 1; for a flag the quadratic term is 0.

    Attributes:
        quadratic, linear, constant: shape (d,).
    """

    kind: ClassVar[str] = "naive_bayes"
    quadratic: NDArray[np.float64]
    linear: NDArray[np.float64]
    constant: NDArray[np.float64]

    def terms(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each column adds, shape (n, d)."""
        x = X.astype(np.float64)
        terms = (self.quadratic * x + self.linear) * x + self.constant
        return np.where(np.isnan(terms), 0.0, np.clip(terms, -_MOST, _MOST))

    @classmethod
    def load(cls, folder: Path, description: dict[str, Any]) -> NaiveBayes:
        """Take back what `save` wrote."""
        content = read_json(folder, description["file"])
        names = ("quadratic", "linear", "constant", "base")
        arrays = {name: np.asarray(content[name], dtype=np.float64) for name in names}
        if {array.shape for array in arrays.values()} != {(len(arrays["base"]),)}:
            raise ValueError("the terms of naive Bayes are of different lengths")
        return cls(**arrays, intercept=float(content["intercept"]))
