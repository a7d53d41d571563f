from __future__ import annotations

import pytest
import sqlglot
from database_worlds import ALIKE_QUERIES
from feature_worlds import CONTRACT

from holdfast.history.compile import feature_sql
from holdfast.history.moments import moments
from holdfast.history.own import own_features, own_sql
from holdfast.history.own_alike import ALIKE, insist_alike
from holdfast.history.own_checks import QueryError

UNLIKE = [
    "DATE_DIFF('week', MIN(at), :as_of)",  # weeks' begins in DuckDB, whole weeks elsewhere
    "LOG(COUNT(*))",  # of base 10, of base e
    "CAST(AVG(amount) AS INTEGER)",  # rounded, cut off
    "COUNT_IF(status = 'failed')",  # of nothing missing, 0
    "MAX(DAYOFWEEK(at))",  # from 0, from 1
    "SUM(EXTRACT(dow FROM at))",
    "ARG_MAX(amount, at)",  # PostgreSQL has none
    "MAX(TRY_CAST(status AS DOUBLE))",  # an error in PostgreSQL
    "SKEWNESS(amount)",
    "ROUND(AVG(amount), -1)",
    "ROUND(AVG(amount), 1 + 1)",
    "HASH(COUNT(*))",
]


def written(value):
    return f"SELECT id AS customer, {value} AS value FROM payments GROUP BY id"  # noqa: S608 - ours


@pytest.mark.parametrize("value", UNLIKE)
@pytest.mark.parametrize("engine", ["postgres", "spark"])
def test_what_engines_mean_differently_is_refused_with_its_name_for_other_engines_alone(value, engine):
    history = CONTRACT.model_copy(update={"features": {"mine": written(value)}})
    (feature,) = own_features(history)
    looks = moments(history, []).to_dicts() or [{"as_of": None}]
    assert feature_sql(history, feature)
    with pytest.raises(QueryError, match=f"something else in {engine}") as told:
        own_sql(history, feature, looks, dialect=engine)
    assert told.value.where == "[features], mine"
    assert "--engine duckdb" in told.value.hint


@pytest.mark.parametrize("query", ALIKE_QUERIES.values())
def test_what_they_mean_alike_is_not(query):
    insist_alike(query, "spark", "mine")


def test_each_function_that_may_be_used_is_in_a_query_that_engines_are_held_to():
    held = {
        type(one)
        for query in ALIKE_QUERIES.values()
        for one in sqlglot.parse_one(query, read="duckdb").walk()
    }
    assert set(ALIKE) <= held
