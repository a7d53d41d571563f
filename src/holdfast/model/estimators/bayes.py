"""Naive Bayes: every column speaks for itself; a missing value says nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from holdfast.model.artefact import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class NaiveBayes:
    """Gaussian likelihoods for numbers, Bernoulli for flags.

    Both are a parabola in x: a column adds ``quadratic x^2 + linear x + constant`` to the log-odds (the log
    of the ratio of its two likelihoods); for a flag the quadratic term is 0.

    Attributes:
        quadratic, linear, constant: shape (d,).
        base: mean of what each column adds in training, shape (d,).
        intercept: log-odds of the base rate.
    """

    kind: ClassVar[str] = "naive_bayes"
    quadratic: NDArray[np.float64]
    linear: NDArray[np.float64]
    constant: NDArray[np.float64]
    base: NDArray[np.float64]
    intercept: float

    def terms(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each column adds, shape (n, d)."""
        x = X.astype(np.float64)
        terms = (self.quadratic * x + self.linear) * x + self.constant
        return np.where(np.isnan(terms), 0.0, terms)

    def logit(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, shape (n,)."""
        return np.asarray(np.ascontiguousarray(self.terms(X)).sum(axis=1) + self.intercept)

    def contributions(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Each column's log likelihood ratio less its training mean."""
        return self.terms(X) - self.base, np.full(len(X), self.intercept + self.base.sum())

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """One JSON file."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        lists = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in content.items()}
        write_json(folder, f"{stem}.json", lists)
        return {"kind": self.kind, "file": f"{stem}.json"}

    @classmethod
    def load(cls, folder: Path, description: dict[str, Any]) -> NaiveBayes:
        """Take back what `save` wrote."""
        content = read_json(folder, description["file"])
        names = ("quadratic", "linear", "constant", "base")
        arrays = {name: np.asarray(content[name], dtype=np.float64) for name in names}
        if {array.shape for array in arrays.values()} != {(len(arrays["base"]),)}:
            raise ValueError("the terms of naive Bayes are of different lengths")
        return cls(**arrays, intercept=float(content["intercept"]))
