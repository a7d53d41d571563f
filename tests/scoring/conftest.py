from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from holdfast.contract import Contract
from holdfast.quality.conform import conform

CONTRACT = {
    "version": 1,
    "name": "shop",
    "churn": {"label": "left", "positive": "yes", "negative": "no"},
    "economics": {"customer_value": 100, "contact_cost": 1, "offer_cost": 5, "success_rate": 0.3},
    "columns": {
        "id": {"kind": "id"},
        "age": {"kind": "number", "min": 0, "max": 120},
        "plan": {"kind": "category", "levels": ["gold", "tin"]},
        "usage": {"kind": "number", "required": False},
        "city": {"kind": "category", "required": False},
        "note": {"kind": "text"},
    },
}


class FakeModel:
    """Conforms like a real model; its probability is a formula of the row."""

    def __init__(self, contract):
        self.contract = contract
        self.version = "v7"

    def conform(self, frame, *, first_row=1, rows=None):
        return conform(frame, self.contract, first_row=first_row, rows=rows)

    def answer(self, conformed, *, reasons=0):
        frame = conformed.frame
        plan = frame["plan"].to_physical().cast(pl.Float64).fill_null(0.5).to_numpy()
        usage = frame["usage"].fill_null(-1.0).to_numpy()
        city = frame["city"].fill_null("").str.len_bytes().cast(pl.Float64).to_numpy()
        logit = frame["age"].fill_null(40).to_numpy() / 30 - 2 + plan + np.tanh(usage) / 3 + city / 17
        probability = 1 / (1 + np.exp(-logit))
        will = pl.Series("will_churn", probability >= 0.5)
        level = will.replace_strict({True: "high", False: "low"}, return_dtype=pl.String)
        says = level.replace_strict({"high": "Contact first, with the offer", "low": "No action"})
        columns = [
            conformed.ids,
            pl.Series("churn_probability", probability),
            will,
            level.alias("risk_level"),
            says.alias("recommendation"),
            pl.repeat(self.version, len(probability), dtype=pl.String, eager=True).alias("model_version"),
        ]
        texts = frame["age"].cast(pl.String)
        return pl.DataFrame(columns + [texts.alias(f"reason_{rank + 1}") for rank in range(reasons)])


@pytest.fixture(scope="session")
def model():
    return FakeModel(Contract.model_validate(CONTRACT))


@pytest.fixture(scope="session")
def model_without_id():
    columns = {name: column for name, column in CONTRACT["columns"].items() if name != "id"}
    return FakeModel(Contract.model_validate(CONTRACT | {"columns": columns}))


@pytest.fixture
def customers():
    """Any number of customers, as they are in a typed table."""

    def make(count=500, seed=3):
        draw = np.random.default_rng(seed)
        return pl.DataFrame(
            {
                "id": [f"c{number}" for number in range(count)],
                "age": draw.uniform(0, 120, count),
                "plan": draw.choice(["gold", "tin"], count),
                "usage": draw.exponential(3.0, count),
                "city": draw.choice(["Paris", "Oslo", "Łódź", "a, b", 'c "d"'], count),
                "note": ["hello"] * count,
            }
        )

    return make
