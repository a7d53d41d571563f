"""The one root of every error a user can meet, and what each kind means to a shell.

Framework-free: no room may raise a bare ``ValueError`` at a user. Each error says what happened, where
(file, row, column) and what to do next. Subclasses live beside what raises them; the doors translate
(`holdfast.cli` to exit codes, `holdfast.api` to RFC 9457 problems).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class HoldfastError(Exception):
    """Base of all errors that reach a user.

    Args:
        message: what happened, one sentence.
        where: file, row or column it happened at, such as ``customers.csv, row 12, column tenure``.
        hint: what to do next, one sentence.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def as_dict(self) -> dict[str, str]:
        """The error for machines: ``code``, ``message`` and, where known, ``where`` and ``hint``."""
        found = {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}
        return {key: value for key, value in found.items() if value is not None}

    def __str__(self) -> str:
        parts = [self.message]
        if self.where:
            parts.append(f"  at: {self.where}")
        if self.hint:
            parts.append(f"  do: {self.hint}")
        return "\n".join(parts)


class UsageError(HoldfastError):
    """The command, call or setting was wrong; nothing was read or written. Exit code 2."""

    code = "usage"
    exit_code = 2


class DataError(HoldfastError):
    """The data (or the file that describes them) break the contract. Exit code 3."""

    code = "data"
    exit_code = 3


class ContractError(DataError):
    """`churn.toml` is wrong or contradicts itself; ``where`` names file, line and key."""

    code = "contract"


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """A ready sentence naming the known names closest to ``name``.

    >>> nearest("chrun", ["Churn", "tenure"])
    'Did you mean "Churn"?'
    >>> nearest("zzz", ["a", "b"])
    'Known: "a", "b".'
    """
    names = list(known)
    folded = {candidate.casefold(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.casefold(), folded, n=most, cutoff=0.5)
    if matches:
        return "Did you mean " + " or ".join(f'"{folded[match]}"' for match in matches) + "?"
    shown = ", ".join(f'"{candidate}"' for candidate in names[:12])
    return f"Known: {shown}{', …' if len(names) > 12 else ''}."  # noqa: PLR2004 - a line's worth of names
