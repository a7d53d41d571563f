from __future__ import annotations

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from holdfast.access import Role
from holdfast.access.keys import create_key
from holdfast.api import auth
from holdfast.store import reading
from holdfast.store.tables import audit

PASSWORD = "four words or more"  # noqa: S105 - of tests
ANA = {"name": "ana", "role": "analyst", "password": PASSWORD}
LOGIN = {"user": "ana", "password": PASSWORD}


@pytest.fixture
def ops(client):
    """The headers of an administrator."""
    _, text = create_key(client.app.state.engine, actor="test", name="ops", role=Role.ADMIN)
    client.app.state.gate.refresh()
    return {"x-api-key": text}


@pytest.fixture
def ana(client, ops):
    """What a login of an analyst gives."""
    assert client.post("/users", json=ANA, headers=ops).status_code == 201
    return login(client)


def login(client):
    answered = client.post("/auth/token", json=LOGIN)
    assert answered.status_code == 200, answered.text
    return answered.json()


def bearer(tokens):
    return {"authorization": f"Bearer {tokens['access_token']}"}


def recorded(client):
    with reading(client.app.state.engine) as connection:
        wanted = sa.select(audit.c.actor, audit.c.action, audit.c.subject).order_by(audit.c.number)
        return [tuple(row) for row in connection.execute(wanted)]


def test_a_login_gives_tokens_that_say_who_it_is(client, ana):
    assert ana.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (ana["token_type"], ana["expires_in"]) == ("Bearer", 900)
    assert client.get("/auth/me", headers=bearer(ana)).json() == {"id": "user:ana", "role": "analyst"}


def test_a_wrong_login_tells_nothing(client, ana):
    assert ana
    answers = [
        client.post("/auth/token", json={"user": user, "password": "wrong password"})
        for user in ("ana", "nobody", "x\u0000")
    ]
    assert {answered.status_code for answered in answers} == {401}
    assert len({answered.json()["detail"] for answered in answers}) == 1
    assert answers[0].headers["www-authenticate"].startswith("Bearer")


def test_tries_to_log_in_are_limited_by_name_and_by_address(client, ana, monkeypatch):
    assert ana
    monkeypatch.setattr(auth, "LOGINS_OF_NAME", 3)
    monkeypatch.setattr(auth, "LOGINS_FROM_ADDRESS", 12)
    tried = [client.post("/auth/token", json=LOGIN | {"password": "x"}) for _ in range(8)]
    assert [answered.status_code for answered in tried].count(429) >= 2
    assert int(tried[-1].headers["retry-after"]) >= 1
    assert client.post("/auth/token", json=LOGIN).status_code == 429
    other = TestClient(client.app, base_url="http://127.0.0.1", client=("203.0.113.7", 1))
    assert other.post("/auth/token", json=LOGIN).status_code == 429
    names = [
        other.post("/auth/token", json={"user": f"u{at}", "password": "x"}).status_code for at in range(30)
    ]
    assert set(names) == {401, 429}
    assert names[-1] == 429


def test_a_session_is_refreshed_and_ends_with_logout(client, ana):
    renewed = client.post("/auth/refresh", json={"refresh_token": ana["refresh_token"]})
    assert renewed.status_code == 200
    tokens = renewed.json()
    assert client.get("/auth/me", headers=bearer(tokens)).status_code == 200
    gone = client.post(
        "/auth/logout", json={"refresh_token": tokens["refresh_token"]}, headers=bearer(tokens)
    )
    assert gone.status_code == 204
    assert client.get("/auth/me", headers=bearer(tokens)).status_code == 401
    assert client.get("/auth/me", headers=bearer(ana)).status_code == 401
    again = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (again.status_code, again.json()["code"]) == (401, "unauthorized")


def test_a_refresh_token_used_twice_ends_the_session(client, ana):
    tokens = client.post("/auth/refresh", json={"refresh_token": ana["refresh_token"]}).json()
    assert client.post("/auth/refresh", json={"refresh_token": ana["refresh_token"]}).status_code == 401
    assert client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert client.get("/auth/me", headers=bearer(tokens)).status_code == 401


