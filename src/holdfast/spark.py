"""A session of Spark, on this machine or a cluster, and what Spark says in our words.

Spark is an extra: it needs pyspark and Java. Nothing of it is imported before a session begins. On this
machine it listens on the loopback address alone; it never opens a page of its own. What its Java says goes to
``spark.log`` in the home folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from holdfast.disk import scratch
from holdfast.errors import HoldfastError, UsageError
from holdfast.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from pyspark.sql import SparkSession

    from holdfast.progress import Progress
    from holdfast.settings import Settings

T = TypeVar("T")

LOG = "spark.log"
CONNECT_SECONDS = 5
PATIENCE = 120
"""Seconds to wait for a cluster that has no executor for us, at the beginning or after it lost them."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1"})
_MARK = "holdfast-error:"
"""Stands before an error of ours on its way from an executor, as JSON in one line."""


class SparkError(HoldfastError):
    """Spark failed: no memory, no worker, a file that workers cannot read; nothing was written."""

    code = "spark"


class Spark:
    """A session of Spark with the master that the settings name. Use it as a context manager.

    One process has one at a time.

    Args:
        settings: master and home.
        memory_mib: for Spark on this machine; a cluster's executors have what its own settings say.

    Raises:
        UsageError: pyspark or Java is missing, or no master answers.
        SparkError: Spark does not start.
    """

    def __init__(self, settings: Settings, *, memory_mib: int) -> None:
        self.master = settings.spark_master
        self._home = settings.home
        self._memory_mib = memory_mib
        self._closing = ExitStack()
        self._numbers = count(1)
        self._whole: SparkSession | None = None

    @property
    def local(self) -> bool:
        """Whether it runs in this machine's own Java, without a cluster."""
        return self.master.startswith("local")

    @property
    def log(self) -> Path:
        """What Spark's Java says."""
        return self._home / LOG

    @property
    def _begun(self) -> SparkSession:
        if self._whole is None:
            raise RuntimeError("the session has not begun")
        return self._whole

    def session(self) -> SparkSession:
        """A new session with views and settings of its own."""
        return self._begun.newSession()

    def send(self, folder: Path) -> str:
        """Send a folder to every executor; under the name that this gives, ``SparkFiles`` has it there.

        It is packed once and kept as long as the session: executors that begin later fetch it, too.
        """
        name = f"holdfast-{next(self._numbers)}"
        packed = self._work / f"{name}.zip"
        with zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        with self.told():
            self._begun.sparkContext.addArchive(f"{packed.as_uri()}#{name}")
        return name

    def __enter__(self) -> Self:
        _insist_installed()
        _insist_java()
        _insist_reachable(self.master)
        with ExitStack() as opened:
            self._work = opened.enter_context(scratch(self._home, ".spark-")).resolve()
            with self.told():
                self._whole = self._opened(opened)
            self._closing = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._whole = None
        self._closing.close()

    def _opened(self, opened: ExitStack) -> SparkSession:
        from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - an extra
        from pyspark.java_gateway import launch_gateway  # noqa: PLC0415 - as above
        from pyspark.logger import PySparkLogger  # noqa: PLC0415 - as above
        from pyspark.sql import SparkSession  # noqa: PLC0415 - as above

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # of the executors, too
        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            PySparkLogger.getLogger(name).disabled = True  # they print traces beside what `told` says
        conf = SparkConf()
        conf.setAll(list(self._conf(self._work).items()))
        with self.log.open("wb") as log:
            gateway = launch_gateway(conf, popen_kwargs={"stdout": log, "stderr": log})
        opened.callback(_shut, gateway)
        context = SparkContext(conf=conf, gateway=gateway)
        opened.callback(context.stop)
        return SparkSession(context)

    def _conf(self, work: Path) -> dict[str, str]:
        """What results, or a machine's safety, depend on; the rest is left to ``spark-defaults.conf``."""
        found = {
            "spark.master": self.master,
            "spark.app.name": "holdfast",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": str(work),
            "spark.sql.warehouse.dir": str(work / "warehouse"),
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.timestampType": "TIMESTAMP_NTZ",
            "spark.sql.ansi.enabled": "true",  # an overflow is an error, not a value that is missing
            "spark.executorEnv.POLARS_MAX_THREADS": "1",  # a task has one processor
        }
        if self.local:
            found["spark.driver.memory"] = f"{self._memory_mib}m"
        masters = {host for host, _ in _addresses(self.master)} or {self.master}
        if self.local or masters <= _LOOPBACK:
            found |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
        return found

    def run(self, work: Callable[[], T], progress: Progress | None = None, *, where: str | None = None) -> T:
        """Do what Spark works at for long; say how far it is, and give up where no executor is left.

        Args:
            work: calls Spark.
            progress: told of tasks that are done; a stage of unknown length has begun.
            where: what errors name; the master, unless given.

        Raises:
            SparkError: as Spark, or an executor, says.
        """
        context = self._begun.sparkContext
        with self.told(where), ThreadPoolExecutor(1, thread_name_prefix="holdfast-spark") as pool:
            job = pool.submit(work)
            try:
                self._watch(job, context.statusTracker(), progress or NullProgress())
            except BaseException:
                with suppress(Exception):  # what is on its way up tells more
                    context.cancelAllJobs()
                raise
            return job.result()

    def _watch(self, job: Future[T], tracker: Any, progress: Progress) -> None:
        """Wait for a job, as long as the cluster lets it run."""
        seen = time.monotonic()
        while not wait([job], timeout=0.5).done:
            if self.local or len(tracker.getExecutorInfos()) > 1:  # the driver is one of them
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise SparkError(
                    f"The cluster gave no executor for {PATIENCE} seconds.",
                    where=self.master,
                    hint="See whether its workers run and have processors and memory to spare.",
                )
            progress.advance(0, _tasks(tracker))

    @contextmanager
    def told(self, where: str | None = None) -> Iterator[None]:
        """Says what Spark says in our words."""
        from py4j.protocol import Py4JError  # noqa: PLC0415 - an extra
        from pyspark.errors import PySparkException  # noqa: PLC0415 - as above

        try:
            with warnings.catch_warnings():  # nothing of ours goes through pandas
                warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
                yield
        except (PySparkException, Py4JError, ConnectionError) as error:
            raise self._ours(str(error), where) from error

    def _ours(self, said: str, where: str | None) -> HoldfastError:
        carried = re.search(rf"{_MARK} (.+)", said)
        if carried is not None:
            told = json.loads(carried[1])
            return SparkError(told["message"], where=told.get("where"), hint=told.get("hint"))
        for sign, message, hint in _SIGNS:
            found = re.search(sign, said)
            if found is not None:
                return SparkError(message.format(*found.groups()), where=where or self.master, hint=hint)
        lines = said.strip().splitlines()
        first = next((one for one in lines if not one.startswith("An error occurred while calling")), said)
        raised = [first.removeprefix(": "), *_RAISED.findall(said)][-1]
        return SparkError(
            f"Spark failed: {raised.rstrip('.')}.",
            where=where or self.master,
            hint=f"{self.log} has all that it said.",
        )


