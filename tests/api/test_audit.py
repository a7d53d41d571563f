from __future__ import annotations

import pytest
import sqlalchemy as sa

from holdfast.audit import record
from holdfast.store import writing
from holdfast.store.tables import audit


@pytest.fixture
def engine(shop):
    """A trail of seven entries: those of the client's version, and five more."""
    with writing(shop.registry.engine) as connection:
        for number in range(5):
            record(connection, "key:crm", "keys.create", f"key {number}")
    return shop.registry.engine


def test_the_trail_is_paged_newest_first(client, engine):
    del engine
    first = client.get("/audit", params={"limit": 4}).json()
    assert [one["number"] for one in first["entries"]] == [6, 5, 4, 3]
    assert first["next"] == 3
    rest = client.get("/audit", params={"limit": 4, "before": first["next"]}).json()
    assert [one["number"] for one in rest["entries"]] == [2, 1]
    assert rest["next"] is None
    assert len(client.get("/audit", params={"action": "models"}).json()["entries"]) == 1
    assert len(client.get("/audit", params={"actor": "key:crm"}).json()["entries"]) == 5


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 10**9}, {"before": 10**12}, {"before": "x"}])
def test_a_wrong_parameter_is_a_problem(client, wrong):
    refused = client.get("/audit", params=wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "query")


def test_verify_names_what_was_edited(client, engine):
    assert client.get("/audit/verify").json()["sound"] is True
    with writing(engine) as connection:
        connection.execute(sa.update(audit).where(audit.c.number == 3).values(subject="another"))
    verdict = client.get("/audit/verify").json()
    assert verdict["sound"] is False
    assert [(fault["number"], fault["what"]) for fault in verdict["faults"]] == [(3, "edited")]
