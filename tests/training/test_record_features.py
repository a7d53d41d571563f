from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest

from holdfast import Contract, train
from holdfast.simulator import simulate


def ratio_decides(rows=1_500):
    """Who leaves follows from a ratio of two columns, which a record feature is."""
    rng = np.random.default_rng(5)
    monthly, share = rng.uniform(20, 120, rows), rng.uniform(0.02, 0.5, rows)
    left = rng.random(rows) < np.where(share > 0.25, 0.85, 0.1)
    table = {"MonthlyCharges": monthly.round(2), "TotalCharges": (monthly / share).round(2)}
    return pl.DataFrame(table | {"Churn": np.where(left, "Yes", "No")})


@pytest.mark.parametrize("table", [ratio_decides(), simulate(800, seed=4).customers], ids=["ratio", "telco"])
def test_record_features_are_in_the_matrix_exactly_where_they_lower_the_loss(table):
    contract = Contract.infer(table, label="Churn")
    trained = train(table, contract, models=["logistic_regression"], budget=5)
    way = re.search(r"adding them (lowers|raises) the log loss", trained.findings.features_note)[1]
    assert trained.model.scorer.program.record == (way == "lowers")
    assert ("are used" in trained.findings.features_note) == (way == "lowers")


def test_a_ratio_that_decides_is_used():
    table = ratio_decides()
    trained = train(table, Contract.infer(table, label="Churn"), models=["logistic_regression"], budget=5)
    assert "monthly_to_total_ratio" in trained.model.scorer.program.names


def test_own_features_are_always_in_the_matrix():
    table = simulate(800, seed=4).customers
    contract = Contract.infer(table, label="Churn")
    own = contract.model_copy(update={"features": {"nothing": '"MonthlyCharges" * 0'}})
    trained = train(table, own, models=["logistic_regression"], budget=5)
    assert "nothing" in trained.model.scorer.program.names
