from __future__ import annotations

import re
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.contract import Meaning
from holdfast.features import RECORD_FEATURES

NAMES = [
    "is_new_customer",
    "loyalty_level",
    "tenure_group",
    "tenure_years",
    "days_since_signup",
    "customer_lifetime_value",
    "monthly_to_total_ratio",
    "price_per_service",
    "avg_monthly_spend",
    "payment_method_risk",
    "has_autopay",
    "late_payment_count",
    "billing_issues_count",
    "total_services_count",
    "internet_service_type",
    "has_premium_services",
    "service_adoption_rate",
    "data_usage_level",
    "phone_usage_level",
    "streaming_services_count",
    "support_calls_per_month",
    "contract_type_risk",
    "contract_length_months",
    "has_device_protection",
    "engagement_score",
]

NUMBER, YES_NO = {"kind": "number"}, {"kind": "boolean"}
TERMS = ["Month-to-month", "One year", "Two year"]
NETS = ["DSL", "Fiber optic", "No"]
PAYS = ["Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)"]
SERVICE = {"kind": "category", "levels": ["Yes", "No", "No internet service"]}

COLUMNS = {
    "months": NUMBER | {"meaning": "tenure_months"},
    "joined": {"kind": "date", "meaning": "signup_date"},
    "monthly": NUMBER | {"meaning": "monthly_charge"},
    "total": NUMBER | {"meaning": "total_charge"},
    "term": {"kind": "category", "levels": TERMS, "meaning": "contract_term"},
    "pay": {"kind": "category", "levels": PAYS, "meaning": "payment_method"},
    "net": {"kind": "category", "levels": NETS, "meaning": "internet_service"},
    "phone": YES_NO | {"meaning": "phone_service"},
    "backup": SERVICE | {"meaning": "addon_service"},
    "security": SERVICE | {"meaning": "addon_service"},
    "protection": SERVICE | {"meaning": "device_protection"},
    "tv": SERVICE | {"meaning": "streaming_service"},
    "films": SERVICE | {"meaning": "streaming_service"},
    "calls": NUMBER | {"meaning": "support_calls"},
    "late": NUMBER | {"meaning": "late_payments"},
    "issues": NUMBER | {"meaning": "billing_issues"},
    "data": NUMBER | {"meaning": "data_usage"},
    "minutes": NUMBER | {"meaning": "phone_usage"},
}
ROWS = {
    "months": [0, 2, 12, 24, 47.5, 48, None],
    "joined": ["2024-01-31", "1970-01-02", None, "2020-02-29", "2020-02-29", "2020-02-29", "1969-12-31"],
    "monthly": [20, 70, 100, 0, 1e308, 50, 10],
    "total": [0, 140, 1200, 0, 10, None, 5],
    "term": ["Month-to-month", "One year", "Two year", None, "One year", "Two year", "Month-to-month"],
    "pay": [*PAYS, None, PAYS[0], PAYS[3]],
    "net": ["DSL", "Fiber optic", "No", None, "DSL", "No", "DSL"],
    "phone": ["Yes", "No", "Yes", "Yes", None, "No", "Yes"],
    "backup": ["Yes", "No", "No internet service", None, "Yes", "No", "No"],
    "security": ["Yes", "No", "No internet service", "Yes", "Yes", "No", "No"],
    "protection": ["No", "Yes", "No internet service", None, "Yes", "No", "No"],
    "tv": ["Yes", "Yes", "No internet service", "No", "Yes", "No", "No"],
    "films": ["Yes", "No", "No internet service", None, "Yes", "No", "No"],
    "calls": [3, 1, 6, None, 19, 0, 2],
    "late": [0, 1, 2, 3, 4, 5, None],
    "issues": [6, 5, 4, 3, 2, 1, 0],
    "data": [1, 2, 3, 4, 5, 6, 7],
    "minutes": [7, 6, 5, 4, 3, 2, 1],
}
SERVICES_HELD = [6, 3, 1, 2, 6, 0, 2]
TENURE_DAY = 365.2425 / 12

