from __future__ import annotations

import hashlib
import json
import math
import shutil
import signal
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from holdfast.contract import Contract
from holdfast.contract.infer import infer_contract
from holdfast.decisions import profit_threshold
from holdfast.progress import NullProgress
from holdfast.quality.enough import TooFewError
from holdfast.quality.table import TableError
from holdfast.registry import Registry
from holdfast.simulator import simulate
from holdfast.training import evaluate, train
from holdfast.training.split import assign, repeated_rows

AMPLE = 600.0
"""Seconds; no test may depend on how fast the machine is."""

FACTS = {
    "name": "t",
    "churn": {"label": "left", "positive": "yes", "negative": "no"},
    "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
}


def plain_contract(**columns):
    return Contract.model_validate(FACTS | {"columns": {name: {"kind": k} for name, k in columns.items()}})


def plain_table(n, leavers, seed=0):
    """Numbers, the first of which tells a little; the first ``leavers`` rows left."""
    draw = np.random.default_rng(seed)
    left = np.arange(n) < leavers
    return pl.DataFrame(
        {
            "id": [f"c{at}" for at in range(n)],
            "x": draw.normal(size=n) + left,
            "z": draw.normal(size=n),
            "left": np.where(left, "yes", "no"),
        }
    )


PLAIN = plain_contract(id="id", x="number", z="number")