def test_keys_are_made_listed_and_revoked(client, ops, good):
    made = client.post(
        "/keys", json={"name": "crm", "role": "scorer", "expires_days": 90, "rate": 5}, headers=ops
    )
    assert made.status_code == 201
    key = made.json()
    own = {"x-api-key": key["key"]}
    assert client.post("/predict", json=good, headers=own).status_code == 200
    listed = client.get("/keys", headers=ops)
    assert key["key"] not in listed.text
    assert [(one["name"], one["state"]) for one in listed.json()["keys"]] == [
        ("ops", "usable"),
        ("crm", "usable"),
    ]
    assert listed.json()["keys"][1] == {name: value for name, value in key.items() if name != "key"}
    assert client.delete(f"/keys/{key['id']}", headers=ops).json()["state"] == "revoked"
    assert client.post("/predict", json=good, headers=own).status_code == 401
    again = client.post("/keys", json={"name": "crm", "role": "scorer"}, headers=ops)
    assert (again.status_code, again.json()["code"]) == (409, "taken")
    missing = client.delete("/keys/nothing", headers=ops)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown")
    admin = client.get("/auth/me", headers=ops).json()["id"]
    said = [(actor, action) for actor, action, _ in recorded(client) if action.startswith("keys.")]
    assert said == [("test", "keys.create"), (admin, "keys.create"), (admin, "keys.revoke")]


def test_users_are_added_changed_and_removed(client, ops, ana):
    assert client.get("/users", headers=ops).json()["users"][0].keys() == {
        "name",
        "role",
        "created",
        "disabled",
    }
    changed = client.patch("/users/ana", json={"role": "viewer"}, headers=ops)
    assert (changed.status_code, changed.json()["role"]) == (200, "viewer")
    assert client.get("/auth/me", headers=bearer(ana)).json()["role"] == "viewer"
    client.patch("/users/ana", json={"disabled": True}, headers=ops)
    assert client.get("/auth/me", headers=bearer(ana)).status_code == 401
    assert client.post("/auth/token", json=LOGIN).status_code == 401
    client.patch("/users/ana", json={"disabled": False, "password": PASSWORD * 2}, headers=ops)
    assert client.get("/auth/me", headers=bearer(ana)).status_code == 401
    assert client.post("/auth/token", json=LOGIN).status_code == 401
    again = client.post("/users", json=ANA | {"name": "ANA"}, headers=ops)
    assert (again.status_code, again.json()["code"]) == (409, "taken")
    assert client.delete("/users/ana", headers=ops).status_code == 204
    for answered in (
        client.delete("/users/ana", headers=ops),
        client.patch("/users/x", json={}, headers=ops),
    ):
        assert (answered.status_code, answered.json()["code"]) == (404, "unknown")
    assert PASSWORD not in str(recorded(client))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/keys", {}),
        ("/keys", {"name": "a", "role": "root"}),
        ("/keys", {"name": "a b", "role": "viewer"}),
        ("/keys", {"name": "a", "role": "viewer", "rate": 0}),
        ("/keys", {"name": "a", "role": "viewer", "expires_days": -1}),
        ("/keys", {"name": "a", "role": "viewer", "expires_days": "NaN"}),
        ("/keys", {"name": "a", "role": "viewer", "admin": True}),
        ("/users", ANA | {"password": "short"}),
        ("/users", ANA | {"name": "../x"}),
        ("/users", []),
        ("/users", "x"),
        ("/auth/token", {"user": "ana"}),
        ("/auth/token", {"user": "ana", "password": ["x"]}),
        ("/auth/refresh", {"refresh_token": 7}),
    ],
    ids=str,
)
def test_a_wrong_body_is_a_problem_that_names_the_field_and_repeats_nothing(client, ops, path, body):
    answered = client.post(path, json=body, headers=ops)
    assert (answered.status_code, answered.json()["code"]) == (422, "body")
    assert "short" not in answered.text.replace("shorten", "")
    assert client.get("/users", headers=ops).json() == {"users": []}


def test_a_body_that_is_no_json_is_a_problem_too(client, ops):
    headers = ops | {"content-type": "application/json"}
    answered = client.post("/keys", content=b"{", headers=headers)
    assert (answered.status_code, answered.json()["code"]) == (400, "json")
