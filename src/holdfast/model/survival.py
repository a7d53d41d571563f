"""Time until churn: a discrete-time hazard whose survival at the horizon is the churn model's own.

The hazard of month m, given that the customer is still there, is

    h_m(x) = sigmoid(a_m + b_m z(x) + g(x, m))

with z the log-odds of the churn model and g boosted trees, which may be absent (Singer & Willett 1993; Cox
1972, eq. 11). Between months the cumulative hazard is a straight line. Up to the horizon it is scaled so that
1 - S(horizon) is the churn probability: one customer never has two answers to one question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.special import expit, logit

from holdfast.model.artefact import read_json, write_json
from holdfast.model.estimators import load_estimator

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from holdfast.model.estimators import Estimator

DAYS = 30
"""A month here."""

MONTHS = 12
"""Looked ahead."""

MOST_MONTHS = 120.0
"""No customer is expected to stay longer than this."""

FILE = "survival.json"

_TAIL = 6
"""Beyond the last month the hazard is the mean of so many last ones."""

_CHUNK = 20_000


@dataclass(frozen=True)
class Survival:
    """What was learned of the time until churn.

    Attributes:
        horizon_days: of the churn model.
        level: a_m, one a month; minus infinity where nobody can leave (None in the file).
        weight: b_m, one a month.
        observed: months ahead that the history was long enough to show; later ones are as the last of them.
        booster: g, over the churn model's matrix and the month as last column; None where it did not help.
        metrics: how it did on the last period, by a version that had not seen it.
    """

    horizon_days: int
    level: NDArray[np.float64]
    weight: NDArray[np.float64]
    observed: int
    booster: Estimator | None
    metrics: dict[str, Any] = field(default_factory=dict)

    def hazards(self, X: NDArray[np.float32], probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Hazard of each month, before it is scaled to the horizon: shape (n, `MONTHS`)."""
        z = log_odds(probability)
        months = np.minimum(np.arange(1, MONTHS + 1), self.observed)
        total = self.level[months - 1] + self.weight[months - 1] * z[:, None]
        if self.booster is not None:
            for begin in range(0, len(X), _CHUNK):
                part = slice(begin, begin + _CHUNK)
                total[part] += self.booster.logit(ahead(X[part], months)).reshape(-1, MONTHS)
        return np.asarray(expit(total))

    def curve(self, X: NDArray[np.float32], probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of still being a customer after 1 to `MONTHS` months, shape (n, `MONTHS`).

        Args:
            X: the churn model's matrix of each customer.
            probability: its churn probability of each.
        """
        return np.asarray(np.exp(-self._cumulative(X, probability)[:, 1:]))

    def expected_months(
        self, X: NDArray[np.float32], probability: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Expected months until churn, shape (n,).

        The area under the curve, and beyond its end that of a constant hazard: the mean of the last six
        months'. At most `MOST_MONTHS`.
        """
        total = self._cumulative(X, probability)
        alive = np.exp(-total)
        within = ((alive[:, 1:] + alive[:, :-1]) / 2).sum(axis=1)
        rate = (total[:, -1] - total[:, -1 - _TAIL]) / _TAIL
        beyond = alive[:, -1] / np.maximum(rate, 1 / MOST_MONTHS)
        return np.asarray(np.minimum(within + beyond, MOST_MONTHS))

    def _cumulative(self, X: NDArray[np.float32], probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cumulative hazard after 0 to `MONTHS` months, shape (n, `MONTHS` + 1)."""
        h = np.minimum(self.hazards(X, probability), 1 - 1e-9)
        total = np.concatenate([np.zeros((len(h), 1)), np.cumsum(-np.log1p(-h), axis=1)], axis=1)
        at = self.horizon_days / DAYS
        owed = -np.log1p(-np.minimum(probability, 1 - 1e-9))
        whole = min(int(at), MONTHS)
        share = at - whole if whole < MONTHS else 0.0
        edge = total[:, whole] + (share * (total[:, whole + 1] - total[:, whole]) if share else 0.0)
        scale = np.divide(owed, edge, out=np.zeros_like(owed), where=edge > 0)
        months = np.arange(MONTHS + 1)
        before = scale[:, None] * total
        after = owed[:, None] + total - edge[:, None]
        return np.asarray(np.where(months <= at, before, after))

    def save(self, folder: Path) -> None:
        """Write `FILE` and the booster's own."""
        described = None if self.booster is None else self.booster.save(folder / "members", "survival")
        level = [None if np.isneginf(value) else float(value) for value in self.level]
        content = {
            "horizon_days": self.horizon_days,
            "level": level,
            "weight": self.weight.tolist(),
            "observed": self.observed,
            "booster": described,
            "metrics": self.metrics,
        }
        write_json(folder, FILE, content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Take back what `save` wrote, from a verified artefact.

        Raises:
            ValueError: it is not of this form.
        """
        content = read_json(folder, FILE)
        level = np.array([-np.inf if value is None else float(value) for value in content["level"]])
        weight = np.array([float(value) for value in content["weight"]])
        observed, horizon = int(content["observed"]), int(content["horizon_days"])
        if level.shape != (MONTHS,) or weight.shape != (MONTHS,):
            raise ValueError("the hazard has not a level and a weight for each month")
        if not 1 <= observed <= MONTHS or horizon < 1:
            raise ValueError("the hazard's months are none")
        described = content["booster"]
        booster = None if described is None else load_estimator(folder / "members", described)
        return cls(horizon, level, weight, observed, booster, dict(content["metrics"]))


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of a probability kept 1e-6 from 0 and 1, its shape."""
    return np.asarray(logit(np.clip(probability, 1e-6, 1 - 1e-6)))


def ahead(X: NDArray[np.float32], months: NDArray[np.int64]) -> NDArray[np.float32]:
    """Each row of the matrix once a month of ``months``, the month as last column: (n * months, d + 1)."""
    month = np.tile(months.astype(np.float32), len(X))
    return np.column_stack([np.repeat(X, len(months), axis=0), month])
