from __future__ import annotations

import json

import polars as pl
import pytest

CONTRACT = """
version = 1
name = "shop"
data = "customers.csv"
[churn]
label = "left"
positive = "yes"
negative = "no"
[economics]
customer_value = 100
contact_cost = 1
offer_cost = 5
success_rate = 0.3
[columns.id]
kind = "id"
[columns.age]
kind = "number"
min = 0
max = 120
[columns.plan]
kind = "category"
levels = ["gold", "tin"]
"""


@pytest.fixture
def shop(tmp_path):
    """A folder with a contract and 200 customers, 50 of whom left, changed as a test wants it."""

    def make(contract=CONTRACT, **columns):
        table = {
            "id": [f"c{number}" for number in range(200)],
            "age": [str(20 + number % 40) for number in range(200)],
            "plan": ["gold", "tin"] * 100,
            "left": ["no", "no", "no", "yes"] * 50,
        }
        pl.DataFrame(table | columns).write_csv(tmp_path / "customers.csv")
        (tmp_path / "churn.toml").write_text(contract)

    make()
    return make


@pytest.mark.usefixtures("shop")
def test_it_writes_the_report_and_says_where(process, tmp_path):
    done = process("check")
    assert done.code == 0
    assert "200 rows, 200 usable, 25.0% of whom left; 0 rejected" in done.out
    folder = tmp_path / ".holdfast" / "checks" / "shop"
    assert sorted(path.name for path in folder.iterdir()) == ["quality.html", "quality.json", "rejects.csv"]
    assert "<html" in (folder / "quality.html").read_text()
    assert json.loads((folder / "quality.json").read_text())["kept"] == 200
    assert (folder / "rejects.csv").read_text() == "row,column,value,reason\n"


@pytest.mark.usefixtures("shop")
def test_json_holds_the_short_of_it(process):
    done = process("check", "churn.toml", "--out", "here", "--json")
    assert (done.code, done.err) == (0, "")
    document = done.json()
    assert (document["rows"], document["left"], document["passed"]) == (200, 50, True)
    assert document["files"]["rejects.csv"] == "here/rejects.csv"


def test_rejected_cells_are_listed_with_row_and_reason_and_only_warned_of(holdfast, shop, tmp_path):
    shop(age=["20"] * 197 + ["many", "300", "inf"])
    done = holdfast("check", "--out", "here")
    assert done.code == 0
    assert "3 rejected" in done.out
    rejects = pl.read_csv(tmp_path / "here" / "rejects.csv")
    assert rejects.select("row", "column", "value").rows() == [
        (198, "age", "many"),
        (199, "age", "300"),
        (200, "age", "inf"),
    ]
    assert rejects["reason"].null_count() == 0


def test_a_gate_that_fails_is_a_warning_or_with_strict_code_3(holdfast, shop):
    shop(id=["c1", "c1", *(f"d{number}" for number in range(198))])
    assert "FAILED" in holdfast("check").out
    assert holdfast("check").code == 0
    assert holdfast("check", "--strict").code == 3
    strict = holdfast("check", "--strict", "--json")
    assert (strict.code, strict.json()["passed"]) == (3, False)


def labels(left):
    return ["yes"] * left + ["no"] * (200 - left)


@pytest.mark.parametrize(("left", "code"), [(0, "table"), (200, "table"), (19, "too-few"), (181, "too-few")])
def test_a_table_that_nothing_can_be_learned_from_is_code_3_but_has_its_report(
    holdfast, shop, tmp_path, left, code
):
    shop(left=labels(left))
    failed = holdfast("check", "--out", "here")
    assert failed.code == 3
    assert (tmp_path / "here" / "quality.html").exists()
    assert "FAILED" not in failed.out
    assert failed.err.rstrip().splitlines()[-1].startswith("  do: ")
    again = holdfast("check", "--out", "there", "--json")
    assert (again.code, again.json()["error"]["code"]) == (3, code)
    assert (tmp_path / "there" / "quality.html").exists()


@pytest.mark.parametrize(("left", "who"), [(19, "left"), (181, "stayed")])
def test_too_few_of_either_are_refused_by_check_in_the_words_of_train(holdfast, shop, tmp_path, left, who):
    shop(left=labels(left))
    checked = holdfast("check", "--json").json()["error"]
    assert checked["message"] == f"Only 19 of 200 customers {who}; 20 are needed to learn anything."
    assert checked == holdfast("train", "--budget", "1s", "--json").json()["error"]
    page = (tmp_path / ".holdfast" / "checks" / "shop" / "quality.html").read_text()
    assert f"Only 19 customers {who}. 20 are needed to learn anything" in page


@pytest.mark.parametrize(("left", "warned"), [(20, True), (49, True), (50, False), (151, True)])
def test_few_of_either_are_warned_of(holdfast, shop, left, warned):
    shop(left=labels(left))
    done = holdfast("check")
    assert done.code == 0
    assert ("every figure are rough" in done.out) == warned


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"contract": CONTRACT.replace("[columns.age]", "[columns.agee]")}, "columns"),
        ({"contract": CONTRACT.replace('kind = "number"', 'kind = "nummer"')}, "contract"),
        ({"contract": CONTRACT.replace("customers.csv", "gone.csv")}, "source"),
        ({"contract": CONTRACT + '[features]\nhalf = "agge / 2"\n'}, "feature"),
        ({"contract": "not toml"}, "contract"),
    ],
    ids=["columns", "kind", "file", "feature", "toml"],
)
def test_what_does_not_fit_is_one_block_and_nothing_is_written(holdfast, shop, tmp_path, wrong, code):
    shop(**wrong)
    failed = holdfast("check", "--out", "here")
    assert failed.code == (2 if code == "source" else 3)  # no such file
    assert failed.err.count("Error: ") == 1
    assert "Traceback" not in failed.err
    assert holdfast("check", "--out", "here", "--json").json()["error"]["code"] == code
    assert not (tmp_path / "here").exists()


def test_a_contract_that_names_no_data_needs_some(holdfast, shop):
    shop(contract=CONTRACT.replace('data = "customers.csv"', ""))
    missing = holdfast("check")
    assert missing.code == 2
    assert "--data" in missing.err
    assert holdfast("check", "--data", "customers.csv").code == 0


def test_a_missing_contract_is_one_clear_error(holdfast):
    missing = holdfast("check", "nowhere.toml")
    assert missing.code == 2
    assert "nowhere.toml" in missing.err


@pytest.mark.usefixtures("shop")
def test_a_folder_that_cannot_be_written_is_code_2(holdfast, tmp_path):
    (tmp_path / "file").write_text("")
    assert holdfast("check", "--out", "file/below").code == 2
