"""Logs until it is killed, and says over its output what was acknowledged.

Arguments: the database's URL, folder of the spool, a name, and how many rows to log for which nobody waits;
without that, rows are logged without end and each commit waited for.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.predictions import Answered, PredictionLog
from holdfast.store import engine

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def main(url: str, spool: str, name: str, unwaited: str = "0") -> None:
    log = PredictionLog(
        engine(url),
        queue=10_000,
        spool=Path(spool),
        keep=timedelta(hours=24),
        hashed=lambda customer: customer,
    )
    log.start()
    if int(unwaited):
        log.put([Answered("r", [row(f"{name}-{number}")]) for number in range(int(unwaited))], None)
        while log.state.spooled < int(unwaited):
            time.sleep(0.01)
        os.write(1, b"spooled\n")
        time.sleep(600)
    room = threading.Semaphore(64)
    for number in itertools.count():
        room.acquire()

        def done(outcomes, id_=f"{name}-{number}") -> None:
            if outcomes == [None]:
                os.write(1, f"{id_}\n".encode())
            room.release()

        log.put([Answered("r", [row(f"{name}-{number}")])], done)


def row(id_: str) -> tuple:
    return (id_, "r", NOON, "C-1", NOON, "m", "v1", "champion", "{}", 0.25, 0.5, False, 1.5, None, "c")


if __name__ == "__main__":
    main(*sys.argv[1:])
