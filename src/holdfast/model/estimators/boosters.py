"""Gradient-boosted trees in their native formats; several seeds of one recipe are averaged in log-odds.

Each scores on one thread: the rows of a file are spread over threads by `holdfast.scoring`, and one thread
adds its trees in one order, so bits do not depend on the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import logit as log_odds

from holdfast.model.artefact import plain_file

if TYPE_CHECKING:
    from pathlib import Path

    import catboost
    import lightgbm
    import xgboost
    from numpy.typing import NDArray

_SMALLEST = 1e-4
"""A forest's share of votes is kept this far from 0 and 1 before it becomes log-odds."""


class XGBoost:
    """XGBoost boosters; with ``votes`` a forest whose prediction is a share, not log-odds."""

    kind: ClassVar[str] = "xgboost"

    def __init__(self, boosters: list[xgboost.Booster], *, votes: bool = False) -> None:
        self.boosters = boosters
        self.votes = votes
        for booster in boosters:
            booster.set_param({"nthread": 1})

    def logit(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, shape (n,)."""
        margins = [b.inplace_predict(X, predict_type="margin").astype(np.float64) for b in self.boosters]
        mean = np.asarray(np.add.reduce(margins) / len(margins))
        return log_odds(np.clip(mean, _SMALLEST, 1 - _SMALLEST)) if self.votes else mean

    def contributions(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """TreeSHAP (Lundberg et al. 2020); for a forest scaled from share to log-odds row by row."""
        import xgboost  # noqa: PLC0415 - a second to import, and only an explanation needs the matrix

        matrix = xgboost.DMatrix(X, nthread=1)
        shap = np.add.reduce([b.predict(matrix, pred_contribs=True).astype(float) for b in self.boosters])
        shap /= len(self.boosters)
        values, base = shap[:, :-1], shap[:, -1]
        if not self.votes:
            return values, base
        start = log_odds(np.clip(base, _SMALLEST, 1 - _SMALLEST))
        moved = values.sum(axis=1)
        scale = np.divide(
            self.logit(X) - start, moved, out=np.zeros_like(moved), where=np.abs(moved) > _SMALLEST
        )
        scaled = values * scale[:, None]
        return scaled, self.logit(X) - scaled.sum(axis=1)

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """One UBJSON file a seed."""
        names = [f"{stem}-{number}.ubj" for number in range(len(self.boosters))]
        for name, booster in zip(names, self.boosters, strict=True):
            booster.save_model(folder / name)
        return {"kind": self.kind, "files": names, "votes": self.votes}

    @classmethod
    def load(cls, folder: Path, description: dict[str, Any]) -> XGBoost:
        """Take back what `save` wrote."""
        import xgboost  # noqa: PLC0415 - slow to import, needed only where such a model is loaded

        boosters = [xgboost.Booster(model_file=plain_file(folder, name)) for name in description["files"]]
        return cls(boosters, votes=bool(description["votes"]))


class LightGBM:
    """LightGBM boosters."""

    kind: ClassVar[str] = "lightgbm"

    def __init__(self, boosters: list[lightgbm.Booster]) -> None:
        self.boosters = boosters

    def logit(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, shape (n,)."""
        margins = [np.asarray(b.predict(X, raw_score=True, num_threads=1)) for b in self.boosters]
        return np.asarray(np.add.reduce(margins) / len(margins))

    def contributions(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """TreeSHAP (Lundberg et al. 2020)."""
        shap = np.add.reduce(
            [np.asarray(b.predict(X, pred_contrib=True, num_threads=1)) for b in self.boosters]
        )
        shap = shap / len(self.boosters)
        return shap[:, :-1], shap[:, -1]

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """One text file a seed."""
        names = [f"{stem}-{number}.txt" for number in range(len(self.boosters))]
        for name, booster in zip(names, self.boosters, strict=True):
            booster.save_model(folder / name)
        return {"kind": self.kind, "files": names}

    @classmethod
    def load(cls, folder: Path, description: dict[str, Any]) -> LightGBM:
        """Take back what `save` wrote."""
        import lightgbm  # noqa: PLC0415 - slow to import, needed only where such a model is loaded

        return cls([lightgbm.Booster(model_file=plain_file(folder, name)) for name in description["files"]])


class CatBoost:
    """One CatBoost model: its seeds are summed into a single one, which scores in one pass."""

    kind: ClassVar[str] = "catboost"

    def __init__(self, model: catboost.CatBoost) -> None:
        self.model = model

    @classmethod
    def of_seeds(cls, models: list[catboost.CatBoost]) -> CatBoost:
        """The mean of several, as one model."""
        import catboost  # noqa: PLC0415 - slow to import

        if len(models) == 1:
            return cls(models[0])
        return cls(catboost.sum_models(models, weights=[1 / len(models)] * len(models)))

    def logit(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, shape (n,)."""
        raw = self.model.predict(X, prediction_type="RawFormulaVal", thread_count=1)
        return np.asarray(raw, dtype=np.float64).reshape(len(X))

    def contributions(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """TreeSHAP (Lundberg et al. 2020)."""
        import catboost  # noqa: PLC0415 - slow to import

        shap = self.model.get_feature_importance(catboost.Pool(X), type="ShapValues", thread_count=1)
        values = np.asarray(shap, dtype=np.float64)
        return values[:, :-1], values[:, -1]

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """One cbm file."""
        self.model.save_model(str(folder / f"{stem}.cbm"))
        return {"kind": self.kind, "files": [f"{stem}.cbm"]}

    @classmethod
    def load(cls, folder: Path, description: dict[str, Any]) -> CatBoost:
        """Take back what `save` wrote."""
        import catboost  # noqa: PLC0415 - slow to import, needed only where such a model is loaded

        model = catboost.CatBoost()
        model.load_model(str(plain_file(folder, description["files"][0])))
        return cls(model)
