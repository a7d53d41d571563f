from __future__ import annotations

import pytest

from holdfast.history.own_tables import bound, insist_tables
from holdfast.history.own_text import QueryError, read

TABLES = ("payments", "People")


def refused(text):
    with pytest.raises(QueryError) as error:
        insist_tables(read(text, "mine.sql"), TABLES, text, "mine.sql")
    return error.value


def spelled(text):
    query = read(text, "mine.sql")
    insist_tables(query, TABLES, text, "mine.sql")
    return bound(query, TABLES).sql("postgres")


@pytest.mark.parametrize("name", ["payments", "Payments", '"PAYMENTS"', "pEOPLE"])
def test_no_sub_query_is_called_like_a_table_of_the_contract_in_any_case(name):
    error = refused(f"WITH a AS (SELECT 1),\n{name} AS (SELECT * FROM {name}) SELECT 1 FROM {name}")  # noqa: S608 - ours
    assert error.message == f'"{name.strip(chr(34))}" is a table of the contract already.'
    assert error.where == "mine.sql, line 2"


@pytest.mark.parametrize(
    "name",
    [
        *("spine", "Moments", "labels", "leavings", "_x", "pg_settings", "PG_database", "duckdb_views"),
        *("pragma_version", "sqlite_master", "information_schema"),
    ],
)
def test_no_sub_query_is_called_like_what_holdfast_or_an_engine_has(name):
    assert "of an engine's own" in refused(f"WITH {name} AS (SELECT 1) SELECT 1 FROM {name}").message  # noqa: S608 - ours


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (SELECT * FROM secret) SELECT 1 FROM x",
        "WITH secret AS (SELECT * FROM secret) SELECT 1 FROM secret",  # itself
        'WITH secret AS (SELECT * FROM "Secret") SELECT 1 FROM secret',
        "WITH a AS (SELECT * FROM secret), secret AS (SELECT 1) SELECT 1 FROM a",  # one that comes later
        "SELECT 1 FROM (WITH secret AS (SELECT 1) SELECT 1 FROM secret), secret",  # beside it
        "SELECT 1 FROM payments WHERE 1 IN (WITH secret AS (SELECT 1) FROM secret) OR 1 IN (FROM secret)",
        "SELECT 1 FROM payments WHERE EXISTS(SELECT 1 FROM payments, secret)",
        "SELECT 1 FROM (SELECT 1 UNION SELECT 1 FROM (WITH a AS (SELECT 1) SELECT 1 FROM a, secret))",
        "SELECT 1 FROM other.secret",
        "SELECT 1 FROM (payments JOIN secret ON TRUE)",
        "SELECT 1 FROM 'secret'",
        "SELECT ARRAY(SELECT 1 FROM secret)",
        "SELECT LIST_TRANSFORM([1], lambda x: (SELECT 1 FROM secret))",
        "SELECT 1 FROM (VALUES ((SELECT 1 FROM secret))) AS v(x)",
        "SELECT 1 FROM payments ORDER BY (SELECT 1 FROM secret)",
    ],
)
def test_a_name_is_a_sub_query_only_where_that_is_in_scope(query):
    message = refused(query).message.lower()
    assert "secret" in message
    assert "which is no table of the contract" in message


def test_a_table_of_the_contract_has_no_schema():
    assert "other.payments" in refused("SELECT 1 FROM other.payments").message
    assert "a.b.payments" in refused("WITH payment AS (SELECT 1) SELECT 1 FROM a.b.payments").message


def test_one_name_is_one_sub_query():
    query = "WITH a AS (SELECT 1) SELECT 1 FROM a, (WITH A AS (SELECT * FROM a) SELECT 1 FROM A)"
    assert refused(query).message == '"A" is the name of two sub-queries.'


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT p.c FROM payments AS p(c)", "renames the columns of payments"),
        ("SELECT 1 FROM ONLY payments", "the name of a table is all"),
        ("SELECT 1 FROM payments AT (VERSION => 1)", "the name of a table is all"),
        ("SELECT 1 FROM ROWS FROM (GLOB('*'))", "reads from ROWS FROM"),
        ("SELECT 1 FROM :as_of", "reads from $as_of"),
        ("SELECT 1 FROM payments, LATERAL (SELECT 1)", "makes rows"),
        ("SELECT 1 FROM IDENTIFIER('payments')", "reads from IDENTIFIER"),
    ],
)
def test_a_table_is_its_name_and_no_more(query, says):
    assert says in refused(query).message


@pytest.mark.parametrize(
    ("query", "is_"),
    [
        ("SELECT Payments.x FROM Payments", 'SELECT Payments.x FROM "payments" AS Payments'),
        ("SELECT p.x FROM people AS p", 'SELECT p.x FROM "People" AS p'),
        (
            'WITH "Late" AS (SELECT 1) SELECT late.x FROM late',
            'WITH "Late" AS (SELECT 1) SELECT late.x FROM "Late" AS late',
        ),
        (
            "WITH a AS (FROM payments), b AS (FROM a) SELECT 1 FROM b WHERE EXISTS(FROM A)",
            (
                'WITH "a" AS (SELECT * FROM "payments" AS payments), "b" AS (SELECT * FROM "a" AS a) '
                'SELECT 1 FROM "b" AS b WHERE EXISTS(SELECT * FROM "a" AS A)'
            ),
        ),
        (
            "WITH a(x, y) AS (SELECT 1, 2) SELECT q.z FROM a AS q(z, t)",
            'WITH "a"(x, y) AS (SELECT 1, 2) SELECT q.z FROM "a" AS q(z, t)',
        ),
        ("SELECT user, p.USER FROM payments AS p", 'SELECT "user", p."USER" FROM "payments" AS p'),
    ],
)
def test_each_table_is_named_as_it_was_given(query, is_):
    assert spelled(query) == is_
