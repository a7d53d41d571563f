from __future__ import annotations

from datetime import timedelta

import duckdb
import polars as pl
import pytest
from feature_worlds import AS_OF, BEGIN, CONTRACT, SCHEMAS, cut_down, everyone, versions, worlds
from hypothesis import given, settings

from holdfast.contract.types import Kind
from holdfast.errors import ContractError
from holdfast.history.catalogue import catalogue
from holdfast.history.feature import HistoryFeature
from holdfast.history.moments import moments
from holdfast.history.own import own_features, own_sql
from holdfast.history.own_checks import QueryError

GOOD = """-- Money paid online in the last 30 days.
SELECT p.id AS customer, SUM(p.amount) AS value
FROM payments AS p
WHERE p.online AND p.at >= :w30
GROUP BY p.id
"""


def written(query, **more):
    return CONTRACT.model_copy(update={"features": {"mine": query} | more})


def refused(query):
    with pytest.raises(QueryError) as error:
        own_features(written(query))
    return error.value


def values_of(contract, tables, as_of=AS_OF):
    return values_by(own_features(contract)[0], contract, tables, as_of)


def values_by(feature, contract, tables, as_of):
    spine = everyone(as_of)
    with duckdb.connect() as db:
        for name, frame in tables.items():
            db.register(name, frame.to_arrow())
        db.register("spine", spine.to_arrow())
        text = own_sql(contract, feature, moments(contract, list(as_of)).to_dicts())
        found = pl.DataFrame(db.sql(text).to_arrow_table())
    return {(row["_customer"], row["as_of"]): row["value"] for row in found.to_dicts()}


def test_a_query_gives_a_feature_with_its_comment_as_its_meaning_and_a_kind_known_without_data():
    (feature,) = own_features(written(GOOD))
    assert (feature.name, feature.kind, feature.doc) == (
        "mine",
        Kind.NUMBER,
        "Money paid online in the last 30 days.",
    )
    counted = "SELECT id AS customer, COUNT(*) AS value FROM payments GROUP BY 1"
    said = "SELECT id AS customer, MAX(segment) AS value FROM people GROUP BY 1"
    asked = "SELECT id AS customer, BOOL_OR(online) AS value FROM payments GROUP BY 1"
    kinds = [own_features(written(query))[0].kind for query in (counted, said, asked)]
    assert kinds == [Kind.INTEGER, Kind.CATEGORY, Kind.BOOLEAN]


def test_a_query_sees_only_what_was_known_and_its_parameters_are_those_of_the_moment():
    first = {"_customer": "A", "_id": "1", "_time": BEGIN, "_known": BEGIN, "amount": 10.0, "online": True}
    corrected = first | {"amount": 7.0, "_known": AS_OF[0] + timedelta(days=1)}
    late = first | {"_id": "2", "amount": 100.0, "_known": AS_OF[0] + timedelta(days=1)}
    payments = versions(pl.DataFrame([first, corrected, late], SCHEMAS["payments"]))
    tables = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()} | {"payments": payments}
    later = AS_OF[0] + timedelta(days=5)
    assert values_of(written(GOOD), tables, (AS_OF[0], later, AS_OF[1])) == {
        ("A", AS_OF[0]): 10.0,
        ("A", later): 107.0,
    }


def test_an_end_that_is_not_yet_past_is_missing():
    plan = {"_customer": "A", "_id": "1", "_begin": BEGIN, "_known": BEGIN, "_end": AS_OF[1]}
    plans = versions(pl.DataFrame([plan], SCHEMAS["plans"]))
    tables = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()} | {"plans": plans}
    ended = "SELECT id AS customer, BOOL_OR(stop IS NOT NULL) AS value FROM plans GROUP BY id"
    assert values_of(written(ended), tables) == {
        ("A", AS_OF[0]): False,
        ("A", AS_OF[1]): False,
        ("A", AS_OF[2]): True,
    }


@settings(max_examples=10, deadline=None)
@given(worlds())
def test_a_query_of_the_whole_equals_that_of_what_was_known_then(tables):
    query = """WITH latest AS (SELECT id, MAX(start) AS start FROM plans WHERE stop IS NULL GROUP BY id)
    SELECT q.id AS customer, COUNT(p.no) + COUNT(*) FILTER (WHERE p.seen > p.at) AS value
    FROM latest AS q LEFT JOIN payments AS p ON p.id = q.id AND p.at >= q.start GROUP BY q.id"""
    contract = written(query.replace("p.no", "p.status"))
    for as_of in AS_OF:
        assert values_of(contract, tables, [as_of]) == values_of(contract, cut_down(tables, as_of), [as_of])


