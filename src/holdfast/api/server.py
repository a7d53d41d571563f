"""Runs the service on a socket until it is told to stop, and ends so that no client notices."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, cast

import uvicorn

from holdfast.api.app import create_app
from holdfast.api.connections import KEEP_ALIVE_SECONDS, Connection, raise_descriptor_limit
from holdfast.api.log import event

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    import sqlalchemy as sa

    from holdfast.api.app import Service
    from holdfast.api.live import Live
    from holdfast.settings import Settings

LAST_ANSWER_SECONDS = 1.0
"""Connections without a request end after this; those in use learn of the end with their next answer."""

TICKS_BETWEEN_LOOKS = 10
"""uvicorn ticks ten times a second."""


class Beside(Protocol):
    """What runs for as long as a server does."""

    def tend(self) -> None:
        """See to it that it runs. Called ten times a second."""

    def stop(self) -> None:
        """End it, and wait until it has."""


def serve(
    live: Live,
    settings: Settings,
    engine: sa.Engine,
    bound: socket.socket,
    *,
    ready: Callable[[], None],
    beside: Beside | None = None,
    one_of_many: bool = False,
) -> None:
    """Answer requests until SIGINT or SIGTERM; requests that have begun are finished.

    Told to stop, the server is red in /readyz, answers for `Settings.linger_seconds` more, and closes each
    connection with its next answer.

    Args:
        live: the model.
        settings: of this installation.
        engine: its database.
        bound: listens here; closed at the end.
        ready: called once the service answers.
        beside: what runs for as long as the server does.
        one_of_many: whether other processes answer on the same socket. Then SIGHUP, or the end of the process
            at the other end of stdin, makes only this one leave: at once, and without turning red. A server
            that is alone stays on SIGHUP, as nobody would answer meanwhile.
    """
    raise_descriptor_limit()
    app = create_app(live, settings, engine)
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # An int by its type only; what is finished sooner ends sooner.
        timeout_graceful_shutdown=cast("int", settings.drain_seconds),
    )
    server = _Server(config, app, settings, ready=ready, beside=beside, one_of_many=one_of_many)
    with bound, _stopped_quietly(server):
        server.run(sockets=[bound])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        app: Service,
        settings: Settings,
        *,
        ready: Callable[[], None],
        beside: Beside | None,
        one_of_many: bool,
    ) -> None:
        super().__init__(config)
        self._app = app
        self._settings = settings
        self._ready = ready
        self._beside = beside
        self._one_of_many = one_of_many
        self._leaves = False
        self._asked_to_renew = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            if self._one_of_many:
                asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._watch_parent)
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Look after what no request looks after; true when the end has come."""
        if self._asked_to_renew:
            self._asked_to_renew = False
            hint = "A restart without a gap needs --workers 2 or more."
            event("not renewed", level=logging.WARNING, hint=hint)
        if self._beside is not None and not self.should_exit:
            self._beside.tend()
        if counter % TICKS_BETWEEN_LOOKS == 0:
            now, seconds = asyncio.get_running_loop().time(), self._settings.request_seconds
            for connection in cast("set[Connection]", self.server_state.connections):
                if connection.is_stuck(now, seconds):
                    connection.transport.close()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let each client know before its connection ends."""
        beside = asyncio.to_thread(self._beside.stop) if self._beside is not None else asyncio.sleep(0)
        stopped = asyncio.create_task(beside)
        last = (b"connection", b"close")
        self.config.encoded_headers.append(last)
        self.server_state.default_headers.append(last)
        if not self._leaves:
            self._app.state.health.draining = True
            await self._wait(self._settings.linger_seconds, lambda: False)
        self._listen_no_more(sockets)
        await self._wait(LAST_ANSWER_SECONDS, lambda: not self.server_state.connections)
        await super().shutdown(sockets)
        await stopped

    def renew(self) -> None:
        """Make room for another, if there is one."""
        if self._one_of_many:
            self.leave()
        else:
            self._asked_to_renew = True

    def leave(self) -> None:
        """End, while others go on: without turning red and without lingering."""
        self._leaves = True
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; told a second time, at once. Ctrl-C is for the supervisor, if there is one."""
        if self._one_of_many and sig == signal.SIGINT:
            return
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)

    async def _wait(self, seconds: float, over: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not (over() or self.force_exit) and loop.time() < until:  # noqa: ASYNC110 - as uvicorn itself
            await asyncio.sleep(min(0.05, seconds))

    def _listen_no_more(self, sockets: list[socket.socket] | None) -> None:
        for server in self.servers:
            server.close()
        for one in sockets or []:
            one.close()

    def _watch_parent(self) -> None:
        """The supervisor holds the other end of stdin and writes nothing: what comes is its end."""
        if not os.read(sys.stdin.fileno(), 1):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._listen_no_more(None)
            self.leave()


@contextmanager
def _stopped_quietly(server: _Server) -> Iterator[None]:
    """Being told to stop is how a server ends well; uvicorn repeats the signal when it is done."""
    quiet = {sent: signal.signal(sent, lambda *_: None) for sent in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which is what nohup asks for
        quiet[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: server.renew())
    try:
        yield
    finally:
        for sent, handler in quiet.items():
            with suppress(TypeError):  # one that was not set by Python cannot be set again
                signal.signal(sent, handler)
