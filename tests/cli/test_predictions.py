from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from logged import log_rows

from holdfast import audit
from holdfast.store import open_store


@pytest.fixture
def home(tmp_path):
    return tmp_path / ".holdfast"


@pytest.fixture
def engine(home):
    opened = open_store(home)
    yield opened
    opened.dispose()


@pytest.fixture
def rows(engine):
    return log_rows(engine, 12)


def test_the_newest_are_listed_and_the_cursor_goes_on(holdfast, rows):
    first = holdfast("predictions", "--json").json()
    assert [each["prediction_id"] for each in first["predictions"]] == [row["id"] for row in reversed(rows)]
    assert first["next"] is None
    page = holdfast("predictions", "list", "--limit", 5, "--json").json()
    rest = holdfast("predictions", "list", "--cursor", page["next"], "--json").json()
    assert len(page["predictions"]) == 5
    assert len(rest["predictions"]) == 7
    shown = holdfast("predictions", "list", "--limit", 5)
    assert page["next"] in shown.err
    assert shown.out.count("2026-01-31 12:00:") == 5


def test_filters_hold(holdfast, rows):
    def many(*options):
        return len(holdfast("predictions", "list", *options, "--json").json()["predictions"])

    customer = rows[0]["customer_id"]
    assert many("--customer", customer) == sum(row["customer_id"] == customer for row in rows)
    assert many("--since", "2026-01-31T12:00:06Z") == 6
    assert many("--until", "2026-01-31T13:00:06+01:00") == 6
    assert many("--since", "2026-02-01") == 0
    assert many("--will-churn") + many("--will-stay") == 12
    assert many("--will-churn") == sum(row["will_churn"] for row in rows)
    assert many("--min-probability", "0.5") == sum(row["probability"] >= 0.5 for row in rows)
    assert many("--model-version", "v1") == sum(row["version"] == "v1" for row in rows)
    assert many("--key", "key:crm") == sum(row["key_id"] == "key:crm" for row in rows)
    assert "Nothing" in holdfast("predictions", "list", "--customer", "nobody").out


def test_one_is_shown(holdfast, rows):
    assert (
        holdfast("predictions", "show", rows[3]["id"], "--json").json()["prediction"]["record"]["tenure"] == 3
    )
    assert "tenure" in holdfast("predictions", "show", rows[3]["id"]).out
    missing = holdfast("predictions", "show", "019c")
    assert missing.code == 2
    assert "no such prediction" in missing.err


@pytest.mark.parametrize("wrong", [["--since", "yesterday"], ["--cursor", "AAAA"], ["--limit", "0"]])
def test_a_wrong_option_is_one_clear_block(holdfast, rows, wrong):
    del rows
    assert holdfast("predictions", "list", *wrong).code == 2


def test_an_export_leaves_a_trace(holdfast, engine, rows):
    assert holdfast("predictions", "export", "all.parquet", "--customer", rows[0]["customer_id"]).code == 0
    (entry,) = audit.entries(engine, action="predictions.export")
    assert entry.actor.startswith("cli:")
    assert (entry.subject, entry.detail["filters"]) == ("parquet", {"customer": "one"})


def test_an_export_goes_where_it_is_told_or_where_an_erasure_finds_it(holdfast, home, rows, tmp_path):
    done = holdfast("predictions", "export", "--json").json()
    (ours,) = (home / "exports").iterdir()
    assert done["out"].endswith(f".holdfast/exports/{ours.name}")
    assert pl.read_csv(ours).height == 12
    for name in ("all.parquet", "all.ndjson"):
        assert holdfast("predictions", "export", name, "--since", "2026-01-31T12:00:06Z").code == 0
    assert pl.read_parquet(tmp_path / "all.parquet").height == 6
    lines = (tmp_path / "all.ndjson").read_text().splitlines()
    assert {json.loads(line)["prediction_id"] for line in lines} == {row["id"] for row in rows[6:]}
    again = holdfast("predictions", "export", "all.parquet")
    assert (again.code, "--force" in again.err) == (2, True)
    assert holdfast("predictions", "export", "all.parquet", "--force").code == 0
    assert holdfast("predictions", "export", "all.xlsx").code == 2
    customer = rows[0]["customer_id"]
    assert holdfast("erase", customer, "--yes").code == 0
    assert customer not in pl.read_csv(ours)["customer_id"].to_list()


def test_old_ones_are_archived(holdfast, home, engine):
    now = datetime.now(UTC)
    old = now - timedelta(days=200)
    log_rows(engine, 12, start=old.replace(hour=12))
    log_rows(engine, 4, start=now - timedelta(days=50), seed=2)
    log_rows(engine, 3, start=now - timedelta(days=1), seed=3)
    done = holdfast("predictions", "archive", "--json").json()
    assert (done["predictions"], done["days"]) == (12, [f"{old:%Y-%m-%d}"])
    assert "4 predictions" in holdfast("predictions", "archive", "--days", 40).out
    assert len(list((home / "archive").glob("*.parquet"))) in (2, 3)
    assert {entry.actor.split(":")[0] for entry in audit.entries(engine, action="predictions")} == {"cli"}


def test_without_a_database_it_says_so_and_makes_none(holdfast, home):
    for line in (["list"], ["export"], ["archive"], ["show", "x"]):
        assert holdfast("predictions", *line).code == 2
    assert not home.exists()
