"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 120
"""Seconds that anything may take on a machine that does much else."""


def wait_until(true: Callable[[], object], what: str, seconds: float = LONGEST) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