_COUNTED = "SELECT id AS customer, COUNT(*) AS value FROM {}\nWHERE {} GROUP BY id"
FUTURE = {
    "later than as_of": _COUNTED.format("payments", "at > :as_of"),
    "at as_of or after": _COUNTED.format("payments", ":as_of <= at"),
    "days after": _COUNTED.format("payments", "at >= :as_of + INTERVAL 3 DAY"),
    "between": _COUNTED.format("payments", "at BETWEEN :as_of AND :as_of + INTERVAL 9 DAY"),
    "an end to come": _COUNTED.format("plans", "stop > :as_of"),
    "known later": _COUNTED.format("payments", "seen > :as_of"),
}


_VALUE = "SELECT id AS customer,\n{} AS value FROM payments GROUP BY id"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("first(amount)", "first of rows in no order"),
        ("last(amount)", "last of rows"),
        ("any_value(amount)", "any_value of rows"),
        ("arbitrary(amount)", "arbitrary of rows"),
        ("string_agg(status, ',')", "of rows in no order"),
        ("len(list(amount))", "of rows in no order"),
    ],
)
def test_what_takes_rows_in_no_order_is_refused(value, says):
    assert says in refused(_VALUE.format(value)).message


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a FROM r) SELECT 1 AS customer",
            "calls itself",
        ),
        ("SELECT id AS customer, lag(amount) OVER (PARTITION BY id) AS value FROM payments", "lag of rows"),
        ("SELECT id AS customer, amount AS value FROM payments LIMIT 3", "LIMIT and no ORDER BY"),
        ("SELECT DISTINCT ON (id) id AS customer, amount AS value FROM payments", "DISTINCT ON and no"),
        (
            "SELECT id AS customer, 1 AS value FROM (SELECT * FROM payments OFFSET 1)",
            "OFFSET and no ORDER BY",
        ),
        (
            "SELECT id AS customer, 1 AS value FROM (FROM payments UNION ALL FROM payments LIMIT 3)",
            "LIMIT and no ORDER BY",
        ),
        (
            "SELECT p.id AS customer, 1 AS value FROM payments AS p POSITIONAL JOIN people AS q",
            "joins rows by their position",
        ),
    ],
)
def test_queries_that_may_not_end_or_take_any_rows_are_refused(query, says):
    assert says in refused(query).message


@pytest.mark.parametrize(
    "value",
    [
        "first(amount ORDER BY at)",
        "last(amount ORDER BY at)",
        "len(string_agg(status, ',' ORDER BY status))",
        "max(amount) FILTER (WHERE online)",
    ],
)
def test_what_says_its_order_may_be_used(value):
    assert own_features(written(_VALUE.format(value)))
    ranked = (
        "SELECT id AS customer, amount AS value FROM (SELECT id, amount, row_number() OVER (PARTITION BY id "
        "ORDER BY at) AS place FROM payments) WHERE place = 1"
    )
    assert own_features(written(ranked))


@pytest.mark.parametrize("word", ["user", "today", "error", "random", "now"])
def test_a_text_may_be_any_word(word):
    counted = f"SELECT id AS customer, COUNT(*) AS value FROM payments WHERE status = '{word}' GROUP BY 1"  # noqa: S608 - ours
    assert own_features(written(counted))[0].kind is Kind.INTEGER


def test_tables_that_are_joined_in_brackets_stay_joined_and_have_any_case():
    row = {"_customer": "A", "_id": "1", "_time": BEGIN, "_known": BEGIN, "amount": 10.0, "online": True}
    payments = versions(pl.DataFrame([row, row | {"_id": "2"}], SCHEMAS["payments"]))
    tables = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()} | {"payments": payments}
    joined = (
        "SELECT P.id AS customer, COUNT(*) AS value "
        "FROM (Payments AS p JOIN PAYMENTS AS q ON q.id = p.id) GROUP BY 1"
    )
    assert values_of(written(joined), tables, AS_OF[:1]) == {("A", AS_OF[0]): 4}


def test_even_a_query_that_no_check_has_seen_finds_nothing_of_later_behind_the_name_of_a_table():
    row = {"_customer": "A", "_id": "1", "_time": BEGIN, "_known": BEGIN, "amount": 10.0, "online": True}
    later = row | {"_id": "2", "_time": AS_OF[2], "_known": AS_OF[2]}
    payments = versions(pl.DataFrame([row, later], SCHEMAS["payments"]))
    tables = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()} | {"payments": payments}
    query = """WITH Payments AS (SELECT id, SUM(amount) AS s FROM Payments GROUP BY 1)
    SELECT id AS customer, s AS value FROM Payments"""
    feature = HistoryFeature("mine", None, Kind.NUMBER, "", "", query=query)
    assert values_by(feature, CONTRACT, tables, AS_OF[:1]) == {("A", AS_OF[0]): 10.0}


@pytest.mark.parametrize("query", FUTURE.values(), ids=FUTURE.keys())
def test_a_query_that_reads_the_future_is_told_so_with_its_line(query):
    error = refused(query)
    assert error.message.startswith("The query reads the future: ")
    assert error.where == "[features], mine, line 2"


