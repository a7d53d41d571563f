"""SMOTE beside the others, for comparison only: what resampling does to probabilities."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from holdfast.model.calibration import Calibrator
from holdfast.training.crossval import side_by_side
from holdfast.training.fitting import Rows, fit
from holdfast.training.search import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.training.crossval import Fold
    from holdfast.training.recipes import Recipe

NAME = "xgboost + SMOTE (compared only)"
_NEIGHBOURS = 5


def smote_row(recipe: Recipe, folds: Sequence[Fold], *, seed: int) -> Candidate:
    """XGBoost on training rows balanced by SMOTE (Chawla et al. 2002), as it comes: uncalibrated.

    Only training rows are resampled, inside each fold. Missing numbers take the fold's median, as SMOTE
    interpolates and cannot meet a gap.
    """

    def run(fold: Fold) -> tuple[NDArray[np.float64], float]:
        from imblearn.over_sampling import SMOTE  # noqa: PLC0415 - slow to import

        begin = time.thread_time()
        gaps = np.isnan(fold.train.X)
        known = ~gaps.all(axis=0)
        median = np.zeros(fold.train.X.shape[1], dtype=np.float32)
        median[known] = np.nanmedian(fold.train.X[:, known], axis=0)
        filled = np.where(gaps, median, fold.train.X)
        neighbours = min(_NEIGHBOURS, int(min(fold.train.y.sum(), (fold.train.y == 0).sum())) - 1)
        X, y = SMOTE(random_state=seed, k_neighbors=neighbours).fit_resample(filled, fold.train.y)
        fitted = fit(recipe, Rows(X.astype(np.float32), y), fold.slots, seed=seed)
        judged = np.where(np.isnan(fold.judged.X), median, fold.judged.X)
        return fitted.estimator.logit(np.ascontiguousarray(judged)), time.thread_time() - begin

    results = side_by_side(run, folds)
    logit = np.zeros(sum(len(fold.judged_rows) for fold in folds))
    for fold, (judged, _) in zip(folds, results, strict=True):
        logit[fold.judged_rows] = judged
    seconds = sum(spent for _, spent in results)
    note = "resampled to balance; probabilities as they come"
    return Candidate(NAME, None, Calibrator(), expit(logit), seconds, 0.0, note)
