"""Keeps several server processes answering on one socket, and other processes running beside them.

Does nothing else, so that nothing but the machine ends it: what it starts may crash.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

TICK_SECONDS = 0.1
START_SECONDS = 120.0
"""How long a server may take until it answers, on a machine that does much else."""

EXTRA_SECONDS = 30.0
"""Beyond the time that a server has for its last requests; one that is not gone then is killed."""

SOON_SECONDS = 10.0
"""Whatever ends within this has a lasting reason, and is started again more and more slowly."""

LONGEST_PAUSE_SECONDS = 30.0


class Child(Protocol):
    """A process that was started."""

    def poll(self) -> int | None:
        """Its exit code; none while it lives."""

    def stop(self) -> int:
        """End it, and wait until it has."""


class Kept:
    """A process that is started again whenever it ends.

    Args:
        start: starts it.
        wanted: whether it has anything to do; until then it is not started. Asked often.
    """

    def __init__(self, start: Callable[[], Child], wanted: Callable[[], bool] = lambda: True) -> None:
        self._start = start
        self._wanted = wanted
        self._child: Child | None = None
        self._again = _Again()

    def tend(self) -> None:
        """Start it, if it does not run and it is time. Call this often."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
            self._again.ended()
        if self._child is None and self._again.is_time() and self._wanted():
            self._again.started()
            self._child = self._start()

    def stop(self) -> None:
        """End it for good."""
        if self._child is not None:
            self._child.stop()
            self._child = None


class _Again:
    """When to start what has ended: at once, but later each time it ends soon."""

    def __init__(self) -> None:
        self._pause = 0.0
        self._at = 0.0
        self._started = 0.0

    def is_time(self) -> bool:
        return time.monotonic() >= self._at

    def started(self) -> None:
        self._started = time.monotonic()

    def ended(self) -> None:
        now = time.monotonic()
        soon = now - self._started < SOON_SECONDS
        self._pause = min(max(0.5, 2 * self._pause), LONGEST_PAUSE_SECONDS) if soon else 0.0
        self._at = now + self._pause


class Server:
    """One server process, which says on stdout that it answers. It leaves when this process ends, however.

    Args:
        command: to run.
        listening: the socket that it inherits.
        metrics: folder where it counts.
    """

    def __init__(self, command: Sequence[str], listening: int, metrics: str) -> None:
        told = os.environ | {"PROMETHEUS_MULTIPROC_DIR": metrics}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=[listening], env=told)  # noqa: S603 - our own program
        self._started = time.monotonic()
        self.said = b""
        if self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def ready(self) -> Any:
        """What it told when it began to answer; none before."""
        if self._process.stdout is not None:
            self.said += self._process.stdout.read() or b""
        first, end, _ = self.said.partition(b"\n")
        if not end or not first.startswith(b'{"ready":'):
            return None
        return json.loads(first)["ready"]

    @property
    def late(self) -> bool:
        """Whether it should long have begun to answer."""
        return time.monotonic() - self._started > START_SECONDS

    def poll(self) -> int | None:
        """Its exit code; none while it lives."""
        return self._process.poll()

    def send(self, sent: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        self._process.send_signal(sent)

    def release(self) -> None:
        """Close what is left of a process that has ended."""
        self._process.communicate()


class Supervisor:
    """Runs servers on one socket: the next of each that ends, and new ones in their place on SIGHUP.

    Args:
        start: starts a server.
        count: of servers.
        drain_seconds: that a server has to end by itself.
        announce: called with what the first server told, once all answer.
        forget: called with the id of each process that has ended.
        beside: what else is kept running.
    """

    def __init__(
        self,
        start: Callable[[], Server],
        count: int,
        *,
        drain_seconds: float,
        announce: Callable[[Any], None],
        forget: Callable[[int], None],
        beside: Kept | None = None,
    ) -> None:
        self._start = start
        self._count = count
        self._seconds = drain_seconds + EXTRA_SECONDS
        self._announce = announce
        self._forget = forget
        self._beside = beside
        self._again = _Again()
        self._servers: list[Server] = []
        self._leaving: list[Server] = []
        self._stops = 0
        self._renew = False

    def run(self) -> Server | None:
        """Keep servers running until SIGINT or SIGTERM. Returns the one that could not even begin, if any."""
        handled = {signal.SIGINT: self._on_stop, signal.SIGTERM: self._on_stop, signal.SIGHUP: self._on_renew}
        before = {sent: signal.signal(sent, handler) for sent, handler in handled.items()}
        try:
            return self._run()
        finally:
            self._end()
            for sent, handler in before.items():
                signal.signal(sent, handler)

    def _run(self) -> Server | None:
        self._servers = [self._start() for _ in range(self._count)]
        while not all([server.ready is not None for server in self._servers]):  # noqa: C419 - each is to be listened to
            for server in self._servers:
                if server.poll() is not None or server.late:
                    return None if self._stops else server
            if self._stops:
                return None
            time.sleep(TICK_SECONDS)
        self._again.started()
        self._announce(self._servers[0].ready)
        while not self._stops:
            self._tend()
            if self._renew:
                self._renew = False
                self._renew_all()
            time.sleep(TICK_SECONDS)
        return None

    def _tend(self) -> None:
        """Take leave of what has ended, and start what is missing."""
        for servers in (self._servers, self._leaving):
            for server in [one for one in servers if one.poll() is not None]:
                servers.remove(server)
                server.release()
                self._forget(server.pid)
                if servers is self._servers:
                    self._again.ended()
        if len(self._servers) < self._count and self._again.is_time():
            self._again.started()
            self._servers.append(self._start())
        for server in self._servers:
            if server.ready is None and server.late:
                server.send(signal.SIGKILL)
        if self._beside is not None:
            self._beside.tend()

    def _renew_all(self) -> None:
        """Put a new server into the place of each, one after the other; if one does not begin, stop there."""
        if self._beside is not None:
            self._beside.stop()
        for old in list(self._servers):
            new = self._start()
            self._wait(START_SECONDS, lambda new=new: new.ready is not None or new.poll() is not None)  # type: ignore[misc]  # bound now
            if new.ready is None or new.poll() is not None:
                new.send(signal.SIGKILL)
                self._leaving.append(new)
                return
            if old in self._servers:  # it may have died meanwhile
                self._servers.remove(old)
                self._leaving.append(old)
                old.send(signal.SIGHUP)
            self._servers.append(new)
            self._wait(self._seconds, lambda old=old: old not in self._leaving)  # type: ignore[misc]  # bound now
            if old in self._leaving:
                old.send(signal.SIGKILL)

    def _wait(self, seconds: float, over: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while not (over() or self._stops) and time.monotonic() < until:
            self._tend()
            time.sleep(TICK_SECONDS)

    def _end(self) -> None:
        """End everything; told to stop a second time, at once."""
        beside = threading.Thread(target=self._beside.stop if self._beside else lambda: None)
        beside.start()
        left = self._servers + self._leaving
        for server in left:
            server.send(signal.SIGTERM)
        until, stops = time.monotonic() + self._seconds, self._stops
        while left and time.monotonic() < until and self._stops <= max(stops, 1):
            left = [server for server in left if server.poll() is None]
            time.sleep(TICK_SECONDS / 2)
        for server in left:
            server.send(signal.SIGKILL)
        for server in self._servers + self._leaving:
            _ = server.ready  # what it still said
            server.release()
        beside.join()

    def _on_stop(self, _sent: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _on_renew(self, _sent: int, _frame: FrameType | None) -> None:
        self._renew = True
