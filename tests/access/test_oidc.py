"""Tokens of an issuer: a real HTTP server on the loopback that makes and publishes real keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from holdfast.access import AccessError, Role, oidc
from holdfast.access.oidc import Issuer
from holdfast.errors import UsageError
from holdfast.settings import load_settings

AUDIENCE = "holdfast"
KEYS = {
    "RS256": rsa.generate_private_key(65_537, 2_048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def jwk(key, kid, **facts):
    for algorithm in ("RS256", "ES256", "EdDSA"):
        try:
            document = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
        except (AttributeError, TypeError, jwt.InvalidKeyError):
            continue
        return {**document, "kid": kid, **facts}
    raise AssertionError


class Server(ThreadingHTTPServer):
    """An issuer. ``keys`` are what it publishes, ``asked`` the paths that were fetched."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/realm"
        self.keys = [jwk(key, name) for name, key in KEYS.items()]
        self.configuration = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.asked = []
        self.down = False
        self.location = None

    def token(self, algorithm="RS256", *, key=None, header=None, **changes):
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "ana@example", "roles": ["analyst"]}
        claims |= {"iat": now, "exp": now + 300}
        claims = {name: value for name, value in (claims | changes).items() if value is not ...}
        return jwt.encode(
            claims, key or KEYS[algorithm], algorithm=algorithm, headers={"kid": algorithm} | (header or {})
        )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        if server.down:
            self.close_connection = True
            return
        documents = {
            "/realm/.well-known/openid-configuration": server.configuration,
            "/realm/keys": {"keys": server.keys},
        }
        if server.location and self.path == "/realm/keys":
            self.send_response(302)
            self.send_header("location", server.location)
            self.end_headers()
            return
        found = documents.get(self.path)
        self.send_response(200 if found is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def issuer(server, settings):
    return Issuer(settings(oidc_issuer=server.url, oidc_audience=AUDIENCE))


def ask(issuer, token):
    token = token if isinstance(token, bytes) else token.encode()
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        return asyncio.run(issuer.caller(token, kid))
    except (AccessError, jwt.DecodeError, jwt.InvalidTokenError) as error:
        return error


def is_refused(issuer, token):
    return isinstance(ask(issuer, token), Exception)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_of_the_issuer_is_taken_with_its_role(server, issuer, algorithm):
    caller = ask(issuer, server.token(algorithm))
    assert caller.role is Role.ANALYST
    assert caller.id == f"oidc:{hashlib.sha256(b'ana@example').hexdigest()[:32]}"


def test_the_keys_are_fetched_once(server, issuer):
    for _ in range(5):
        assert ask(issuer, server.token()).role is Role.ANALYST
    assert server.asked == ["/realm/.well-known/openid-configuration", "/realm/keys"]


@pytest.mark.parametrize(
    ("claim", "changes", "role"),
    [
        ("roles", {"roles": "admin"}, Role.ADMIN),
        ("roles", {"roles": ["viewer", "operator", "x", 3]}, Role.OPERATOR),
        ("realm_access.roles", {"realm_access": {"roles": ["scorer"]}}, Role.SCORER),
        ("https://x.y/role", {"https://x.y/role": "viewer"}, Role.VIEWER),
        ("roles", {"roles": []}, None),
        ("roles", {"roles": ...}, None),
        ("roles", {"roles": {"admin": True}}, None),
        ("roles", {"roles": 5}, None),
        ("roles", {"roles": "administrator"}, None),
        ("roles", {"roles": "ADMIN"}, None),
    ],
)
def test_the_role_is_what_the_claim_names(server, settings, claim, changes, role):
    issuer = Issuer(settings(oidc_issuer=server.url, oidc_audience=AUDIENCE, oidc_role_claim=claim))
    found = ask(issuer, server.token(**changes))
    assert isinstance(found, AccessError) if role is None else found.role is role


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": ...},
        {"iss": ...},
        {"sub": ...},
        {"sub": ""},
        {"exp": ...},
        {"iat": ...},
        {"exp": 1},
        {"nbf": 4_102_444_800},
        {"iat": 4_102_444_800},
    ],
    ids=str,
)
def test_a_wrong_claim_is_refused(server, issuer, changes):
    assert ask(issuer, server.token()).role is Role.ANALYST
    assert is_refused(issuer, server.token(**changes))


