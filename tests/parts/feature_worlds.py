"""Small random histories in canonical form, and features of them, for tests of features."""

from __future__ import annotations

import atexit
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st

from holdfast.contract.history import History
from holdfast.history import of_peers
from holdfast.history.compile import features_sql
from holdfast.history.moments import moments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INSTANT = pl.Datetime("us")
BEGIN = datetime(2024, 1, 1)  # noqa: DTZ001 - canonical times are naive UTC
AS_OF = tuple(BEGIN + timedelta(days=days) for days in (20, 100.5, 160))
"""Moments on the grid of the random times, so that events lie exactly at them, at the windows' edges and at
the begins of days, of which one is another moment."""

FEWEST = 2
"""Intervals that a level needs for a median here, where customers are few."""

CONTRACT = History.model_validate(
    {
        "name": "worlds",
        "clock": {"windows": [7, 30, 90]},
        "churn": {"event": "inactivity", "table": "payments", "horizon_days": 30},
        "economics": {"customer_value": 100, "contact_cost": 1, "offer_cost": 5, "success_rate": 0.2},
        "tables": {
            "people": {
                "kind": "customers", "source": "people.csv", "customer": "id", "begin": "joined",
                "columns": {
                    "segment": {"kind": "category", "levels": ["a", "b"]},
                    "born": {"kind": "date"},
                    "Score 1": {"kind": "integer"},
                    "vip": {"kind": "boolean"},
                },
            },
            "payments": {
                "kind": "events", "source": "payments.csv", "customer": "id", "id": "no", "time": "at",
                "known": "seen", "failures": {"status": ["failed"]},
                "columns": {
                    "amount": {"kind": "number"},
                    "items": {"kind": "integer"},
                    "status": {"kind": "category", "levels": ["paid", "failed"]},
                    "online": {"kind": "boolean"},
                    "settled": {"kind": "date"},
                },
            },
            "plans": {
                "kind": "intervals", "source": "plans.csv", "customer": "id", "id": "no", "begin": "start",
                "end": "stop", "known": "seen",
                "columns": {
                    "plan": {"kind": "category", "levels": ["S", "L"]},
                    "price": {"kind": "number"},
                    "auto": {"kind": "boolean"},
                    "term": {"kind": "date"},
                },
            },
        },
    }
)  # fmt: skip

CUSTOMERS = ("A", "B", "C")
_CLOCKS = {"_customer": pl.String, "_id": pl.String, "_known": INSTANT, "_superseded": INSTANT}
SCHEMAS = {
    "people": _CLOCKS
    | {"_begin": INSTANT, "_end": INSTANT, "segment": pl.String, "born": INSTANT, "Score 1": pl.Int64}
    | {"vip": pl.Boolean},
    "payments": _CLOCKS
    | {"_time": INSTANT, "amount": pl.Float64, "items": pl.Int64, "status": pl.String, "online": pl.Boolean}
    | {"settled": INSTANT},
    "plans": _CLOCKS
    | {"_begin": INSTANT, "_end": INSTANT, "plan": pl.String, "price": pl.Float64, "auto": pl.Boolean}
    | {"term": INSTANT},
}

_times = st.integers(0, 340).map(lambda half_days: BEGIN + timedelta(hours=12 * half_days))
_maybe_times = st.none() | _times
_money = st.none() | st.integers(-500, 100_000).map(lambda cents: cents / 100)
_late = st.sampled_from([0, 0, 0, 1, 30]).map(lambda days: timedelta(days=days))


@st.composite
def _payment(draw):
    at = draw(_times)
    return {
        "_customer": draw(st.sampled_from(CUSTOMERS)),
        "_id": str(draw(st.integers(0, 5))),
        "_time": at,
        "_known": at + draw(_late),
        "amount": draw(_money),
        "items": draw(st.none() | st.integers(-3, 9)),
        "status": draw(st.sampled_from(["paid", "failed", "other", None])),
        "online": draw(st.sampled_from([True, False, None])),
        "settled": draw(_maybe_times),
    }


@st.composite
def _plan(draw):
    begin = draw(_times)
    end = draw(_maybe_times)
    return {
        "_customer": draw(st.sampled_from(CUSTOMERS)),
        "_id": str(draw(st.integers(0, 5))),
        "_begin": begin,
        "_end": end if end is None or end >= begin else None,
        "_known": begin + draw(st.sampled_from([-10, 0, 0, 20]).map(lambda days: timedelta(days=days))),
        "plan": draw(st.sampled_from(["S", "L", None])),
        "price": draw(_money),
        "auto": draw(st.sampled_from([True, False, None])),
        "term": draw(_maybe_times),
    }


