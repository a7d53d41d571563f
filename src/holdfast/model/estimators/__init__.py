"""The learners as they score: each turns a float32 matrix into log-odds and says what each column added.

An estimator here is fitted already; fitting is `holdfast.training`. Each keeps itself in a native or JSON
file and is loaded by its ``kind`` from the fixed table below, never by a name found in a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from holdfast.model.artefact import ArtefactError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Estimator(Protocol):
    """What the ensemble asks of a learner. ``X`` is float32, shape (n, d), missing as NaN."""

    def logit(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of leaving, shape (n,); a row's value does not depend on the rows around it."""

    def contributions(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What each column adds to the log-odds, shape (n, d), and what is left, (n,): logit = sum + base."""

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write itself as files of ``folder`` named after ``stem``; the description that loads it again."""


def load_estimator(folder: Path, description: dict[str, Any]) -> Estimator:
    """The estimator that `Estimator.save` described, from a verified artefact.

    Raises:
        ArtefactError: the description names no kind of ours.
    """
    from holdfast.model.estimators.bayes import NaiveBayes  # noqa: PLC0415 - they import this module
    from holdfast.model.estimators.boosters import CatBoost, LightGBM, XGBoost  # noqa: PLC0415 - as above
    from holdfast.model.estimators.linear import SplineLogistic  # noqa: PLC0415 - as above

    kinds = {k.kind: k for k in (SplineLogistic, NaiveBayes, XGBoost, LightGBM, CatBoost)}
    kind = kinds.get(description["kind"])
    if kind is None:
        raise ArtefactError(f"Unknown estimator {description['kind']!r}.", where=str(folder))
    loaded: Estimator = kind.load(folder, description)
    return loaded