def files_of(folder):
    """Digest of every file that decides an answer."""
    decisive = ["contract.toml", "features.json", "model.json", "baseline.json"]
    paths = [folder / name for name in decisive] + sorted((folder / "members").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def world():
    found = simulate(6000, seed=31)
    return found, infer_contract(found.customers, label="Churn").contract


@pytest.fixture(scope="module")
def curves(world, tmp_path_factory):
    """A logistic regression on 6,000 simulated customers."""
    found, contract = world
    home = tmp_path_factory.mktemp("curves")
    return train(found.customers, contract, models=["logistic_regression"], budget=AMPLE, seed=5, home=home)


def test_probabilities_are_near_the_true_ones(curves):
    others = simulate(4000, seed=99)
    p = curves.model.score(others.customers.drop("Churn")).frame["churn_probability"].to_numpy()
    truth = others.oracle["churn_probability"].to_numpy()
    # About 70 free weights on 6,000 rows: the squared error of log-odds is about weights / n / (p (1 - p)),
    # so the error of p is about sqrt(70 / 6000 * mean p (1 - p)) = .04; penalty and what curves cannot bend
    # (interactions) pull either way. A model that knew the rate only would be off by .2.
    assert np.abs(p - truth).mean() < 0.05
    assert np.abs(truth.mean() - truth).mean() > 0.15
    # Calibrated in the large: the standard error of the rate of 6,000 is .006.
    assert p.mean() == pytest.approx(truth.mean(), abs=0.025)


def test_what_is_written_is_strict_json_and_whole(curves):
    folder = curves.version.path

    def refuse(text):
        raise AssertionError(text)

    for name in ("metrics", "baseline", "importance", "model", "features", "manifest"):
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"), parse_constant=refuse)
    metrics = curves.metrics
    assert metrics["rows"]["train"] + metrics["rows"]["test"] == 6000
    for name, (low, high) in metrics["test_intervals"].items():
        assert low <= metrics["test"][name] <= high
    baseline = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
    assert set(baseline["columns"]) == set(curves.model.contract.inputs)
    for column in baseline["columns"].values():
        assert sum(column["shares"]) == pytest.approx(1)
    assert curves.model.importance[0]["feature"] in curves.model.contract.inputs
    assert curves.leaderboard["model"].to_list()[-1] == "base rate"
    assert curves.leaderboard.filter("chosen")["model"].to_list() == ["logistic_regression"]


def test_evaluate_measures_any_table_and_knows_its_own(world, curves):
    found, _ = world
    own = evaluate(curves.model, found.customers, resamples=30)
    assert own.in_sample
    assert "flatter" in own.warnings[0]
    other = evaluate(curves.model, simulate(1500, seed=77).customers, resamples=100)
    assert not other.in_sample
    assert other.warnings == []
    assert other.rows == 1500
    for figure in other.metrics.values():
        if figure["low"] is not None:
            assert figure["low"] <= figure["value"] <= figure["high"]
    json.dumps(other.as_dict(), allow_nan=False)
    # What the test split promised holds for customers of another day, within both intervals' reach.
    low, high = curves.metrics["test_intervals"]["log_loss"]
    assert other.metrics["log_loss"]["low"] < high
    assert other.metrics["log_loss"]["high"] > low


def test_the_threshold_comes_from_the_economics_and_capacity_raises_it(curves):
    economics = curves.model.contract.economics
    assert curves.model.threshold == profit_threshold(economics)
    tight = FACTS | {
        "economics": FACTS["economics"] | {"capacity": 0.1},
        "columns": {"id": {"kind": "id"}, "x": {"kind": "number"}, "z": {"kind": "number"}},
    }
    found = train(
        plain_table(600, 200), Contract.model_validate(tight), models=["naive_bayes"], budget=AMPLE, seed=1
    )
    assert found.model.threshold > profit_threshold(PLAIN.economics)
    assert found.model.score(plain_table(600, 200)).frame["will_churn"].mean() == pytest.approx(0.1, abs=0.03)
    assert "capacity" in found.findings.threshold_why


def test_the_same_seed_and_data_give_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("holdfast.training.search.planned_trials", lambda *_, **__: 2)
    customers = simulate(500, seed=41).customers
    contract = infer_contract(customers, label="Churn").contract
    models = ["logistic_regression", "lightgbm", "xgboost", "catboost", "blend"]
    runs = [
        train(customers, contract, models=models, budget=AMPLE, seed=seed, home=tmp_path / str(at))
        for at, seed in enumerate((3, 3, 4))
    ]
    bits = [run.model.score(customers).frame["churn_probability"].to_numpy().tobytes() for run in runs]
    assert bits[0] == bits[1]
    assert files_of(runs[0].version.path) == files_of(runs[1].version.path)
    assert bits[0] != bits[2]
    assert runs[0].leaderboard["model"].sort().equals(runs[2].leaderboard["model"].sort())
    smote = runs[0].leaderboard.filter(pl.col("model").str.contains("SMOTE"))
    plain = runs[0].leaderboard.filter(pl.col("model") == "xgboost")
    assert smote["calibration_error"][0] > plain["calibration_error"][0]
    assert not smote["chosen"][0]


@pytest.mark.parametrize(("n", "leavers"), [(400, 19), (400, 1), (100, 81)])
def test_too_few_of_either_outcome_are_refused(n, leavers):
    with pytest.raises(TooFewError) as caught:
        train(plain_table(n, leavers), PLAIN, models=["naive_bayes"])
    assert caught.value.exit_code == 3
    assert "20 are needed" in caught.value.message


@pytest.mark.parametrize("leavers", [0, 200])
def test_one_outcome_only_is_refused(leavers):
    with pytest.raises(TableError, match="All 200 usable rows"):
        train(plain_table(200, leavers), PLAIN, models=["naive_bayes"])


def test_few_leavers_are_warned_of_and_a_tiny_budget_still_gives_a_model():
    found = train(plain_table(300, 30), PLAIN, budget=0.0, seed=1)
    assert "Only 30 customers left" in found.warnings[0]
    assert "ended early" in found.warnings[-1]
    assert found.findings.chosen == "logistic_regression"
    assert 0.4 < found.metrics["test"]["roc_auc"] <= 1
    assert all(math.isfinite(ends) for pair in found.metrics["test_intervals"].values() for ends in pair)


def test_rows_that_are_left_out_are_told():
    table = plain_table(300, 60)
    found = train(pl.concat([table, table[:20]]), PLAIN, models=["naive_bayes"], budget=AMPLE, seed=1)
    assert any(said.startswith("20 of 320 rows are left out") for said in found.warnings)


@pytest.mark.parametrize(("seed", "loses"), [(3, True), (4, False)])
def test_advice_that_loses_money_is_warned_of(seed, loses):
    # Few leavers and nothing to learn: by chance seed 3 contacts a stayer, and seed 4 nobody.
    table = plain_table(300, 30, seed=seed).with_columns(pl.col("x", "z").shuffle(seed=seed))
    found = train(table, PLAIN, models=["naive_bayes"], budget=AMPLE, seed=1)
    assert (found.metrics["test"]["profit_per_customer"] < 0) == loses
    assert any("lost money" in said for said in found.warnings) == loses


def test_a_table_that_tells_nothing_is_refused():
    table = plain_table(300, 90).with_columns(x=pl.lit(1.0), z=pl.lit(None, dtype=pl.Float64))
    with pytest.raises(TableError, match="No column tells"):
        train(table, PLAIN, models=["logistic_regression"], budget=AMPLE)


def test_repeats_of_a_table_without_ids_stay_on_one_side():
    once = plain_table(250, 80).drop("id")
    table = pl.concat([once, once]).sample(fraction=1, shuffle=True, seed=1)
    groups = repeated_rows(table.drop("left"))
    y = (table["left"] == "yes").cast(pl.Int8).to_numpy()
    part = assign(y, 5, seed=42, groups=groups)
    for group in np.unique(groups):
        assert len(set(part[groups == group])) == 1
    found = train(
        table, plain_contract(x="number", z="number"), models=["random_forest"], budget=AMPLE, seed=2
    )
    # Judged on copies of its own rows, a forest looks far better (0.86) than x, that is all there is to know.
    assert found.metrics["test"]["roc_auc"] < 0.8


def test_a_table_of_a_few_kinds_of_customers_without_ids_can_be_learned_from():
    draw = np.random.default_rng(1)
    a, b = draw.integers(0, 2, 800), draw.integers(0, 2, 800)
    left = draw.random(800) < 0.15 + 0.4 * a
    table = pl.DataFrame({"x": a.astype(float), "z": b.astype(float), "left": np.where(left, "yes", "no")})
    found = train(table, plain_contract(x="number", z="number"), models=["naive_bayes"], budget=AMPLE)
    p = found.model.score(table).frame["churn_probability"].to_numpy()
    assert p[a == 1].mean() == pytest.approx(left[a == 1].mean(), abs=0.1)


KILLED = """
import os, signal, sys
from pathlib import Path
import polars as pl
from holdfast.contract import Contract
from holdfast.progress import NullProgress
import holdfast.training
room = sys.modules["holdfast.training.train"]

class Killer(NullProgress):
    def start(self, name, total):
        if name == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "the artefact is written":
    real = room.write_artefact
    def killing(*args, **settings):
        real(*args, **settings)
        os.kill(os.getpid(), signal.SIGKILL)
    room.write_artefact = killing
contract = Contract.load(sys.argv[2])
table = pl.read_csv(Path(sys.argv[2]).parent / "customers.csv", infer_schema=False)
room.train(table, contract, models=["naive_bayes"], budget=60.0, home=Path(sys.argv[1]), progress=Killer())
"""


def rows_of(home):
    registry = Registry(home)
    try:
        return [(v.label, v.status, v.manifest_digest) for v in registry.list()], registry.champion_token()
    finally:
        registry.close()


@pytest.mark.parametrize("step", ["fitting the chosen model", "the artefact is written"])
def test_killed_in_the_middle_the_registry_is_as_it_was(trained, tmp_path, step):
    home = shutil.copytree(trained.home, tmp_path / "home")
    before = rows_of(home)
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", KILLED, str(home), str(trained.contract_file), step],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert rows_of(home) == before
    registry = Registry(home)
    registry.verify("champion")
    registry.verify("challenger")
    registry.close()


class Impatient(NullProgress):
    def __init__(self, step):
        self.step = step

    def start(self, name, total):  # noqa: ARG002 - the protocol's
        if name == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["cross-validating models", "writing the report"])
def test_interrupted_the_registry_is_as_it_was(trained, tmp_path, step):
    home = shutil.copytree(trained.home, tmp_path / "home")
    before = rows_of(home)
    with pytest.raises(KeyboardInterrupt):
        train(
            trained.customers,
            trained.contract,
            models=["naive_bayes"],
            budget=AMPLE,
            home=home,
            progress=Impatient(step),
        )
    assert rows_of(home) == before
    assert list((home / "staging").iterdir()) == []
