from __future__ import annotations

import getpass
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from holdfast.cli.durations import parse_duration
from holdfast.errors import UsageError
from holdfast.registry import Registry

QUICK = ("--models", "logistic_regression", "--budget", "1s")


def test_it_trains_registers_and_says_what_it_found(holdfast, trained, tmp_path):
    done = holdfast("train", trained.contract_file, *QUICK)
    assert done.code == 0
    for told in (
        "logistic regression",
        "base rate",
        "Chosen:",
        "never saw",
        "v1 is champion",
        "Next: holdfast score",
    ):
        assert told in done.out
    folder = tmp_path / ".holdfast" / "artefacts" / "customers" / "1"
    assert f"Report: {folder.relative_to(tmp_path) / 'report.html'}" in done.out
    assert (folder / "report.html").is_file()
    assert (folder / "model_card.md").is_file()
    (made,) = holdfast("audit", "--json").json()["entries"]
    assert (made["actor"], made["action"], made["subject"]) == (
        f"cli:{getpass.getuser()}",
        "models.register",
        "v1",
    )


def test_a_database_that_cannot_be_used_is_told_before_the_work(holdfast, trained, monkeypatch):
    monkeypatch.setattr("holdfast.training.train", lambda *_, **__: pytest.fail("it trained"))
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", "postgresql://ana@127.0.0.1:1/holdfast")
    refused = holdfast("train", trained.contract_file, *QUICK, "--json")
    assert (refused.code, refused.json()["error"]["code"]) == (1, "store")


def test_a_table_of_nothing_but_yes_and_no_is_learned_from_and_scored(holdfast, tmp_path):
    generator = np.random.default_rng(3)
    partner, paperless = generator.random((2, 600)) < 0.5
    left = generator.random(600) < np.where(partner, 0.2, 0.5)
    flags = {"Partner": partner, "Paperless": paperless, "Churn": left}
    table = tmp_path / "flags.csv"
    pl.DataFrame(flags).select(
        pl.when(pl.all()).then(pl.lit("Yes")).otherwise(pl.lit("No")).name.keep()
    ).write_csv(table)
    contract = tmp_path / "flags.toml"
    assert holdfast("init", table, "--label", "Churn", "--out", contract).code == 0
    done = holdfast("train", contract, *QUICK)
    assert done.code == 0, done.err
    assert "Next: holdfast score flags.csv   or   holdfast serve\n" in done.out
    out = tmp_path / "answers.csv"
    assert holdfast("score", table, "-o", out, "--reasons", 2).code == 0
    answers = pl.read_csv(out)
    assert answers.height == 600
    # Alike rows are many customers: kept together, a fold would hold one kind and the level would be lost.
    assert answers["churn_probability"].mean() == pytest.approx(left.mean(), abs=0.08)


def test_json_is_one_document(holdfast, trained):
    done = holdfast("train", trained.contract_file, "--data", trained.table, *QUICK, "--seed", 5, "--json")
    assert (done.code, done.err) == (0, "")
    told = done.json()
    assert (told["model"]["version"], told["model"]["status"]) == ("v1", "champion")
    assert told["chosen"] == "logistic_regression"
    assert [row["model"] for row in told["leaderboard"]] == ["logistic_regression", "base rate"]
    assert told["rows"]["train"] + told["rows"]["test"] == 800
    assert told["seed"] == 5
    again = holdfast("train", trained.contract_file, *QUICK, "--seed", 5)
    assert "v2 is challenger" in again.out
    assert "holdfast models promote v2" in again.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gone.toml"], 2, "gone.toml"),
        (["CONTRACT", "--data", "gone.csv"], 2, "no such file"),
        (["CONTRACT", "--budget", "soon"], 2, "no length of time"),
        (["CONTRACT", "--budget", "0"], 2, "above zero"),
        (["CONTRACT", "--models", "catbost"], 2, "catboost"),
        (["CONTRACT", "--models", "blend"], 2, "combine"),
        (["CONTRACT", "--data", "few.csv"], 3, "Only 19"),
        (["CONTRACT", "--data", "other.csv"], 3, "lacks"),
        (["CONTRACT", "--home", "few.csv/home"], 2, "home folder"),
    ],
)
def test_what_is_wrong_is_one_clear_error_and_nothing_is_registered(  # noqa: PLR0917 - fixtures
    holdfast, trained, tmp_path, arguments, code, said
):
    leavers = trained.customers.filter(pl.col("Churn") == "Yes").head(19)
    stayers = trained.customers.filter(pl.col("Churn") == "No").head(100)
    pl.concat([leavers, stayers]).write_csv(tmp_path / "few.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    failed = holdfast("train", *[trained.contract_file if a == "CONTRACT" else a for a in arguments])
    assert failed.code == code
    assert said in failed.err
    assert "Traceback" not in failed.err
    assert not (tmp_path / ".holdfast").exists()


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_stopped_half_way_nothing_is_registered(trained, tmp_path, way):
    line = [sys.executable, "-m", "holdfast.cli", "train", str(trained.contract_file), "--budget", "60s"]
    with subprocess.Popen(  # noqa: S603 - our own program
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for told in process.stderr:
            if told.startswith("cross-validating"):
                break
        time.sleep(0.3)
        process.send_signal(way)
        rest = process.stderr.read()
        code = process.wait(30)
    assert code == (130 if way == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in rest
    assert Registry(tmp_path / ".holdfast").list() == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), (" 5M ", 300), ("1h", 3600), ("1h30m", 5400), ("0.5m", 30)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5 minutes", "m", "-5", "1m30", "nan", "inf", "0s", "5w", "1e3"])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError):
        parse_duration(text)
