"""What can be wrong with a caller."""

from __future__ import annotations

from holdfast.errors import HoldfastError, UsageError


class AccessError(HoldfastError):
    """Nobody, or nobody that may ask. Its words go to the caller: they never say which part was wrong.

    Args:
        message: what happened.
        hint: what to do next.
        expired: whether a token was good until its time was over, so that a new one helps.
    """

    code = "unauthorized"

    def __init__(self, message: str, *, hint: str | None = None, expired: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.expired = expired


class NameTakenError(UsageError):
    """A key or user of that name is there already."""

    code = "taken"


class UnknownNameError(UsageError):
    """There is no such key or user."""

    code = "unknown"
