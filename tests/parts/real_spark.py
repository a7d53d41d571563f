"""A real standalone cluster of Spark on loopback: a master and two workers of one processor each."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

LONGEST = 120
"""Seconds that a start may take on a machine that does much else."""

_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a Java that lives for seconds."""


class SparkUnavailableError(Exception):
    """No cluster can be started here."""


class RealSpark:
    """One cluster; `remove` it at the end.

    Args:
        workers: how many.
        memory_mib: of each executor.
        quick: whether Java is to begin soon rather than to run fast.

    Attributes:
        url: of the master.
        conf: a folder for SPARK_CONF_DIR.
    """

    def __init__(self, workers: int = 2, *, memory_mib: int = 512, quick: bool = True) -> None:
        spec = find_spec("pyspark")
        if spec is None or spec.origin is None:
            raise SparkUnavailableError("pyspark is not installed (the extra spark)")
        if shutil.which("java") is None:
            raise SparkUnavailableError("there is no Java on this machine")
        self._home = Path(spec.origin).parent
        self._folder = Path(tempfile.mkdtemp(prefix="holdfast-spark-"))
        self.conf = self._folder / "conf"
        self.conf.mkdir()
        java = "".join(f"spark.{one}.extraJavaOptions {_QUICK}\n" for one in ("driver", "executor") if quick)
        (self.conf / "spark-defaults.conf").write_text(f"{java}spark.executor.memory {memory_mib}m\n")
        self._memory_mib = memory_mib
        self._port = _free_port()
        self.url = f"spark://127.0.0.1:{self._port}"
        self.workers = []
        self._master = self._start("master.Master", "--port", str(self._port))
        self._until_it_answers()
        self.workers = [self._worker(number) for number in range(workers)]

    def kill_worker(self, number: int) -> None:
        """End a worker and its executors at once."""
        _kill(self.workers[number])

    def remove(self) -> None:
        """End all of it and remove its files."""
        for process in (*self.workers, self._master):
            _kill(process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _worker(self, number: int) -> subprocess.Popen[bytes]:
        work = self._folder / f"work{number}"
        memory = f"{self._memory_mib + 512}m"
        line = ("--cores", "1", "--memory", memory, "--work-dir", str(work), self.url)
        return self._start("worker.Worker", *line)

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        kind = f"org.apache.spark.deploy.{name}"
        line = [str(self._home / "bin" / "spark-class"), kind]
        line += ["--host", "127.0.0.1", "--webui-port", "0", *arguments]
        own = {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_HOME": str(self._home),
            "SPARK_CONF_DIR": str(self.conf),
            "SPARK_DAEMON_JAVA_OPTS": _QUICK,
            "SPARK_DAEMON_MEMORY": "128m",
        }
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the package's own program
                line, env=os.environ | own, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def _until_it_answers(self) -> None:
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            time.sleep(0.1)
        said = (self._folder / "master.Master.log").read_text()[-2_000:]
        self.remove()
        raise SparkUnavailableError(f"Spark cannot be started here: {said}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
