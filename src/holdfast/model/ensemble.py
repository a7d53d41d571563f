"""How fitted estimators become one log-odds: a weighted sum, and a second layer that may see the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.model.estimators import load_estimator

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from holdfast.model.estimators import Estimator


@dataclass(frozen=True)
class Member:
    """One estimator and its weight in the sum; weight 0 where only the second layer asks it."""

    name: str
    weight: float
    estimator: Estimator


@dataclass(frozen=True)
class Ensemble:
    """log-odds = sum of weight * member; second-layer members see the matrix and the first layer's log-odds.

    Attributes:
        first: members that see the matrix only.
        second: members that see the matrix with one more column for each of ``first``, in order.
    """

    first: tuple[Member, ...]
    second: tuple[Member, ...] = ()

    def logit(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, shape (n,)."""
        if not len(X):
            return np.zeros(0)
        layer = [member.estimator.logit(X) for member in self.first]
        total = _weighted(self.first, layer)
        if self.second:
            wide = widen(X, layer)
            total = total + _weighted(self.second, [m.estimator.logit(wide) for m in self.second])
        return total

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each column adds to the log-odds, from the average customer, shape (n, d).

        What the second layer owes to a first-layer member is handed to that member's columns in proportion
        (the rescale rule of DeepLIFT, Shrikumar et al. 2017).
        """
        if not len(X):  # not every learner can explain nobody
            return np.zeros(X.shape)
        parts = [member.estimator.contributions(X) for member in self.first]
        total = np.add.reduce([m.weight * values for m, (values, _) in zip(self.first, parts, strict=True)])
        if not self.second:
            return np.asarray(total)
        layer = [values.sum(axis=1) + base for values, base in parts]
        wide = widen(X, layer)
        for member in self.second:
            values, _ = member.estimator.contributions(wide)
            total = total + member.weight * values[:, : X.shape[1]]
            for at, (own, _) in enumerate(parts):
                moved = own.sum(axis=1)
                owed = values[:, X.shape[1] + at]
                share = np.divide(owed, moved, out=np.zeros_like(owed), where=np.abs(moved) > 0.05)  # noqa: PLR2004 - below it the share is noise
                total = total + member.weight * np.clip(share, -5, 5)[:, None] * own
        return np.asarray(total)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write every member below ``folder``/members; the description that loads them again."""
        (folder / "members").mkdir()
        return {
            layer: [
                {
                    "name": m.name,
                    "weight": m.weight,
                    "estimator": m.estimator.save(folder / "members", f"{layer}-{m.name}"),
                }
                for m in members
            ]
            for layer, members in (("first", self.first), ("second", self.second))
        }

    @classmethod
    def load(cls, folder: Path, description: dict[str, Any]) -> Ensemble:
        """Take back what `save` wrote."""
        layers = [
            tuple(
                Member(m["name"], float(m["weight"]), load_estimator(folder / "members", m["estimator"]))
                for m in description[layer]
            )
            for layer in ("first", "second")
        ]
        return cls(*layers)


def widen(X: NDArray[np.float32], layer: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    """The matrix with one more float32 column for each first-layer log-odds."""
    return np.ascontiguousarray(np.column_stack([X, *(z.astype(np.float32) for z in layer)]))


def _weighted(members: tuple[Member, ...], logits: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The weighted sum, added in the members' order."""
    total = np.zeros(len(logits[0]))
    for member, values in zip(members, logits, strict=True):
        total = total + member.weight * values
    return total
