"""A proxy that stands before a real server and does to its connections what networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Address = tuple[str, int]

PIECE = 65_536
SETTLING = 0.02
LONGEST = 30
"""Seconds that a change of its state may take on a machine that does much else."""


class TcpProxy:
    """Forwards connections to an address, in a thread of its own, until `close`.

    Args:
        target: where to, or what tells it anew for each connection; None is nowhere.

    Attributes:
        address: where it listens, also after `cut` and `restore`.
        delay: seconds that every piece waits on its way, in both directions.
        connections: how many were accepted.
    """

    def __init__(self, target: Address | Callable[[], Address | None]) -> None:
        self._choose = target if callable(target) else lambda: target
        self.delay = 0.0
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._forwarding: set[asyncio.Task] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self.address: Address = ("127.0.0.1", 0)
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.restore()

    def restore(self) -> None:
        """Forward as it should, without delay."""
        self.delay = 0.0
        self._do(self._listen())

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self._do(self._refuse())

    def reset(self) -> None:
        """Break all connections as a crash does; new ones are forwarded."""
        self._do(self._break())

    def hang(self) -> None:
        """Accept connections and keep those that there are, but forward nothing until `restore`."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def close(self) -> None:
        """End."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONGEST)
        self._loop.close()

    def _do(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(LONGEST)

    async def _listen(self) -> None:
        self._passing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._forward, *self.address)
            self.address = self._server.sockets[0].getsockname()[:2]

    async def _refuse(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            # A closed server makes nothing of what it has just accepted, and never closes it.
            for listening in server.sockets:
                self._loop.remove_reader(listening)
            await asyncio.sleep(0)
            server.close()
        await self._break()
        told: set[asyncio.Task] = set()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            # Only what forwards is cancelled: a connection cancelled while it is made is never closed.
            for task in (others & self._forwarding) - told:
                task.cancel()
                told.add(task)
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        await self._break()
        await asyncio.sleep(SETTLING)  # transports close their sockets in the loop's next turn

    async def _break(self) -> None:
        for writer in list(self._open):
            # Without lingering, closing sends a reset instead of an end.
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        task = asyncio.current_task()
        self._forwarding.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            address = None if self._server is None else self._choose()
            if address is not None:
                connecting = asyncio.ensure_future(asyncio.open_connection(*address))
                try:
                    far_reader, far = await asyncio.shield(connecting)
                except asyncio.CancelledError:  # half a connection could never be closed
                    _, far = await connecting
                    raise
                self._open.add(far)
                await asyncio.gather(self._pass_on(reader, far), self._pass_on(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # what is broken is closed below
        finally:
            for one in filter(None, (writer, far)):  # still in `_open`: what is left to write may never go
                one.transport.abort() if self._server is None else one.close()
            self._forwarding.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._passing.wait()
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