_RAISED = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+(\S.*)")
"""What an executor's Python raised: the line below its trace."""

_SIGNS = (
    (
        r"OutOfMemoryError|exit code: 137|Container killed",
        "Spark needs more memory than it has.",
        "Raise HOLDFAST_MEMORY_MIB; on a cluster, spark.executor.memory in its spark-defaults.conf.",
    ),
    (
        r"No space left on device",
        "A disk is full.",
        "Make room in the home folder; on a cluster, on its workers.",
    ),
    (
        r"No module named '(holdfast|polars)",
        "The executors' Python has no {0}.",
        "Install this version of Holdfast on each worker, and set PYSPARK_PYTHON to that Python.",
    ),
    (
        r"File file:\S+ does not exist|FILE_NOT_EXIST|PATH_NOT_FOUND",
        "A file that this machine has is not there for the workers.",
        "Keep home, tables and answers in a folder that all machines see under the same path.",
    ),
    (
        r"ExecutorLostFailure|Master removed our application|All masters are unresponsive",
        "The cluster lost its workers, or Spark its master.",
        "Run it again once the cluster is well; nothing was written.",
    ),
    (
        r"JAVA_GATEWAY_EXITED",
        "Spark's Java does not start.",
        "Spark needs Java 17 or 21; spark.log in the home folder has what it said.",
    ),
)
"""What Spark's failures are recognized by, what they mean and what to do."""


def carrying(error: HoldfastError) -> RuntimeError:
    """An error of ours as executors raise it, so that it arrives as what it is."""
    return RuntimeError(f"{_MARK} {json.dumps(error.as_dict())}")


def file_address(path: Path) -> str:
    """A file as Spark reads it, signs that would stand for others among them escaped."""
    return "file://" + re.sub(r"([\\{}\[\]*?^])", r"\\\1", str(path.resolve()))


def _insist_installed() -> None:
    if find_spec("pyspark") is None:
        raise UsageError(
            "pyspark is not installed.",
            hint='pip install "holdfast[spark]", or leave out --engine spark.',
        )


def _insist_java() -> None:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        raise UsageError(
            "Spark needs Java, and there is none here.",
            where=f"JAVA_HOME={home}" if home else None,
            hint="Install Java 17 or 21 (on Debian: openjdk-17-jre-headless), or leave out --engine spark.",
        )


def _addresses(master: str) -> list[tuple[str, int]]:
    """Hosts and ports of a standalone cluster's masters; none of others."""
    if not master.startswith("spark://"):
        return []
    parts = [one.rpartition(":") for one in master.removeprefix("spark://").split(",")]
    return [(host.strip("[]"), int(port)) for host, _, port in parts]


def _insist_reachable(master: str) -> None:
    """Spark itself would try for a minute."""
    refused = None
    for address in _addresses(master):
        try:
            socket.create_connection(address, CONNECT_SECONDS).close()
        except OSError as error:
            refused = error
        else:
            return
    if refused is not None:
        raise UsageError(
            f"No master of Spark answers: {refused.strerror or refused}.",
            where=master,
            hint="Start it, or correct HOLDFAST_SPARK_MASTER; local[*] needs no cluster.",
        )


def _tasks(tracker: Any) -> str | None:
    """How far the stages are that run now."""
    found = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    stages = [one for one in found if one is not None]
    if not stages:
        return None
    return f"{sum(one.numCompletedTasks for one in stages)} of {sum(one.numTasks for one in stages)} tasks"


def _shut(gateway: Any) -> None:
    """End Java, so that another session can begin in this process."""
    from pyspark import SparkContext  # noqa: PLC0415 - an extra

    gateway.shutdown()
    gateway.proc.stdin.close()
    try:
        gateway.proc.wait(timeout=20)
    except subprocess.TimeoutExpired:
        gateway.proc.kill()
        gateway.proc.wait()
    # pyspark has no other way to forget a Java that has ended.
    SparkContext._gateway = None  # noqa: SLF001 - as above
    SparkContext._jvm = None  # noqa: SLF001 - as above
