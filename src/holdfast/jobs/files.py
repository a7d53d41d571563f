"""The folders of jobs: what is in them, what must go, and whether there is room."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from holdfast.disk import make_private_folder
from holdfast.errors import HoldfastError
from holdfast.sources.detect import file_kind

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.jobs.job import Job

RESERVE = 256 * 1024 * 1024
"""Bytes that must stay free on the disk: the log of predictions is on it, too."""

UPLOADING = "upload"
"""A file's name in its staging folder until all of it is there."""
REJECTS = "rejects.csv"
_STARTS = ".starts"

LONGEST_NAME = 100


class NoRoomError(HoldfastError):
    """The disk is too full to take a file."""

    code = "room"
    retry_seconds = 300


def folder_of(home: Path) -> Path:
    """Where the jobs' folders are."""
    return home / "jobs"


def make_folder(home: Path) -> Path:
    """`folder_of`, there and ours alone."""
    folder = folder_of(home)
    make_private_folder(home)
    make_private_folder(folder)
    return folder


def any_yet(home: Path) -> bool:
    """Whether a file was ever sent here. Costs no query."""
    return folder_of(home).is_dir()


def upload_of(home: Path, job: Job) -> Path:
    """The file to be scored."""
    return folder_of(home) / job.id / f"upload.{job.kind}"


def answers_of(home: Path, job: Job) -> Path:
    """Its answers, once the job is done."""
    return folder_of(home) / job.id / f"answers.{job.format}"


def rejects_of(home: Path, job: Job) -> Path:
    """What was rejected of it, if anything."""
    return folder_of(home) / job.id / REJECTS


def parts_of(home: Path, job: Job) -> Path:
    """What is scored of it, until all is."""
    return folder_of(home) / job.id / "parts"


def count_start(home: Path, job: Job) -> int:
    """How often a worker has begun with a job, this time included, since it last got on with it."""
    done = len([*parts_of(home, job).glob("*")])
    note = folder_of(home) / job.id / _STARTS
    starts = 0
    with suppress(OSError, ValueError):
        before, starts = map(int, note.read_text().split())
        starts = starts if before == done else 0
    note.write_text(f"{done} {starts + 1}")
    return starts + 1


def forget_start(home: Path, job: Job) -> None:
    """Have the last start not count: it ended as starts should."""
    (folder_of(home) / job.id / _STARTS).unlink(missing_ok=True)


def kind_of(upload: Path) -> str:
    """``parquet`` or ``csv``, by content. What is neither counts as CSV: scoring it says what is wrong."""
    try:
        return "parquet" if file_kind(upload).layout == "parquet" else "csv"
    except HoldfastError:
        return "csv"


def check_room(home: Path, more: int = 0) -> None:
    """Refuse what the disk cannot take.

    Args:
        home: a folder on the disk.
        more: bytes that are still to come, as far as that is known.

    Raises:
        NoRoomError: less than `RESERVE` would stay free.
    """
    if shutil.disk_usage(home).free - more < RESERVE:
        raise NoRoomError("The server has no room for this file.", hint="Tell whoever runs it.")


def shown_name(given: str) -> str:
    r"""A file's name as it may be shown: without folders and without what could fool a reader.

    >>> shown_name("../../etc/passwd"), shown_name("C:\\data\\July 2025.csv.gz"), shown_name("a\r\nb<c>")
    ('passwd', 'July 2025.csv.gz', 'a_b_c_')
    >>> shown_name(".."), shown_name("")
    ('file', 'file')
    """
    last = re.split(r"[/\\]", given)[-1]
    plain = re.sub(r"[^\w .()+-]+", "_", last).strip(" .")
    return plain[-LONGEST_NAME:] or "file"


def remove(home: Path, job_id: str) -> None:
    """Remove all files of a job."""
    shutil.rmtree(folder_of(home) / job_id, ignore_errors=True)


def keep_results(home: Path, job: Job) -> None:
    """Remove the files of a job that is done, but not its results."""
    kept = {answers_of(home, job).name, REJECTS}
    folder = folder_of(home) / job.id
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
