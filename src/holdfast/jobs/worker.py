"""The worker: takes one job after the other and scores its file, as a workflow that outlives it.

DBOS writes down that a workflow has begun and what came of it, so a job that a killed worker was at is taken
up by the next, and one that was scored is never scored twice. What is scored of a file is kept in parts, from
which the next goes on. One worker works on a home folder at a time: it holds a lock that ends with its
process, whatever ends it, and others wait for that.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID, WorkflowStatusString
from sqlalchemy.exc import SQLAlchemyError

from holdfast.disk import locked, make_private
from holdfast.errors import DataError, HoldfastError
from holdfast.jobs import files
from holdfast.jobs.book import JobBook
from holdfast.jobs.job import Job, State
from holdfast.model import Model
from holdfast.scoring import BATCH_ROWS, OutputError, score_file
from holdfast.store import StoreError, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from holdfast.registry import Registry
    from holdfast.settings import Settings

_LOG = logging.getLogger("holdfast.jobs")

POLL_SECONDS = 0.25
STANDBY_SECONDS = 1.0
WRITE_SECONDS = 0.5
"""Progress is written, and a cancel noticed, at most so often."""
SWEEP_SECONDS = 3_600.0
MOST_STARTS = 10
"""A file that brings the worker down so often, without a further part scored in between, is given up."""
EXPLAINED_ROWS = 5_000
"""Rows at a time where reasons are wanted, which take long: a cancel waits for a batch."""
NICE = 10
"""How nice scoring is: predictions go first."""

LOCK = ".worker"
PRIVATE = ("source", "out", "rejects", "repair_examples", "unseen_examples")
"""Of a file's summary: our paths, and cells of customers."""


class _Stopped(BaseException):
    """The worker is told to stop in the middle of a job.

    No `Exception`, so that DBOS takes it neither for an outcome nor for a failure: the workflow is still
    pending.
    """


class _CancelledError(Exception):
    """The job was cancelled while it ran."""


