"""Files scored in the background as durable workflows: they survive a kill, resume, can be cancelled.

The table ``jobs`` is the truth that the doors see; a worker, in a process of its own, takes the jobs from it
one at a time. The only room that knows DBOS, and only in the worker's process.

Each job has a folder ``HOME/jobs/ID/``, which nobody else may look into: ``upload.csv`` or ``upload.parquet``
from its acceptance to its end, beside it ``parts`` of what is scored already; then ``answers.csv`` or
``answers.parquet``, and ``rejects.csv`` where a row was rejected. Names that clients give are shown and never
used.
"""

from holdfast.jobs.book import JobBook, QuotaError, UnknownJobError, WrongStateError
from holdfast.jobs.files import NoRoomError, any_yet, check_room, shown_name
from holdfast.jobs.job import Job, State
from holdfast.jobs.process import WorkerProcess, follow_parent, start_worker

__all__ = [
    "Job",
    "JobBook",
    "NoRoomError",
    "QuotaError",
    "State",
    "UnknownJobError",
    "WorkerProcess",
    "WrongStateError",
    "any_yet",
    "check_room",
    "follow_parent",
    "shown_name",
    "start_worker",
]
