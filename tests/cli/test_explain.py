from __future__ import annotations

import re

import pytest


@pytest.fixture
def explain(holdfast, trained):
    """Runs ``holdfast explain`` with the trained champion on its customers."""
    data = ("--data", trained.table, "--home", trained.home)
    return lambda *arguments: holdfast("explain", *arguments, *data)


def test_a_customer_is_explained_in_the_users_words(explain, trained):
    customer = trained.customers["customerID"][5]
    done = explain(customer)
    assert done.code == 0
    answer = trained.model.score(trained.customers[5])
    assert f"Customer {customer} (row 6): {answer.frame['churn_probability'].item():.1%}" in done.out
    assert "Raises it" in done.out or "Lowers it" in done.out
    assert "points" in done.out
    assert "█" in done.out


def test_one_reason_that_is_not_shown_is_one(explain, trained):
    customer = trained.customers["customerID"][5]
    ways = [reason["direction"] for reason in explain(customer, "--json").json()["reasons"]]
    way = max(("up", "down"), key=ways.count)
    told = explain(customer, "--top", str(ways.count(way) - 1)).out
    assert re.search(r"… and 1 weaker one +\n", told)


def test_json_has_the_models_own_figures(explain, trained):
    customer = trained.customers["customerID"][7]
    told = explain(customer, "--json").json()
    row = trained.customers[7]
    assert told["churn_probability"] == trained.model.score(row).frame["churn_probability"].item()
    assert (
        told["reasons"]
        == trained.model.explain(row)
        .select("feature", "value", "unit", "effect", "points", "direction")
        .to_dicts()
    )
    assert told["model"] == {"name": trained.model.name, "version": "v1"}


def test_a_row_number_does_as_well(explain, trained):
    customer = trained.customers["customerID"][7]
    by_row, by_id = explain("--row", "8", "--json").json(), explain(customer, "--json").json()
    assert by_row == by_id


@pytest.mark.parametrize(("name", "start"), [("why.svg", b"<?xml"), ("why.PNG", b"\x89PNG")])
def test_it_can_be_drawn(explain, tmp_path, name, start):
    done = explain("--row", "3", "--plot", f"plots/{name}")
    assert done.code == 0
    assert (tmp_path / "plots" / name).read_bytes().startswith(start)
    assert f"Plot: plots/{name}" in done.out
    assert [path.name for path in (tmp_path / "plots").iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "either an id or --row"),
        (["a", "--row", "1"], 2, "either an id or --row"),
        (["nobody"], 2, "no customer"),
        (["--row", "801"], 2, "from 1 to 800"),
        (["--row", "1", "--plot", "why.pdf"], 2, "ending"),
        (["--row", "1", "--model", "v9"], 2, "no version"),
    ],
)
def test_what_is_wrong_is_one_clear_error(explain, arguments, code, said):
    failed = explain(*arguments)
    assert failed.code == code
    assert said in failed.err
    assert "Traceback" not in failed.err


def test_a_row_that_cannot_be_scored_says_why(holdfast, trained, tmp_path):
    lines = trained.table.read_text().splitlines()[:3]
    names = lines[0].split(",")
    cells = lines[1].split(",")
    cells[names.index("tenure")] = "forever"
    (tmp_path / "t.csv").write_text("\n".join([lines[0], ",".join(cells)]) + "\n")
    failed = holdfast("explain", cells[names.index("customerID")], "--data", "t.csv", "--home", trained.home)
    assert failed.code == 3
    assert 'tenure "forever"' in failed.err