def part(document):
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def test_a_public_key_does_not_pass_for_a_secret(server, issuer):
    public = KEYS["RS256"].public_key()
    body = server.token().split(".")[1]
    for encoding, layout in (
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    ):
        head = part({"alg": "HS256", "kid": "RS256", "typ": "JWT"})
        mac = hmac.digest(public.public_bytes(encoding, layout), f"{head}.{body}".encode(), hashlib.sha256)
        assert is_refused(issuer, f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def test_no_algorithm_another_key_and_another_key_s_algorithm_are_refused(server, issuer):
    body = server.token().split(".")[1]
    for name in ("none", "None", ""):
        assert is_refused(issuer, f"{part({'alg': name, 'kid': 'RS256'})}.{body}.")
    assert is_refused(issuer, server.token(key=rsa.generate_private_key(65_537, 2_048)))
    assert is_refused(issuer, server.token("RS256", header={"kid": "ES256"}))
    for name in ("RS384", "RS512", "PS256"):
        key = KEYS["RS256"]
        assert is_refused(issuer, jwt.encode({"sub": "x"}, key, algorithm=name, headers={"kid": "RS256"}))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../etc/passwd",
        "/dev/null",
        "' UNION SELECT 'key",
        "| touch /tmp/x",
        "http://127.0.0.1:9/keys",
        "x" * 4_000,
        "",
        "\x00",
        None,
        7,
        ["RS256"],
    ],
    ids=repr,
)
def test_a_key_s_name_is_only_looked_up(server, issuer, kid):
    head, body, signature = server.token().split(".")
    assert is_refused(issuer, f"{part({'alg': 'RS256', 'kid': kid})}.{body}.{signature}")
    assert set(server.asked) <= {"/realm/.well-known/openid-configuration", "/realm/keys"}
    assert head


def test_nothing_that_a_token_names_is_fetched_or_trusted(server, issuer):
    evil = rsa.generate_private_key(65_537, 2_048)
    at = f"{server.url}/evil"
    for header in (
        {"jku": at},
        {"x5u": at},
        {"jwk": jwk(evil, "RS256")},
        {"x5c": ["MIIB"]},
        {"jku": at, "kid": "other"},
    ):
        assert is_refused(issuer, server.token(key=evil, header=header))
    assert "/realm/evil" not in server.asked


def test_shared_secrets_and_keys_for_other_uses_are_not_taken_from_the_issuer(server, issuer):
    secret = b"s" * 32
    server.keys += [
        {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(secret).decode(), "alg": "HS256"},
        jwk(KEYS["RS256"], "enc", use="enc"),
        jwk(KEYS["RS256"], "ps", alg="PS256"),
    ]
    claims = jwt.decode(server.token(), options={"verify_signature": False})
    assert is_refused(issuer, jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "oct"}))
    assert is_refused(issuer, server.token(header={"kid": "enc"}))
    assert is_refused(issuer, jwt.encode(claims, KEYS["RS256"], algorithm="PS256", headers={"kid": "ps"}))


def test_a_key_too_short_to_be_safe_is_refused(server, issuer):
    weak = rsa.generate_private_key(65_537, 1_024)  # noqa: S505 - the weak key that this is about
    server.keys.append(jwk(weak, "weak"))
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = server.token(key=weak, header={"kid": "weak"})
    assert is_refused(issuer, token)


def test_a_new_key_of_the_issuer_is_found(server, issuer, monkeypatch):
    assert ask(issuer, server.token()).role is Role.ANALYST
    new = rsa.generate_private_key(65_537, 2_048)
    server.keys = [jwk(new, "new")]
    token = server.token(key=new, header={"kid": "new"})
    assert is_refused(issuer, token)
    assert len(server.asked) == 2
    monkeypatch.setattr(oidc, "PAUSE_SECONDS", 0.0)
    assert ask(issuer, token).role is Role.ANALYST
    assert is_refused(issuer, server.token())