@st.composite
def _other_plan(draw):
    """With a plan and a price, so that there are medians; some of a customer who is in no spine."""
    return draw(_plan()) | {
        "_customer": draw(st.sampled_from([*CUSTOMERS, "E"])),
        "_id": str(draw(st.integers(10, 30))),
        "_end": draw(st.sampled_from([None, None, *AS_OF])),
        "plan": draw(st.sampled_from(["S", "S", "L"])),
        "price": draw(st.sampled_from([9.0, 9.0, 19.9, 0.0, 0.1, -3.5])),
    }


@st.composite
def _person(draw, name):
    begin = draw(_times)
    return {
        "_customer": name,
        "_id": name,
        "_begin": begin,
        "_end": None,
        "_known": begin,
        "segment": draw(st.sampled_from(["a", "b", None])),
        "born": draw(_maybe_times),
        "Score 1": draw(st.none() | st.integers(0, 5)),
        "vip": draw(st.sampled_from([True, False, None])),
    }


@st.composite
def worlds(draw) -> dict[str, pl.DataFrame]:
    """Canonical tables: versions, late news, ties, missing values, customers without anything."""
    rows = {
        "people": [draw(_person(name)) for name in CUSTOMERS],
        "payments": draw(st.lists(_payment(), max_size=12)),
        "plans": draw(st.lists(_plan(), max_size=6)) + draw(st.lists(_other_plan(), max_size=10)),
    }
    return {name: versions(pl.DataFrame(found, SCHEMAS[name])) for name, found in rows.items()}


def versions(frame: pl.DataFrame) -> pl.DataFrame:
    """One row an id, customer and known time, each superseded when the next became known."""
    keys = ["_customer", "_id", "_known"]
    ordered = frame.unique(keys, keep="first", maintain_order=True).sort(keys)
    following = pl.col("_known").shift(-1).over("_customer", "_id")
    return ordered.with_columns(_superseded=following)


def cut_down(tables: Mapping[str, pl.DataFrame], as_of: datetime) -> dict[str, pl.DataFrame]:
    """The tables as they were at a moment: without what became known later, happened or ended later."""
    found = {}
    for name, frame in tables.items():
        known = versions(frame.filter(pl.col("_known") <= as_of))
        start = "_time" if "_time" in frame.columns else "_begin"
        begun = known.filter(pl.col(start) < as_of)
        if "_end" in frame.columns:
            begun = begun.with_columns(pl.when(pl.col("_end") < as_of).then("_end").alias("_end"))
        found[name] = begun
    return found


def everyone(as_of: Sequence[datetime] = AS_OF) -> pl.DataFrame:
    """A spine of every customer at every moment, also of one of whom nothing is known."""
    rows = [(name, moment) for name in (*CUSTOMERS, "D") for moment in as_of]
    return pl.DataFrame(rows, {"_customer": pl.String, "as_of": INSTANT}, orient="row")


def features_of(tables: Mapping[str, pl.DataFrame], spine: pl.DataFrame) -> pl.DataFrame:
    """The generated features, sorted by customer and moment."""
    db = _database()
    for name, frame in tables.items():
        db.register(name, frame.to_arrow())
    db.register("spine", spine.to_arrow())
    as_of = spine["as_of"].unique().sort().to_list()
    db.register("moments", moments(CONTRACT, as_of).to_arrow())
    found = pl.DataFrame(db.sql(_sql()).to_arrow_table())
    return found.sort("_customer", "as_of")


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all tests: its tables are replaced each time. Left open at the end, DuckDB complains."""
    atexit.register(_database.cache_clear)
    return duckdb.connect(config={"threads": 2})


@cache
def _sql() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_peers, "FEWEST", FEWEST)
        return features_sql(CONTRACT)


def bits(frame: pl.DataFrame) -> list[bytes]:
    """Every value to its last bit, and which are missing."""
    found = []
    for column in frame.get_columns():
        found.append(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.Float64:
            found.append(column.fill_null(0.0).to_numpy().astype(np.float64).tobytes())
        else:
            found.append(repr(column.to_list()).encode())
    return found
