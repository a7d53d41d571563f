"""Starts a worker in a process of its own, so that a large file never slows down the predictions."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.settings import Settings

STOP_SECONDS = 10.0
"""A worker lets go of its job within a batch of rows; one that does not is killed, which harms nothing."""


class WorkerProcess:
    """A worker that this process has started. It ends when this process does, however that ends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Of the worker."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code; none while it lives."""
        return self._process.poll()

    def stop(self) -> int:
        """Make it stop, and wait until it has. Its job goes on with the next worker. Returns its code."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        code = self._process.wait()
        self._release()
        return code

    def _release(self) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()


def start_worker(settings: Settings) -> WorkerProcess:
    """Start a worker with these settings; it logs to this process's stderr.

    Several may run: one works, the others stand by.
    """
    told = os.environ | {
        "HOLDFAST_HOME": str(settings.home.absolute()),
        "HOLDFAST_JOB_DAYS": str(settings.job_days),
        "HOLDFAST_LOG_LEVEL": settings.log_level,
    }
    if settings.database_url is not None:
        told["HOLDFAST_DATABASE_URL"] = settings.database_url.get_secret_value()
    command = [sys.executable, "-m", "holdfast.cli", "jobs", "worker", "--with-parent"]
    # Its stdin is a pipe that only this process holds: when that closes, the worker knows that it is alone.
    process = subprocess.Popen(command, env=told, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    return WorkerProcess(process)


def follow_parent(leave: Callable[[], None]) -> None:
    """Call ``leave`` when the process that started this one is gone; if that does not help, end at once."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(sys.stdin.fileno(), 1024):
                pass
        leave()
        time.sleep(STOP_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
