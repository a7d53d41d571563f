from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from holdfast.access import Role
from holdfast.access.keys import create_key
from holdfast.api.guard import REQUEST_HEADERS

EVIL = "https://evil.example"
OURS = "https://crm.example"


def key_for(client, role=Role.ADMIN, name="ops", **facts):
    _, text = create_key(client.app.state.engine, actor="test", name=name, role=role, **facts)
    client.app.state.gate.refresh()
    return {"x-api-key": text}


def elsewhere(client, address="203.0.113.7", base_url="http://127.0.0.1"):
    """The same service, asked from another machine."""
    return TestClient(client.app, base_url=base_url, client=(address, 50_000))


# ---- this machine's user


def test_this_machine_s_user_may_do_all_until_a_key_is_made(client):
    assert client.get("/auth/me").json() == {"id": "local", "role": "admin"}
    made = client.post("/keys", json={"name": "first", "role": "admin"})
    assert made.status_code == 201
    assert client.get("/auth/me").status_code == 401
    assert client.get("/auth/me", headers={"x-api-key": made.json()["key"]}).json()["role"] == "admin"
    client.delete("/keys/first", headers={"x-api-key": made.json()["key"]})
    assert client.get("/auth/me").status_code == 401


@pytest.mark.parametrize(
    "address", ["203.0.113.7", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "localhost", ""]
)
def test_another_machine_is_not_this_machine_s_user(client, address):
    assert elsewhere(client, address).get("/auth/me").status_code == 401


