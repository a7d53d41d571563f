"""Tokens of an OpenID Connect issuer that the operator trusts.

Their keys are found by discovery from the issuer's own address and kept. Nothing that a token says is ever
fetched: ``jku``, ``x5u`` and the like mean nothing here.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt

from holdfast.access.errors import AccessError
from holdfast.access.roles import Caller, Role
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.settings import Settings

ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""Signatures only: with no shared secret among them, a public key can never pass for one."""

DISCOVERY = "/.well-known/openid-configuration"
LEEWAY = 30.0
"""Seconds that the issuer's clock may differ from ours."""

FETCH_SECONDS = 3.0
FRESH_SECONDS = 300.0
"""After this the keys are asked for again, so that one that the issuer withdrew ends."""
STALE_SECONDS = 3_600.0
"""So long they hold while the issuer cannot be reached."""
PAUSE_SECONDS = 5.0
"""Between two fetches, whatever tokens come."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_CLAIMS = ["iss", "aud", "sub", "exp", "iat"]


class Issuer:
    """Checks the tokens of the configured issuer.

    Args:
        settings: with ``oidc_issuer`` and ``oidc_audience``.

    Raises:
        UsageError: the issuer is no https URL, or no audience is set.
    """

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer or ""
        self._audience = settings.oidc_audience
        self._claim = settings.oidc_role_claim
        if not _may_fetch(self._issuer):
            raise UsageError(
                "HOLDFAST_OIDC_ISSUER must be an https URL.",
                hint="Write it as the issuer does: https://host/path",
            )
        if not self._audience:
            raise UsageError(
                "HOLDFAST_OIDC_ISSUER needs HOLDFAST_OIDC_AUDIENCE.",
                hint="Set it to what the issuer writes as aud for this service; other services' tokens fail.",
            )
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching = asyncio.Lock()

    async def caller(self, token: bytes, kid: object) -> Caller:
        """Who sent a token.

        Args:
            token: the JWT.
            kid: what its header names as its key.

        Raises:
            AccessError: it is not the issuer's, not for this service, over, or without a role.
        """
        key = await self._key(kid) if isinstance(kid, str) else None
        if key is None:
            raise AccessError("The token's key is not known.", hint="Get a new token from the issuer.")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": _CLAIMS, "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError as error:
            raise AccessError(
                "The token's time is over.", hint="Get a new token from the issuer.", expired=True
            ) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise AccessError("The token is not valid.", hint="Get a new token from the issuer.") from error
        role = _role(claims, self._claim)
        if role is None or not claims["sub"]:
            raise AccessError(
                f'The token names no role of Holdfast in its claim "{self._claim}".',
                hint="Have the issuer give the user one: viewer, scorer, analyst, operator or admin.",
            )
        return Caller(f"oidc:{hashlib.sha256(claims['sub'].encode()).hexdigest()[:32]}", role)

    async def _key(self, kid: str) -> jwt.PyJWK | None:
        known = self._keys.get(kid)
        age = time.monotonic() - self._fetched
        if known is not None and (age < FRESH_SECONDS or self._fetching.locked()):
            return known
        async with self._fetching:
            if kid not in self._keys or time.monotonic() - self._fetched >= FRESH_SECONDS:
                await self._fetch()
        held = time.monotonic() - self._fetched < STALE_SECONDS
        return self._keys.get(kid) if held else None

    async def _fetch(self) -> None:
        if time.monotonic() - self._tried < PAUSE_SECONDS:
            return
        self._tried = time.monotonic()
        try:
            keys = await asyncio.to_thread(_keys_of, self._issuer)
        except (jwt.PyJWTError, OSError, ValueError):
            return  # the keys from before hold for a while
        self._keys, self._fetched = keys, time.monotonic()


def _keys_of(issuer: str) -> dict[str, jwt.PyJWK]:
    """The issuer's keys for signatures, by their ids."""
    document = _document(issuer.rstrip("/") + DISCOVERY)
    address = document.get("jwks_uri")
    if document.get("issuer") != issuer or not isinstance(address, str):
        raise ValueError("not the configuration of this issuer")
    if not _may_fetch(address) or (urlsplit(issuer).scheme == "https" and not address.startswith("https:")):
        raise ValueError("the keys must be had by https")
    found = jwt.PyJWKSet.from_dict(_document(address)).keys
    return {
        key.key_id: key
        for key in found
        if key.key_id and key.public_key_use in ("sig", None) and key.algorithm_name in ALGORITHMS
    }


def _document(url: str) -> dict[str, Any]:
    """The JSON object at ``url``; redirects are not followed."""
    fetched: dict[str, Any] = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS).fetch_data()
    return fetched


def _may_fetch(url: str) -> bool:
    try:
        parts = urlsplit(url)
        name = parts.hostname
    except ValueError:
        return False
    return bool(name) and (parts.scheme == "https" or (parts.scheme == "http" and name in _LOOPBACK))


def _role(claims: dict[str, Any], name: str) -> Role | None:
    """The highest role that a claim names, as text or in a list; ``a.b`` may be ``b`` of ``a``.

    >>> _role({"realm_access": {"roles": ["offline", "scorer", "viewer"]}}, "realm_access.roles")
    <Role.SCORER: 2>
    """
    found: Any = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return max((role for role in Role if role.label in named), default=None)
