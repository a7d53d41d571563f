from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from holdfast.contract.load import load_contract


@pytest.fixture
def table(tmp_path):
    """A small table of customers: an id, a number, a category and the label."""
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{number:03d}" for number in range(200)],
            "Monthly Fee": [10 + number % 37 for number in range(200)],
            "plan": ["gold", "tin", "tin", "wood"] * 50,
            "Gone": ["no", "no", "no", "yes", "no"] * 40,
        }
    )
    frame.write_csv(tmp_path / "shop.csv")
    return frame


@pytest.fixture
def bad_files(table, tmp_path):
    (tmp_path / "empty.csv").write_text("")
    whole = gzip.compress(table.write_csv().encode())
    (tmp_path / "broken.csv.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.parquet").write_bytes(b"PAR1 and no more")


@pytest.mark.usefixtures("table")
def test_it_writes_a_contract_that_loads_and_says_what_to_do_next(process, tmp_path):
    done = process("init", "shop.csv", "--label", "Gone")
    assert done.code == 0
    assert '"Gone" = "yes" means left' in done.out
    assert "holdfast check churn.toml" in done.out
    contract = load_contract(tmp_path / "churn.toml")
    assert (contract.name, contract.data, contract.id_column) == ("shop", "shop.csv", "customer_id")
    assert process("check").code == 0


@pytest.mark.usefixtures("table")
def test_json_says_what_was_guessed_and_why(process):
    done = process("init", "shop.csv", "--label", "Gone", "--positive", "no", "--id", "customer_id", "--json")
    assert (done.code, done.err) == (0, "")
    document = done.json()
    assert (document["label"], document["positive"], document["id"]) == ("Gone", "no", "customer_id")
    assert document["inputs"]["Monthly Fee"] == "integer"
    assert all(note["key"] and note["note"] for note in document["notes"])


@pytest.mark.usefixtures("table")
def test_a_contract_that_was_edited_is_not_lost(holdfast, tmp_path):
    (tmp_path / "churn.toml").write_text("mine")
    refused = holdfast("init", "shop.csv", "--label", "Gone")
    assert refused.code == 2
    assert "--force" in refused.err
    assert (tmp_path / "churn.toml").read_text() == "mine"
    assert holdfast("init", "shop.csv", "--label", "Gone", "--force").code == 0
    assert (tmp_path / "churn.toml").read_text() != "mine"


@pytest.mark.usefixtures("table")
def test_a_contract_in_another_folder_still_finds_its_data(holdfast, tmp_path):
    (tmp_path / "contracts").mkdir()
    assert holdfast("init", "shop.csv", "--label", "Gone", "--out", "contracts/a.toml").code == 0
    assert holdfast("check", "contracts/a.toml").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["shop.csv", "--label", "gon"], 2, 'Did you mean "Gone"?'),
        (["shop.csv", "--label", "Gone", "--id", "custommer_id"], 2, 'Did you mean "customer_id"?'),
        (["shop.csv"], 2, "--label"),
        (["nowhere.csv", "--label", "Gone"], 2, "nowhere.csv"),
        (["empty.csv", "--label", "Gone"], 3, "empty"),
        (["broken.csv.gz", "--label", "Gone"], 3, "broken.csv.gz"),
        (["none.parquet", "--label", "Gone"], 3, "none.parquet"),
    ],
    ids=["label", "id", "no label", "no file", "empty", "truncated", "no parquet"],
)
@pytest.mark.usefixtures("table", "bad_files")
def test_bad_input_is_one_block_and_writes_nothing(holdfast, arguments, code, said):
    failed = holdfast("init", *arguments)
    assert failed.code == code
    assert said in failed.err
    assert failed.err.count("Error: ") == 1
    assert "Traceback" not in failed.err
    assert not Path("churn.toml").exists()
    as_json = holdfast("init", *arguments, "--json")
    assert (as_json.code, as_json.err) == (code, "")
    assert as_json.json()["error"]["message"]


def test_leaks_are_left_out_and_told(holdfast, shared_data):
    done = holdfast(
        "init", shared_data / "telco_churn_extended.csv", "--label", "Churn Value", "--json"
    ).json()
    assert {"Churn Label", "Churn Score", "Churn Reason"} <= done["excluded"].keys()
    in_words = holdfast("init", shared_data / "telco_churn_extended.csv", "--label", "Churn Value", "--force")
    assert "Churn Reason" in in_words.out


def test_the_real_file_goes_through_init_and_check(holdfast, shared_data):
    made = holdfast("init", shared_data / "telco_churn.csv", "--label", "Churn")
    assert made.code == 0
    checked = holdfast("check", "--json").json()
    assert (checked["rows"], checked["kept"], checked["left"], checked["passed"]) == (7043, 7043, 1869, True)


def test_the_simulated_table_goes_through_init_and_check(holdfast):
    assert holdfast("simulate", "--customers", "2000", "--out", "demo").code == 0
    assert holdfast("init", "demo/customers.csv", "--label", "Churn").code == 0
    assert holdfast("check", "--json").json()["rows"] == 2000
    refused = holdfast("check", "--data", "demo/oracle.parquet")
    assert refused.code == 3
    assert "oracle" in refused.err
