from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from small_histories import history

from holdfast.history import build as building
from holdfast.history.build import build, record_contract
from holdfast.history.own_checks import QueryError
from holdfast.history.prepare import prepare
from holdfast.history.problems import HistoryError
from holdfast.progress import NullProgress
from holdfast.quality.conform import conform

CHURN = {"event": "inactivity", "table": "visits", "horizon_days": 30}
VISITS = {
    "kind": "events",
    "time": "at",
    "columns": {"amount": {"kind": "number"}, "shop": {"kind": "category", "levels": ["town", "web"]}},
}
OWN = "SELECT customer, SUM(amount) AS value FROM visits WHERE shop = 'web' GROUP BY customer"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a year of visits of 30 customers, and what was prepared of it."""
    folder = tmp_path_factory.mktemp("shop")
    lines = ["customer,at,amount,shop"]
    for n in range(1_500):
        day = date(2023, 1, 1) + timedelta(days=(n * n * 7) % 365)
        lines.append(f"C{n % 30:02},{day},{(n * 37) % 1000 / 10},{'town' if n % 3 else 'web'}")
    (folder / "visits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder, prepare(history({"visits": VISITS}, CHURN), folder, folder / "prepared")


@pytest.fixture
def contract():
    return history({"visits": VISITS}, CHURN, until=date(2024, 1, 1))


@pytest.fixture
def prepared(shop, contract):
    folder, _ = shop
    return prepare(contract, folder, folder / "prepared")


def test_a_build_has_a_row_for_everyone_eligible_at_each_snapshot_and_says_what_became_of_them(
    contract, prepared, tmp_path
):
    built = build(contract, prepared, tmp_path / "out.parquet")
    frame = built.frame()
    assert [moment.date() for moment in built.as_of] == [date(2023, month, 1) for month in range(4, 13)] + [
        date(2024, 1, 1)
    ]
    assert frame.height == built.rows == frame.unique(["customer", "as_of"]).height == 300
    assert frame.columns == [
        "customer",
        "as_of",
        *(f.name for f in built.features),
        "churned",
        "outcome",
        "left_at",
    ]
    assert set(frame.columns) - {"churned"} == set(built.contract.columns)
    assert frame.select("customer", "as_of").equals(
        frame.select("customer", "as_of").sort("customer", "as_of")
    )
    assert built.outcomes() == dict(frame["outcome"].value_counts().iter_rows())
    unfinished = frame.filter(pl.col("as_of").dt.date() >= date(2023, 12, 3))
    assert unfinished["outcome"].unique().to_list() == ["immature"]


def test_pieces_change_nothing(contract, prepared, tmp_path, monkeypatch):
    whole = build(contract, prepared, tmp_path / "whole.parquet").frame()
    monkeypatch.setattr(building, "PIECE", 1_000)
    steps = []

    class Counting(NullProgress):
        def start(self, name, total):
            steps.append((name, total))

    pieces = build(contract, prepared, tmp_path / "pieces.parquet", progress=Counting()).frame()
    assert steps[0][1] > 5
    assert pieces.equals(whole)


def test_with_less_memory_there_are_more_pieces_and_the_same_rows(contract, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "PIECE", 20_000)
    steps = []

    class Counting(NullProgress):
        def start(self, name, total):
            steps.append((name, total))

    found = [
        build(contract, prepared, tmp_path / "o.parquet", memory_mib=mib, progress=Counting()).frame()
        for mib in (4_096, 256)
    ]
    assert steps[0][1] == 1
    assert steps[1][1] > 8
    assert found[0].equals(found[1])


def test_one_moment_alone_equals_its_rows_among_all(contract, prepared, tmp_path):
    whole = build(contract, prepared, tmp_path / "whole.parquet").frame()
    moment = datetime(2023, 9, 1, tzinfo=UTC)
    alone = build(contract, prepared, tmp_path / "alone.parquet", as_of=[moment], labels=False)
    assert alone.outcomes() == {}
    same = whole.filter(pl.col("as_of") == moment.replace(tzinfo=None)).drop("churned", "outcome", "left_at")
    assert alone.frame().equals(same)


def test_the_derived_contract_reads_the_built_table(contract, prepared, tmp_path):
    built = build(contract, prepared, tmp_path / "out.parquet")
    matured = built.frame().filter(pl.col("churned").is_not_null())
    found = conform(matured, record_contract(contract), with_label=True)
    assert found.frame.height == matured.height
    assert found.rejects.height == 0


def test_ones_own_feature_is_a_column_like_others(contract, prepared, tmp_path):
    own = contract.model_copy(update={"features": {"web_money": OWN}})
    built = build(own, prepared, tmp_path / "out.parquet")
    row = built.frame().filter(pl.col("customer") == "C03").row(-1, named=True)
    visits = pl.read_parquet(prepared.file("visits")).filter(
        pl.col("_customer") == "C03", pl.col("shop") == "web", pl.col("_time") < row["as_of"]
    )
    assert row["web_money"] == pytest.approx(visits["amount"].sum())
    assert "web_money" in built.contract.inputs


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT customer, amount AS value FROM visits", "several rows for one customer"),
        (
            "SELECT DISTINCT customer, (SELECT COUNT(*) FROM visits) AS value FROM visits",
            "another value alone than among others",
        ),
        (
            "SELECT customer, RANK() OVER (ORDER BY SUM(amount)) AS value FROM visits GROUP BY customer",
            "another value alone than among others",
        ),
        (
            "SELECT customer, SUM(COUNT(*)) OVER (ORDER BY customer) AS value FROM visits GROUP BY 1",
            "another value alone than among others",
        ),
    ],
)
def test_a_query_that_is_not_of_one_customer_is_refused_and_nothing_is_written(
    contract, prepared, tmp_path, query, says
):
    own = contract.model_copy(update={"features": {"mine": query}})
    with pytest.raises(QueryError, match=says):
        build(own, prepared, tmp_path / "out" / "built.parquet")
    assert not list((tmp_path / "out").iterdir())


def test_moments_without_customers_or_beyond_the_tables_are_refused(contract, prepared, tmp_path):
    with pytest.raises(HistoryError, match="Nobody is eligible"):
        build(contract, prepared, tmp_path / "o.parquet", as_of=[datetime(2022, 1, 1, tzinfo=UTC)])
    with pytest.raises(HistoryError, match="lies after 2024-01-01 00:00"):
        build(contract, prepared, tmp_path / "o.parquet", as_of=[datetime(2024, 1, 2, tzinfo=UTC)])
    assert not list(tmp_path.iterdir())


def test_a_moment_that_is_asked_for_twice_changes_nothing(contract, prepared, tmp_path):
    day = datetime(2023, 9, 1, tzinfo=UTC)
    once = build(contract, prepared, tmp_path / "once.parquet", as_of=[day])
    twice = build(contract, prepared, tmp_path / "twice.parquet", as_of=[day, day])
    assert twice.as_of == once.as_of
    assert twice.frame().equals(once.frame())


def test_a_table_may_be_called_as_another_one_with_seen_behind_it(contract, shop, tmp_path):
    folder, _ = shop
    visits = contract.tables["visits"]
    both = contract.model_copy(update={"tables": {"visits": visits, "visits_seen": visits}})
    built = build(both, prepare(both, folder, tmp_path / "prepared"), tmp_path / "out.parquet")
    frame = built.frame()
    assert frame["visits_count_30d"].equals(frame["visits_seen_count_30d"].alias("visits_count_30d"))


@pytest.mark.parametrize("level", ["nan", "inf", "1e999", "much"])
def test_a_level_that_is_no_number_of_a_number_is_refused(level, prepared, tmp_path):
    given = history({"visits": VISITS}, CHURN | {"where": {"amount": [level]}}, until=date(2024, 1, 1))
    with pytest.raises(HistoryError, match=f"The levels {level} are no number values"):
        build(given, prepared, tmp_path / "out.parquet")
