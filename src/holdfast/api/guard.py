"""What every request passes first: who asks, from where, how often, how much; and a net under all else.

One ASGI class around the whole service. It is on the path of every prediction, so it does little: a request
with an API key costs some microseconds.
"""

from __future__ import annotations

import ipaddress
import re
import time
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from holdfast.access import AccessError, Caller, Role
from holdfast.api.log import fault
from holdfast.api.policy import ASSETS, PROBES, STREAMED, is_public
from holdfast.api.problems import (
    HeaderError,
    HostError,
    InternalError,
    OriginError,
    RateError,
    TooLargeError,
    UnauthorizedError,
    problem,
)
from holdfast.api.wire import new_ids
from holdfast.errors import HoldfastError
from holdfast.scoring import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from holdfast.access import Gate, Limiter, Verdict
    from holdfast.api.traffic import Traffic
    from holdfast.settings import Settings

    Headers = Mapping[bytes, bytes]
    Added = list[tuple[bytes, bytes]]

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})

MEBI = 1024 * 1024
MOST_HELD = 128 * MEBI
"""Bytes of the bodies of all requests under way; many that are each small enough could fill the memory."""

MOST_HOSTS = 64
"""Host headers that were found good, remembered as they were written."""

SERVER_FAULT = 500
TURNED_AWAY = 503
CLIENT_GONE = 499
"""Nobody is left to answer. Not HTTP's, but what proxies call it."""

METHODS = b"GET, POST, PATCH, DELETE"
REQUEST_HEADERS = (
    b"authorization, content-type, idempotency-key, traceparent, tracestate, x-api-key, x-request-id"
)
RESPONSE_HEADERS = (
    b"content-disposition, link, location, ratelimit-limit, ratelimit-remaining, ratelimit-reset, "
    b"retry-after, www-authenticate, x-request-id"
)

_NOTHING = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PAGE = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_CSP = b"content-security-policy"
ON_ANSWERS = [*_ALWAYS, (_CSP, _NOTHING), (b"cache-control", b"no-store")]
ON_THE_PAGE = [*_ALWAYS, (_CSP, _PAGE), (b"cache-control", b"no-store")]
ON_ASSETS = [*_ALWAYS, (_CSP, _NOTHING), (b"cache-control", b"public, max-age=3600")]

_CORRELATION = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_SINGLE = frozenset(
    {
        b"host",
        b"origin",
        b"authorization",
        b"x-api-key",
        b"content-type",
        b"content-length",
        b"idempotency-key",
    }
)
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")


