from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from holdfast.simulator import simulate

ROOT = Path(__file__).resolve().parents[2]


def demo(place, **settings):
    given = {"PATH": os.environ["PATH"], "PLACE": str(place), "SERVE": "0", "BUDGET": "2s", **settings}
    script = str(ROOT / "scripts" / "demo.py")
    command = [sys.executable, script]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)  # noqa: S603 - ours


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A table of one's own in a folder with a blank, and what the demo made of it."""
    folder = tmp_path_factory.mktemp("my data")
    table = folder / "our customers.csv"
    simulate(600, seed=3).customers.rename({"Churn": "Left us"}).write_csv(table)
    return folder, table, demo(folder / "out", DATA=str(table), LABEL="Left us")


def test_the_demo_runs_the_main_job_in_any_folder(own):
    folder, table, done = own
    assert done.returncode == 0, done.stderr
    place = folder / "out" / "our customers"
    assert pl.read_csv(place / "scored.csv").height == 600
    assert {path.name for path in folder.iterdir()} == {"our customers.csv", "out"}, (
        "nothing beside the table"
    )
    for command in ("init", "check", "train", "score"):
        assert f"\n$ holdfast {command}" in done.stdout
    assert "holdfast explain " in done.stdout
    assert f"'{table}'" in done.stdout, "commands can be typed as they are shown"


def test_an_edited_contract_is_kept_and_a_second_version_waits(own):
    folder, table, _ = own
    contract = folder / "out" / "our customers" / "churn.toml"
    edited = contract.read_text(encoding="utf-8").replace("contact_cost = 1 ", "contact_cost = 2 ")
    contract.write_text(edited, encoding="utf-8")
    done = demo(folder / "out", DATA=str(table), LABEL="Left us")
    assert done.returncode == 0, done.stderr
    assert contract.read_text(encoding="utf-8") == edited
    assert "holdfast models promote v2" in done.stdout


def test_an_edited_contract_of_another_label_stops_the_demo(own):
    folder, table, _ = own
    done = demo(folder / "out", DATA=str(table), LABEL="gender")
    assert done.returncode == 2
    assert 'about the label "Left us"' in done.stderr


def test_a_command_that_fails_ends_the_demo_with_its_exit_code(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    done = demo(tmp_path / "out", DATA=str(tmp_path / "empty.csv"), LABEL="Churn")
    assert done.returncode == 3
    assert "holdfast init left with exit code 3" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["empty.csv"], "no empty folder is left"


def test_a_table_that_is_not_there_is_told_and_nothing_is_made(tmp_path):
    done = demo(tmp_path / "out", DATA=str(tmp_path / "absent.csv"), LABEL="Churn")
    assert done.returncode == 2
    assert "absent.csv" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_table_needs_its_label(tmp_path):
    (tmp_path / "customers.csv").write_text("a\n1\n")
    done = demo(tmp_path, DATA=str(tmp_path / "customers.csv"))
    assert done.returncode == 2
    assert "LABEL=" in done.stderr