WORKED = {
    "is_new_customer": [True, True, False, False, False, False, None],
    "loyalty_level": ["New", "New", "Regular", "Loyal", "Loyal", "Champion", None],
    "tenure_group": ["0-12", "0-12", "12-24", "24-48", "24-48", "48+", None],
    "tenure_years": [0, 2 / 12, 1, 2, 47.5 / 12, 4, None],
    "days_since_signup": [0, 2 * TENURE_DAY, 365.2425, 2 * 365.2425, 47.5 * TENURE_DAY, 4 * 365.2425, None],
    "customer_lifetime_value": [0, 140, 1200, 0, None, 2400, None],  # 1e308 a month overflows
    "monthly_to_total_ratio": [None, 0.5, 100 / 1200, None, 1e307, None, 2],
    "price_per_service": [20 / 6, 70 / 3, 100, 0, 1e308 / 6, 50, 5],  # none held counts as one
    "avg_monthly_spend": [None, 70, 100, 0, 10 / 47.5, None, None],
    "payment_method_risk": ROWS["pay"],
    "has_autopay": [False, False, True, True, None, False, True],
    "late_payment_count": ROWS["late"],
    "billing_issues_count": ROWS["issues"],
    "total_services_count": SERVICES_HELD,
    "internet_service_type": ["DSL", "Fibre", "None", None, "DSL", "None", "DSL"],
    "has_premium_services": [True, True, False, True, True, False, False],
    "service_adoption_rate": [held / 7 for held in SERVICES_HELD],
    "data_usage_level": ROWS["data"],
    "phone_usage_level": ROWS["minutes"],
    "streaming_services_count": [2, 1, 0, 0, 2, 0, 0],
    "support_calls_per_month": [3, 0.5, 0.5, None, 0.4, 0, None],  # the first month counts as one
    "contract_type_risk": ROWS["term"],
    "contract_length_months": [1, 12, 24, None, 12, 24, 1],
    "has_device_protection": [False, True, False, None, True, False, False],
    "engagement_score": [
        (0 + 1 / 24 + 0 + 6 / 7) / 4,
        (2 / 60 + 12 / 24 + 0 + 3 / 7) / 4,
        (12 / 60 + 1 + 1 + 1 / 7) / 4,
        (24 / 60 + 1 + 2 / 7) / 3,  # no term known
        (47.5 / 60 + 12 / 24 + 6 / 7) / 3,  # no payment method known
        (48 / 60 + 1 + 0 + 0) / 4,
        (1 / 24 + 1 + 2 / 7) / 3,  # no tenure known
    ],
}


def test_names_are_those_that_users_know():
    assert list(RECORD_FEATURES) == NAMES
    assert set(WORKED) == set(NAMES)


def test_names_are_those_of_the_capabilities(shared_data):
    page = shared_data.parent / "capabilities.md"
    if not page.exists():
        pytest.skip("the list of capabilities is not on this machine")
    line = next(line for line in page.read_text(encoding="utf-8").splitlines() if "Record features" in line)
    assert re.findall(r"`(\w+)`", line) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_feature_says_what_it_needs(name):
    feature = RECORD_FEATURES[name]
    assert feature.doc.startswith("Needs ")
    assert feature.unit
    needed = re.findall(r"[a-z]+_[a-z]+", feature.doc.split(".")[0])
    assert all(word in {str(meaning) for meaning in Meaning} for word in needed)


@pytest.mark.parametrize("name", NAMES)
def test_hand_worked_cases(name, make_contract, compute):
    found = compute(make_contract(COLUMNS), ROWS)[name]
    expected = WORKED[name]
    if found.dtype.is_numeric():
        assert found.is_null().to_list() == [value is None for value in expected]
        assert found.drop_nulls().to_list() == pytest.approx(
            [v for v in expected if v is not None], rel=1e-12
        )
    else:
        assert found.cast(pl.String if found.dtype == pl.Enum else found.dtype).to_list() == expected


def test_other_column_names_give_the_same_features(make_contract, compute):
    usual = compute(make_contract(COLUMNS), ROWS)
    renamed = {f'Col. "{at}" ({name})': facts for at, (name, facts) in enumerate(COLUMNS.items())}
    theirs = compute(make_contract(renamed), dict(zip(renamed, ROWS.values(), strict=True)))
    assert theirs.select(NAMES).equals(usual.select(NAMES))


