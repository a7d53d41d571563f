from __future__ import annotations

import shutil

import polars as pl
import pytest


@pytest.fixture
def score(holdfast, trained):
    """Runs ``holdfast score`` with the trained champion."""
    return lambda *arguments: holdfast("score", *arguments, "--home", trained.home)


@pytest.fixture
def table(trained, tmp_path):
    shutil.copy(trained.table, tmp_path / "customers.csv")
    return "customers.csv"


def test_it_writes_the_answers_beside_the_table_and_says_what_it_found(score, table, tmp_path):
    done = score(table)
    assert done.code == 0
    assert "800 read, 800 scored, 0 rejected" in done.out
    assert "Answers: customers.scored.csv" in done.out
    answers = pl.read_csv(tmp_path / "customers.scored.csv")
    assert answers.columns == [
        "customer_id",
        "churn_probability",
        "will_churn",
        "risk_level",
        "recommendation",
        "model_version",
    ]
    assert answers.height == 800
    assert answers["model_version"].unique().to_list() == ["v1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["customers.csv", "customers.scored.csv"]


def test_json_is_the_whole_account(score, table):
    done = score(table, "-o", "o.parquet", "--reasons", "2", "--model", "challenger", "--json")
    assert (done.code, done.err) == (0, "")
    told = done.json()
    assert told["rows_in"] == told["scored"] + told["rejected"] == 800
    assert (told["model_version"], told["out"], told["rejects"]) == ("v2", "o.parquet", None)
    assert sum(told["risk_levels"].values()) == 800
    answers = pl.read_parquet("o.parquet")
    assert answers.columns[-2:] == ["reason_1", "reason_2"]
    assert answers["will_churn"].sum() == told["will_churn"]


def test_what_differs_from_the_contract_is_counted(score, trained, tmp_path):
    frame = (
        trained.customers.select(pl.all().reverse())
        .head(50)
        .with_columns(
            pl.Series("Contract", ["Weekly"] * 5 + ["One year"] * 45),
            pl.Series("tenure", ["many", "5000"] + ["4"] * 48),
            pl.lit("x").alias("colour"),
            pl.Series("customerID", ["a", "a", "b", "b", *map(str, range(46))]),
        )
    )
    frame.select(reversed(frame.columns)).write_csv(tmp_path / "t.csv")
    done = score("t.csv")
    assert done.code == 0
    assert "50 read, 48 scored, 2 rejected" in done.out
    for told in ("colour", "another order", "Contract (5)", "1 rows repeat"):
        assert told in done.out
    rejects = pl.read_csv("t.scored.csv.rejects.csv")
    assert rejects["row"].to_list() == [1, 2]
    assert rejects["column"].to_list() == ["tenure", "tenure"]
    assert "Rejects: t.scored.csv.rejects.csv" in done.out


def test_when_nothing_can_be_scored_it_is_code_3(score, trained, tmp_path):
    trained.customers.head(3).with_columns(tenure=pl.lit("never")).write_csv(tmp_path / "t.csv")
    done = score("t.csv")
    assert done.code == 3
    assert pl.read_csv("t.scored.csv.rejects.csv").height == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gone.csv"], 2, "no such file"),
        (["customers.csv", "-o", "customers.csv", "--force"], 2, "overwrite the table"),
        (["customers.csv", "-o", "there.csv"], 2, "already there"),
        (["customers.csv", "-o", "o.xlsx"], 2, "ending"),
        (["customers.csv", "--model", "v9"], 2, "no version"),
        (["customers.csv", "--model", "header.csv"], 2, "Unpack it first"),
        (["customers.csv", "--reasons", "99"], 2, "less than or equal to 20"),
        (["other.csv"], 3, "lacks"),
        (["empty.csv"], 3, "empty"),
        (["header.csv"], 3, "no rows"),
        (["fake.parquet"], 3, "not Parquet"),
    ],
)
def test_what_is_wrong_is_one_clear_error_and_nothing_is_written(  # noqa: PLR0917 - fixtures
    score, table, tmp_path, arguments, code, said
):
    header = (tmp_path / table).read_text().splitlines()[0]
    files = {"there.csv": "mine", "other.csv": "a,b\n1,2\n", "empty.csv": "", "header.csv": f"{header}\n"}
    for name, text in (files | {"fake.parquet": "a,b\n1,2\n"}).items():
        (tmp_path / name).write_text(text)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    failed = score(*arguments)
    assert failed.code == code
    assert said in failed.err
    assert "Traceback" not in failed.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("table")
def test_without_a_model_it_says_what_to_do(holdfast, tmp_path):
    failed = holdfast("score", "customers.csv", "--json")
    assert failed.code == 2
    assert "holdfast train" in failed.json()["error"]["hint"]
    assert [path.name for path in tmp_path.iterdir()] == ["customers.csv"]


@pytest.mark.parametrize("harm", ["flip", "remove", "add", "link"])
def test_a_damaged_model_is_refused(holdfast, trained, table, tmp_path, harm):
    shutil.copytree(trained.home, tmp_path / "home")
    folder = next((tmp_path / "home" / "artefacts").glob("*/1"))
    victim = folder / "features.json"
    if harm == "flip":
        raw = bytearray(victim.read_bytes())
        raw[len(raw) // 2] ^= 1
        victim.write_bytes(raw)
    elif harm == "remove":
        victim.unlink()
    elif harm == "add":
        (folder / "more.pkl").write_bytes(b"\x80\x04.")
    else:
        victim.rename(tmp_path / "elsewhere")
        victim.symlink_to(tmp_path / "elsewhere")
    failed = holdfast("score", table, "--home", "home")
    assert failed.code == 1
    assert "features.json" in failed.err or "more.pkl" in failed.err
    assert "`holdfast models verify`" in failed.err
    assert "`holdfast models rollback`" in failed.err
    assert not (tmp_path / "customers.scored.csv").exists()


def test_a_folder_called_champion_does_not_stand_in_for_the_champion(holdfast, trained, table):
    holdfast("models", "export", "v1", "champion", "--home", trained.home)
    done = holdfast("score", table, "--home", trained.home, "--json")
    assert done.json()["model_version"] == "v1"
    copied = holdfast("score", table, "--model", "./champion", "--force", "--json")
    assert copied.json()["model_version"] == "unregistered"


def test_a_copied_model_scores_by_its_folder(holdfast, trained, table, tmp_path):
    holdfast("models", "export", "v1", "copy", "--home", trained.home)
    done = holdfast("score", table, "--model", "copy", "--json")
    assert done.code == 0
    assert done.json()["model_version"] == "unregistered"
    assert not (tmp_path / ".holdfast").exists()
