from __future__ import annotations

import sys
from datetime import date, datetime, timedelta

import duckdb
import polars as pl
import pytest

from holdfast.contract.load import load_history
from holdfast.history.moments import moments

CONTRACT = """
version = 1
name = "shop"

[churn]
event = "inactivity"
table = "visits"
horizon_days = 30

[economics]
customer_value = 100
contact_cost = 1
offer_cost = 5
success_rate = 0.2

[tables.visits]
kind = "events"
source = "visits.csv"
customer = "customer"
time = "at"

[tables.visits.columns]
amount = { kind = "number" }

[features]
large = "large.sql"
"""
LARGE = """-- Visits ever that cost more than 50.
SELECT customer, COUNT(*) AS value
FROM visits
WHERE amount > 50
GROUP BY customer
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "churn.toml").write_text(CONTRACT)
    (tmp_path / "large.sql").write_text(LARGE)
    days = [date(2023, 1, 1) + timedelta(days=(n * 7) % 300) for n in range(400)]
    rows = [f"C{n % 20},{day},{n % 100}.5" for n, day in enumerate(days)]
    (tmp_path / "visits.csv").write_text("\n".join(["customer,at,amount", *rows, ",2023-01-01,1"]))
    return tmp_path


def test_build_writes_one_row_a_customer_as_of_a_day_and_counts_what_it_rejected(holdfast, shop):
    done = holdfast("features", "build", "churn.toml", "--as-of", "2023-06-01", "--json")
    assert done.code == 0, done.err
    answer = done.json()
    frame = pl.read_parquet(shop / "features.parquet")
    assert answer["rows"] == frame.height == 20
    assert answer["features"] == len(frame.columns) - 5
    assert sum(answer["outcomes"].values()) == 20
    assert answer["rejected"] == {"visits": {"no customer id": 1}}
    assert frame["large"].sum() > 0


def test_build_of_all_snapshots_tells_how_many_rows_and_what_became_of_them(holdfast, shop):
    done = holdfast("features", "build", "--out", "all.parquet", "--quiet")
    assert done.code == 0, done.err
    frame = pl.read_parquet(shop / "all.parquet")
    assert f"{frame.height:,} rows with" in done.out
    assert "stayed" in done.out
    assert "1 rows of the tables were rejected" in done.out
    assert done.err == ""


@pytest.mark.usefixtures("shop")
def test_show_tells_meaning_unit_and_the_sql_of_each_engine(holdfast):
    done = holdfast("features", "show", "visits_amount_sum_90d")
    assert done.code == 0
    assert done.out.startswith(
        "visits_amount_sum_90d  [amount]\nSum of amount of the visits in the last 90 days"
    )
    assert all(f"-- {engine}" in done.out for engine in ("duckdb", "postgres", "spark"))
    one = holdfast("features", "show", "visits_days_since_last", "--engine", "spark", "--json").json()
    assert list(one["feature"]["sql"]) == ["spark"]
    assert "UNIX_MICROS" in one["feature"]["sql"]["spark"]


def test_what_show_prints_gives_what_build_writes_where_it_says_that_the_tables_are(holdfast, shop):
    assert holdfast("features", "build", "--as-of", "2023-06-01").code == 0
    built = pl.read_parquet(shop / "features.parquet")
    spine = built.select(_customer="customer", as_of="as_of")
    as_of = moments(load_history(shop / "churn.toml"), [datetime(2023, 6, 1)])  # noqa: DTZ001 - a wall clock's
    with duckdb.connect() as db:
        db.register("spine", spine.to_arrow())
        db.register("moments", as_of.to_arrow())
        for name in ("visits_amount_sum_90d", "visits_amount_mean_last30", "visits_gap_sd"):
            said = holdfast("features", "show", name, "--engine", "duckdb").out
            folder = said.partition("files in ")[2].partition(",")[0]
            db.execute(f"CREATE OR REPLACE VIEW visits AS FROM '{shop / folder}/visits.parquet'")
            found = pl.DataFrame(db.sql(said.partition("-- duckdb")[2]).to_arrow_table())
            assert found.sort("_customer")[name].equals(built.sort("customer")[name])


@pytest.mark.usefixtures("shop")
def test_the_lines_of_sql_stay_whole_on_a_narrow_terminal(holdfast, monkeypatch):
    asked = ("features", "show", "visits_amount_sum_90d", "--engine", "postgres")
    sql = holdfast(*asked, "--json").json()["feature"]["sql"]["postgres"]
    assert max(map(len, sql.splitlines())) > 110
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert sql in holdfast(*asked).out


@pytest.mark.usefixtures("shop")
def test_show_of_ones_own_feature_is_its_query_and_its_comment(holdfast):
    done = holdfast("features", "show", "large", "--engine", "duckdb")
    assert LARGE.strip() in done.out
    assert "Visits ever that cost more than 50." in done.out.splitlines()[1]


@pytest.mark.usefixtures("shop")
def test_list_has_every_feature_with_its_meaning(holdfast):
    found = holdfast("features", "list", "--json").json()["features"]
    assert {"visits_count_30d", "large"} <= {feature["name"] for feature in found}
    assert all(feature["doc"] for feature in found)
    table = holdfast("features", "list", "churn.toml", "--table", "visits").out
    assert "visits_count_30d" in table
    assert "large" not in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "visits_cout_30d"), "visits_count_30d"),
        (("show", "large", "--engine", "oracle"), "oracle"),
        (("list", "--table", "visit"), "visits"),
        (("build", "--as-of", "2033-01-01"), "lies after"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_what_is_not_there_is_told_with_the_nearest(holdfast, arguments, says):
    done = holdfast("features", *arguments)
    assert done.code in (2, 3)
    assert says in done.err


def test_a_query_that_reads_the_future_is_told_with_its_file_and_line(holdfast, shop):
    (shop / "large.sql").write_text(LARGE.replace("amount > 50", "at > :as_of"))
    done = holdfast("features", "build")
    assert done.code == 3
    assert "reads the future" in done.err
    assert "large.sql, line 4" in done.err
    assert not (shop / "features.parquet").exists()
