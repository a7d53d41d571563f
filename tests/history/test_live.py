"""Features of a few customers, built now, equal those of the batch for the same moment."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import psycopg
import pytest
from database_worlds import CHURN, ODD_IDS, contract, odd, world
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from waiting import wait_until

from holdfast.history.build_in_place import build_in_postgres
from holdfast.history.indexes import make_indexes, propose_indexes
from holdfast.history.live import LiveFeatures, customer_key
from holdfast.history.live_medians import PendingError
from holdfast.settings import Settings
from holdfast.sources import SourceError


@pytest.fixture(scope="module")
def at(postgres):
    return postgres.url()


MEDIAN = "plans_price_to_plan_median"


@pytest.fixture(autouse=True, scope="module")
def fewer():
    """Worlds of few customers have medians."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast.history.of_peers.FEWEST", 5)
        yield


def batch(history, url, folder, as_of):
    built, _ = build_in_postgres(
        history, folder / "batch.parquet", settings=Settings(source_url=url), as_of=[as_of], labels=False
    )
    return built.frame()


@settings(max_examples=4, deadline=None, phases=[Phase.generate])  # a world has a seed
@given(
    st.integers(0, 2**32), st.sampled_from([*CHURN]), st.sampled_from(["UTC", "Europe/Berlin"]), st.randoms()
)
def test_features_built_now_equal_those_of_the_batch(at, tmp_path_factory, seed, event, zone, chance):  # noqa: PLR0917 - fixtures
    world(seed).into(at)
    history = contract(event, zone)
    as_of = datetime(2024, 8, 1, 9, tzinfo=ZoneInfo(zone))
    whole = batch(history, at, tmp_path_factory.mktemp("world"), as_of)
    names = whole["customer"].to_list()
    with closing(LiveFeatures(history, Settings(source_url=at))) as live:
        some = sorted(chance.sample(names, len(names) // 2))
        found = live.build([*some, "nobody"], as_of)
        assert found.equals(whole.filter(pl.col("customer").is_in(some)))
        assert found[MEDIAN].null_count() < found.height
        assert live.records(some, as_of) == found.to_dicts()
        for name in chance.sample(names, min(3, len(names))):
            assert live.build([name], as_of).equals(whole.filter(pl.col("customer") == name))


def test_medians_of_everybody_are_worked_out_once_a_day_and_only_for_features_that_need_them(at):
    world(7, customers=400).into(at)
    history, there, price = contract("end", "UTC"), Settings(source_url=at), "plans_price"
    noon, later = datetime(2024, 8, 1, 12, tzinfo=UTC), datetime(2024, 8, 2, tzinfo=UTC)
    everyone = [f"{'cC'[n % 2]}{n}" for n in range(1, 401)]
    with (
        closing(LiveFeatures(history, there, [MEDIAN, price])) as live,
        closing(LiveFeatures(history, there, [price])) as plain,
    ):
        before = live.build(everyone, noon).drop_nulls(MEDIAN)
        assert before.height > 40
        with psycopg.connect(at, autocommit=True) as connection:
            connection.execute("UPDATE plans SET price = 2 * price")
        for as_of, times in ((noon, 2), (noon.replace(hour=23), 2), (later, 1), (noon, 2)):
            found = live.build(everyone, as_of).join(before, on=["customer"])
            same = found.filter(pl.col(price) == 2 * pl.col(f"{price}_right"))
            assert same.height > 40
            assert (same[MEDIAN] - times * same[f"{MEDIAN}_right"]).abs().max() < 1e-9
        assert plain.build(everyone, noon).columns == ["customer", "as_of", price]
        assert plain._medians is None


def test_a_day_can_be_begun_before_anybody_asks(at, monkeypatch):
    world(7, customers=400).into(at)
    noon = datetime(2024, 8, 1, 12, tzinfo=UTC)
    everyone = [f"{'cC'[n % 2]}{n}" for n in range(1, 401)]
    with closing(LiveFeatures(contract("end", "UTC"), Settings(source_url=at), [MEDIAN])) as live:
        monkeypatch.setattr(live, "now", lambda: noon)
        live.begin_day()
        [work] = live._medians._days.values()
        assert work.found.result(60)
        live.begin_day()
        with psycopg.connect(at, autocommit=True) as connection:
            connection.execute("UPDATE plans SET price = 2 * price")
        begun = live.build(everyone, noon)[MEDIAN].drop_nulls()
        later = live.build(everyone, noon.replace(day=2))[MEDIAN].drop_nulls()
        assert begun.median() > 1.9 * later.median() > 0


def test_who_asks_while_medians_are_worked_out_waits_a_moment_alone(at, monkeypatch):
    monkeypatch.setattr("holdfast.history.live_medians.PATIENCE", 0.05)
    monkeypatch.setattr("holdfast.history.live.AWAY_SECONDS", 0.0)
    world(7).into(at)
    as_of = datetime(2024, 8, 1, tzinfo=UTC)
    with closing(LiveFeatures(contract("end", "UTC"), Settings(source_url=at), [MEDIAN])) as live:
        with psycopg.connect(at) as connection:
            connection.execute("LOCK TABLE plans")
            for _ in range(2):
                with pytest.raises(PendingError, match="on 2024-08-01 is still being worked out"):
                    live.build(["C1"], as_of)
        monkeypatch.setattr("holdfast.history.live_medians.PATIENCE", 60)
        wait_until(lambda: answers(live, as_of), "the medians")


def answers(live, as_of):
    try:
        return live.build(["C1", "c2"], as_of).columns
    except PendingError:
        return None


def test_customers_of_whom_the_tables_know_are_told_from_strangers(at):
    world(7).into(at)
    with psycopg.connect(at, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO people (id, joined) VALUES ('late', '2024-11-01'), (' NULL ', '2024-01-01')"
        )
    with closing(LiveFeatures(contract("end", "UTC"), Settings(source_url=at))) as live:
        as_of = datetime(2024, 8, 1, tzinfo=UTC)
        assert live.known(["late", "nobody", "NULL", "null"], as_of) == {"late"}
        assert live.build(["late"], as_of).height == 0


def test_only_what_is_asked_for_is_built(at):
    world(7).into(at)
    with closing(LiveFeatures(contract("end", "UTC"), Settings(source_url=at), ["plans_price"])) as live:
        assert live.build(["C1"], live.now()).columns == ["customer", "as_of", "plans_price"]


def test_proposed_indexes_are_made_once_and_used(at):
    world(7, customers=400).into(at)
    history, there = contract("end", "UTC"), Settings(source_url=at)
    proposed = propose_indexes(history, there)
    assert [(one.name.rpartition("_")[0], one.there) for one in proposed] == [
        ("holdfast_people_customer", False),
        ("holdfast_payments_customer", False),
        ("holdfast_payments_id", False),
        ("holdfast_plans_customer", False),
        ("holdfast_plans_id", False),
    ]
    assert make_indexes(history, there, proposed) == proposed
    assert all(one.there for one in propose_indexes(history, there))
    with closing(LiveFeatures(history, there)) as live:
        told = live.explained(["C7"], datetime(2024, 8, 1, tzinfo=UTC))
    assert "Seq Scan on payments" not in told
    assert "holdfast_payments_customer" in told


def test_names_levels_and_ids_may_have_signs_that_mean_something_to_sql(at, tmp_path):
    history, there = odd(at), Settings(source_url=at)
    as_of = datetime(2024, 6, 1, tzinfo=UTC)
    assert len(make_indexes(history, there, propose_indexes(history, there))) == 1
    assert all(one.there for one in propose_indexes(history, there))
    with closing(LiveFeatures(history, there)) as live:
        assert live.build(ODD_IDS, as_of).equals(batch(history, at, tmp_path, as_of))


def test_after_a_failure_nobody_waits_for_the_database_and_later_it_is_asked_again(postgres, monkeypatch):
    url = postgres.url()
    world(7).into(url)
    features = LiveFeatures(
        contract("end", "UTC"), Settings(source_url=url, source_retries=0), ["plans_price"]
    )
    with closing(features) as live:
        now = live.now()
        expected = live.build(["C1"], now)
        postgres.stop()
        try:
            with pytest.raises(SourceError) as first:
                live.build(["C1"], now)
            with pytest.raises(SourceError) as second:
                live.build(["C1"], now)
        finally:
            postgres.start()
        assert second.value is first.value
        monkeypatch.setattr("holdfast.history.live.AWAY_SECONDS", 0.0)
        live._away = None  # the two seconds are over
        assert live.build(["C1"], now).equals(expected)


@pytest.mark.parametrize(("given", "key"), [(" C1\t", "C1"), ("17", "17"), ("17.0", "17"), ("1.5", "1.5")])
def test_ids_are_compared_as_tables_have_them(given, key):
    assert customer_key(given) == key