class Guard:
    """ASGI middleware around the whole service.

    Pages of other sites can use neither a name of their own (DNS rebinding) nor this machine's user, nobody
    unknown gets beyond the public routes, no body is read beyond the limit, and no failure leaves as anything
    but a problem. Gives each request ``scope["state"]["caller"]`` (none on public routes) and
    ``scope["state"]["correlation_id"]``.

    Args:
        app: the service.
        traffic: counts what was answered.
        settings: of this installation.
        gate: tells who asks.
        limiter: counts how often.
        quick: what answers a path and method instead of ``app``, because it is asked so often.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        traffic: Traffic,
        settings: Settings,
        gate: Gate,
        limiter: Limiter,
        quick: Mapping[tuple[str, str], ASGIApp],
    ) -> None:
        self._app = app
        self._traffic = traffic
        self._gate = gate
        self._limiter = limiter
        self._quick = quick
        self._max_body = int(settings.max_body_mib * MEBI)
        self._names = LOCAL_NAMES | {name.strip().lower() for name in settings.allowed_hosts}
        # Beyond loopback nothing is given to a request without credentials, and an address cannot be rebound.
        self._any_address = settings.host.strip("[]").lower() not in {"localhost", *LOOPBACK}
        self._good_hosts: set[bytes] = set()
        self._held = 0
        self._origins = {origin.lower().encode() for origin in settings.cors_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websockets here
        scope["holdfast.started"] = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        correlation = correlation_of(headers)
        scope.setdefault("state", {})["correlation_id"] = correlation
        self._traffic.begin(scope)
        added = [(b"x-request-id", correlation.encode())]
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == TURNED_AWAY:
                    scope["holdfast.turned_away"] = True
                message["headers"] = [*message["headers"], *_usual(scope["path"]), *added]
            await send(message)

        try:
            refused = await self._refused(scope, headers, added)
            if refused is None:
                route = (scope["path"], scope["method"])
                streamed = route in STREAMED
                app = self._quick.get(route, self._app)
                await app(scope, receive if streamed else self._limited(scope, receive), watched)
            else:
                await refused(scope, receive, watched)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the net: a caller gets a problem, the log the fault
            fault(error, method=scope["method"])
            if not status:
                await problem(InternalError())(scope, receive, watched)
            status = SERVER_FAULT
        finally:
            self._held -= scope.get("holdfast.held", 0)
            self._traffic.count(scope, status or SERVER_FAULT)

    async def _refused(self, scope: Scope, headers: Headers, added: Added) -> Response | None:
        """The answer to a request that may go no further; else none, and ``scope`` says who asks."""
        try:
            if len(headers) < len(scope["headers"]):
                _check_single(scope)
            self._check_host(headers.get(b"host", b""))
            origin = headers.get(b"origin")
            if self._origins:
                added.append((b"vary", b"origin"))
                if origin is not None and origin.lower() in self._origins:
                    added += _shared_with(origin)
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                return self._preflight(origin or b"")
            if (scope["path"], scope["method"]) not in STREAMED:
                self._check_length(headers)
            return await self._check_caller(scope, headers, added)
        except HoldfastError as error:
            return problem(error)

    def _check_host(self, given: bytes) -> None:
        if given in self._good_hosts:
            return
        host = given.decode("latin-1").lower()
        name = host[: host.rfind(":")] if not host.endswith("]") and ":" in host else host
        if name not in self._names and not (self._any_address and _is_address(name)):
            raise HostError(
                "This server does not go by that name.",
                hint="On this machine ask http://127.0.0.1; other names stand in HOLDFAST_ALLOWED_HOSTS.",
            )
        if len(self._good_hosts) < MOST_HOSTS:
            self._good_hosts.add(given)

    def _preflight(self, origin: bytes) -> Response:
        if origin.lower() not in self._origins:
            raise OriginError(
                "Pages of that origin may not ask.", hint="HOLDFAST_CORS_ORIGINS names those that may."
            )
        allowed = {
            "access-control-allow-methods": METHODS.decode(),
            "access-control-allow-headers": REQUEST_HEADERS.decode(),
            "access-control-max-age": "600",
        }
        return Response(status_code=204, headers=allowed)

    def _check_length(self, headers: Headers) -> None:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._max_body:
            raise self._too_large()

    async def _check_caller(self, scope: Scope, headers: Headers, added: Added) -> Response | None:
        path = scope["path"]
        if is_public(path, scope["method"]):
            return None if path in PROBES else await self._check_rate(address_of(scope), added)
        local = not self._gate.configured and _from_this_machine(scope, headers)
        try:
            caller = await self._gate.identify(headers, local=local)
        except AccessError as error:
            # Guessing is counted by address; whoever has credentials is counted by them.
            refused = UnauthorizedError(error.message, hint=error.hint, expired=error.expired)
            return await self._check_rate(address_of(scope), added) or problem(refused)
        scope["state"]["caller"] = caller
        return None if local else await self._check_rate(caller, added)

    async def _check_rate(self, caller: Caller, added: Added) -> Response | None:
        verdict: Verdict = await self._limiter.take(caller)
        added += (
            (b"ratelimit-limit", b"%d" % verdict.limit),
            (b"ratelimit-remaining", b"%d" % verdict.remaining),
            (b"ratelimit-reset", b"%d" % verdict.reset_seconds),
        )
        if verdict.allowed:
            return None
        error = RateError(
            f"More than {verdict.limit:,} requests came within a minute.",
            hint=f"Ask again in {verdict.reset_seconds} s, or send several customers to /predict/batch.",
            retry_seconds=verdict.reset_seconds,
        )
        return problem(error)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"The body has more than {self._max_body:,} bytes.",
            hint="Send fewer customers at a time; for whole files use `holdfast score`.",
        )

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            size = len(message.get("body", b""))
            taken += size
            self._held += size
            scope["holdfast.held"] = taken
            if taken > self._max_body:
                raise self._too_large()
            if self._held > MOST_HELD:
                raise OverloadedError
            return message

        return limited


def _check_single(scope: Scope) -> None:
    """Refuse a request of which whoever stands before us may have read another one of two headers."""
    seen = set()
    for name, _ in scope["headers"]:
        if name in _SINGLE and name in seen:
            raise HeaderError(f"The header {name.decode('latin-1')} is there twice.", hint="Send it once.")
        seen.add(name)


def correlation_of(headers: Headers) -> str:
    """What ties a request to what others did for it: ``X-Request-ID``, the trace's id, or a new UUID.

    >>> correlation_of({b"x-request-id": b"order-17"})
    'order-17'
    >>> correlation_of({b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    '0af7651916cd43dd8448eb211c80319c'
    >>> len(correlation_of({b"x-request-id": b"<script>"}))
    36
    """
    given = headers.get(b"x-request-id")
    if given is not None and _CORRELATION.fullmatch(given):
        return given.decode()
    traced = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return traced[1].decode() if traced else new_ids(1)[0]


def _usual(path: str) -> Added:
    """The headers that every answer from ``path`` has."""
    if not path.startswith("/docs"):
        return ON_ANSWERS
    return ON_THE_PAGE if path == "/docs" else ON_ASSETS if path.startswith(f"{ASSETS}/") else ON_ANSWERS


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _shared_with(origin: bytes) -> Added:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", RESPONSE_HEADERS),
    ]


def _from_this_machine(scope: Scope, headers: Headers) -> bool:
    """Whether a request is this machine's user's: sent from here, by no proxy and by no page of another site.

    Raises:
        OriginError: a browser says that another site's page asks.
    """
    client = scope.get("client")
    if client is None or client[0] not in LOOPBACK or any(name in headers for name in _FORWARDED):
        return False
    if b"x-api-key" in headers or b"authorization" in headers:
        return False
    origin = headers.get(b"origin")
    own = origin is None or origin.partition(b"://")[2].lower() == headers[b"host"].lower()
    if not own or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        raise OriginError(
            "Web pages of other origins may not use this machine's user.",
            hint="Make an API key: holdfast keys create --role scorer --name NAME",
        )
    return True


def address_of(scope: Scope) -> Caller:
    """Somebody unknown, told apart by address; an IPv6 host has a whole /64 to itself."""
    client = scope.get("client")
    host: str = client[0] if client else "unknown"
    if ":" in host:
        try:
            host = str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
        except ValueError:
            host = "unknown"
    return Caller(f"address:{host}", Role.VIEWER)
