"""What one training found, for the report, the model card and the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.contract.history import History
    from holdfast.model.survival import Survival
    from holdfast.quality.report import QualityReport
    from holdfast.training.byperiod import Backtest


@dataclass(frozen=True)
class Findings:
    """Everything a person may ask of a training.

    Attributes:
        contract: what was learned from.
        seed: of everything random.
        budget: seconds allowed.
        seconds: seconds taken.
        rows: counts: ``train``, ``searched`` (of train, by cross-validation), ``test``, ``rejected``,
            ``left`` (customers who left, of train and test).
        leaderboard: one row a candidate, best log loss first; figures out of fold on the training rows.
        chosen: the candidate that was built.
        why: the rule's reasoning, one or two sentences.
        threshold: probability from which acting pays.
        threshold_why: where the threshold comes from, one sentence.
        test: figures on the untouched split (see `holdfast.training.metrics.evaluate_predictions`).
        intervals: 95 % bootstrap intervals of them.
        test_y: labels of the test split, shape (n,).
        test_p: probabilities of the model built on the training rows only, shape (n,).
        importance: one entry a reason, most important first: ``feature, unit, shap`` (mean absolute effect in
            log-odds) and ``permutation`` (rise of the test log loss when its values are shuffled).
        calibrator: ``none``, ``logistic`` or ``isotonic``.
        features_note: which features the model sees and why.
        warnings: what a careful reader must know, in plain words.
        quality: what the data looked like.
        facts: of the manifest: ``created, holdfast, recipe, contract_digest, data_digest, libraries``.
        history: the contract of the tables, where the examples were built from a history.
        backtest: with a history: the figures by period. ``test`` is then the last period, ``leaderboard`` of
            the periods before it.
        survival: with a history: the time until churn.
    """

    contract: Contract
    seed: int
    budget: float
    seconds: float
    rows: dict[str, int]
    leaderboard: pl.DataFrame
    chosen: str
    why: str
    threshold: float
    threshold_why: str
    test: dict[str, Any]
    intervals: dict[str, tuple[float, float]]
    test_y: NDArray[np.int8]
    test_p: NDArray[np.float64]
    importance: list[dict[str, Any]]
    calibrator: str
    features_note: str
    warnings: list[str]
    quality: QualityReport
    facts: dict[str, Any]
    history: History | None = None
    backtest: Backtest | None = None
    survival: Survival | None = None

    def metrics(self) -> dict[str, Any]:
        """What the artefact keeps as ``metrics.json``."""
        kept = {
            "test": self.test,
            "test_intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "rows": self.rows,
            "threshold": self.threshold,
        }
        if self.backtest is not None:
            kept["backtest"] = self.backtest.as_dict()
        if self.survival is not None:
            kept["survival"] = self.survival.metrics
        return kept


def lost_money(figures: dict[str, Any], where: str) -> list[str]:
    """The warning that acting would have cost more than it saved; none where it would not."""
    worth = figures["profit_per_customer"]
    if worth >= 0:
        return []
    return [
        (
            f"Acting on this model's advice would have lost money {where} ({worth:.2f} a customer). "
            "Check the economics, or wait for more data."
        )
    ]
