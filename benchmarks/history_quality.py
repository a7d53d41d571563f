"""Quality of training in time, by the protocols of docs/benchmarks.md: part of `make bench-quality`.

1. A public log of purchases; churn is no purchase in the next 90 days. Infer the contract, train with the
   product's defaults. The last period whose labels are known is judged by what was known when it began.
2. A simulated telco, whose true probabilities are known. Train as above and hold every prediction of the
   backtest, and of the last period, against the truth: mean absolute difference, AUC beside the truth's own,
   calibration slope; survival after one to three months, as of the tables' end. Beside it the naive way: a
   table of today's values, split at random.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from holdfast.contract.load import load_history
from holdfast.history.build import build, folder_of
from holdfast.history.prepare import prepare
from holdfast.training.history import train_history
from holdfast.training.metrics import calibration_line

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.contract.history import History
    from holdfast.training import Trained

SHOWN = ("roc_auc", "log_loss", "brier", "calibration_error", "lift_top_decile")


def main() -> None:
    """Run both protocols, or the one that is asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parents[2] / "shared" / "data" / "cdnow_transactions.csv"
    arguments.add_argument("--log", type=Path, default=here)
    arguments.add_argument("--world", type=Path, help="a simulated world; made anew unless given")
    arguments.add_argument("--customers", type=int, default=100_000, help="0: leave the simulation out")
    days = (30, 60, 90)
    arguments.add_argument("--horizons", type=int, nargs="+", choices=days, default=days, help="days")
    arguments.add_argument("--budget", type=float, default=180.0)
    arguments.add_argument("--models", nargs="+", default=None)
    given = arguments.parse_args()
    settings = {"budget": given.budget, "models": given.models}
    with tempfile.TemporaryDirectory() as work:
        if given.log.is_file():
            log_of_purchases(given.log, Path(work), settings)
        else:
            say(skipped=f"{given.log} is not on this machine; give --log")
        if given.customers:
            world = given.world or simulated(Path(work), given.customers)
            for horizon in given.horizons:
                against_the_truth(world, horizon, Path(work), settings)


def log_of_purchases(log: Path, work: Path, settings: dict[str, Any]) -> None:
    """Figures of the last period that can be judged."""
    folder = work / "log"
    folder.mkdir()
    (folder / log.name).symlink_to(log)
    holdfast("init", "--tables", folder / log.name, "--churn", "inactivity", "--horizon", 90, at=folder)
    trained, seconds = train(load_history(folder / "churn.toml"), folder, work / "home", settings)
    found = trained.findings
    assert found.backtest is not None  # noqa: S101 - a history always has one
    say(
        protocol="log of purchases",
        as_of=found.backtest.last,
        customers=found.rows["test"],
        left=float(found.test_y.mean()),
        chosen=found.chosen,
        features=found.backtest.kept,
        seconds=seconds,
        **{name: found.test[name] for name in SHOWN},
    )


def simulated(work: Path, customers: int) -> Path:
    """A world of 24 months."""
    out = work / "world"
    arguments = ("--world", "telco", "--customers", customers, "--months", 24, "--seed", 7, "--out", out)
    holdfast("simulate", *arguments, at=work)
    return out


def against_the_truth(world: Path, horizon: int, work: Path, settings: dict[str, Any]) -> None:
    """How far predictions are from true probabilities, and what the naive way promises."""
    history = load_history(world / "churn.toml")
    history = history.model_copy(update={"churn": history.churn.model_copy(update={"horizon_days": horizon})})
    trained, seconds = train(history, world, work / f"home {horizon}", settings)
    found = trained.findings
    assert found.backtest is not None  # noqa: S101 - a history always has one
    truth = pl.read_parquet(world / "oracle" / "truth.parquet").with_columns(
        pl.col("as_of").cast(pl.Datetime("us"))
    )
    told = found.backtest.predictions.join(
        truth, left_on=["customer", "as_of"], right_on=["customer_id", "as_of"], how="inner"
    )
    for part, rows in (
        ("backtest", told.filter(pl.col("period") != found.backtest.last)),
        ("last period", told.filter(pl.col("period") == found.backtest.last)),
        ("both", told),
    ):
        y = rows["churned"].to_numpy()
        p, true, known = (
            rows[n].to_numpy().astype(float)
            for n in ("churn_probability", f"churn_{horizon}", f"observable_{horizon}")
        )
        auc, own, best = (float(roc_auc_score(y, q)) for q in (p, true, known))
        intercept, slope = calibration_line(y, p)
        say(
            protocol=f"simulated telco, {horizon} days",
            part=part,
            rows=rows.height,
            away_from_truth=float(np.abs(p - true).mean()),
            away_from_what_can_be_known=float(np.abs(p - known).mean()),
            auc=auc,
            auc_of_truth=own,
            auc_of_what_can_be_known=best,
            share_of_truth=auc / own,
            slope=slope,
            intercept=intercept,
        )
    say(chosen=found.chosen, features=found.backtest.kept, seconds=seconds)
    if found.survival is not None:
        say(survival=found.survival.metrics)
        time_to_churn(trained, history, world, work / f"home {horizon}")
    naive(world, told.filter(pl.col("period") == found.backtest.last), timedelta(days=horizon))


