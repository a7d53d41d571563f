from __future__ import annotations

import polars as pl
import pytest

from holdfast.training.byperiod import rule_feature

NOBODY, SOME = [None, None, None, 4.0], [1.0, None, 3.0, 4.0]


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("visits", "visits_days_since_last"),
        ("gone", "plans_days_since_begin"),
        ("plans", "plans_days_since_begin"),
    ],
)
def test_the_naive_rule_is_a_feature_that_customers_have(table, rule):
    frame = pl.DataFrame(
        {
            "gone_days_since_last": NOBODY,
            "visits_days_since_last": SOME,
            "offers_days_since_begin": NOBODY,
            "plans_days_since_begin": SOME,
        }
    )
    assert rule_feature(frame, table) == rule
    assert rule_feature(frame.select("gone_days_since_last"), table) is None
