from __future__ import annotations

import pytest
import sqlalchemy as sa

from holdfast.api.policy import POLICY, PUBLIC
from holdfast.audit import entries, record, verify
from holdfast.store import writing
from holdfast.store.tables import audit


@pytest.fixture
def engine(shop):
    """A trail of six entries: the one of the client's version, and five more."""
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


ANSWERS = {
    ("/predict", "POST"),
    ("/predict/batch", "POST"),
    ("/batch_predict", "POST"),
    ("/explain", "POST"),
    ("/v2/models/{name}/infer", "POST"),
    ("/v2/models/{name}/versions/{version}/infer", "POST"),
}
"""Routes that change nothing: what they answer is in the log of predictions."""

AUDITED = {
    ("/models/{ref}/promote", "POST"): "models.promote",
    ("/models/rollback", "POST"): "models.rollback",
    ("/customers/{customer_id:path}", "DELETE"): "customers.erased",
    ("/keys", "POST"): "keys.create",
    ("/keys/{id}", "DELETE"): "keys.revoke",
    ("/users", "POST"): "users.create",
    ("/users/{name}", "PATCH"): "users.role",
    ("/users/{name}", "DELETE"): "users.delete",
    ("/auth/token", "POST"): "auth.login",
    ("/auth/refresh", "POST"): "auth.refresh",
    ("/auth/logout", "POST"): "auth.logout",
}
"""The entry that each other route makes; those of jobs are in the tests of their own room."""


def test_each_route_that_changes_something_is_in_the_table():
    changing = {
        route for route in {*POLICY, *PUBLIC} if route[1] != "GET" and not route[0].startswith("/jobs")
    }
    assert changing == ANSWERS | AUDITED.keys()


def test_each_route_that_changes_something_makes_its_entry(shop, open_client, monkeypatch):
    monkeypatch.setattr("holdfast.registry.registry._verify_artefact", lambda _folder: None)
    shop.add()
    shop.add(promote=False)
    client = open_client(shop)
    database, done = shop.registry.engine, {}

    def ask(method, path, *, route=None, **sent):
        before = verify(database).head
        answered = client.request(method, path, **sent)
        assert answered.status_code < 300, answered.text
        (newest,) = entries(database, limit=1)
        assert newest.hash != before
        done[route or path, method] = newest.action
        return answered.json() if answered.content else {}

    ask("POST", "/models/2/promote", route="/models/{ref}/promote")
    ask("POST", "/models/rollback")
    ask("DELETE", "/customers/C-1", route="/customers/{customer_id:path}")
    admin = ask("POST", "/keys", json={"name": "boss", "role": "admin"})
    other = ask("POST", "/keys", json={"name": "crm", "role": "scorer"}, headers={"x-api-key": admin["key"]})
    client.headers["x-api-key"] = admin["key"]
    ask("DELETE", f"/keys/{other['id']}", route="/keys/{id}")
    password = "four words or more"  # noqa: S105 - of this test alone
    ask("POST", "/users", json={"name": "ana", "role": "viewer", "password": password})
    ask("PATCH", "/users/ana", route="/users/{name}", json={"role": "analyst"})
    tokens = ask("POST", "/auth/token", json={"user": "ana", "password": password})
    tokens = ask("POST", "/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    ask("POST", "/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    ask("DELETE", "/users/ana", route="/users/{name}")
    assert done == AUDITED
    assert verify(database).sound