def time_to_churn(trained: Trained, history: History, world: Path, home: Path) -> None:
    """Survival as of the tables' end, beyond which no training saw anything, beside the truth."""
    prepared = prepare(history, world, folder_of(home, history))
    end = prepared.until.replace(tzinfo=UTC)
    built = build(history, prepared, home / "end.parquet", as_of=[end], labels=False)
    truth = pl.read_parquet(world / "oracle" / "truth.parquet").filter(pl.col("as_of") == end.date())
    both = trained.model.survival(built.frame()).join(truth, on="customer_id")
    for month in (1, 2, 3):
        p = 1 - both[f"survival_{month}"].to_numpy()
        true = both[f"churn_{30 * month}"].to_numpy().astype(float)
        say(
            protocol=f"time to churn, {30 * month} days",
            rows=both.height,
            away_from_truth=float(np.abs(p - true).mean()),
            mean_predicted=float(p.mean()),
            mean_true=float(true.mean()),
        )


def naive(world: Path, judged: pl.DataFrame, horizon: timedelta) -> None:
    """A table of today's values with who left of late, split at random; then the same model at work.

    Args:
        world: the simulated tables.
        judged: customers as of a moment with who then left.
        horizon: so long before today is "of late".
    """
    tables = {name: pl.read_parquet(world / f"{name}.parquet") for name in ("subscriptions", "transactions")}
    tables["tickets"] = pl.read_parquet(world / "support_tickets.parquet")
    zoneless = pl.col(pl.Datetime("us", "UTC")).dt.replace_time_zone(None)  # as the built table's
    tables = {name: table.with_columns(zoneless) for name, table in tables.items()}
    today: datetime = tables["transactions"]["happened_at"].max()  # type: ignore[assignment] # of times
    table = values_at(tables, today)
    table = table.filter(pl.col("ended").is_null() | (pl.col("ended") > today - horizon))
    y = table["ended"].is_not_null().cast(pl.Int8).to_numpy()
    inputs = [name for name in table.columns if name not in {"customer_id", "ended"}]
    X = table.select(inputs).to_numpy().astype(np.float32)
    learn = np.random.default_rng(0).random(len(y)) < 0.8
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 2},
        lightgbm.Dataset(X[learn], label=y[learn]),
        num_boost_round=200,
    )
    promised = float(roc_auc_score(y[~learn], np.asarray(booster.predict(X[~learn]))))
    moment: datetime = judged["as_of"][0]
    then = values_at(tables, moment)
    rows = judged.select("customer", "churned").join(
        then, left_on="customer", right_on="customer_id", how="inner"
    )
    p = np.asarray(booster.predict(rows.select(inputs).to_numpy().astype(np.float32)))
    kept = float(roc_auc_score(rows["churned"], p))
    say(
        protocol="naive snapshot, random split",
        auc_promised=promised,
        auc_at_work=kept,
        mean_predicted=float(p.mean()),
        left=float(rows["churned"].to_numpy().mean()),
    )


def values_at(tables: dict[str, pl.DataFrame], moment: datetime) -> pl.DataFrame:
    """One row a customer from the tables as they stand, cut at ``moment``: what a warehouse shows then."""
    subscriptions = tables["subscriptions"].sort("known_at").unique("subscription_id", keep="last")
    held = subscriptions.filter(pl.col("started_at") < moment).sort("started_at")
    base = held.group_by("customer_id").agg(
        charge=pl.col("monthly_charge").last(),
        add_ons=pl.col("add_ons").last(),
        months=pl.col("contract_months").last(),
        began=pl.col("started_at").min(),
        ended=pl.col("ended_at").last(),
    )
    base = base.with_columns(pl.when(pl.col("ended") < moment).then("ended").alias("ended"))
    base = base.with_columns(
        tenure=(pl.coalesce("ended", pl.lit(moment)) - pl.col("began")).dt.total_days(),
    ).drop("began")
    events = tables["transactions"].filter(pl.col("happened_at") < moment)
    money = events.group_by("customer_id").agg(
        bills=pl.len(),
        recent=(pl.col("happened_at") >= moment - timedelta(days=90)).sum(),
        failed=(pl.col("status") == "failed").sum(),
        usage=pl.col("usage_gb").filter(pl.col("happened_at") >= moment - timedelta(days=90)).mean(),
        age=(moment - pl.col("happened_at").max()).dt.total_days(),
    )
    calls = tables["tickets"].filter(pl.col("opened_at") < moment).group_by("customer_id")
    asked = calls.agg(tickets=pl.len(), satisfaction=pl.col("satisfaction").mean())
    return base.join(money, on="customer_id", how="left").join(asked, on="customer_id", how="left")


def train(history: History, root: Path, home: Path, settings: dict[str, Any]) -> tuple[Trained, float]:
    """A training as `holdfast train` does it, and its seconds."""
    begin = time.perf_counter()
    done = train_history(history, root, home=home, **settings)
    return done, time.perf_counter() - begin


def holdfast(*arguments: object, at: Path) -> None:
    """Run a command of the product."""
    command = [sys.executable, "-m", "holdfast.cli", *(str(each) for each in arguments), "--quiet"]
    subprocess.run(command, cwd=at, check=True, stdout=subprocess.DEVNULL)


def say(**facts: Any) -> None:
    """One line of JSON."""
    shown = {name: round(fact, 4) if isinstance(fact, float) else fact for name, fact in facts.items()}
    sys.stdout.write(json.dumps(shown) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
