"""Runs the service on a port of this machine until it is told to stop."""

from __future__ import annotations

import errno
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from holdfast.api.app import create_app
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

    from holdfast.api.live import Live
    from holdfast.settings import Settings

LOOPBACK = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}

DRAIN_SECONDS = 30
"""How long requests that have begun may take after the server was told to stop."""


def bind(host: str, port: int) -> socket.socket:
    """A listening place on this machine, or the reason why not, before anything is loaded.

    Raises:
        UsageError: not a name of this machine's loopback, or the port is taken.
    """
    address = LOOPBACK.get(host.strip("[]").lower())
    if address is None:
        raise UsageError(
            f'The server answers on this machine only, and "{host}" is not its loopback address.',
            hint="Leave --host out. Serving others needs access control, which is still to come.",
        )
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except (OSError, OverflowError) as error:
        bound.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        raise UsageError(
            f"Port {port} is taken by another program." if taken else f"Port {port} cannot be used: {error}.",
            hint="Choose another: holdfast serve --port 8001" if taken else "Choose one from 1024 to 65535.",
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a bound socket answers."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(
    live: Live, settings: Settings, engine: sa.Engine, bound: socket.socket, ready: Callable[[], None]
) -> None:
    """Answer requests until SIGINT or SIGTERM; requests that have begun are finished.

    Args:
        live: the model.
        settings: of this installation.
        engine: its database.
        bound: from `bind`; closed at the end.
        ready: called once the service answers.
    """
    config = uvicorn.Config(
        create_app(live, settings, engine),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    with bound, _stopped_quietly():
        _Server(config, ready).run(sockets=[bound])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()


@contextmanager
def _stopped_quietly() -> Iterator[None]:
    """Being told to stop is how a server ends well; uvicorn repeats the signal when it is done."""
    held = {sent: signal.signal(sent, lambda *_: None) for sent in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sent, handler in held.items():
            signal.signal(sent, handler)
