from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
from small_histories import history

from holdfast.errors import UsageError
from holdfast.scoring.history import built_at, same_history

CHURN = {"event": "inactivity", "table": "visits", "horizon_days": 30}
VISITS = {"kind": "events", "time": "at"}
ONE = {"kind": "customers", "columns": {"city": {"kind": "category"}}}
OTHER = {"kind": "customers", "columns": {"plan": {"kind": "category"}}}


def model(learned):
    return SimpleNamespace(name="small", version="v1", history=learned)


@pytest.mark.parametrize("clock", [{}, {"time_zone": "Europe/Berlin"}])
def test_tables_may_be_elsewhere_and_reach_further_than_when_the_model_learned(clock):
    learned = history({"visits": VISITS}, CHURN, **clock)
    now = history({"visits": VISITS | {"source": "new.parquet"}}, CHURN, until=date(2024, 7, 1), **clock)
    assert same_history(model(learned), now) is now
    assert same_history(model(now), learned) is learned


def test_another_horizon_or_zone_or_register_of_customers_is_refused():
    learned = history({"one": ONE, "other": OTHER, "visits": VISITS}, CHURN)
    for given in (
        history({"one": ONE, "other": OTHER, "visits": VISITS}, CHURN | {"horizon_days": 31}),
        history({"one": ONE, "other": OTHER, "visits": VISITS}, CHURN, time_zone="Europe/Berlin"),
        history({"other": OTHER, "one": ONE, "visits": VISITS}, CHURN),
    ):
        with pytest.raises(UsageError, match="is not the one that the model learned by"):
            same_history(model(learned), given)


def test_two_runs_of_one_home_have_a_table_each_and_leave_none(tmp_path):
    (tmp_path / "visits.csv").write_text("customer,at\na,2024-01-01\nb,2024-02-20\n")
    learned = history({"visits": VISITS}, CHURN, until=date(2024, 3, 1))
    given = {"home": tmp_path / "home", "labels": False}
    early, late = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    with (
        built_at(model(learned), learned, tmp_path, as_of=[early], **given) as one,
        built_at(model(learned), learned, tmp_path, as_of=[late], **given) as other,
    ):
        assert one.frame()["customer"].to_list() == ["a"]
        assert other.frame()["customer"].to_list() == ["a", "b"]
    left = {path.name for path in (tmp_path / "home" / "histories" / "small").iterdir()}
    assert left == {".lock", "prepared.json", "rejects.csv", "visits.parquet"}
