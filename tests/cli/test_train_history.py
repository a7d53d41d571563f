from __future__ import annotations

import json
import shutil
from contextlib import closing, redirect_stdout
from datetime import date, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

from holdfast.api.app import create_app
from holdfast.api.live import Live
from holdfast.cli.main import run
from holdfast.model import Model
from holdfast.model.artefact import ArtefactError, write_manifest
from holdfast.registry import Registry
from holdfast.settings import Settings

TOML = """
version = 1
name = "shop"
[clock]
snapshots = "monthly"
time_zone = "Europe/Berlin"  # whose midnights are yesterday's in UTC
[churn]
event = "inactivity"
table = "visits"
horizon_days = 60
[economics]
customer_value = 200
contact_cost = 1
offer_cost = 10
success_rate = 0.3
[tables.visits]
kind = "events"
source = "visits.csv"
customer = "who"
time = "day"
[tables.visits.columns.spent]
kind = "number"
"""
FAST = ("--models", "logistic_regression,lightgbm", "--budget", "10m")


def visits(customers=250, days=400):
    """Customers who come every week or so, until one day they come no more."""
    draw = np.random.default_rng(4)
    rows = []
    for who in range(customers):
        pace = draw.uniform(4, 25)
        day, gone = draw.uniform(0, 30), draw.exponential(250)
        while day < min(days, gone):
            rows.append((f"c{who:03}", date(2023, 1, 1) + timedelta(days=int(day)), draw.gamma(2, 10)))
            day += draw.exponential(pace)
    return pl.DataFrame(rows, schema=["who", "day", "spent"], orient="row")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with tables, contract and a trained model; what training answered."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "churn.toml").write_text(TOML)
    visits().write_csv(folder / "visits.csv")
    return folder


@pytest.fixture(scope="module")
def trained(shop):
    said = StringIO()
    with redirect_stdout(said):
        code = run(["train", str(shop / "churn.toml"), "--home", str(shop / "home"), "--json", *FAST])
    assert code == 0, said.getvalue()
    return json.loads(said.getvalue())


def test_training_tells_each_period_beside_what_knows_less(trained):
    periods = trained["backtest"]["periods"]
    last = [row for row in periods if row["last"]]
    assert {row["who"] for row in last} == {"model", "base rate so far", "visits_days_since_last alone"}
    # until is 2024-02-05: the newest snapshot whose 60 days are over is that of December
    assert {row["period"] for row in last} == {"2023-12-01"}
    assert trained["backtest"]["learned_until"] == "2023-10-01"
    model = next(row for row in last if row["who"] == "model")
    assert trained["test"]["log_loss"] == pytest.approx(model["log_loss"])
    assert model["log_loss"] < next(row for row in last if row["who"] == "base rate so far")["log_loss"]
    assert set(trained["backtest"]["dropped"].values())
    told = {name for name, value in model.items() if value is not None}
    assert told >= {"roc_auc", "lift_top_decile", "profit_per_customer", "calibration_slope", "learned_rate"}
    report = (trained["files"]["report"], trained["files"]["model_card"])
    page, card = (Path(path).read_text(encoding="utf-8") for path in report)
    assert "Period by period" in card
    figures = ("AUC", "Log loss", "Brier", "Cal. error", "Intercept", "Slope", "Lift", "Gain")
    naive = ("Left, known before", "Log loss of that base rate", "AUC of the rule", "Gain of the rule")
    for said in (*figures, *naive, "how the base rate drifts", "Still there, seen (Kaplan-Meier)"):
        assert said in page.partition("Period by period")[2], said


