"""A real MariaDB (or MySQL) server of this process's own, where ``mariadb-server`` is installed.

Listens on a port of the loopback address, so that a proxy can stand before it; its user ``reader`` has the
password `PASSWORD`; its files are in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from free_port import free_port

LONGEST = 120
"""Seconds that a start may take on a machine that does much else."""

PASSWORD = "not-to-be-seen"  # noqa: S105 - of a server that lives as long as a test


class MariaDBUnavailableError(Exception):
    """No server can be started here."""


class RealMariaDB:
    """One server. `start` and `stop` it as often as you like; `remove` it at the end."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._program = _found("mariadbd", "mysqld")
        install = _found("mariadb-install-db", "mysql_install_db")
        self._folder = Path(tempfile.mkdtemp(prefix="holdfast-mariadb-"))
        self._numbers = count(1)
        self._process: subprocess.Popen | None = None
        self.port = free_port()
        # It refuses to run as root unless told that root is who shall run it.
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        try:
            subprocess.run(  # noqa: S603 - the package's program
                [
                    install,
                    "--no-defaults",
                    f"--datadir={self._folder / 'data'}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--innodb-log-file-size=8M",
                    *self._user,
                ],
                capture_output=True,
                timeout=LONGEST,
                check=True,
            )
            self.start()
            self.run(f"CREATE USER reader@'%' IDENTIFIED BY '{PASSWORD}'", "GRANT ALL ON *.* TO reader@'%'")
        except (OSError, subprocess.SubprocessError) as error:
            self.remove()
            said = getattr(error, "stderr", None) or error
            raise MariaDBUnavailableError(f"MariaDB cannot be started here: {said}") from error

    def url(self) -> str:
        """Of a new, empty database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"mysql://reader:{PASSWORD}@{self.host}:{self.port}/{name}"

    def run(self, *statements: str) -> None:
        """Do something as root."""
        import pymysql  # noqa: PLC0415 - the extra may be missing, and then there is no server to ask

        socket_file = str(self._folder / "socket")
        with pymysql.connect(unix_socket=socket_file, user="root", autocommit=True) as connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def start(self) -> None:
        """Let it answer, at the address that it had before."""
        line = [
            self._program,
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            f"--socket={self._folder / 'socket'}",
            f"--pid-file={self._folder / 'pid'}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=32M",
            "--skip-name-resolve",
            *self._user,
        ]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(line, stdout=log, stderr=log, cwd="/")  # noqa: S603 - as above
        deadline = time.monotonic() + LONGEST
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text(errors="replace")[-1_000:]
                raise MariaDBUnavailableError(f"MariaDB does not start here: {said}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it, if it runs, and remove its files."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        with socket.socket() as asked:
            asked.settimeout(1)
            return asked.connect_ex((self.host, self.port)) == 0


def _found(*names: str) -> str:
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = next(filter(None, (shutil.which(name, path=places) for name in names)), None)
    if found is None:
        raise MariaDBUnavailableError(f"{names[0]} is not installed (Debian's package is mariadb-server)")
    return found