@given(st.sets(st.sampled_from(sorted(COLUMNS)), min_size=1))
@settings(max_examples=60, deadline=None)
def test_a_missing_meaning_only_switches_off_what_needs_it(make_contract, compute, kept):
    columns = {name: facts for name, facts in COLUMNS.items() if name in kept}
    found = compute(make_contract(columns), {name: ROWS[name] for name in columns})
    full = compute(make_contract(COLUMNS), ROWS)
    # What looks at several columns, each optional, may change its value; everything else is there or not.
    several = {"total_services_count", "price_per_service", "service_adoption_rate", "engagement_score"}
    several |= {"streaming_services_count", "has_premium_services", "days_since_signup"}
    for name in set(found.columns) - set(columns) - several:
        assert found[name].equals(full[name])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_meaning_in_any_kind_breaks_nothing(make_contract, compute, data):
    cells = {"number": ["1.5", None], "integer": ["0", None], "boolean": ["yes", None]}
    cells |= {"date": ["2020-01-01", None], "category": ["Yes", None]}
    meanings = data.draw(st.sets(st.sampled_from(sorted(Meaning)), min_size=1, max_size=8))
    columns = {}
    for meaning in sorted(meanings):
        kind = data.draw(st.sampled_from(sorted(cells)), label=str(meaning))
        columns[f"c {meaning}"] = {"kind": kind, "meaning": str(meaning)}
        if kind == "category" and data.draw(st.booleans()):
            columns[f"c {meaning}"]["levels"] = ["Yes", "No"]
    found = compute(make_contract(columns), {name: cells[facts["kind"]] for name, facts in columns.items()})
    assert found.height == 2


@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))] * 4), min_size=1
    )
)
@settings(max_examples=80, deadline=None)
def test_no_number_becomes_infinite_or_no_number(make_contract, compute, rows):
    names = ["months", "monthly", "total", "calls"]
    columns = {name: COLUMNS[name] for name in names} | {"phone": COLUMNS["phone"]}
    data = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
    found = compute(make_contract(columns), data | {"phone": ["Yes"] * len(rows)})
    numbers = found.select(pl.selectors.float().exclude(columns))
    assert numbers.width >= 8
    assert numbers.select(pl.all().is_finite().all()).row(0) == (True,) * numbers.width


def test_without_tenure_the_signup_date_counts_days_up_to_one_day_for_all(make_contract, compute):
    columns = {name: facts for name, facts in COLUMNS.items() if name != "months"}
    found = compute(make_contract(columns), {name: ROWS[name] for name in columns})["days_since_signup"]
    first, second = found[0], found[1]
    assert second - first == (date(2024, 1, 31) - date(1970, 1, 2)).days
    assert found.null_count() == 1


@pytest.mark.parametrize(
    ("level", "kind"),
    [
        ("Fiber optic", "Fibre"),
        ("FIBRE", "Fibre"),
        ("FTTH", "Fibre"),
        ("VDSL", "DSL"),
        ("Coax", "Cable"),
        ("5G router", "Mobile"),
        ("Satellite", "Other"),
        ("None", "None"),
        ("no", "None"),
        ("No internet service", "None"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_internet_types_whatever_the_spelling(level, kind, listed, make_contract, compute):
    facts = {"kind": "category", "meaning": "internet_service"}
    contract = make_contract({"net": facts | ({"levels": [level, "Zzz"]} if listed else {})})
    assert compute(contract, {"net": [level, level]})["internet_service_type"].to_list() == [kind, kind]


@pytest.mark.parametrize(
    ("level", "months"),
    [
        ("Month-to-month", 1),
        ("monthly", 1),
        ("Rolling", 1),
        ("Prepaid", 1),
        ("quarterly", 3),
        ("6 months", 6),
        ("One year", 12),
        ("1-year", 12),
        ("annual", 12),
        ("12 months", 12),
        ("Two year", 24),
        ("24 Months", 24),
        ("2 years", 24),
        ("3 years", 36),
        ("whatever", None),
    ],
)
def test_contract_lengths_whatever_the_spelling(level, months, make_contract, compute):
    contract = make_contract({"term": {"kind": "category", "meaning": "contract_term"}})
    assert compute(contract, {"term": [level]})["contract_length_months"].to_list() == [months]
