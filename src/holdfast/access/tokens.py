"""Access tokens: short-lived JWTs that say who logged in. Their role is looked up, never taken from them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

import jwt

from holdfast.access.errors import AccessError

if TYPE_CHECKING:
    from holdfast.access.roles import Role

ALGORITHM = "HS256"
ISSUER = "holdfast"
AUDIENCE = "holdfast-api"
_TYPE = "at+jwt"
_CLAIMS = ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "sid", "role"]
_LABEL = b"holdfast access tokens v1"


class Claims(NamedTuple):
    """Who logged in, in which session, and when the token was made (Unix seconds)."""

    user: str
    session: str
    issued: int


class Tokens:
    """Makes and checks the tokens of one installation.

    Args:
        secret: the installation's; the key is derived from it, so that nothing else is signed with the same.
        minutes: how long a token lives.
    """

    def __init__(self, secret: bytes, minutes: float) -> None:
        self._key = hmac.digest(secret, _LABEL, hashlib.sha256)
        self.seconds = int(minutes * 60)

    def issue(self, user: str, role: Role, session: str) -> str:
        """A token for a session of ``user``."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "role": role.label,
            "sid": session,
            "jti": secrets.token_hex(16),
            "iat": now,
            "nbf": now,
            "exp": now + self.seconds,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": _TYPE})

    def verify(self, token: bytes) -> Claims:
        """What a token says, if it is one of ours and its time is not over.

        Raises:
            AccessError: it is not.
        """
        try:
            found = jwt.decode_complete(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": _CLAIMS, "strict_aud": True},
            )
        except jwt.ExpiredSignatureError as error:
            raise AccessError(
                "The token's time is over.", hint="Get another: POST /auth/refresh", expired=True
            ) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise AccessError("The token is not valid.", hint="Get one: POST /auth/token") from error
        claims = found["payload"]
        if found["header"].get("typ") != _TYPE or not isinstance(claims["sid"], str):
            raise AccessError("The token is not valid.", hint="Get one: POST /auth/token")
        return Claims(claims["sub"], claims["sid"], int(claims["iat"]))