def test_unknown_keys_cannot_make_it_ask_without_end(server, issuer):
    for at in range(50):
        assert is_refused(issuer, server.token(header={"kid": f"k{at}"}))
    assert len(server.asked) == 2


def test_many_at_once_fetch_once(server, issuer):
    async def all_at_once():
        token = server.token().encode()
        return await asyncio.gather(*(issuer.caller(token, "RS256") for _ in range(20)))

    assert {caller.role for caller in asyncio.run(all_at_once())} == {Role.ANALYST}
    assert len(server.asked) == 2


def test_an_issuer_that_is_down_leaves_its_keys_for_a_while(server, issuer, monkeypatch):
    server.down = True
    assert is_refused(issuer, server.token())
    server.down = False
    monkeypatch.setattr(oidc, "PAUSE_SECONDS", 0.0)
    assert ask(issuer, server.token()).role is Role.ANALYST
    server.down = True
    monkeypatch.setattr(oidc, "FRESH_SECONDS", 0.0)
    asked = len(server.asked)
    assert ask(issuer, server.token()).role is Role.ANALYST
    assert len(server.asked) > asked
    monkeypatch.setattr(oidc, "STALE_SECONDS", 0.0)
    assert is_refused(issuer, server.token())


def test_a_key_that_the_issuer_withdrew_ends(server, issuer, monkeypatch):
    assert ask(issuer, server.token()).role is Role.ANALYST
    server.keys = server.keys[1:]
    monkeypatch.setattr(oidc, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(oidc, "FRESH_SECONDS", 0.0)
    assert is_refused(issuer, server.token())


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "https://other.example"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://192.0.2.1/keys"},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://[::1"},
    ],
    ids=str,
)
def test_a_configuration_that_leads_elsewhere_is_not_followed(server, issuer, wrong):
    server.configuration |= wrong
    assert is_refused(issuer, server.token())
    assert server.asked == ["/realm/.well-known/openid-configuration"]


def test_a_redirect_is_not_followed(server, issuer):
    server.location = f"{server.url}/elsewhere"
    assert is_refused(issuer, server.token())
    assert "/realm/elsewhere" not in server.asked


@pytest.mark.parametrize(
    "given",
    [
        {"oidc_issuer": "http://login.example", "oidc_audience": "x"},
        {"oidc_issuer": "file:///etc/passwd", "oidc_audience": "x"},
        {"oidc_issuer": "login.example", "oidc_audience": "x"},
        {"oidc_issuer": "https://", "oidc_audience": "x"},
        {"oidc_issuer": "https://[", "oidc_audience": "x"},
        {"oidc_issuer": "https://login.example"},
        {"oidc_issuer": "https://login.example", "oidc_audience": ""},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_at_the_start(given):
    with pytest.raises(UsageError):
        Issuer(load_settings(**given))


def test_a_gate_takes_both_its_own_tokens_and_the_issuer_s(server, sqlite_gate, identify):
    assert identify(sqlite_gate, authorization=f"Bearer {server.token()}").role is Role.ANALYST
    own = jwt.encode({"sub": "x"}, b"k" * 32, algorithm="HS256")
    assert isinstance(identify(sqlite_gate, authorization=f"Bearer {own}"), AccessError)
    assert isinstance(identify(sqlite_gate, authorization="Bearer x.y.z"), AccessError)
    assert len(server.asked) == 2


@pytest.fixture
def sqlite_gate(server, settings, tmp_path):
    from holdfast.access import Gate  # noqa: PLC0415 - only here
    from holdfast.store import open_store  # noqa: PLC0415 - only here

    opened = open_store(tmp_path / "home")
    yield Gate(opened, settings(oidc_issuer=server.url, oidc_audience=AUDIENCE))
    opened.dispose()
