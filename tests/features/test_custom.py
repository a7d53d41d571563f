from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from holdfast.features import Encoder, FeatureProgram
from holdfast.features.custom import FeatureError, check_features
from holdfast.features.sql import EVERYDAY

COLUMNS = {
    "Monthly Charges": {"kind": "number"},
    "months": {"kind": "integer"},
    "plan": {"kind": "category", "levels": ["gold", "tin"]},
    "city": {"kind": "category"},
    "Churn Reason": {"kind": "category", "exclude": "leak: known only afterwards"},
}
ROWS = {
    "Monthly Charges": [float(charge) for charge in range(100)],
    "months": [month % 7 for month in range(100)],
    "plan": ["gold", "tin"] * 50,
    "city": ["Bonn", None] * 50,
}


@pytest.fixture
def check(make_contract, conformed):
    """Checks one expression on the rows above; gives its values."""

    def one(sql, rows=None):
        contract = make_contract(COLUMNS, {"mine": sql})
        frame = conformed(contract, rows or ROWS)
        check_features(contract, frame)
        return FeatureProgram(contract).frame(frame)["mine"]

    return one


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ('"Monthly Charges" * 2 + months', [0.0, 3.0]),
        ("CASE WHEN plan = 'gold' THEN 1 ELSE 0 END", [1, 0]),
        ("months > 0 AND city IS NOT NULL", [False, False]),
        ("CAST(plan AS VARCHAR) || '-' || CAST(months AS VARCHAR)", ["gold-0", "tin-1"]),
        ("COALESCE(city, 'nowhere')", ["Bonn", "nowhere"]),
    ],
)
def test_a_good_expression_is_computed(check, sql, first):
    assert check(sql)[:2].to_list() == first


@pytest.mark.parametrize(
    ("sql", "reason", "hint"),
    [
        ("months *", "does not parse", "one SQL expression"),
        ("", "does not parse", "one SQL expression"),
        ("SELECT months", "does not parse", "one SQL expression"),
        ("months; DROP TABLE customers", "does not parse", "one SQL expression"),
        ("FOO(months)", 'There is no function "foo"', "docs.pola.rs"),
        ("ABSS(months)", 'There is no function "abss"', 'Did you mean "ABS"'),
        ("UPPER(city, city)", "The function UPPER takes another number of values", "docs.pola.rs"),
        ("SUBSTR(city)", "The function SUBSTR takes 2-3 arguments, not 1.", "docs.pola.rs"),
        ("months::wide", "There is no type wide to cast to", "CAST(column AS DOUBLE)"),
        ("mnths + 1", 'uses "mnths", which is not an input column', 'Did you mean "months"'),
        ("\"Churn Reason\" || 'x'", "It is excluded: leak: known only afterwards", ""),
        ("SUM(months)", "more rows than its own", "only this customer's columns"),
        ('"Monthly Charges" - AVG("Monthly Charges")', "more rows than its own", "only this customer's"),
        ("SUM(months) OVER (PARTITION BY plan)", "more rows than its own", "only this customer's"),
        ("LAG(months) OVER (ORDER BY months)", "more rows than its own", "only this customer's"),
        ("1 + 1", "uses no column", ""),
        ("COUNT(*)", "uses no column", ""),
        (
            "UPPER(plan)",
            'UPPER takes text, but "plan" is a category: UPPER(plan).',
            "CAST(column AS VARCHAR)",
        ),
        (
            "ROUND(ABS(city), 1)",
            'ABS cannot be computed where "city" is a category',
            "CAST(column AS DOUBLE)",
        ),
        (
            'months * 2 + LENGTH("Monthly Charges")',
            'LENGTH takes text, but "Monthly Charges" is a number: LENGTH("Monthly Charges").',
            "docs.pola.rs",
        ),
        ("(months > 2) AND (city > 3)", 'where "months" is a whole number and "city" is a category', "CAST"),
        ("months::date", "gives Date, which a model cannot use", "Cast it"),
    ],
)
def test_a_bad_expression_is_named_with_its_reason(check, sql, reason, hint):
    with pytest.raises(FeatureError) as caught:
        check(sql)
    error = caught.value
    assert reason in error.message
    assert error.where == f"[features], mine = {sql!r}"
    assert hint in (error.hint or "")
    assert error.exit_code == 3


def test_the_functions_that_are_offered_are_there(check):
    arguments = dict.fromkeys(EVERYDAY, "months") | dict.fromkeys(
        ["GREATEST", "LEAST", "MOD", "POW"], "months, 2"
    )
    arguments |= dict.fromkeys(["LENGTH", "LOWER", "UPPER"], "CAST(plan AS VARCHAR)") | {
        "IF": "months > 2, 1, 0"
    }
    for name, given in arguments.items():
        assert check(f"{name}({given})").len() == 100


def test_an_aggregate_is_found_where_the_first_rows_are_all_alike(check):
    rows = ROWS | {"months": [5] * 50 + [1] * 50}
    with pytest.raises(FeatureError, match="more rows than its own"):
        check("months - MIN(months)", rows)


@pytest.mark.parametrize(
    "sql", ["months / 0", "EXP(months * 1000)", 'POW("Monthly Charges", 400)', "LN(months)"]
)
def test_what_cannot_be_computed_is_missing_in_the_matrix(make_contract, conformed, sql):
    contract = make_contract(COLUMNS, {"mine": sql})
    frame = conformed(contract, ROWS)
    check_features(contract, frame)
    program = FeatureProgram(contract)
    encoder = Encoder(program)
    X = encoder.fit_transform(program.frame(frame), (np.arange(100) % 3 == 0).astype(np.int8), seed=1)
    assert not np.isinf(X).any()


def test_an_own_feature_may_take_the_name_of_a_record_feature(make_contract, compute):
    columns = {"pay": {"kind": "category", "meaning": "payment_method"}, "months": {"kind": "integer"}}
    contract = make_contract(columns, {"payment_method_risk": "months * 2"})
    assert FeatureProgram(contract).risks == []
    found = compute(contract, {"pay": ["a", "b"], "months": [1, 2]})
    assert found["payment_method_risk"].to_list() == [2, 4]


def test_features_are_checked_on_an_empty_table_too(make_contract, conformed):
    contract = make_contract(COLUMNS, {"mine": "months * 2"})
    empty = conformed(contract, ROWS).clear()
    check_features(contract, empty)
    assert FeatureProgram(contract).frame(empty).schema["mine"] == pl.Int64
