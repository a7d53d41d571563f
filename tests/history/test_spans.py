"""Nothing is known of what is to come, though tables tell of days that still go on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from small_histories import history

from holdfast.history.build import build
from holdfast.history.prepare import prepare
from holdfast.history.problems import HistoryError

BUYS = {"buys": {"kind": "events", "time": "at"}}
CHURN = {"event": "inactivity", "table": "buys", "horizon_days": 30}


def where_it_is_noon() -> tuple[str, date]:
    """A zone in which today is the same day at the end of a test as at its begin, and that day."""
    zone = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
    return zone, datetime.now(ZoneInfo(zone)).date()


@pytest.fixture(params=["days alone", "until"])
def today(request, tmp_path):
    """A contract whose tables were exported today and tell of this day, its folder, and the day."""
    zone, day = where_it_is_noon()
    clock = {"time_zone": zone, "first": str(day - timedelta(days=100))}
    if request.param == "until":
        clock["until"] = str(day + timedelta(days=1))
    began = day - timedelta(days=200)
    (tmp_path / "buys.csv").write_text(f"customer,at\na,{began}\nb,{began}\nb,{day}\n")
    return history(BUYS, CHURN, **clock), tmp_path, day


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def test_a_day_that_goes_on_is_known_up_to_now_and_not_read_anew_for_that(today):
    contract, folder, _ = today
    before = now()
    one = prepare(contract, folder, folder / "prepared")
    between = now()
    other = prepare(contract, folder, folder / "prepared")
    assert before <= one.until <= between <= other.until <= now()
    assert one.made == other.made
    assert one.counts["buys"].kept == 3


def test_whoever_may_still_buy_today_has_not_churned(today):
    contract, folder, day = today
    found = prepare(contract, folder, folder / "prepared")
    there = ZoneInfo(contract.clock.time_zone)
    ends_tonight, ended = (
        datetime.combine(day - timedelta(days=n), datetime.min.time(), there) for n in (29, 30)
    )
    frame = build(contract, found, folder / "built.parquet", as_of=[ended, ends_tonight]).frame()
    assert frame.sort("as_of", "customer")["outcome"].to_list() == [
        "churned",
        "churned",
        "immature",
        "immature",
    ]


def test_customers_are_not_described_as_of_tonight(today):
    contract, folder, day = today
    found = prepare(contract, folder, folder / "prepared")
    built = build(contract, found, folder / "built.parquet")
    assert max(built.as_of).date() <= day
    tonight = datetime.combine(day + timedelta(days=1), datetime.min.time())
    with pytest.raises(HistoryError, match="up to which the tables are complete"):
        build(contract, found, folder / "built.parquet", as_of=[tonight])