class _Json(Serializer):
    """What DBOS stores. Its own serializer is pickle, which could execute what is read."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=lambda value: type(value).__name__)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "json"


class Worker:
    """Works on the jobs of one home folder until it is told to stop.

    Args:
        settings: of this installation.
        registry: where the models are; its database has the jobs.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._book = JobBook(registry.engine, settings.home)
        self._stopping = threading.Event()
        self._busy = threading.Lock()

    def stop(self) -> None:
        """Let go of the job at hand, which the next worker takes up, and leave. From any thread."""
        self._stopping.set()

    def run(self) -> None:
        """Work until `stop`, once no other worker does."""
        lock = files.make_folder(self._settings.home) / LOCK
        while not self._stopping.is_set():
            with locked(lock, wait=False) as mine:
                if mine:
                    self._work()
                    return
            self._stopping.wait(STANDBY_SECONDS)

    def _work(self) -> None:
        try:
            workflow = self._launched()
            if workflow is None:
                return
            _LOG.info("worker ready")
            swept = -SWEEP_SECONDS
            while not self._stopping.is_set():
                try:
                    if time.monotonic() - swept >= SWEEP_SECONDS:
                        self._sweep(timedelta(days=self._settings.job_days))
                        swept = time.monotonic()
                    job = self._book.next()
                    if job is not None:
                        self._see_through(job, workflow)
                        continue
                except _AWAY as error:
                    self._wait_for_database(error)
                self._stopping.wait(POLL_SECONDS)
            with self._busy:  # until the job at hand was let go
                pass
        finally:
            DBOS.destroy()

    def _launched(self) -> Any:
        """The workflow, once the database answers; none if told to stop before it does."""
        while not self._stopping.is_set():
            try:
                with reading(self._registry.engine):  # of a database that is away DBOS tells the whole trace
                    pass
                return _launch(self._settings, self._registry.engine, self._score)
            except _AWAY as error:
                DBOS.destroy()
                self._wait_for_database(error)
        return None

    def _wait_for_database(self, error: Exception) -> None:
        _LOG.warning("database unavailable", extra={"fields": {"error": type(error).__name__}})
        self._stopping.wait(STANDBY_SECONDS)

    def _sweep(self, keep: timedelta) -> None:
        """Remove what is older: jobs, their files, their workflows."""
        self._book.sweep(keep)
        before = (datetime.now(UTC) - keep).isoformat()
        old = DBOS.list_workflows(completed_before=before, load_input=False, load_output=False)
        DBOS.delete_workflows([each.workflow_id for each in old])

    def _see_through(self, job: Job, workflow: Any) -> None:
        """Start a job's workflow, or find the one that was started, and write down what comes of it."""
        with SetWorkflowID(job.id):
            DBOS.start_workflow(workflow, job.id)
        while not self._stopping.is_set():
            status = DBOS.get_workflow_status(job.id)
            if status is None or status.status not in _ALIVE:
                outcome = _outcome_of(status)
                self._book.settle(job.id, State(outcome.pop("state")), outcome)
                ended = self._state_of(job.id)
                _LOG.info("job ended", extra={"fields": {"job": job.id, "state": ended}})
                return
            self._stopping.wait(POLL_SECONDS)

    def _state_of(self, job_id: str) -> str:
        """What the book says now: a job that was cancelled stays so, whatever its workflow made of it."""
        try:
            return str(self._book.get(job_id).state)
        except HoldfastError:
            return "deleted"

    def _score(self, job_id: str) -> dict[str, Any]:
        """Score a job's file; returns its state and what else is to be written down."""
        # On Linux that holds for this thread and those that it starts: beginning and leaving are quick.
        os.nice(max(0, NICE - os.nice(0)))
        with self._busy:
            if self._stopping.is_set():
                raise _Stopped
            job = self._begun(job_id)
            if job is None:
                return {"state": State.CANCELLED}
            try:
                if files.count_start(self._settings.home, job) > MOST_STARTS:
                    return {"state": State.FAILED, "error": _GIVEN_UP}
                return {"state": State.DONE, "done": 1.0, "summary": self._summary(job)}
            except _Stopped:
                files.forget_start(self._settings.home, job)
                raise
            except _CancelledError:
                return {"state": State.CANCELLED}
            except HoldfastError as error:
                return {"state": State.FAILED, "error": self._told(error, job)}
            except Exception as error:  # noqa: BLE001 - a fault of ours in one job must not stop the others
                _LOG.error("fault", exc_info=error, extra={"fields": {"job": job_id}})
                return {"state": State.FAILED, "error": _FAULT}

    def _begun(self, job_id: str) -> Job | None:
        while True:
            try:
                return self._book.begin(job_id)
            except StoreError:  # the database is away; the job is not to blame
                if self._stopping.wait(STANDBY_SECONDS):
                    raise _Stopped from None

    def _summary(self, job: Job) -> dict[str, Any]:
        home = self._settings.home
        version = self._registry.verify(job.version)
        model = Model.load(version.path, version=version.label)
        out = files.answers_of(home, job)
        done = score_file(
            model,
            files.upload_of(home, job),
            out,
            reasons=job.reasons,
            overwrite=True,
            batch_rows=EXPLAINED_ROWS if job.reasons else BATCH_ROWS,
            progress=_Watch(self._book, job.id, self._stopping),
            parts=files.parts_of(home, job),
        )
        if done.rejects is not None:
            done.rejects.replace(files.rejects_of(home, job))
        return {name: value for name, value in done.as_dict().items() if name not in PRIVATE}

    def _told(self, error: HoldfastError, job: Job) -> dict[str, str]:
        """What the owner is told: of the file all, in its own name; of the server no more than must be."""
        if not isinstance(error, DataError | OutputError | files.NoRoomError):
            _LOG.error("fault", exc_info=error, extra={"fields": {"job": job.id}})
            return {**_FAULT, "code": error.code}
        upload = files.upload_of(self._settings.home, job)
        said = {name: text for name, text in error.as_dict().items() if name != "hint" or job.file in text}
        if isinstance(error, OutputError):
            said.pop("where")
        elif error.hint:
            said["hint"] = error.hint
        return {
            name: text.replace(str(upload), job.file).replace(upload.name, job.file)
            for name, text in said.items()
        }


