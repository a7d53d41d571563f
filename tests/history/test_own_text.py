from __future__ import annotations

import pytest

from holdfast.history.own_text import DEEPEST, LONGEST, NESTED, QueryError, read

VALUE = "SELECT id AS customer,\n{} AS value FROM payments"


def refused(text):
    with pytest.raises(QueryError) as error:
        read(text, "mine.sql")
    return error.value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("(" * 250 + "1" + ")" * 250, "mine.sql, line 2"),
        ("CASE WHEN TRUE THEN " * 300 + "1" + " END" * 300, "mine.sql, line 2"),
        ("abs(" * (NESTED + 1) + "1" + ")" * (NESTED + 1), "mine.sql, line 2"),
        ("NOT " * 2_000 + "TRUE", "mine.sql"),
        ("- " * DEEPEST + "1", "mine.sql"),
        ("id" + "::TEXT" * 5_000, "mine.sql"),
        ("id" + "[1]" * 200, "mine.sql"),
    ],
)
def test_what_is_nested_too_deep_is_refused_before_anything_goes_down_there(value, where):
    error = refused(VALUE.format(value))
    assert error.message == "The query is nested too deep."
    assert error.where == where


@pytest.mark.parametrize(
    "value",
    [
        "(" * NESTED + "1" + ")" * NESTED,
        "(SELECT " * (NESTED - 6) + "1" + ")" * (NESTED - 6),
        " + ".join(["1"] * 900),
        " OR ".join(["online"] * 900),
    ],
)
def test_what_is_not_is_read_however_many_terms_it_has(value):
    assert read(VALUE.format(value), "mine.sql").named_selects == ["customer", "value"]


def test_a_text_longer_than_any_query_is_refused():
    said = f"The query has {LONGEST + 1:,} characters; {LONGEST:,} are the most."
    assert refused(VALUE.format("1").ljust(LONGEST + 1)).message == said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (";" + VALUE.format(1), "begins with a semicolon"),
        (";;", "is empty"),
        (VALUE.format(1) + "; SELECT 2", "There are 2 statements"),
        ("SELECT 1 AS customer, 'open", "cannot be read"),
        (VALUE.format(1) + " FOR UPDATE", "writes"),
        ("WITH a AS (DELETE FROM payments RETURNING id) SELECT 1", "writes"),
        ("SELECT 1 FROM (DESCRIBE payments)", "has DESCRIBE in it"),
        ("SELECT 1 FROM (SUMMARIZE payments)", "has SUMMARIZE in it"),
        ("SELECT 1 = ANY(SUMMARIZE payments)", "has SUMMARIZE in it"),
        ("WITH a AS (SHOW TABLES) SELECT 1", "has SHOW in it"),
        (VALUE.format(r"e'\' || x --'"), "has the bytes"),
    ],
)
def test_what_is_not_one_select_that_only_reads_is_refused(text, says):
    assert says in refused(text).message


@pytest.mark.parametrize(
    "value",
    [
        'CAST(id AS "x) , (SELECT 1 FROM secret) --")',
        'TRY_CAST(id AS "a"."b) , (SELECT 1 FROM secret) --")',
        'CAST(id AS "x), (SELECT 1 FROM secret), CAST(1 AS y")',
        'EXTRACT("year FROM x), (SELECT 1 FROM secret) --" FROM at)',
        "INTERVAL 3 'DAY) , (SELECT 1 FROM secret) --'",
        "DATE_DIFF('day'', x), (SELECT 1 FROM secret) --', seen, joined)",
        "DATE_TRUNC('day), (SELECT 1 FROM secret)', seen)",
    ],
)
def test_no_quoted_name_or_text_becomes_sql_when_the_query_is_written_anew(value):
    assert "cannot be read" in refused(VALUE.format(value)).message


@pytest.mark.parametrize("end", [";", "; ", ";\n-- of mine", ";;", " -- of mine;"])
def test_one_statement_may_end_as_it_likes(end):
    assert read(VALUE.format(1) + end, "mine.sql").named_selects == ["customer", "value"]
