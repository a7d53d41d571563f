"""How long work tells a person where it is, without knowing whether anyone watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What long work calls as it goes. The CLI draws a bar; tests and services pass `NullProgress`."""

    def start(self, name: str, total: float | None) -> None:
        """A new stage begins; ``total`` units of work (any unit), or unknown."""

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """``amount`` more units of the stage are done; ``note`` replaces the few words beside the bar."""


class NullProgress:
    """Nobody watches."""

    def start(self, name: str, total: float | None) -> None:
        """Say nothing."""

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """Say nothing."""