@pytest.mark.parametrize(
    ("query", "says", "line"),
    [
        ("SELECT id AS customer, 1 AS value\nFROM paymnts", "paymnts, which is no table of the contract", 2),
        ("SELECT id AS customer, 1 AS value\nFROM other.payments", "no table of the contract", 2),
        ("SELECT id AS customer, 1 AS value\nFROM 'payments.csv'", "no table of the contract", 2),
        ("SELECT id AS customer, 1 AS value\nFROM read_csv('/etc/passwd')", "READ_CSV", 2),
        ("SELECT id AS customer, 1 AS value FROM people,\nglob('*')", "GLOB", 2),
        ("SELECT id AS customer, 1 AS value\nFROM duckdb_settings()", "DUCKDB_SETTINGS", 2),
        ("SELECT id AS customer,\nnow() AS value FROM people", "now", 2),
        ("SELECT id AS customer,\ncurrent_date AS value FROM people", "current_date", 2),
        ("SELECT id AS customer,\nrandom() AS value FROM people", "random", 2),
        ("SELECT id AS customer,\ngetenv('HOME') AS value FROM people", "getenv", 2),
        ('SELECT id AS customer,\n"random"() AS value FROM people', "random", 2),
        ("SELECT id AS customer,\nversion() AS value FROM people", "version", 2),
        ("SELECT id AS customer,\ncurrent_role AS value FROM people", "current_role", 2),
        ('SELECT id AS customer,\n"user" AS value FROM people', "user", 2),
        ("SELECT id AS customer,\ncurrent_catalog AS value FROM people", "current_catalog", 2),
        ("SELECT id AS customer,\npg_get_viewdef(1) AS value FROM people", "pg_get_viewdef", 2),
        ("SELECT id AS customer,\nage(joined) AS value FROM people", "age of one moment", 2),
        ("SELECT id AS customer, 1 AS value FROM people\nTABLESAMPLE 10%", "takes a sample", 2),
        ("SELECT id AS customer, 1 AS value FROM people\nUSING SAMPLE 10", "takes a sample", 2),
        ("SELECT _customer AS customer, 1 AS value FROM people", "_customer", 1),
        ("SELECT id AS customer, 1 AS value FROM people WHERE\njoined < :asof", ":asof", 2),
        ("COPY people TO '/tmp/x'", "no SELECT but COPY", 1),
        ("DROP TABLE people", "no SELECT but DROP", 1),
        ("-- Of mine.\nDELETE FROM people", "no SELECT but DELETE", 2),
        ("INSERT INTO people SELECT 1", "no SELECT but INSERT", 1),
        ("ATTACH 'x.db'", "no SELECT but ATTACH", 1),
        ("PRAGMA database_list", "no SELECT but PRAGMA", 1),
        ("SET memory_limit = '1GB'", "no SELECT but SET", 1),
        ("SELECT id AS customer, 1 AS value INTO x FROM people", "writes", 1),
        ("SELECT id AS customer\nFROM people WHERE (", "cannot be read", 2),
    ],
)
def test_what_reads_elsewhere_writes_or_changes_from_run_to_run_is_refused_with_its_line(query, says, line):
    error = refused(query)
    assert says in error.message
    assert error.where == f"[features], mine, line {line}"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "empty"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT id, 1 AS value FROM people", "gives the columns id, value"),
        ("SELECT * FROM people", "gives the columns *"),
        ("SELECT id AS customer, UNNEST([1, 2]) AS value FROM people", "makes rows"),
        ("SELECT id AS customer, MAX(joined) AS value FROM people GROUP BY 1", "of type TIMESTAMP"),
        ("SELECT id AS customer, MAX(amont) AS value FROM payments GROUP BY 1", "amont"),
        ("SELECT id AS customer, amount AS value FROM payments GROUP BY 1", "GROUP BY"),
        (
            "WITH people AS (SELECT 1) SELECT 1 AS customer, 1 AS value FROM people",
            "is a table of the contract",
        ),
    ],
)
def test_what_gives_no_feature_is_refused(query, says):
    assert says in str(refused(query))


def test_a_feature_may_not_have_the_name_of_one_that_holdfast_makes():
    with pytest.raises(ContractError, match="already the name"):
        catalogue(written(GOOD, payments_count_30d=GOOD))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("mode(amount)", "any of the values that are the most frequent"),
        ("approx_quantile(amount, 0.5)", "threads come upon rows"),
        ("reservoir_quantile(amount, 0.5)", "draws a sample"),
        ("lttb(at, amount, 3)", "another answer"),
        ("date_diff('day', ago(INTERVAL 3 DAY), max(at))", "another answer"),
    ],
)
def test_aggregates_that_are_not_known_to_be_steady_and_macros_over_the_clock_are_refused(value, says):
    assert says in refused(_VALUE.format(value)).message
