"""Passwords, stored as argon2 hashes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from pwdlib import PasswordHash

SHORTEST = 12
LONGEST = 1_000
"""Characters. Length is what makes a password strong; rules about signs make people write it down."""


def hash_password(password: str) -> str:
    """The argon2 hash of a new password; takes a tenth of a second and 64 MiB, on purpose.

    Raises:
        UsageError: too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(
            f"A password has {SHORTEST} to {LONGEST:,} characters.",
            hint="Take four words that have nothing to do with each other.",
        )
    return _hasher().hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Whether ``hashed`` is of ``password``. Without one it takes as long as with one, and is false."""
    nobody = _of_nobody()
    found = _hasher().verify(password[:LONGEST], hashed or nobody)
    return found and hashed is not None


@cache
def _hasher() -> PasswordHash:
    from pwdlib import PasswordHash  # noqa: PLC0415 - commands that need no password must not wait for it

    return PasswordHash.recommended()


@cache
def _of_nobody() -> str:
    return _hasher().hash("nobody has this password")
