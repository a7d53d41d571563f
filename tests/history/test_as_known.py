"""Labels as they were known at an earlier moment are those of the tables as they were then."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest
from feature_worlds import AS_OF, BEGIN, CONTRACT, cut_down, worlds
from hypothesis import given, settings
from small_histories import history, labelled, spine_and_labels

from holdfast.contract.history import History
from holdfast.history.as_known import labels_as_known
from holdfast.history.labels import final_before
from holdfast.history.moments import moments
from holdfast.history.prepared import Prepared, TableCounts

AT = [BEGIN + timedelta(days=days) for days in (50, 115, 150.5, 200)]
UNTIL = BEGIN + timedelta(days=400)
ENDS = {"event": "end", "table": "plans", "horizon_days": 20, "lead_days": 5}
CHURN = {
    "ends": ENDS,
    "ends, with grace": ENDS | {"grace_days": 10},
    "cancellations": {
        "event": "cancellation", "table": "payments", "where": {"status": ["failed"]}, "horizon_days": 30,
        "returns": "plans", "grace_days": 7,
    },
    "inactivity": {"event": "inactivity", "table": "payments", "horizon_days": 30},
}  # fmt: skip


def with_walls(tables):
    """Canonical tables have each time by the wall clock too; in UTC it is the same."""
    return {
        name: frame.with_columns(
            pl.col(column).alias(f"{column}_wall")
            for column in ("_time", "_begin", "_end")
            if column in frame.columns
        )
        for name, frame in tables.items()
    }


def prepared_of(tables, folder):
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    counts = {name: TableCounts(frame.height, frame.height) for name, frame in tables.items()}
    return Prepared(folder, counts, folder / "rejects.csv", BEGIN, UNTIL)


@pytest.mark.parametrize("kind", CHURN)
@settings(max_examples=15, deadline=None)
@given(tables=worlds())
def test_labels_as_known_equal_those_of_the_tables_cut_down_to_that_moment(kind, tables, tmp_path_factory):
    contract = History.model_validate(
        CONTRACT.model_dump(mode="json", exclude_none=True) | {"churn": CHURN[kind]}
    )
    tables = with_walls(tables)
    prepared = prepared_of(tables, tmp_path_factory.mktemp("world"))
    found = labels_as_known(contract, prepared, AS_OF, AT)
    known = moments(contract, AS_OF).select("as_of", "label_known")
    _, now = spine_and_labels(contract, tables, AS_OF, UNTIL)
    for at in AT:
        over = [as_of for as_of, told in known.iter_rows() if told <= at]
        part = found.filter(pl.col("at") == at)
        if not over:
            assert not part.height
            continue
        _, then = spine_and_labels(contract, with_walls(cut_down(tables, at)), over, at)
        keys = ["_customer", "as_of"]
        final = pl.col("left_at") < final_before(contract, at)
        seen = now.with_columns(pl.when(final).then("left_at").alias("left_at"))
        both = then.join(seen, on=keys, how="left", suffix="_now")
        assert both.height == then.height  # who was eligible at as_of is so by what was known at as_of
        otherwise = both.filter(
            pl.col("churned").ne_missing(pl.col("churned_now"))
            | pl.col("left_at").ne_missing(pl.col("left_at_now"))
        )
        wanted = otherwise.select(*keys, "churned", "left_at").sort(keys).rows()
        assert (
            part.select("customer", "as_of", "churned", "left_at").sort("customer", "as_of").rows() == wanted
        )


SPELLS = """id,customer,begin,end,known
1,told in time,2023-01-01,,2023-01-01
1,told in time,2023-01-01,2024-01-10,2024-01-10
2,told late,2023-01-01,,2023-01-01
2,told late,2023-01-01,2024-01-10,2024-03-05
3,withdrawn,2023-01-01,,2023-01-01
3,withdrawn,2023-01-01,2024-01-10,2024-01-10
3,withdrawn,2023-01-01,,2024-03-05
4,gone and told late,2023-01-01,,2023-01-01
4,gone and told late,2023-01-01,2023-12-20,2024-03-05
5,stays,2023-01-01,,2023-01-01
"""
TABLE = {"kind": "intervals", "begin": "begin", "end": "end", "id": "id", "known": "known"}


@pytest.fixture
def ends(tmp_path):
    churn = {"event": "end", "table": "spells", "horizon_days": 30}
    contract = history({"spells": TABLE}, churn, snapshots=["2024-01-01"], until="2024-06-01")
    return labelled(contract, tmp_path, {"spells.csv": SPELLS})


def otherwise(found, *days):
    at = [datetime.fromisoformat(day) for day in days]
    as_of = found.spine["as_of"].unique().to_list()
    rows = labels_as_known(found.history, found.prepared, as_of, at)
    return {(f"{at:%m-%d}", who): churned for who, _, at, churned, _ in rows.iter_rows()}


def test_an_end_counts_from_the_day_it_was_told(ends):
    assert dict(ends.labels.select("_customer", "churned").iter_rows()) == {
        "told in time": 1, "told late": 1, "withdrawn": 0, "gone and told late": None, "stays": 0
    }  # fmt: skip
    before = {("02-01", "told late"): 0, ("02-01", "withdrawn"): 1, ("02-01", "gone and told late"): 0}
    assert otherwise(ends, "2024-02-01") == before
    # the 5th is known by its end
    assert {who for _, who in otherwise(ends, "2024-03-05T23:59:59")} == {who for _, who in before}
    assert otherwise(ends, "2024-01-30", "2024-03-06") == {}


def test_where_nothing_is_told_late_nothing_is_looked_up(ends, monkeypatch):
    plain = ends.history.tables["spells"].model_copy(update={"id": None, "known": None})
    contract = ends.history.model_copy(update={"tables": {"spells": plain}})
    monkeypatch.setattr("holdfast.history.as_known.opened", None)
    assert otherwise(replace(ends, history=contract), "2024-02-01") == {}
