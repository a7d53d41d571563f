from __future__ import annotations

import re

import polars as pl
import pytest

from holdfast.errors import UsageError
from holdfast.simulator.telco import World
from holdfast.simulator.telco import world as world_room
from holdfast.simulator.telco.places import PROVINCES
from holdfast.simulator.telco.world import TABLES

CODE = re.compile(r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d")
FIRST = {"A": "NL", "B": "NS", "C": "PE", "E": "NB", "G": "QC", "H": "QC", "J": "QC", "K": "ON", "L": "ON"}
FIRST |= {"M": "ON", "N": "ON", "P": "ON", "R": "MB", "S": "SK", "T": "AB", "V": "BC", "Y": "YT"}
TERRITORIES = {"X0A": "NU", "X0B": "NU", "X0C": "NU", "X0E": "NT", "X0G": "NT", "X1A": "NT"}
TIMES = {"subscriptions": "started_at", "transactions": "happened_at", "support_tickets": "opened_at"}
IDS = {"subscriptions": "subscription_id", "transactions": "transaction_id", "support_tickets": "ticket_id"}


@pytest.fixture(scope="module")
def tables(lived):
    return lived.tables


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_their_columns_and_types(tables, name):
    assert dict(tables[name].schema) == TABLES[name]


def test_every_customer_is_there_once_and_every_row_belongs_to_one(tables):
    known = tables["customers"]["customer_id"]
    assert known.n_unique() == len(known) == 10_000
    for name in TIMES:
        assert tables[name]["customer_id"].is_in(known.implode()).all()
    assert set(tables["subscriptions"]["customer_id"]) == set(known)


def test_postal_codes_agree_with_provinces(tables):
    places = tables["customers"].select("province", "postal_code").rows()
    assert all(CODE.fullmatch(code) for _, code in places)
    assert all(FIRST.get(code[0], TERRITORIES.get(code[:3])) == province for province, code in places)
    assert {province for province, _ in places} == {province.code for province in PROVINCES}


def test_shares_of_provinces_are_canadas(tables):
    """10,000 customers: a share has a standard error of .005 at most."""
    found = dict(tables["customers"]["province"].value_counts(normalize=True).rows())
    assert all(abs(found[province.code] - province.share) < 0.02 for province in PROVINCES)


def test_people_are_grown_up_before_they_sign_up(tables):
    age = tables["customers"].select((pl.col("signup_date") - pl.col("birth_date")).dt.total_days() / 365.25)
    assert 17.9 < age.to_series().min() < 20
    assert 80 < age.to_series().max() < 90.1


@pytest.mark.parametrize("name", TIMES)
def test_nothing_is_known_before_it_happens(tables, name):
    table = tables[name]
    assert (table["known_at"] > table[TIMES[name]]).all()
    for closing in {"ended_at", "closed_at", "paid_at"} & set(table.columns):
        assert (table["known_at"] >= table[closing]).drop_nulls().all()


@pytest.mark.parametrize("name", TIMES)
def test_most_is_known_within_hours_and_some_days_later(tables, name):
    first = tables[name].sort("known_at").unique(IDS[name], keep="first")
    hours = (first["known_at"] - first[TIMES[name]]).dt.total_hours()
    assert 0.9 < (hours <= 4).mean() < 0.995
    assert 0.004 < (hours >= 24).mean() < 0.08


@pytest.mark.parametrize("name", TIMES)
def test_versions_of_one_fact_are_of_one_customer_and_time_and_known_one_after_the_other(tables, name):
    grouped = (
        tables[name]
        .group_by(IDS[name])
        .agg(
            pl.col("customer_id").n_unique(),
            pl.col(TIMES[name]).n_unique(),
            known=pl.col("known_at").n_unique(),
            rows=pl.len(),
        )
    )
    assert (grouped["customer_id"] == 1).all()
    assert (grouped[TIMES[name]] == 1).all()
    assert (grouped["known"] == grouped["rows"]).all()
    assert (grouped["rows"] > 1).any()


def test_a_subscription_ends_where_the_next_begins_or_the_customer_leaves(lived):
    rows = lived.latest.sort("customer_id", "started_at").with_columns(
        following=pl.col("started_at").shift(-1).over("customer_id")
    )
    assert (rows["ended_at"] > rows["started_at"]).drop_nulls().all()
    changed = rows.filter(pl.col("end_reason") == "changed")
    assert changed.height > 1_000
    assert (changed["following"] == changed["ended_at"]).all()
    left = rows.filter(pl.col("end_reason") != "changed")
    gap = (left["following"] - left["ended_at"]).dt.total_days().drop_nulls()
    assert 20 < len(gap) < left.height / 10
    assert gap.min() >= 40
    open_ended = rows.filter(pl.col("ended_at").is_null())
    assert open_ended["following"].is_null().all()
    assert open_ended["customer_id"].is_unique().all()


def test_some_ends_are_corrected_later(lived):
    ends = lived.tables["subscriptions"].drop_nulls("ended_at").group_by("subscription_id")
    versions = ends.agg(pl.len(), different=pl.col("ended_at").n_unique())
    corrected = versions.filter(pl.col("len") > 1)
    assert 0.003 < corrected.height / versions.height < 0.05
    assert (corrected["different"] == 2).mean() > 0.9


def test_nothing_happens_to_a_customer_who_has_left(lived):
    """But a call to say so, and what is entered about a ticket that was open."""
    spells = lived.latest.group_by("customer_id").agg(
        pl.col("ended_at").max(), here=pl.col("ended_at").is_null().any()
    )
    gone = spells.filter(~pl.col("here"))
    after = (
        lived.tables["transactions"]
        .join(gone, on="customer_id")
        .filter(pl.col("happened_at") >= pl.col("ended_at"))
    )
    assert after.is_empty()
    calls = (
        lived.tables["support_tickets"]
        .join(gone, on="customer_id")
        .filter(pl.col("opened_at") >= pl.col("ended_at"))
    )
    assert set(calls["category"]) == {"cancellation"}


def test_calls_to_cancel_come_with_the_end_never_before(lived):
    ends = lived.latest.filter(pl.col("end_reason") == "voluntary").select("customer_id", "ended_at")
    calls = lived.tables["support_tickets"].filter(
        pl.col("category") == "cancellation", pl.col("closed_at").is_null()
    )
    nearest = calls.join(ends, on="customer_id").with_columns(late=pl.col("opened_at") - pl.col("ended_at"))
    first = nearest.filter(pl.col("late").is_between(pl.duration(), pl.duration(hours=2)))
    assert first["ticket_id"].n_unique() == calls["ticket_id"].n_unique() > 100


def test_complaints_entered_after_the_end_are_known_only_then(lived):
    ends = lived.latest.filter(pl.col("end_reason") != "changed").select("customer_id", "ended_at")
    first = lived.tables["support_tickets"].sort("known_at").unique("ticket_id", keep="first")
    late = first.join(ends, on="customer_id").filter(
        pl.col("opened_at") < pl.col("ended_at"),
        pl.col("known_at") > pl.col("ended_at") + pl.duration(days=1),
        pl.col("category") == "complaint",
        pl.col("opened_at") > pl.col("ended_at") - pl.duration(days=26),
    )
    assert 0.1 < late.height / ends.height < 0.25


def test_bills_are_monthly_and_payments_follow_them(lived):
    rows = lived.tables["transactions"].sort("known_at").unique("transaction_id", keep="last")
    bills, payments = (rows.filter(pl.col("kind") == kind) for kind in ("bill", "payment"))
    assert bills.select("customer_id", pl.col("happened_at").dt.truncate("1mo")).is_unique().all()
    assert bills["usage_gb"].null_count() == payments["usage_gb"].count() == 0
    assert (payments["paid_at"].is_null() == (payments["status"] == "failed")).all()
    assert set(bills["status"]) == {"issued"}
    assert 0.02 < (payments["status"] == "failed").mean() < 0.08
    later = payments.filter(pl.col("due_at").dt.date() >= lived.world.calendar.day(2))
    paired = later.join(
        bills.with_columns(pl.col("due_at")), on=["customer_id", "due_at"], how="left", suffix="_bill"
    )
    assert paired["happened_at_bill"].null_count() == 0
    assert (paired["happened_at"] > paired["happened_at_bill"]).all()


def test_some_rows_were_wrong_at_first(lived):
    grouped = (
        lived.tables["transactions"].sort("known_at").group_by("transaction_id", "kind", maintain_order=True)
    )
    versions = grouped.agg(
        pl.len(), pl.col("status").first().alias("first"), pl.col("status").last().alias("last")
    )
    corrected = versions.filter(pl.col("len") > 1)
    assert 0.003 < corrected.height / versions.height < 0.01
    assert set(corrected.select("kind", "first", "last").rows()) == {
        ("bill", "issued", "issued"),
        ("payment", "failed", "paid"),
    }


def test_drift_is_there_when_the_calendar_says(lived):
    calendar, subscriptions = lived.world.calendar, lived.tables["subscriptions"]
    flexible = subscriptions.filter(pl.col("plan").str.starts_with("Flex"))["started_at"].dt.date()
    assert flexible.min() >= calendar.day(calendar.launch)
    place = PROVINCES[calendar.fault_province].code
    bills = (
        lived.tables["transactions"]
        .drop_nulls("usage_gb")
        .join(lived.tables["customers"].filter(pl.col("province") == place), on="customer_id")
    )
    monthly = bills.group_by(pl.col("happened_at").dt.date().dt.truncate("1mo")).agg(
        pl.col("usage_gb").median()
    )
    usual = dict(monthly.rows())
    assert usual[calendar.day(calendar.fault)] < 0.3 * usual[calendar.day(calendar.fault - 1)]
    rises = (
        subscriptions.sort("customer_id", "started_at")
        .unique("subscription_id", keep="first", maintain_order=True)
        .with_columns(before=pl.col("monthly_charge").shift().over("customer_id", "plan"))
        .filter(
            pl.col("plan").str.starts_with("Fibre"),
            pl.col("started_at")
            .dt.date()
            .is_between(calendar.day(calendar.shock - 1), calendar.day(calendar.shock)),
        )
    )
    assert (rises["monthly_charge"] / rises["before"]).median() == pytest.approx(1.16, abs=0.002)
    drift = lived.world.calendar.drift()
    assert {"price shock", "new plan", "data fault: usage is a tenth"} < set(drift["what"])


def test_another_seed_gives_other_customers_and_another_block_other_ids(monkeypatch):
    first, second = (next(World(300, 6, seed).blocks()).tables for seed in (1, 2))
    assert not first["customers"].equals(second["customers"])
    monkeypatch.setattr(world_room, "BLOCK", 200)
    two = list(World(205, 6, seed=1).blocks())
    assert [block.customers for block in two] == [200, 5]
    for name, column in IDS.items():
        assert not set(two[0].tables[name][column]) & set(two[1].tables[name][column])


@pytest.mark.parametrize(("customers", "months", "seed"), [(0, 12, 1), (10, 5, 1), (10, 61, 1), (10, 12, -1)])
def test_impossible_worlds_are_refused(customers, months, seed):
    with pytest.raises(UsageError):
        World(customers, months, seed)


@pytest.mark.parametrize("months", [6, 60])
def test_the_smallest_worlds_are_worlds(months):
    [block] = World(1, months, seed=3).blocks()
    assert block.tables["customers"].height == 1
    assert block.tables["subscriptions"].height >= 1
