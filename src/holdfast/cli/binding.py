"""Takes the address that a server is to answer on, before anything slow is loaded."""

from __future__ import annotations

import errno
import socket

from holdfast.errors import UsageError


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address of this machine; it does not listen yet.

    Raises:
        UsageError: the host is no address of this machine, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]") or ".", port, type=socket.SOCK_STREAM)
        family, kind, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        bound = socket.socket(family, kind)
    except (OSError, UnicodeError, OverflowError) as error:
        raise _no_address(host) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise _no_address(host) from error
        taken = error.errno == errno.EADDRINUSE
        raise UsageError(
            f"Port {port} is taken by another program." if taken else f"Port {port} cannot be used: {error}.",
            hint="Choose another: holdfast serve --port 8001" if taken else "Choose one from 1024 to 65535.",
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a bound socket answers."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _no_address(host: str) -> UsageError:
    return UsageError(
        f'"{host}" is no address of this machine.',
        hint="Leave --host out to answer on this machine only; 0.0.0.0 is all its addresses.",
    )
