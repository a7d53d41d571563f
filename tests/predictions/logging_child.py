"""Logs without end and says over its output what was acknowledged, until it is killed."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.predictions import Answered, PredictionLog
from holdfast.store import engine

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def main(url: str, spool: str, name: str) -> None:
    log = PredictionLog(
        engine(url),
        queue=10_000,
        spool=Path(spool),
        keep=timedelta(hours=24),
        hashed=lambda customer: customer,
    )
    log.start()
    room = threading.Semaphore(64)
    for number in itertools.count():
        room.acquire()
        id_ = f"{name}-{number}"
        facts = (id_, "r", NOON, "C-1", NOON, "m", "v1", "champion", "{}", 0.25, 0.5, False, 1.5, None, "c")

        def done(outcomes, id_=id_) -> None:
            if outcomes == [None]:
                os.write(1, f"{id_}\n".encode())
            room.release()

        log.put([Answered("r", [facts])], done)


main(*sys.argv[1:])
