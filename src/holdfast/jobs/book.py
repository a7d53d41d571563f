"""The book of jobs: accepts them, tells about them, and writes down what happens to them."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa

from holdfast.audit import hold, record
from holdfast.disk import scratch, sync
from holdfast.errors import HoldfastError
from holdfast.jobs import files
from holdfast.jobs.job import UNFINISHED, Job, State
from holdfast.store import reading, writing
from holdfast.store.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ORPHANED = timedelta(hours=1)
"""A folder without a row belongs to nobody after this long."""


class UnknownJobError(HoldfastError):
    """There is no such job, or it is another's."""

    code = "job"
    exit_code = 2

    def __init__(self) -> None:
        super().__init__(
            "There is no such job.", hint="Finished jobs are kept for some days; list those that there are."
        )


class WrongStateError(HoldfastError):
    """The job is not where it would have to be."""

    code = "job_state"


class QuotaError(HoldfastError):
    """The caller has as many unfinished jobs as one may have."""

    code = "quota"
    retry_seconds = 30

    def __init__(self, most: int) -> None:
        super().__init__(
            f"You have {most:,} jobs waiting or running, and may not have more.",
            hint="Wait until one has ended, or cancel one.",
        )


class JobBook:
    """The jobs of one home folder. Safe to share between threads and processes.

    Args:
        engine: the database.
        home: where the files are.
    """

    def __init__(self, engine: sa.Engine, home: Path) -> None:
        self.engine = engine
        self.home = home

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Where to write the file of a job that is to be accepted; afterwards gone, unless it was."""
        with scratch(files.make_folder(self.home), ".upload-") as folder:
            yield folder / files.UPLOADING

    def check_quota(self, owner: str, most: int, *, more: int = 0) -> None:
        """Refuse before the file is sent what would be refused afterwards.

        Args:
            owner: of the jobs.
            most: jobs that may be waiting or running.
            more: jobs that ``owner`` is about to send.

        Raises:
            QuotaError: there are as many.
        """
        with reading(self.engine) as connection:
            _check_quota(connection, owner, most - more)

    def accept(
        self,
        staged: Path,
        *,
        owner: str,
        file: str,
        version: str,
        reasons: int = 0,
        format: str | None = None,  # noqa: A002 - what the column and the routes call it
        most: int | None = None,
    ) -> Job:
        """Take a file over. It is safe with us, and will be scored, when this returns.

        Args:
            staged: from `staging`, with all of the file in it.
            owner: who sent it.
            file: what the owner calls it.
            version: label of the model.
            reasons: how many to give with each answer.
            format: of the answers, ``csv`` or ``parquet``; the file's own unless given.
            most: jobs that ``owner`` may have waiting or running.

        Raises:
            QuotaError: there are as many.
            StoreError: the database failed; the job was not accepted.
        """
        kind = files.kind_of(staged)
        job = Job(
            id=str(uuid4()),
            owner=owner,
            created=datetime.now(UTC),
            file=files.shown_name(file),
            kind=kind,
            bytes=staged.stat().st_size,
            version=version,
            reasons=reasons,
            format=format or kind,
            state=State.WAITING,
            done=0.0,
            started=None,
            finished=None,
            summary=None,
            error=None,
        )
        sync(staged)
        upload = files.upload_of(self.home, job)
        try:
            with writing(self.engine) as connection:
                # The trail's lock comes first: two that count at once would both find room for one more.
                record(connection, owner, "jobs.submit", job.id, {"bytes": job.bytes, "version": version})
                if most is not None:
                    _check_quota(connection, owner, most)
                connection.execute(sa.insert(jobs).values({name: getattr(job, name) for name in _NAMES}))
                staged.rename(staged.with_name(upload.name))
                sync(staged.parent)
                staged.parent.rename(upload.parent)
                sync(upload.parent.parent)
        except BaseException:
            files.remove(self.home, job.id)
            raise
        return job

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """One job; of ``owner`` alone, if given.

        Raises:
            UnknownJobError: there is none.
        """
        with reading(self.engine) as connection:
            return _one(connection, job_id, owner)

    def list(self, owner: str | None = None, limit: int = 100) -> Sequence[Job]:
        """The latest jobs, newest first; of ``owner`` alone, if given."""
        query = sa.select(jobs).order_by(jobs.c.created.desc(), jobs.c.id).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        with reading(self.engine) as connection:
            return [_job(row) for row in connection.execute(query)]

    def cancel(self, job_id: str, *, actor: str, owner: str | None = None) -> Job:
        """End a job; a worker that is at it stops within a batch of rows. Its files are removed.

        Raises:
            UnknownJobError: there is none.
            WrongStateError: it has ended already.
        """
        with writing(self.engine) as connection:
            hold(connection)
            before = _one(connection, job_id, owner)
            if not _end(connection, job_id, State.CANCELLED):
                raise WrongStateError(
                    f"The job is {before.state} already.", hint="Only a job that has not ended is cancelled."
                )
            record(connection, actor, "jobs.cancel", job_id)
            ended = _one(connection, job_id, owner)
        if before.state == State.WAITING:  # else the worker removes them, when it has let go
            files.remove(self.home, job_id)
        return ended

    def delete(self, job_id: str, *, actor: str, owner: str | None = None) -> None:
        """Remove a job that has ended, with its files.

        Raises:
            UnknownJobError: there is none.
            WrongStateError: it has not ended.
        """
        with writing(self.engine) as connection:
            hold(connection)
            found = _one(connection, job_id, owner)
            if not found.state.ended:
                raise WrongStateError(f"The job is {found.state}.", hint="Cancel it first.")
            connection.execute(sa.delete(jobs).where(jobs.c.id == job_id))
            record(connection, actor, "jobs.delete", job_id)
            files.remove(self.home, job_id)  # a file that is left behind would be found by nobody

    def results(self, job: Job, *, actor: str) -> Path:
        """The file of answers; that ``actor`` fetches it is written into the audit trail.

        Raises:
            WrongStateError: the job is not done.
        """
        return self._result(job, files.answers_of(self.home, job), actor)

    def rejects(self, job: Job, *, actor: str) -> Path:
        """The file of rejects; that ``actor`` fetches it is written into the audit trail.

        Raises:
            WrongStateError: the job is not done, or nothing was rejected.
        """
        if job.state == State.DONE and not job.has_rejects:
            raise WrongStateError("No row was rejected.", hint="The results have every row.")
        return self._result(job, files.rejects_of(self.home, job), actor)

    def _result(self, job: Job, path: Path, actor: str) -> Path:
        if job.state != State.DONE:
            hint = "Its error says why." if job.state == State.FAILED else None
            raise WrongStateError(
                f"The job is {job.state}.", hint=hint if job.state.ended else "Ask again when it is done."
            )
        if not path.is_file():
            raise WrongStateError("The job's files are gone.", hint="Send the file again.")
        with writing(self.engine) as connection:
            detail = {"file": path.stem, "bytes": path.stat().st_size}
            record(connection, actor, "jobs.download", job.id, detail)
        return path

    # What follows is the worker's.

    def next(self) -> Job | None:
        """The oldest job that has not ended."""
        unfinished = sa.select(jobs).where(jobs.c.state.in_(UNFINISHED))
        with reading(self.engine) as connection:
            row = connection.execute(unfinished.order_by(jobs.c.created, jobs.c.id).limit(1)).one_or_none()
        return None if row is None else _job(row)

    def begin(self, job_id: str) -> Job | None:
        """Write down that a worker has begun, or has begun again; none if the job was cancelled."""
        begun = {"state": State.RUNNING, "started": datetime.now(UTC), "done": 0.0}
        with writing(self.engine) as connection:
            changed = connection.execute(_unfinished(job_id).values(begun)).rowcount
            return _one(connection, job_id) if changed else None

    def advance(self, job_id: str, done: float) -> bool:
        """Write down how far a job is; false if it was cancelled."""
        with writing(self.engine) as connection:
            return bool(connection.execute(_unfinished(job_id).values(done=done)).rowcount)

    def settle(self, job_id: str, state: State, outcome: dict[str, Any]) -> None:
        """Write down how a job ended, unless it had; then remove the files that are not results."""
        with writing(self.engine) as connection:
            _end(connection, job_id, state, **outcome)
        with suppress(UnknownJobError):
            self._tidy(self.get(job_id))
            return
        files.remove(self.home, job_id)

    def sweep(self, keep: timedelta) -> None:
        """Remove jobs that ended more than ``keep`` ago, and files that nobody needs any more."""
        now = datetime.now(UTC)
        with reading(self.engine) as connection:
            known = {job.id: job for job in map(_job, connection.execute(sa.select(jobs)))}
        for job in known.values():
            if job.state.ended and (job.finished or job.created) < now - keep:
                with suppress(UnknownJobError):  # its owner was quicker
                    self.delete(job.id, actor="jobs:retention")
            else:
                self._tidy(job)
        folder = files.folder_of(self.home)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith(".") and path.name not in known:
                with suppress(OSError):
                    if datetime.fromtimestamp(path.stat().st_ctime, UTC) < now - ORPHANED:
                        shutil.rmtree(path)

    def _tidy(self, job: Job) -> None:
        if job.state == State.DONE:
            files.keep_results(self.home, job)
        elif job.state.ended:
            files.remove(self.home, job.id)


_NAMES = tuple(column.name for column in jobs.columns)


def _job(row: sa.Row[Any]) -> Job:
    return Job(**{**row._mapping, "state": State(row.state)})  # noqa: SLF001 - SQLAlchemy's name for it


def _one(connection: sa.Connection, job_id: str, owner: str | None = None) -> Job:
    named = sa.select(jobs).where(jobs.c.id == job_id)
    row = connection.execute(named).one_or_none() if "\0" not in job_id else None  # no text of PostgreSQL
    if row is None or owner not in {None, row.owner}:
        raise UnknownJobError
    return _job(row)


def _unfinished(job_id: str) -> sa.Update:
    return sa.update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(UNFINISHED))


def _end(connection: sa.Connection, job_id: str, state: State, **outcome: Any) -> bool:
    ended = _unfinished(job_id).values(state=state, finished=datetime.now(UTC), **outcome)
    return bool(connection.execute(ended).rowcount)


def _check_quota(connection: sa.Connection, owner: str, most: int) -> None:
    mine = sa.select(sa.func.count()).where(jobs.c.owner == owner, jobs.c.state.in_(UNFINISHED))
    if (connection.scalar(mine) or 0) >= most:
        raise QuotaError(most)