@pytest.mark.usefixtures("trained")
def test_everyone_eligible_is_scored_as_of_a_moment(shop, holdfast):
    out = shop / "answers.csv"
    asked = (
        "score",
        shop / "churn.toml",
        "--home",
        shop / "home",
        "--as-of",
        "2023-11-15",
        "-o",
        out,
        "--json",
    )
    told = holdfast(*asked).json()
    answers = pl.read_csv(out)
    seen = visits().filter(pl.col("day") < date(2023, 11, 15))["who"].n_unique()
    assert told["scored"] == answers.height == seen
    assert told["as_of"] == "2023-11-15T00:00:00+01:00"
    assert told["model_version"] == "v1"
    assert answers["churn_probability"].is_between(0, 1).all()
    assert answers["expected_months"].is_between(0, 120).all()
    curve = answers.select((1 - pl.col("churn_probability")).alias("horizon"), "^survival_.*$")
    assert curve.columns == [
        "horizon",
        "survival_3",
        "survival_6",
        "survival_12",
    ]  # after two months and later
    assert all((later <= earlier).all() for earlier, later in pairwise(curve.get_columns()))
    # nothing that happened later changes an answer
    (shop / "earlier").mkdir()
    (shop / "earlier" / "churn.toml").write_text(TOML)
    visits().filter(pl.col("day") < date(2023, 11, 15)).write_csv(shop / "earlier" / "visits.csv")
    again = shop / "again.csv"
    holdfast("score", shop / "earlier" / "churn.toml", "--home", shop / "home", "-o", again)
    same = answers.join(pl.read_csv(again), on="customer_id", suffix="_again")
    assert same.height == seen
    assert (same["churn_probability"] == same["churn_probability_again"]).all()


def test_survival_at_the_horizon_is_what_the_answer_leaves(shop, trained):
    model = Model.load(trained["files"]["artefact"])
    frame = pl.read_parquet(shop / "home" / "histories" / "shop" / "examples.parquet").filter(
        pl.col("as_of") == pl.col("as_of").max()
    )
    curve = model.survival(frame)
    assert curve["survival_2"].to_numpy() == pytest.approx(1 - curve["churn_probability"].to_numpy())
    assert (curve["survival_1"] == 1).all()  # nobody is silent for 60 days after 30


@pytest.mark.usefixtures("trained")
def test_one_customer_is_explained_as_of_a_moment_by_command_and_api_as_scored(shop, holdfast):
    day = ("--as-of", "2023-11-15", "--home", shop / "home")
    out = shop / "to_explain.csv"
    holdfast("score", shop / "churn.toml", *day, "-o", out)
    [scored] = pl.read_csv(out).filter(pl.col("customer_id") == "c007").drop("model_version").to_dicts()
    explain = ("explain", "c007", "--data", shop / "churn.toml", *day)
    told = holdfast(*explain, "--json").json()
    assert {name: told[name] for name in scored} == scored
    assert (told["as_of"], told["row"]) == ("2023-11-15T00:00:00+01:00", None)
    days = next(one for one in told["reasons"] if one["feature"] == "visits_days_since_last")
    last = visits().filter(pl.col("who") == "c007", pl.col("day") < date(2023, 11, 15))["day"].max()
    assert float(days["value"]) == (date(2023, 11, 15) - last).days
    said = holdfast(*explain).out
    assert "Customer c007 as of 2023-11-15 00:00 CET" in said
    assert f"{scored['survival_3']:.0%} in 3 months" in said
    settings = Settings(home=shop / "home")
    with closing(Registry(settings.home)) as registry:
        live = Live(registry, lambda version: Model.load(version.path, version=version.label), settings)
        app = create_app(live, settings, registry.engine)
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as client:
            asked = {"customer_id": "c007", "as_of": "2023-11-15"}
            answered = client.post("/explain", json=asked).json()
    assert {name: answered[name] for name in scored} == scored


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (("nobody",), 2, 'The tables have no customer "nobody"'),
        (("c007", "--as-of", "2022-12-01"), 2, "was no customer then"),
        (("c007", "--as-of", "2030-01-01"), 3, "lies after 2024-02-04 23:00 (UTC)"),
        (("--row", "3"), 2, "A history's customer has no row"),
    ],
)
@pytest.mark.usefixtures("trained")
def test_who_cannot_be_explained_is_told_why(shop, holdfast, asked, code, said):
    failed = holdfast("explain", *asked, "--data", shop / "churn.toml", "--home", shop / "home", "--json")
    assert failed.code == code
    assert said in failed.json()["error"]["message"]


@pytest.mark.usefixtures("trained")
def test_a_moment_is_judged_by_who_then_left(shop, holdfast):
    asked = ("evaluate", shop / "churn.toml", "--home", shop / "home", "--resamples", 100, "--json")
    told = holdfast(*asked, "--as-of", "2023-12-01").json()
    assert told["in_sample"] is True
    assert told["metrics"]["roc_auc"]["value"] > 0.6
    assert holdfast(*asked).json()["as_of"] == "2023-12-01T00:00:00+01:00"
    late = holdfast(*asked, "--as-of", "2024-01-15")
    assert late.code == 2
    assert "not known yet" in late.json()["error"]["message"]


