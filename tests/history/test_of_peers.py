"""A number as a share of the median of all who have the same level, by hand and wherever it is built."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from small_histories import history

from holdfast.history import build as building
from holdfast.history import live_files
from holdfast.history.build import build, folder_of
from holdfast.history.catalogue import MOST, catalogue, feature_named
from holdfast.history.compile import feature_sql
from holdfast.history.live_files import FileFeatures
from holdfast.history.moments import moments
from holdfast.history.prepare import prepare
from holdfast.history.prepared import opened
from holdfast.history.spine import spine_sql

CHURN = {"event": "end", "table": "plans", "horizon_days": 30}
PLANS = {
    "kind": "intervals",
    "begin": "start",
    "end": "stop",
    "known": "seen",
    "id": "no",
    "columns": {"plan": {"kind": "category"}, "price": {"kind": "number"}, "lines": {"kind": "integer"}},
}
RATIO, LINES = "plans_price_to_plan_median", "plans_lines_to_plan_median"
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2024, 6, 3, 12, tzinfo=BERLIN)


class Shop:
    """Plans as a person would write them; each row is (customer, start, stop, plan, price, lines, seen)."""

    def __init__(self, folder, rows):
        lines = ["no,customer,start,stop,plan,price,lines,seen"]
        for at, row in enumerate(rows):
            customer, start, stop, plan, price, lines_, seen = (*row, *[""] * (7 - len(row)))
            lines.append(f"{at},{customer},{start},{stop},{plan},{price},{lines_},{seen or start}")
        (folder / "plans.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.folder = folder
        self.history = history({"plans": PLANS}, CHURN, time_zone="Europe/Berlin", until="2024-08-01")
        self.prepared = prepare(self.history, folder, folder_of(folder, self.history))

    def built(self, *as_of):
        out = self.folder / "built.parquet"
        return build(self.history, self.prepared, out, as_of=as_of or [NOON], labels=False).frame()

    def shares(self, name=RATIO):
        return dict(self.built().select("customer", name).iter_rows())


def crowd(plan, prices, start="2024-01-01", stop="", **more):
    return [
        (f"{plan}{at:02}", start, stop, plan, price, more.get("lines", ""), more.get("seen", ""))
        for at, price in enumerate(prices)
    ]


def test_a_number_is_held_against_the_median_of_all_in_force_with_the_same_level(tmp_path):
    rows = [
        *crowd("S", range(1, 21)),
        *crowd("L", [*[7] * 11, *range(10, 20)]),
        ("none", "2024-01-01", "", "", 5),
    ]
    found = Shop(tmp_path, [*rows, ("free", "2024-01-01", "", "S", "")]).shares()
    assert {name: found[name] for name in ("S00", "S19")} == {"S00": 1 / 10.5, "S19": 20 / 10.5}
    assert {name: found[name] for name in ("L00", "L20")} == {"L00": 1.0, "L20": 19 / 7}
    assert found["none"] is found["free"] is None


def test_of_fewer_than_twenty_with_the_number_there_is_no_median_nor_a_share_of_nothing(tmp_path):
    few = [*crowd("S", [*range(1, 20), ""]), *crowd("L", [0] * 15 + [5] * 10), *crowd("M", [5] * 20, lines=2)]
    shop = Shop(tmp_path, few)
    assert {name[0] for name, share in shop.shares().items() if share is not None} == {"M"}
    assert {name[0] for name, share in shop.shares(LINES).items() if share is not None} == {"M"}


def test_others_count_as_of_the_begin_of_the_day_and_the_customer_as_of_the_moment(tmp_path):
    """The day begins in Berlin, at 22:00 of the day before in UTC."""
    steady = crowd("S", [*[10] * 10, *[20] * 10])  # a median of 15: one more of either side moves it
    same = [
        ("begun", "2024-06-03 00:00", "", "S", 99),
        ("told", "2024-05-01", "", "S", 99, "", "2024-06-03 00:30"),
        ("gone", "2024-01-01", "2024-06-02 23:59", "S", 99),
    ]
    other = [
        ("begun", "2024-06-02 23:59", "", "S", 30),
        ("told", "2024-05-01", "", "S", 30, "", "2024-06-03 00:00"),
        ("gone", "2024-01-01", "2024-06-03 00:00", "S", 30),
    ]
    for (at, late), early in zip(enumerate(same), other, strict=True):
        places = [tmp_path / f"{word}{at}" for word in ("late", "early")]
        for place in places:
            place.mkdir()
        found = [
            Shop(place, [*steady, row]).shares() for place, row in zip(places, (late, early), strict=True)
        ]
        assert found[0]["S00"] == 10 / 15, late
        assert found[1]["S00"] == 10 / 20, early
        assert found[0].get(late[0]) == (99 / 15 if late[0] != "gone" else None)


def test_a_correction_counts_once_it_is_known(tmp_path):
    rows = crowd("S", [*[10] * 20])
    shop = Shop(tmp_path, rows)
    text = (tmp_path / "plans.csv").read_text(encoding="utf-8")
    corrected = [f"{at},S{at:02},2024-01-01,,S,40,,2024-06-03 00:00:01" for at in range(20)]
    (tmp_path / "plans.csv").write_text(text + "\n".join(corrected) + "\n", encoding="utf-8")
    again = prepare(shop.history, tmp_path, folder_of(tmp_path, shop.history))
    days = [NOON, NOON + timedelta(days=1)]
    out = build(shop.history, again, tmp_path / "o.parquet", as_of=days, labels=False).frame()
    assert out.group_by("as_of").agg(pl.col(RATIO).unique().first()).sort("as_of")[RATIO].to_list() == [
        4.0,
        1.0,
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    rows = []
    for n in range(90):
        start = datetime(2024, 1, 1, n % 24) + timedelta(days=n)  # noqa: DTZ001 - a wall clock's
        change = datetime(2024, 5, 1) + timedelta(days=n % 60, hours=n % 7)  # noqa: DTZ001 - as above
        rows.append((f"o'{n:02}", start, change, "SML"[n % 2], 10 + n % 11, n % 3))
        rows.append((f"o'{n:02}", change, "", "SML"[n % 3], 10.1 + n % 13, ""))
    return Shop(tmp_path_factory.mktemp("shop"), rows)


def test_pieces_change_nothing(shop, monkeypatch):
    days = [NOON, NOON - timedelta(days=9, hours=3)]
    whole = shop.built(*days)
    monkeypatch.setattr(building, "PIECE", 40)
    assert whole.equals(shop.built(*days))
    assert whole[RATIO].drop_nulls().n_unique() > 20
    assert 0 < whole[LINES].null_count() < whole.height


def test_an_id_gives_what_a_build_gives_and_medians_are_worked_out_once_a_day(shop, monkeypatch):
    features = FileFeatures(shop.history, shop.folder, [RATIO, "plans_price"])
    asked = []
    counted = live_files.peers_sql
    monkeypatch.setattr(live_files, "peers_sql", lambda *given: asked.append(given) or counted(*given))
    for as_of in (NOON, NOON - timedelta(hours=11), NOON - timedelta(days=7), NOON):
        expected = shop.built(as_of).select("customer", "as_of", "plans_price", RATIO).to_dicts()
        for row in expected[::30]:
            assert features.records([row["customer"]], as_of) == [row]
    assert len(asked) == 2
    plain = FileFeatures(shop.history, shop.folder, ["plans_price"])
    assert plain.records(["o'00"], NOON)[0].keys() == {"customer", "as_of", "plans_price"}
    assert len(asked) == 2


def test_medians_depend_on_the_day_alone(shop):
    noon, evening = (shop.built(NOON + timedelta(hours=hours)) for hours in (0, 9))
    same = noon.join(evening, on=["customer", "plans_price", "plans_plan"])
    assert same.height > 80
    assert same[RATIO].equals(same[f"{RATIO}_right"], null_equal=True)


def table(numbers, categories):
    columns = {f"n{at}": {"kind": "number"} for at in range(numbers)}
    columns |= {f"c{at}": {"kind": "category"} for at in range(categories)}
    return {"kind": "intervals", "begin": "start", "end": "stop", "columns": columns}


def names(*tables):
    told = {f"t{at}": one for at, one in enumerate(tables)}
    return [one.name for one in catalogue(history(told, CHURN | {"table": "t0"}))]


def test_a_table_has_a_handful_and_they_cost_no_other_feature_its_place():
    assert [name for name in names(table(2, 2)) if name.endswith("_median")] == [
        "t0_n0_to_c0_median",
        "t0_n1_to_c0_median",
        "t0_n0_to_c1_median",
        "t0_n1_to_c1_median",
    ]
    assert sum(name.endswith("_median") for name in names(table(9, 9), table(1, 1))) == 7
    for numbers, room in ((143, 6), (145, 4), (146, 0)):
        with_, without = names(table(numbers, 1)), names(table(numbers, 0))
        assert sum(name.endswith("_median") for name in with_) == room
        assert len(with_) <= MOST
        assert [name for name in with_ if not name.endswith("_median") and "_c0" not in name] == without


def test_what_is_shown_can_be_run_and_gives_what_was_built(shop):
    text = feature_sql(shop.history, feature_named(shop.history, RATIO))
    with opened(shop.prepared) as engine:
        engine.store("moments", moments(shop.history, [NOON]))
        engine.run(f"CREATE TABLE spine AS {spine_sql(shop.history)}")
        found = engine.query(text).sort("_customer")
    assert found[RATIO].equals(shop.built()[RATIO], null_equal=True)
