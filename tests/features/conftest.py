from __future__ import annotations

import polars as pl
import pytest

from holdfast.contract import Contract
from holdfast.features import FeatureProgram
from holdfast.quality.conform import conform

FACTS = {
    "name": "shop",
    "churn": {"label": "left", "positive": "yes"},
    "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
}


@pytest.fixture(scope="session")
def make_contract():
    """Makes a contract from its columns (name to facts) and own features."""

    def make(columns, features=None):
        return Contract.model_validate(FACTS | {"columns": columns, "features": features or {}})

    return make


@pytest.fixture(scope="session")
def conformed():
    """The rows of a contract (a dict of lists), conformed."""

    def rows(contract, data):
        found = conform(pl.DataFrame(data, strict=False), contract)
        assert found.rejects.is_empty(), found.rejects
        return found.frame

    return rows


@pytest.fixture(scope="session")
def compute(conformed):
    """All features of a contract's rows."""

    def features(contract, data):
        return FeatureProgram(contract).frame(conformed(contract, data))

    return features
