from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlglot
from database_worlds import ALIKE_QUERIES, contract
from feature_worlds import CONTRACT

from holdfast.contract.types import Kind
from holdfast.history.feature import HistoryFeature
from holdfast.history.moments import moments
from holdfast.history.own import own_sql, shown_types
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
    "MAX(LOWER(status))",  # PostgreSQL's letters are those of its locale
    "MAX(UPPER(status))",
    "COUNT(*) FILTER (WHERE status ILIKE 'p%')",
    r"COUNT(*) FILTER (WHERE status LIKE 'a\_b')",  # a backslash is nothing, an escape
    "COUNT(*) FILTER (WHERE status LIKE '%' || status)",
    r"COUNT(*) FILTER (WHERE REGEXP_MATCHES(status, '\bfoo\b'))",  # the end of a word, a backspace
    "COUNT(*) FILTER (WHERE REGEXP_MATCHES(status, 'p.*d'))",  # of one line, of several
    "COUNT(*) FILTER (WHERE REGEXP_MATCHES(status, 'p', 'i'))",
    "COUNT(*) FILTER (WHERE REGEXP_MATCHES(status, '(?i)p'))",
    "COUNT(*) FILTER (WHERE status SIMILAR TO 'p.*')",
    "COUNT(*) FILTER (WHERE status GLOB 'p*')",
    "MAX(SUBSTRING(status, -2))",
    "MAX(LEFT(status, -1))",
    "MAX(TRIM(status))",  # all kinds of blanks, the blank
    "MAX(amount || 'x')",  # 1.0, 1
    "CASE WHEN CORR(amount, 1) > 0.5 THEN 1 ELSE 0 END",  # no number, missing
    "MAX(STRFTIME(at, '%I %p'))",
    "MAX(STRFTIME(at, 'Year %Y'))",
    "CASE WHEN MAX(at) < CAST('yesterday' AS DATE) THEN 1 ELSE 0 END",  # an error, yesterday
    "COUNT(*) FILTER (WHERE at < ' Yesterday')",
    "COUNT(*) FILTER (WHERE at IN ('2024-01-01', '1/2/2024'))",
    "DATE_DIFF('day', COALESCE(MAX(at), 'today 10:00'), :as_of)",
    "SUM(CAST(status AS DOUBLE))",
    "SUM(CAST(online AS DOUBLE))",
    "SUM(amount % 2)",
    "COUNT(*) % COUNT(amount)",
    "COUNT(*) // 7",
    "MAX(amount ** 0.5)",
    "MAX(amount, 3)[1]",
    "SUM(CAST(:as_of AS DATE) - CAST(at AS DATE))",  # days, a time
    "MAX(EXTRACT(day FROM :as_of - at))",
    "COUNT(*) FILTER (WHERE at + INTERVAL (COUNT(*)) DAY > :w30)",
]
UNLIKE_QUERIES = [
    "SELECT id AS customer, COUNT(*) AS value FROM payments GROUP BY ALL",
    "SELECT p.id AS customer, COUNT(*) AS value FROM payments AS p POSITIONAL JOIN plans AS q GROUP BY p.id",
    "SELECT id AS customer, COUNT(*) AS value FROM payments NATURAL JOIN plans GROUP BY id",
    "SELECT id AS customer, COUNT(*) OVER (ORDER BY items RANGE 2 PRECEDING) AS value FROM payments",
    "SELECT id AS customer, n AS value FROM (SELECT id, 1 AS n UNION BY NAME SELECT 2 AS n, id) AS p",
    "SELECT id AS customer, 1 AS value FROM (SELECT * EXCLUDE (amount) FROM payments) AS p GROUP BY id",
]


def written(value):
    return f"SELECT id AS customer, {value} AS value FROM payments GROUP BY id"  # noqa: S608 - ours


@pytest.mark.parametrize("query", [*map(written, UNLIKE), *UNLIKE_QUERIES])
@pytest.mark.parametrize("engine", ["postgres", "spark"])
def test_what_engines_mean_differently_is_refused_with_its_name_for_other_engines_alone(query, engine):
    history = CONTRACT.model_copy(update={"features": {"mine": query}})
    feature = HistoryFeature("mine", None, Kind.NUMBER, "", "Mine.", query=query)
    looks = moments(history, [datetime(2024, 6, 1, tzinfo=UTC)]).to_dicts()
    assert own_sql(history, feature, looks)
    with pytest.raises(QueryError, match=f"something else in {engine}") as told:
        own_sql(history, feature, looks, dialect=engine)
    assert told.value.where == "[features], mine"
    assert "--engine duckdb" in told.value.hint


@pytest.mark.parametrize("query", ALIKE_QUERIES.values())
def test_what_they_mean_alike_is_not(query):
    insist_alike(query, "spark", "mine", shown_types(contract("end", "UTC")))


def test_all_that_may_be_used_is_in_a_query_that_engines_are_held_to():
    held = {
        type(one)
        for query in ALIKE_QUERIES.values()
        for one in sqlglot.parse_one(query, read="duckdb").walk()
    }
    assert held >= ALIKE