@pytest.mark.usefixtures("trained")
def test_a_contract_that_now_describes_something_else_is_refused(shop, holdfast):
    other = shop / "other.toml"
    other.write_text(TOML.replace("horizon_days = 60", "horizon_days = 30"))
    told = holdfast("score", other, "--home", shop / "home", "--json")
    assert told.code == 2
    assert "has changed" in told.json()["error"]["message"]


def test_an_artefact_whose_history_gives_other_features_is_refused(trained, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained["files"]["artefact"], folder)
    history = folder / "history.json"
    told = json.loads(history.read_text())
    del told["tables"]["visits"]["columns"]["spent"]
    told["tables"]["visits"]["columns"]["paid"] = {"kind": "number"}
    history.write_text(json.dumps(told))
    with pytest.raises(ArtefactError, match=r"history\.json"):
        Model.load(folder)
    facts = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    write_manifest(folder, {k: v for k, v in facts.items() if k not in {"files", "format"}})
    with pytest.raises(ArtefactError, match="the history gives no feature"):
        Model.load(folder)


def test_a_history_with_one_period_to_judge_is_trained_with_what_is_usual(tmp_path, holdfast):
    (tmp_path / "churn.toml").write_text(TOML.replace("[clock]", "[clock]\nfirst = 2023-10-01"))
    visits().write_csv(tmp_path / "visits.csv")
    told = holdfast("train", tmp_path / "churn.toml", "--home", tmp_path / "home", "--json", *FAST).json()
    assert {row["period"] for row in told["backtest"]["periods"]} == {"2023-12-01"}
    assert {row["log_loss"] for row in told["leaderboard"]} == {None}
    assert "no period to compare" in told["why"]
    assert any("Only the last period could be judged" in one for one in told["warnings"])
    assert told["test"]["roc_auc"] > 0.6
    said = holdfast("train", tmp_path / "churn.toml", "--home", tmp_path / "home", *FAST).out
    assert "the usual choice" in said
    assert "holdfast models promote v2   or   holdfast score" in said
    assert "churn.toml --model v2\n" in said


def test_a_period_learns_from_visits_that_had_been_told_of_when_it_began(tmp_path, holdfast):
    """Of some visits one learns a season later: until then their customers seem to have left."""
    (tmp_path / "churn.toml").write_text(TOML.replace('time = "day"', 'time = "day"\nknown = "told"'))
    late = pl.col("who").str.slice(1).cast(pl.Int64) % 3 == 0
    frame = visits().with_columns(
        told=pl.when(late).then(pl.col("day").dt.offset_by("100d")).otherwise("day")
    )
    frame.write_csv(tmp_path / "visits.csv")
    told = holdfast("train", tmp_path / "churn.toml", "--home", tmp_path / "home", "--json", *FAST).json()
    last = next(row for row in told["backtest"]["periods"] if row["last"])
    begin = date.fromisoformat(last["period"])
    rows, left, left_as_of_today = 0, 0, 0
    snapshots = [date(2023, month, 1) for month in range(4, 13)] + [
        date(2024, month, 1) for month in range(1, 5)
    ]
    for as_of in snapshots:
        if (end := as_of + timedelta(days=60)) > begin:
            break
        there = frame.filter((pl.col("day") < as_of) & (pl.col("told") < as_of))["who"].unique()
        window = frame.filter(pl.col("day").is_between(as_of, end, closed="left"))
        seen = window.filter(pl.col("told") < begin)["who"].unique()
        rows += there.len()
        left += (~there.is_in(seen.implode())).sum()
        left_as_of_today += (~there.is_in(window["who"].unique().implode())).sum()
    assert last["learned_rows"] == rows
    assert last["learned_rate"] == pytest.approx(left / rows)
    assert left > left_as_of_today + 40


def test_a_history_too_short_to_judge_anything_is_refused(tmp_path, holdfast):
    (tmp_path / "churn.toml").write_text(TOML.replace("horizon_days = 60", "horizon_days = 300"))
    visits(60).write_csv(tmp_path / "visits.csv")
    told = holdfast("train", tmp_path / "churn.toml", "--home", tmp_path / "home", "--json", *FAST)
    assert told.code == 3
    assert not (tmp_path / "home" / "artefacts").exists()
