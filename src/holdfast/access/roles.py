"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from holdfast.errors import UsageError, nearest


class Role(IntEnum):
    """What a caller may do. Each may do all that those before it may."""

    VIEWER = 1
    """See how the service and the model are."""
    SCORER = 2
    """Ask for predictions, one by one and as files."""
    ANALYST = 3
    """Read what was predicted."""
    OPERATOR = 4
    """Put versions in charge."""
    ADMIN = 5
    """Manage keys and users, erase customers, read the audit trail."""

    @property
    def label(self) -> str:
        """The name that people write."""
        return self.name.lower()


ROLES = tuple(role.label for role in Role)


def role_of(name: str) -> Role:
    """The role called ``name``.

    >>> role_of("analyst") > role_of("viewer")
    True

    Raises:
        UsageError: there is no such role.
    """
    try:
        return Role[name.upper()]
    except KeyError:
        raise UsageError(f'There is no role "{name[:40]}".', hint=nearest(name[:40], ROLES)) from None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``id`` is ``key:<id>``, ``user:<name>``, ``oidc:<hash of the subject>`` or ``local``."""

    id: str
    role: Role
    rate: int | None = None
    """Requests a minute, where not the usual."""


LOCAL = Caller("local", Role.ADMIN)
"""This machine's user, as long as no credential was ever made."""
