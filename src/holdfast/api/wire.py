"""Bytes in, bytes out: the JSON of requests and answers."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json
from starlette.responses import Response


def encode(document: Any) -> bytes:
    """JSON as UTF-8. Floats are written so that reading them gives the same bits.

    >>> encode({"p": 0.1 + 0.2})
    b'{"p":0.30000000000000004}'
    """
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def decode(body: bytes) -> Any:
    """Parse JSON. ``NaN`` and numbers beyond a float's range come out as such; whoever checks rejects them.

    Raises:
        ValueError: no JSON, not UTF-8, or nested deeper than any record can be.
    """
    return from_json(body, cache_strings="keys")


def answer(document: Any, *, status: int = 200) -> Response:
    """A JSON response."""
    return Response(encode(document), status_code=status, media_type="application/json")


def utc_now() -> str:
    """The time, ISO 8601 in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_ids(count: int) -> list[str]:
    """``count`` rising UUIDs of version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then chance.

    Python has them from 3.14 on, one at a time.
    """
    stamp = f"{time.time_ns() // 1_000_000:012x}"
    chance = os.urandom(10 * count).hex()
    made = []
    for at in range(0, 20 * count, 20):
        c = chance[at : at + 20]
        variant = "89ab"[int(c[4], 16) & 3]
        made.append(f"{stamp[:8]}-{stamp[8:]}-7{c[1:4]}-{variant}{c[5:8]}-{c[8:]}")
    made.sort()
    return made
