"""A port for a server of a test's own."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of the loopback address on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
