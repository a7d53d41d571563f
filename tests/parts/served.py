"""The server in processes of its own, as operators run it, and clients that ask it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from waiting import LONGEST, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Served:
    """``holdfast serve`` on a free port, which it keeps over `kill` and `start`.

    Args:
        home: of the installation.
        options: of the command.
        settings: by their names, without the prefix.
    """

    def __init__(self, home: Path, *options: str, **settings: object) -> None:
        self.home = home
        self.port = 0
        self.told: dict = {}
        self._options = options
        self._told = os.environ | {f"HOLDFAST_{k.upper()}": str(v) for k, v in settings.items()}
        self._errors = home.parent / "server.log"
        self.process: subprocess.Popen | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return self._errors.read_text()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = self.launch()
        said = ""
        while not said.endswith("\n}\n"):
            line = self.process.stdout.readline()
            assert line, f"the server ended with {self.process.wait()}: {said}{self.log}"
            said += line
        self.told = json.loads(said)
        self.port = int(self.told["url"].rpartition(":")[2])

    def launch(self) -> subprocess.Popen:
        """Start it in a session of its own, so that it can be killed with all that it has started."""
        line = [sys.executable, "-m", "holdfast.cli", "serve", "--json", "--home", str(self.home)]
        line += ["--port", str(self.port), *self._options]
        with self._errors.open("a") as errors:
            return subprocess.Popen(  # noqa: S603 - our own program
                line,
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                env=self._told,
                start_new_session=True,
            )

    def send(self, sent: signal.Signals) -> None:
        self.process.send_signal(sent)

    def stop(self) -> int:
        """End it as an operator does. Returns the exit code."""
        self.send(signal.SIGTERM)
        code = self.process.wait(LONGEST)
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        """End it with all its processes, as a crash of the machine does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


class Client:
    """One kept connection, opened anew when it is gone."""

    def __init__(self, address: tuple[str, int], timeout: float = LONGEST) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send one request, once. Raises `OSError` or `HTTPException` when it is not answered."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("content-type", "application/json")
        try:
            self._connection.request(method, path, body, sent)
            response = self._connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()


@dataclass
class Load:
    """Several threads that ask again and again, each on its own connection, until told to stop.

    Attributes:
        statuses: how often each was answered.
        failures: what went wrong otherwise, such as a connection that was cut.
    """

    address: tuple[str, int]
    bodies: list[bytes]
    clients: int = 8
    path: str = "/predict"
    check: Callable[[int, http.client.HTTPMessage, bytes, bytes], None] | None = None
    pause: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    statuses: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LONGEST)

    @property
    def answered(self) -> int:
        return self.statuses.total()

    def wait_for(self, more: int) -> None:
        """Wait until so many more were answered."""
        wanted = self.answered + more
        wait_until(
            lambda: self.answered >= wanted, f"{more} more answers; {self.statuses} {self.failures[:3]}"
        )

    def _run(self, number: int) -> None:
        client = Client(self.address)
        turn = number
        while not self._stop.is_set():
            turn += self.clients
            body = self.bodies[turn % len(self.bodies)]
            try:
                status, headers, answer = client.ask("POST", self.path, body, **self.headers)
                if self.check is not None:
                    self.check(status, headers, answer, body)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
                self.failures.append(f"{type(error).__name__}: {error}")
                time.sleep(0.01)
            else:
                self.statuses[status] += 1
            if self.pause:
                time.sleep(self.pause)
        client.close()


def bodies_of(customers) -> Iterator[bytes]:
    """A request about each customer of a table."""
    for customer in customers.drop("Churn").to_dicts():
        yield json.dumps({name: value for name, value in customer.items() if value is not None}).encode()
