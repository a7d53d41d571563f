"""Every route, every method, every kind of caller: nobody gets further than the table says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter
from starlette.routing import Mount
from waiting import wait_until

from holdfast.access import Role
from holdfast.access.keys import create_key, revoke_key
from holdfast.access.users import change_user, create_user
from holdfast.api.policy import ASSETS, POLICY, PUBLIC, GuardedRoute

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PASSWORD = "four words or more"  # noqa: S105 - of tests


def routes_of(router):
    """Every route, also of the routers that were included."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from routes_of(inner)


def address(path):
    """A real address of a route's template."""
    return path.replace("{", "").replace("}", "")


@pytest.fixture(scope="module")
def client(serve_module, make_model):
    return serve_module(make_model(), rate_limit=10**6)


@pytest.fixture(scope="module")
def headers(client):
    """The headers of each kind of caller. Made once: no test changes them."""
    engine, gate = client.app.state.engine, client.app.state.gate

    def key(name, role=Role.ADMIN, **facts):
        return create_key(engine, actor="test", name=name, role=role, rate=10**6, **facts)

    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    made = {
        "expired key": {"x-api-key": key("expired", expires=soon)[1]},
        "revoked key": {"x-api-key": key("revoked")[1]},
        "forged key": {"x-api-key": key("forged")[1][:-4] + "AAAA"},
        "unknown key": {"x-api-key": "hf_0123456789ab_" + "x" * 43},
        "garbage": {"authorization": "Bearer e30.e30.e30"},
        "password": {"authorization": "Basic YWRtaW46YWRtaW4="},
        "nothing": {},
    }
    revoke_key(engine, actor="test", ref="revoked")
    create_user(engine, actor="test", name="locked", role=Role.ADMIN, password=PASSWORD)
    login = {"user": "locked", "password": PASSWORD}
    token = client.post("/auth/token", json=login).json()["access_token"]
    made["token of a locked user"] = {"authorization": f"Bearer {token}"}
    change_user(engine, actor="test", name="locked", disabled=True)
    for role in Role:
        made[role.label] = {"x-api-key": key(role.label, role)[1]}
    while datetime.now(UTC) <= soon:
        pass
    gate.refresh()
    return made


STRANGERS = (
    "nothing",
    "expired key",
    "revoked key",
    "forged key",
    "unknown key",
    "garbage",
    "password",
    "token of a locked user",
)


def test_every_route_is_guarded_and_has_a_policy_and_the_other_way_round(client):
    named = set()
    for route in routes_of(client.app):
        if isinstance(route, Mount):
            assert route.path == ASSETS
            continue
        assert isinstance(route, GuardedRoute), route
        named |= {(route.path, method) for method in route.methods}
    assert named - PUBLIC - POLICY.keys() == set(), "routes without a policy"
    assert (PUBLIC | POLICY.keys()) - named == set(), "policies without a route"
    assert PUBLIC & POLICY.keys() == set()


def test_the_public_list_is_this_and_nothing_more():
    """Whoever adds to it changes this test, too, and says why that may be public."""
    assert {
        ("/", "GET"),
        ("/livez", "GET"),
        ("/readyz", "GET"),
        ("/docs", "GET"),
        ("/auth/token", "POST"),
        ("/auth/refresh", "POST"),
        ("/v2/health/live", "GET"),
        ("/v2/health/ready", "GET"),
    } == PUBLIC


@pytest.mark.parametrize("path", sorted({path for path, _ in POLICY}))
@pytest.mark.parametrize("who", STRANGERS)
def test_strangers_get_no_further_than_the_door(client, headers, path, who):
    for method in METHODS:
        if (path, method) in PUBLIC:
            continue
        answered = client.request(method, address(path), headers=headers[who])
        assert answered.status_code == 401, (method, answered.text)
        assert answered.headers["www-authenticate"].startswith("Bearer")
        if method != "HEAD":
            assert answered.json()["code"] == "unauthorized"


@pytest.mark.parametrize(("path", "method"), sorted(POLICY))
def test_a_role_too_low_is_refused_and_the_one_named_is_not(client, headers, path, method):
    needed = POLICY[path, method]
    for role in Role:
        if role < needed:
            answered = client.request(method, address(path), headers=headers[role.label])
            assert answered.status_code == 403, (role, answered.text)
            assert needed.label in answered.json()["detail"]
    answered = client.request(method, address(path), headers=headers[needed.label])
    assert answered.status_code not in {401, 403}, answered.text


@pytest.mark.parametrize(("path", "method"), sorted(POLICY))
def test_a_refusal_comes_before_anything_is_read(client, headers, path, method):
    """A body that would be refused, too, does not matter: who asks comes first."""
    if method in {"GET", "DELETE"} or POLICY[path, method] is Role.VIEWER:
        return
    answered = client.request(method, address(path), content=b"{", headers=headers["viewer"])
    assert answered.status_code == 403


@pytest.mark.parametrize(("path", "method"), sorted(PUBLIC))
def test_what_is_public_asks_nobody(client, headers, path, method):
    for who in STRANGERS:
        answered = client.request(method, path, headers=headers[who])
        assert answered.status_code not in {401, 403} or path.startswith("/auth/")


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/%2fpredict",
        "/predict/",
        "/PREDICT",
        "/docs/",
        "/docs/assets",
        "/livez/",
        "/livez/../keys",
    ],
)
def test_what_is_not_there_is_not_told_to_strangers(client, path):
    assert client.get(path).status_code == 401


@pytest.mark.parametrize(
    "path", ["/docs/assets/../../keys", "/docs/assets/%2e%2e/keys", "/docs/assets/..%2f..%2fguard.py"]
)
def test_the_public_folder_leads_nowhere_else(client, path):
    answered = client.get(path)
    assert answered.status_code in {401, 404}


def test_a_route_without_a_policy_answers_nobody(shop, open_client):
    client = open_client(shop)
    forgotten = APIRouter(route_class=GuardedRoute)

    @forgotten.get("/forgotten")
    async def answer():
        return "secret"

    client.app.include_router(forgotten)
    answered = client.get("/forgotten")
    assert (answered.status_code, answered.json()["code"]) == (403, "forbidden")


def test_a_revoked_key_ends_in_another_server_by_itself(shop, open_client):
    """Two services on one database; nobody asks them to look."""
    shop.add()
    servers = [open_client(shop), open_client(shop)]
    engine = shop.registry.engine
    _, text = create_key(engine, actor="test", name="crm", role=Role.VIEWER)
    for expected in (200, 401):
        for server in servers:
            wait_for(server, text, expected)
        revoke_key(engine, actor="test", ref="crm")


def wait_for(client: TestClient, key: str, status: int) -> None:
    wait_until(
        lambda: client.get("/model_info", headers={"x-api-key": key}).status_code == status, "the key's state"
    )
