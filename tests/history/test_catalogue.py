from __future__ import annotations

import pytest
from feature_worlds import CONTRACT
from small_histories import history

from holdfast.contract.types import Kind
from holdfast.errors import ContractError
from holdfast.history.build import record_contract
from holdfast.history.catalogue import MOST, catalogue, feature_named
from holdfast.history.feature import LONGEST_NAME, named, slug, unlike

CHURN = {"event": "inactivity", "table": "visits", "horizon_days": 30}


def wide(numbers, **columns):
    found = {f"measure {n}": {"kind": "number"} for n in range(numbers)} | columns
    return history({"visits": {"kind": "events", "time": "at", "columns": found}}, CHURN)


def test_every_feature_has_a_name_of_its_own_a_meaning_and_its_sql():
    found = catalogue(CONTRACT)
    assert len({feature.name for feature in found}) == len(found)
    for feature in found:
        assert feature.doc.endswith(".")
        assert len(feature.name) <= LONGEST_NAME
        assert feature.value
        assert feature.parts
        assert feature.unit or feature.kind in (Kind.CATEGORY, Kind.BOOLEAN)


def test_names_are_readable_and_do_not_change():
    names = {feature.name for feature in catalogue(CONTRACT)}
    assert names >= {
        "payments_count_30d",
        "payments_amount_sum_90d",
        "payments_amount_p90_90d",
        "payments_amount_mean_last30",
        "payments_status_failed_share_90d",
        "payments_failure_rate_30d",
        "payments_days_since_last",
        "payments_gap_sd",
        "plans_price_change",
        "plans_days_until_term",
        "people_born_age",
        "people_score_1",
    }


def test_no_feature_of_a_wide_table_is_too_much_and_the_coarser_rule_is_the_same_for_all_columns():
    few, many, very_many = (len(catalogue(wide(numbers))) for numbers in (3, 60, 400))
    assert few > 3 * 20
    assert many <= MOST
    assert 400 <= very_many <= MOST + 100
    means = [f.name for f in catalogue(wide(400)) if "measure" in f.name]
    assert means == [f"visits_measure_{n}_mean_365d" for n in range(400)]


def test_the_columns_that_a_contract_calls_used_are_those_of_which_features_are_made():
    levels = [f"level {n}" for n in range(9)]
    some = {
        "few": {"kind": "category", "levels": levels[:8]},
        "many": {"kind": "category", "levels": levels},
        "open": {"kind": "category"},
        "state": {"kind": "category", "levels": levels},
        "flag": {"kind": "boolean"},
        "due": {"kind": "date"},
        "note": {"kind": "text"},
    }
    visits = {"kind": "events", "time": "at", "columns": some, "failures": {"state": levels[:1]}}
    plans = {"kind": "intervals", "begin": "since", "columns": {n: some[n] for n in ("many", "open")}}
    found = history({"visits": visits, "plans": plans}, CHURN)
    made = {(f.table, name) for f in catalogue(found) for name in some if name in f.name.split("_")}
    assert {name for table, name in made if table == "visits"} | {"state"} == set(found.tables["visits"].used)
    assert {name for table, name in made if table == "plans"} == set(found.tables["plans"].used)
    assert any("state" in f.doc for f in catalogue(found) if f.name == "visits_failures_ever")


def test_dates_never_become_features_themselves():
    assert not [feature for feature in catalogue(CONTRACT) if feature.kind is Kind.DATE]


def test_the_column_that_says_why_one_left_is_no_feature():
    tables = {
        "plans": {
            "kind": "intervals",
            "begin": "start",
            "end": "stop",
            "columns": {"reason": {"kind": "category", "levels": ["price", "move"]}},
        }
    }
    churn = {"event": "end", "table": "plans", "horizon_days": 30, "cause": "reason", "causes": ["price"]}
    assert not [feature for feature in catalogue(history(tables, churn)) if "reason" in feature.name]


def test_excluded_columns_texts_and_ids_are_no_features():
    found = wide(
        0,
        secret={"kind": "number", "exclude": "leak"},
        remark={"kind": "text"},
        invoice={"kind": "id"},
        amount={"kind": "number"},
    )
    used = {
        word
        for feature in catalogue(found)
        for word in ("secret", "remark", "invoice", "amount")
        if word in feature.name
    }
    assert used == {"amount"}


def test_columns_that_look_alike_get_names_of_their_own():
    found = wide(
        0, **{"Net value": {"kind": "number"}, "net_value": {"kind": "number"}, "2nd": {"kind": "number"}}
    )
    names = {feature.name for feature in catalogue(found)}
    assert {"visits_net_value_sum_30d", "visits_net_value_2_sum_30d", "visits_n2nd_sum_30d"} <= names


def test_long_names_are_cut_to_what_postgresql_takes_and_stay_apart():
    one, other = named("t" * 40, "c" * 40, "sum_30d"), named("t" * 40, "c" * 40, "sum_90d")
    assert len(one) == len(other) == LONGEST_NAME
    assert one != other
    assert unlike(["a", "a", "a_2"]) == ["a", "a_2", "a_2_2"]
    assert slug("Größe (m²)") == "groe_m2"


def test_an_unknown_feature_is_refused_with_the_nearest():
    with pytest.raises(ContractError) as error:
        feature_named(CONTRACT, "payments_count_30")
    assert "payments_count_30d" in str(error.value)


def test_the_built_table_is_described_by_a_contract_made_of_the_history_alone():
    contract = record_contract(CONTRACT)
    assert contract.id_column == "customer"
    assert contract.churn.label == "churned"
    assert set(contract.inputs) == {feature.name for feature in catalogue(CONTRACT)}
    assert contract.columns["plans_plan"].levels == ("S", "L")
    assert contract.columns["payments_count_30d"].kind is Kind.INTEGER
    assert not any(column.required for column in contract.inputs.values())