_AWAY = (StoreError, SQLAlchemyError)
"""Raised while the database is away; DBOS lets SQLAlchemy's own errors out."""

_FAULT = {"code": "internal", "message": "The server failed.", "hint": "Its log says more."}
_GIVEN_UP = {**_FAULT, "message": f"The worker stopped {MOST_STARTS} times while it was at this file."}

_ALIVE = {
    WorkflowStatusString.PENDING.value,
    WorkflowStatusString.ENQUEUED.value,
    WorkflowStatusString.DELAYED.value,
}


def _outcome_of(status: Any) -> dict[str, Any]:
    """What a workflow that has ended returned, or that it never did."""
    if status is not None and status.status == WorkflowStatusString.SUCCESS.value:
        outcome: dict[str, Any] = dict(status.output)
        return outcome
    return {"state": State.FAILED, "error": _FAULT}


class _Watch:
    """Writes a job's progress down, and ends its scoring when it is cancelled or the worker is to stop."""

    def __init__(self, book: JobBook, job_id: str, stopping: threading.Event) -> None:
        self._book = book
        self._job_id = job_id
        self._stopping = stopping
        self._total = 0.0
        self._done = 0.0
        self._written = time.monotonic()

    def start(self, name: str, total: float | None) -> None:  # noqa: ARG002 - one stage, whose name we know
        """The file's bytes are known."""
        self._total = total or 0.0

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:  # noqa: ARG002 - nobody reads it
        """Bytes of the file are scored."""
        if self._stopping.is_set():
            raise _Stopped
        self._done += amount
        if time.monotonic() - self._written < WRITE_SECONDS:
            return
        self._written = time.monotonic()
        files.check_room(self._book.home)  # a small archive may hold more than the disk does
        share = min(self._done / self._total, 1.0) if self._total else 0.0
        try:
            if not self._book.advance(self._job_id, share):
                raise _CancelledError
        except StoreError:  # the file goes on; the next time may succeed
            _LOG.warning("progress not written", extra={"fields": {"job": self._job_id}})


def _launch(settings: Settings, engine: sa.Engine, score: Callable[[str], dict[str, Any]]) -> Any:
    """Start DBOS, with nothing but its tables; returns the workflow."""
    logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it adds one of its own
    logging.getLogger("dbos").propagate = True
    config: DBOSConfig = {
        "name": "holdfast",
        "system_database_url": _system_database(settings, engine),
        "dbos_system_schema": "holdfast_jobs",
        "executor_id": "worker",  # one at a time, so it may take up what any other left
        "application_version": "1",  # what this one began the next version of Holdfast can finish
        "use_listen_notify": False,
        "notification_listener_polling_interval_sec": 0.1,  # it sends none, and its end waits for a poll
        "max_executor_threads": 4,
        "log_level": "WARNING",
        "serializer": _Json(),
    }
    DBOS(config=config)

    @DBOS.step(name="score")
    def step(job_id: str) -> dict[str, Any]:
        return score(job_id)

    # DBOS would count workers that were told to stop among those that the file has brought down.
    @DBOS.workflow(name="score_file", max_recovery_attempts=None)
    def workflow(job_id: str) -> dict[str, Any]:
        return step(job_id)

    DBOS.launch()
    return workflow


def _system_database(settings: Settings, engine: sa.Engine) -> str:
    """Beside our tables in PostgreSQL, in a schema of its own; else a file beside the SQLite one.

    No customer's data are in it.
    """
    if engine.dialect.name == "sqlite":
        file = settings.home.absolute() / "jobs.db"
        make_private(file)
        return f"sqlite:///{file}"
    return engine.url.render_as_string(hide_password=False)
