from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest
from small_histories import history

from holdfast.errors import UsageError
from holdfast.scoring.history import same_history

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
        with pytest.raises(UsageError, match="has changed since the model was trained"):
            same_history(model(learned), given)