@pytest.mark.parametrize(
    "name", ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via", "X-Forwarded-For"]
)
def test_what_a_proxy_passes_on_is_not_this_machine_s_user(client, name):
    assert client.get("/auth/me", headers={name: "127.0.0.1"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://evil.example#127.0.0.1"},
        {"origin": "file://"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1", "sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/predict"), ("GET", "/keys"), ("POST", "/keys")])
def test_another_page_cannot_use_this_machine_s_user(client, good, headers, method, path):
    """As a page's form or fetch without a preflight would send it."""
    for kind in ("text/plain", "application/json"):
        answered = client.request(method, path, json=good, headers={**headers, "content-type": kind})
        assert (answered.status_code, answered.json()["code"]) == (403, "origin")
    assert client.get("/keys").json() == {"keys": []}


@pytest.mark.parametrize(
    "headers", [{"origin": "http://127.0.0.1"}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
def test_the_server_s_own_page_can(client, headers):
    assert client.get("/auth/me", headers=headers).status_code == 200


def test_even_a_page_that_may_ask_cannot_use_this_machine_s_user(shop, open_client):
    shop.add()
    client = open_client(shop, cors_origins=(OURS,))
    assert client.get("/auth/me", headers={"origin": OURS}).status_code == 403


# ---- names


def test_only_names_of_this_server_are_answered(shop, open_client):
    shop.add()
    client = open_client(shop, allowed_hosts=("Churn.example",))
    for name in ("churn.example", "CHURN.EXAMPLE:8443", "localhost", "127.0.0.1:9", "[::1]:8000"):
        assert client.get("/livez", headers={"host": name}).status_code == 200
    for name in (
        "evil.example",
        "churn.example.evil",
        "10.0.0.1",
        "churn.example@evil",
        "[::2]",
        "",
        "127.1",
        "0x7f.1",
    ):
        answered = client.get("/livez", headers={"host": name})
        assert (answered.status_code, answered.json()["code"]) == (400, "host")


def test_beyond_loopback_an_address_is_a_name_too(shop, open_client):
    """Probes ask by address; it cannot be rebound, and nobody is let in without credentials."""
    shop.add()
    client = open_client(shop, host="0.0.0.0")  # noqa: S104 - nothing listens
    for name in ("10.0.0.1:8000", "[2001:db8::1]:8000", "127.0.0.1"):
        assert client.get("/livez", headers={"host": name}).status_code == 200
    assert client.get("/livez", headers={"host": "evil.example"}).status_code == 400


def test_many_names_take_no_memory(client):
    for at in range(200):
        client.get("/livez", headers={"host": f"127.0.0.1:{at + 1}"})
    assert len(client.app.guard._good_hosts) <= 64


# ---- other origins


def test_listed_origins_may_ask_and_others_may_not(shop, open_client, good):
    shop.add()
    client = open_client(shop, cors_origins=(OURS,))
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    allowed = client.options("/predict", headers={"origin": OURS, **asked})
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == OURS
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert b"x-api-key" in REQUEST_HEADERS
    assert "x-api-key" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in allowed.headers
    assert "origin" in allowed.headers["vary"]
    for other in (EVIL, f"{OURS}.evil", "null", OURS.replace("https", "http"), ""):
        refused = client.options("/predict", headers={"origin": other, **asked})
        assert (refused.status_code, refused.json()["code"]) == (403, "origin")
        assert "access-control-allow-origin" not in refused.headers
        assert "origin" in refused.headers["vary"]
    key = key_for(client)
    answered = client.post("/predict", json=good, headers={"origin": OURS, **key})
    assert answered.status_code == 200
    assert answered.headers["access-control-allow-origin"] == OURS
    assert "x-request-id" in answered.headers["access-control-expose-headers"]
    for status, headers in ((401, {}), (200, key)):
        without = client.post("/predict", json=good, headers={"origin": EVIL, **headers})
        assert without.status_code == status
        assert "access-control-allow-origin" not in without.headers
    # A page must be able to read why it was refused.
    assert client.get("/keys", headers={"origin": OURS}).headers["access-control-allow-origin"] == OURS


def test_without_a_list_nothing_is_said_about_origins(client):
    answered = client.get("/livez", headers={"origin": EVIL})
    assert answered.status_code == 200
    assert not [name for name in answered.headers if name.startswith("access-control") or name == "vary"]


# ---- correlation


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-request-id": "order-17_a.B"}, "order-17_a.B"),
        ({"x-request-id": "a" * 128}, "a" * 128),
        (
            {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
            "0af7651916cd43dd8448eb211c80319c",
        ),
        (
            {
                "x-request-id": "mine",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            },
            "mine",
        ),
    ],
)
def test_a_request_s_id_comes_back(client, headers, expected):
    for path in ("/livez", "/nowhere", "/predict"):
        assert client.get(path, headers=headers).headers["x-request-id"] == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-request-id": ""},
        {"x-request-id": "a" * 129},
        {"x-request-id": "a b"},
        {"x-request-id": "<script>"},
        {"x-request-id": "a\\r\\nset-cookie: x"},
        {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"},
        {"traceparent": "nonsense"},
    ],
    ids=lambda headers: str(headers)[:40],
)
def test_otherwise_it_gets_a_new_one(client, headers):
    seen = {client.get("/livez", headers=headers).headers["x-request-id"] for _ in range(2)}
    assert len(seen) == 2
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)
        for one in seen
    )


# ---- headers


@pytest.mark.parametrize(
    "path", ["/livez", "/model_info", "/nowhere", "/docs", "/docs/assets/docs.js", "/keys"]
)
def test_every_answer_says_what_a_browser_may_do_with_it(client, path):
    headers = elsewhere(client).get(path).headers if path == "/keys" else client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    scripts = re.findall(r"script-src ([^;]+)", policy)
    assert scripts == (["'self'"] if path == "/docs" else [])
    assert headers["cache-control"].startswith("public" if "assets" in path else "no-store")
    assert "server" not in headers


# ---- rates


def test_a_key_has_its_rate_and_is_told_how_it_stands(shop, open_client):
    shop.add()
    client = open_client(shop, rate_limit=100)
    usual = key_for(client)
    headers = client.get("/auth/me", headers=usual).headers
    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("100", "99")
    assert 1 <= int(headers["ratelimit-reset"]) <= 60
    slow = key_for(client, Role.VIEWER, "slow", rate=2)
    answers = [client.get("/auth/me", headers=slow) for _ in range(4)]
    assert [answered.status_code for answered in answers].count(200) in {2, 3}  # a minute may begin between
    refused = answers[-1]
    assert refused.status_code == 429
    assert refused.json()["code"] == "rate"
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.headers["ratelimit-remaining"] == "0"
    assert client.get("/auth/me", headers=usual).status_code == 200


def test_a_limit_holds_for_predictions_too(shop, open_client, good):
    shop.add()
    client = open_client(shop)
    key = key_for(client, Role.SCORER, rate=2)
    answers = [client.post("/predict", json=good, headers=key).status_code for _ in range(5)]
    assert answers.count(429) >= 2
    assert set(answers) == {200, 429}


def test_strangers_are_counted_by_address_and_probes_never(shop, open_client):
    shop.add()
    client = open_client(shop, rate_limit=5)
    key = key_for(client, name="other", rate=1_000)
    mallory = elsewhere(client, "2001:db8:1:2::1")
    seen = [mallory.get("/keys", headers={"x-api-key": "hf_a_b"}).status_code for _ in range(12)]
    assert seen[0] == 401
    assert seen[-1] == 429
    assert elsewhere(client, "2001:db8:1:2:ffff::9").get("/").status_code == 429
    assert elsewhere(client, "2001:db8:1:3::1").get("/").status_code == 200
    assert mallory.get("/livez").status_code == 200
    assert mallory.get("/keys", headers=key).status_code == 200


def test_this_machine_s_user_is_not_counted(shop, open_client):
    shop.add()
    client = open_client(shop, rate_limit=1)
    for _ in range(5):
        answered = client.get("/model_info")
        assert answered.status_code == 200
        assert "ratelimit-limit" not in answered.headers


def test_a_body_s_limit_is_the_setting_s(shop, open_client):
    shop.add()
    client = open_client(shop, max_body_mib=0.001)
    answered = client.post("/predict", content=b" " * 1_100, headers={"content-type": "application/json"})
    assert (answered.status_code, answered.json()["code"]) == (413, "too_large")
