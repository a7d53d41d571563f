from __future__ import annotations

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from holdfast.errors import UsageError
from holdfast.simulator import MAX_CUSTOMERS, Snapshot, simulate

SIZE = 60_000


@pytest.fixture(scope="module")
def world() -> Snapshot:
    return simulate(SIZE, seed=11)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_the_same_arguments_give_the_same_world(size, seed):
    first, second = simulate(size, seed), simulate(size, seed)
    assert first.customers.equals(second.customers)
    assert first.oracle.equals(second.oracle)
    assert first.customers["customerID"].n_unique() == size


def test_another_seed_gives_other_customers():
    assert not simulate(100, 1).customers.equals(simulate(100, 2).customers)


@pytest.mark.parametrize(("customers", "seed"), [(0, 1), (-5, 1), (MAX_CUSTOMERS + 1, 1), (10, -1)])
def test_impossible_wishes_are_refused(customers, seed):
    with pytest.raises(UsageError):
        simulate(customers, seed)


def test_the_table_has_the_columns_and_levels_of_the_real_one(world, shared_data):
    real = pl.read_csv(shared_data / "telco_churn.csv", infer_schema_length=None)
    assert world.customers.columns == real.columns
    texts = [name for name in real.columns if real[name].n_unique() <= 4]
    for name in texts:
        assert set(world.customers[name].unique()) == set(real[name].unique()), name


def test_shares_and_rates_are_near_the_real_ones(world, shared_data):
    """Within 4 points in share and 8 in churn rate: alike, not a copy."""
    real = pl.read_csv(shared_data / "telco_churn.csv", infer_schema_length=None)
    for name in ("Contract", "InternetService", "PaymentMethod", "PhoneService", "Partner"):
        shares = [
            frame.group_by(name).agg(share=pl.len() / frame.height, rate=(pl.col("Churn") == "Yes").mean())
            for frame in (real, world.customers)
        ]
        both = shares[0].join(shares[1], on=name, suffix="_simulated")
        assert (both["share"] - both["share_simulated"]).abs().max() < 0.04, name
        assert (both["rate"] - both["rate_simulated"]).abs().max() < 0.08, name


def test_services_that_need_another_say_so(world):
    table = world.customers
    offline, silent = pl.col("InternetService") == "No", pl.col("PhoneService") == "No"
    for name in ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV"):
        assert table.filter((pl.col(name) == "No internet service") != offline).is_empty()
    assert table.filter((pl.col("MultipleLines") == "No phone service") != silent).is_empty()
    assert table.filter(offline & silent).is_empty()


def test_the_total_is_tenure_times_monthly_and_missing_before_the_first_bill(world):
    table = world.customers
    assert table.filter(pl.col("TotalCharges").is_null() != (pl.col("tenure") == 0)).is_empty()
    assert table.filter(pl.col("tenure") == 1, pl.col("TotalCharges") != pl.col("MonthlyCharges")).is_empty()
    billed = table.filter(pl.col("tenure") > 1)
    ratio = billed["TotalCharges"] / (billed["tenure"] * billed["MonthlyCharges"])
    assert ratio.is_between(0.84, 1.16).all()
    assert ratio.mean() == pytest.approx(1.0, abs=0.001)  # 0.03 / sqrt(60,000) is 0.0001


def test_labels_are_drawn_from_the_oracle(world):
    """Observed minus expected churn, in standard errors, over 50 groups of like probability.

    Each is about a standard normal; all 50 stay within 4 with probability .997, and the seed is fixed.
    """
    frame = world.oracle.with_columns(left=(world.customers["Churn"] == "Yes").cast(pl.Float64))
    probability = pl.col("churn_probability")
    groups = (
        frame.with_columns(group=(probability.rank("ordinal") * 50 // (SIZE + 1)))
        .group_by("group")
        .agg(error=(pl.col("left") - probability).sum() / (probability * (1 - probability)).sum().sqrt())
    )
    assert groups.height == 50
    assert groups["error"].abs().max() < 4
    assert np.allclose(frame["churn_probability"], 1 / (1 + np.exp(-frame["log_odds"])))


def test_the_world_is_as_hard_as_the_real_one(world):
    left = world.customers["Churn"] == "Yes"
    assert left.mean() == pytest.approx(0.26, abs=0.01)
    assert 0.845 < roc_auc_score(left, world.oracle["churn_probability"]) < 0.865


def test_the_truth_is_no_sum_of_columns(world):
    """The best additive model of the same columns misses the true probability by more than chance could.

    With 30-odd coefficients on 60,000 rows, sampling alone costs under .01 in mean absolute difference.
    """
    matrix = (
        world.customers.drop("customerID", "Churn")
        .with_columns(pl.col("TotalCharges").fill_null(0))
        .to_dummies(cs.string(), drop_first=True)
    )
    left = (world.customers["Churn"] == "Yes").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(matrix.to_numpy(), left)
    predicted = model.predict_proba(matrix.to_numpy())[:, 1]
    truth = world.oracle["churn_probability"].to_numpy()
    assert np.abs(predicted - truth).mean() > 0.03
    assert log_loss(left, predicted) - log_loss(left, truth) > 0.005
