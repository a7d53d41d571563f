from __future__ import annotations

import pytest
import sqlglot
from feature_worlds import CONTRACT
from sqlglot import exp

from holdfast.history.catalogue import catalogue
from holdfast.history.compile import feature_sql, features_sql
from holdfast.history.translate import translated


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "spark"])
def test_every_engine_gets_a_query_it_can_parse_with_all_features(dialect):
    tree = sqlglot.parse_one(features_sql(CONTRACT, dialect=dialect), read=dialect)
    assert tree.named_selects == ["_customer", "as_of", *(feature.name for feature in catalogue(CONTRACT))]


def test_what_engines_call_otherwise_is_written_their_way():
    text = "SELECT EPOCH_US(a), QUANTILE_CONT(x, 0.9) FILTER (WHERE y), CAST(z AS HUGEINT) FROM t"
    postgres, spark = (" ".join(translated(text, dialect).split()) for dialect in ("postgres", "spark"))
    assert "CAST(EXTRACT(EPOCH FROM a) * 1000000 AS BIGINT)" in postgres
    assert "PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY x) FILTER(WHERE y)" in postgres
    assert "UNIX_MICROS(CAST(a AS TIMESTAMP_LTZ))" in spark
    assert "PERCENTILE(x, 0.9) FILTER(WHERE y)" in spark
    assert all("DECIMAL(38, 0)" in one and "INT128" not in one for one in (postgres, spark))


def test_the_query_of_one_feature_reads_one_table_and_what_it_needs_of_it():
    feature = next(one for one in catalogue(CONTRACT) if one.name == "payments_amount_sum_30d")
    tree = sqlglot.parse_one(feature_sql(CONTRACT, feature), read="duckdb")
    assert {table.name for table in tree.find_all(exp.Table)} & set(CONTRACT.tables) == {"payments"}
    assert {c.name for c in tree.find_all(exp.Column) if c.table == "e"} == {
        "_customer", "_time", "_known", "_superseded", "amount",
    }  # fmt: skip
