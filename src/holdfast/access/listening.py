"""Whether a server may be reached from other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.access.gate import Gate
    from holdfast.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def may_listen(host: str, settings: Settings, gate: Gate) -> None:
    """Let a server listen on ``host``: on loopback always, beyond it only guarded.

    Raises:
        UsageError: nobody could administer it, or its secret is not set; says what to do.
    """
    if host.strip("[]").lower() in LOOPBACK:
        return
    if settings.secret is None:
        raise UsageError(
            f"Beyond this machine ({host}) the server needs a secret of its own.",
            hint="Set HOLDFAST_SECRET, the same on all its servers. Make one: openssl rand -base64 48",
        )
    if not gate.administrable:
        raise UsageError(
            f"Beyond this machine ({host}) the server needs somebody who may administer it.",
            hint="Make a key: holdfast keys create --role admin --name ops",
        )
