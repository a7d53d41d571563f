"""What logistic regression and naive Bayes share: log-odds that are a sum over columns, kept as JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from holdfast.model.artefact import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Additive(ABC):
    """log-odds = intercept + sum over columns of what each adds.

    Attributes:
        base: what each column adds on average in training, shape (d,); contributions are measured from it.
        intercept: log-odds where every column adds nothing.
    """

    kind: ClassVar[str]
    base: NDArray[np.float64]
    intercept: float

    @abstractmethod
    def terms(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each column adds, shape (n, d)."""

    def logit(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, shape (n,). Summed along each row's own memory, so a row alone has the same bits."""
        return np.asarray(np.ascontiguousarray(self.terms(X)).sum(axis=1) + self.intercept)

    def contributions(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Each column's term less its training mean, which for an additive model is its SHAP value."""
        return self.terms(X) - self.base, np.full(len(X), self.intercept + self.base.sum())

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """One JSON file."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        lists = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in content.items()}
        write_json(folder, f"{stem}.json", lists)
        return {"kind": self.kind, "file": f"{stem}.json"}
