"""How long customers are expected to stay, beside their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from holdfast.model import Model

EXPECTED = "expected_months"
CURVE = {f"survival_{month}": month for month in (3, 6, 12)}
"""Columns that say how likely a customer is still there after so many months of 30 days."""


def stay_of(model: Model, conformed: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Those of `CURVE` and ``expected_months``, shape (n,) each; nothing where the model did not learn that.

    Args:
        model: the model.
        conformed: rows that keep the contract, as of `Model.conform`.
    """
    if not model.knows_survival:
        return {}
    curve, _, expected = model.survival_of(conformed)
    return {name: curve[:, month - 1] for name, month in CURVE.items()} | {EXPECTED: expected}
