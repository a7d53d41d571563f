from __future__ import annotations

import polars as pl
import pytest

CONTRACT = """
version = 1
name = "club"
[clock]
until = 2024-09-01
[churn]
event = "end"
table = "memberships"
horizon_days = 30
lead_days = 7
[economics]
customer_value = 100
contact_cost = 1
offer_cost = 5
success_rate = 0.3
[tables.memberships]
kind = "intervals"
source = "memberships.csv"
customer = "member"
begin = "from"
end = "to"
"""


@pytest.fixture
def club(tmp_path):
    """A club of 360 members, of whom two thirds leave in the course of 2024."""
    lines = ["member,from,to"]
    for n in range(360):
        end = f"2024-{1 + n % 12:02}-20" if n % 3 else ""
        lines.append(f"m{n},2023-0{1 + n % 9}-01,{end}")
    lines += [",2023-01-01,", "m1,2023-01-01,2022-12-31", "m2,yesterday,"]
    (tmp_path / "memberships.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "churn.toml").write_text(CONTRACT)
    return tmp_path


@pytest.mark.usefixtures("club")
def test_it_tells_what_the_tables_hold_and_what_neighbouring_definitions_lead_to(process):
    done = process("check")
    assert done.code == 0
    assert "memberships: 363 rows, 360 usable, 3 rejected." in done.out
    assert "1 rejected: the end is before the begin" in done.out
    assert "Complete up to 2024-09-01 00:00 (UTC)." in done.out
    rows = [line.split() for line in done.out.splitlines() if line.strip().endswith("%")]
    definitions = [[word for word in row if word != "→"][:3] for row in rows]
    assert definitions[0] == ["30", "7", "0"]
    assert ["14", "7", "0"] in definitions
    assert ["30", "14", "0"] in definitions
    assert ["30", "7", "7"] in definitions
    assert "Note: The labels of 2 of 7 snapshots have not matured" in done.out
    assert "Reading memberships …" in done.err


@pytest.mark.usefixtures("club")
def test_the_rejects_are_a_file_and_with_json_all_is_one_document(holdfast, tmp_path):
    done = holdfast("check", "--json", "--out", tmp_path / "report")
    document = done.json()
    assert done.code == 0
    assert document["tables"]["memberships"]["kept"] == 360
    own, *others = document["definitions"]
    assert own["changed"] is None
    assert own["rate"] == own["churned"] / (own["churned"] + own["stayed"])
    assert {other["changed"] for other in others} == {"horizon_days", "lead_days", "grace_days"}
    assert document["passed"] is False
    assert document["until"] == "2024-09-01T00:00:00+00:00"
    assert all(snapshot["as_of"].endswith("T00:00:00+00:00") for snapshot in document["snapshots"])
    assert len(document["warnings"]) == 3
    rejects = pl.read_csv(document["files"]["rejects.csv"])
    assert rejects.select("table", "row", "reason").sort("row").rows() == [
        ("memberships", 361, "no customer id"),
        ("memberships", 362, "the end is before the begin"),
        ("memberships", 363, "the time cannot be read"),
    ]


@pytest.mark.usefixtures("club")
def test_strict_makes_a_warning_exit_code_3(holdfast):
    assert holdfast("check", "--strict").code == 3


def test_where_nothing_can_be_trained_the_exit_code_is_3_and_the_table_shows_why(holdfast, club):
    (club / "churn.toml").write_text(CONTRACT.replace("horizon_days = 30", "horizon_days = 1"))
    done = holdfast("check")
    assert done.code == 3
    assert "→ 7" in done.out
    assert "churned and" in done.err
    assert holdfast("check", "--json").json()["error"]["code"] == "history"


@pytest.mark.usefixtures("club")
def test_a_history_has_no_single_table_to_name(holdfast):
    done = holdfast("check", "--data", "memberships.csv")
    assert done.code == 2
    assert "several tables" in done.err


@pytest.fixture
def calls(club):
    """Every leaver of the club calls two days before; one in ten of the others calls at some time."""
    lines = ["member,at,about"]
    for n in range(360):
        if n % 3:
            lines.append(f"m{n},2024-{1 + n % 12:02}-18,goodbye")
        elif n % 10 == 0:
            lines.append(f"m{n},2024-{1 + n % 6:02}-11,question")
    (club / "calls.csv").write_text("\n".join(lines) + "\n")
    table = """
[tables.calls]
kind = "events"
source = "calls.csv"
customer = "member"
time = "at"
[tables.calls.columns]
about = { kind = "category" }
"""
    (club / "churn.toml").write_text(CONTRACT.replace("lead_days = 7", "lead_days = 1") + table)
    return club


@pytest.mark.usefixtures("calls")
def test_a_leak_is_told_with_its_column_level_and_what_to_do(process, holdfast):
    done = process("check")
    assert done.code == 0
    assert 'LEAK calls.about = "goodbye": a closing call' in done.out
    assert 'exclude = "leak: a closing call"' in done.out
    leaks = holdfast("check", "--json").json()["leaks"]
    assert [(leak["table"], leak["column"], leak["level"], leak["harmless"]) for leak in leaks] == [
        ("calls", "about", "goodbye", False)
    ]
    assert holdfast("check", "--strict").code == 3


def test_a_leak_that_the_contract_excludes_is_not_told_of(holdfast, calls):
    contract = calls / "churn.toml"
    text = contract.read_text()
    contract.write_text(text.replace('"category" }', '"category", exclude = "leak: a closing call" }'))
    assert [leak["column"] for leak in holdfast("check", "--json").json()["leaks"]] == [None]
    assert "about" not in holdfast("check").err
