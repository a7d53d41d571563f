from __future__ import annotations

import polars as pl
import pytest

from holdfast.simulator import simulate


@pytest.fixture
def evaluate(holdfast, trained):
    """Runs ``holdfast evaluate`` with few resamples."""
    return lambda *arguments: holdfast("evaluate", *arguments, "--resamples", 100, "--home", trained.home)


@pytest.fixture
def fresh(tmp_path):
    """Customers whom no model has seen."""
    simulate(600, seed=77).customers.write_csv(tmp_path / "fresh.csv", null_value=" ")
    return "fresh.csv"


def test_a_version_is_measured_on_customers_it_never_saw(evaluate, fresh):
    done = evaluate(fresh)
    assert done.code == 0
    for told in ("v1 on 600 customers", "AUC", "log loss", "95 % interval", "leavers acted on"):
        assert told in done.out
    assert "flatter" not in done.out


def test_json_has_each_figure_with_its_interval(evaluate, fresh):
    told = evaluate(fresh, "--model", "challenger", "--json").json()
    assert told["model"]["version"] == "v2"
    auc = told["metrics"]["roc_auc"]
    assert 0.6 < auc["low"] < auc["value"] < auc["high"] < 1
    assert sum(told["confusion"].values()) == told["rows"] == 600
    assert told["in_sample"] is False


def test_the_table_that_trained_it_is_warned_of(evaluate, trained):
    assert "flatter" in evaluate(trained.table).out
    assert evaluate(trained.table, "--json").json()["in_sample"] is True


def test_a_table_that_does_not_say_who_left_is_code_3(evaluate, fresh, tmp_path):
    pl.read_csv(tmp_path / fresh).drop("Churn").write_csv(tmp_path / "t.csv")
    failed = evaluate("t.csv")
    assert failed.code == 3
    assert "Churn" in failed.err


def test_without_a_model_it_says_what_to_do(holdfast, fresh):
    failed = holdfast("evaluate", fresh)
    assert failed.code == 2
    assert "holdfast train" in failed.err
