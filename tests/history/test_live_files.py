"""What a customer's id gives from prepared files is what a build gives for the same moment."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from small_histories import history

from holdfast.api.built import NOT_ELIGIBLE, UNKNOWN, completed
from holdfast.history.build import build, folder_of
from holdfast.history.catalogue import catalogue
from holdfast.history.live_files import FileFeatures
from holdfast.history.prepare import prepare
from holdfast.history.problems import HistoryError

TABLES = {
    "people": {"kind": "customers", "begin": "joined", "columns": {"city": {"kind": "category"}}},
    "visits": {"kind": "events", "time": "at", "columns": {"spent": {"kind": "number"}}},
}
CHURN = {"event": "inactivity", "table": "visits", "horizon_days": 30, "active_days": 90}
OWN = "SELECT customer, MAX(spent) AS value FROM visits WHERE at >= :w30 GROUP BY customer"
EARLY = datetime(2024, 2, 1, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    people = [f"o'{n},2023-0{1 + n % 9}-01,{'AB'[n % 2]}" for n in range(40)]
    visits = [f"o'{n},2024-0{1 + day % 2}-{1 + (n + day) % 28:02} 1{day % 9}:30,{n / 7:.3f}"
              for n in range(0, 40, 2) for day in range(n)]  # fmt: skip
    (folder / "people.csv").write_text("\n".join(["customer,joined,city", *people]) + "\n")
    (folder / "visits.csv").write_text("\n".join(["customer,at,spent", *visits]) + "\n")
    contract = history(TABLES, CHURN, time_zone="Europe/Berlin").model_copy(
        update={"features": {"most": OWN}}
    )
    place = folder_of(folder, contract)
    return folder, contract, prepare(contract, folder, place)


def features_of(shop):
    return FileFeatures(shop[1], shop[0], [one.name for one in catalogue(shop[1])])


@pytest.mark.parametrize("as_of", [EARLY, None])
def test_an_id_gives_what_a_build_gives_for_the_same_moment(shop, tmp_path, as_of):
    features = features_of(shop)
    moment = as_of or features.now()
    assert features.now() == shop[2].until.replace(tzinfo=UTC)
    frame = build(shop[1], shop[2], tmp_path / "b.parquet", as_of=[moment], labels=False).frame()
    assert frame.height > 10
    for row in frame.to_dicts()[:3]:
        assert features.records([row["customer"]], moment) == [row]
    together = features.records(frame["customer"].to_list(), moment)
    assert sorted(together, key=lambda row: row["customer"]) == frame.to_dicts()


def test_who_is_unknown_or_no_customer_then_is_told_apart(shop):
    features = features_of(shop)
    asked = ["o'2", "o'1", "nobody", "'; DROP VIEW visits; --"]
    made = completed(features, "customer", [{"customer_id": one} for one in asked])
    assert {at: one.reason for at, one in made.rejects.items()} == {1: NOT_ELIGIBLE, 2: UNKNOWN, 3: UNKNOWN}
    assert made.records[0]["people_city"] == "A"
    assert made.moments == {0: features.now()}


def test_what_is_prepared_anew_is_taken_up_and_another_contract_s_tables_are_not(shop, tmp_path):
    folder, contract, _ = shop
    features = features_of(shop)
    before = features.now()
    with (folder / "visits.csv").open("a") as file:
        file.write("o'2,2024-03-05 10:00,99\n")
    assert features.now() == before
    prepare(contract, folder, folder_of(folder, contract))
    assert features.now() > before
    assert features.records(["o'2"], features.now())[0]["most"] == 99
    other = contract.model_copy(update={"tables": {"visits": contract.tables["visits"]}})
    with pytest.raises(HistoryError, match="No tables are prepared by the contract"):
        FileFeatures(other, folder, ["most"])
    with pytest.raises(HistoryError, match="No tables are prepared"):
        FileFeatures(contract, tmp_path, ["most"])
