"""Forged access tokens. Each is made as an attacker would; each must be refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from holdfast.access import AccessError, Role
from holdfast.access.tokens import AUDIENCE, ISSUER, Tokens

HEAD = {"alg": "HS256", "typ": "at+jwt"}
SECRET = b"the secret of this installation, for tests"


@pytest.fixture
def tokens():
    return Tokens(SECRET, minutes=15)


def claims(**changes):
    now = int(time.time())
    facts = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ana",
        "role": "viewer",
        "sid": "s",
        "jti": "j",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
    } | changes
    return {name: value for name, value in facts.items() if value is not ...}


def signed(tokens, payload, *, key=None, algorithm="HS256", **header):
    key = tokens._key if key is None else key
    return jwt.encode(payload, key, algorithm=algorithm, headers={"typ": "at+jwt"} | header)


def part(document):
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def forged(key, head, body):
    """As `signed`, but whatever the library would not sign."""
    said = f"{part(head)}.{part(body)}"
    mac = hmac.digest(key, said.encode(), hashlib.sha256)
    return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def refused(tokens, token):
    with pytest.raises(AccessError) as told:
        tokens.verify(token.encode() if isinstance(token, str) else token)
    return told.value


def test_a_token_says_who_and_which_session(tokens):
    made = tokens.issue("ana", Role.ANALYST, "session")
    found = tokens.verify(made.encode())
    assert (found.user, found.session) == ("ana", "session")
    assert jwt.get_unverified_header(made)["alg"] == "HS256"
    lives = jwt.decode(made, options={"verify_signature": False})
    assert lives["exp"] - lives["iat"] == 15 * 60
    assert tokens.verify(signed(tokens, claims()).encode()).user == "ana"


def test_no_algorithm_is_no_signature(tokens):
    for name in ("none", "None", "NONE", "nOnE", "", None):
        unsigned = f"{part({'alg': name, 'typ': 'at+jwt'})}.{part(claims())}."
        refused(tokens, unsigned)
        refused(tokens, unsigned + "x")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_only_one_algorithm_is_taken(tokens, algorithm):
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = signed(tokens, claims(), algorithm=algorithm)
    refused(tokens, token)


def test_a_token_signed_by_somebody_s_rsa_key_is_refused(tokens):
    own = rsa.generate_private_key(65_537, 2_048)
    refused(tokens, signed(tokens, claims(), key=own, algorithm="RS256"))
    public = own.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    refused(tokens, forged(public, HEAD, claims()))


@pytest.mark.parametrize("key", [b"x" * 32, SECRET + b"!", SECRET, b"holdfast access tokens v1" * 2])
def test_another_key_even_the_plain_secret_is_refused(tokens, key):
    refused(tokens, signed(tokens, claims(), key=key))


def test_an_edited_token_is_refused(tokens):
    head, _, signature = signed(tokens, claims()).split(".")
    refused(tokens, f"{head}.{part(claims(sub='admin'))}.{signature}")
    refused(tokens, f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'x': 1})}.{part(claims())}.{signature}")
    refused(tokens, f"{head}.{part(claims())}.")


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "sid", "role"])
def test_each_claim_is_needed(tokens, name):
    refused(tokens, signed(tokens, claims(**{name: ...})))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": [ISSUER]},
        {"iss": ""},
        {"aud": "another"},
        {"aud": [AUDIENCE, "another"]},
        {"aud": []},
        {"sub": 7},
        {"sub": None},
        {"sid": 7},
        {"sid": ["s"]},
        {"jti": 7},
        {"exp": "tomorrow"},
        {"exp": None},
        {"exp": [1]},
        {"nbf": 4_102_444_800},
        {"iat": 4_102_444_800},
        {"nbf": "now"},
        {"iat": "now"},
    ],
    ids=str,
)
def test_a_wrong_claim_is_refused(tokens, changes):
    assert not refused(tokens, forged(tokens._key, HEAD, claims(**changes))).expired


def test_a_token_whose_time_is_over_says_so(tokens):
    assert refused(tokens, signed(tokens, claims(exp=int(time.time()) - 1))).expired


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "logout+jwt"},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"kid": 7},
    ],
    ids=str,
)
def test_a_header_that_asks_for_something_else_is_refused(tokens, header):
    assert tokens.verify(forged(tokens._key, HEAD, claims()).encode())
    refused(tokens, forged(tokens._key, HEAD | header, claims()))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        "\x00",
        "x" * 100_000,
        "e30.e30.e30",
        "e30..",
        "[].[].[]",
        "null.null.x",
    ],
    ids=lambda token: repr(token[:12]),
)
def test_what_is_no_token_is_refused(tokens, token):
    refused(tokens, token)


def test_two_installations_do_not_take_each_other_s_tokens(tokens):
    refused(tokens, Tokens(SECRET[::-1], minutes=15).issue("ana", Role.ADMIN, "s"))
