"""Erases a customer from everything that the service has kept of its answers, and keeps it that way.

What is left is a tombstone: a keyed hash, from which nobody without the installation's secret can tell whom
it is about, and the time up to which nothing of this customer may come back.
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast import audit
from holdfast.predictions.archive import FOLDER as ARCHIVE
from holdfast.predictions.archive import keeping
from holdfast.predictions.exports import FOLDER as EXPORTS
from holdfast.predictions.listing import SLACK, WantedError, first_id, storable
from holdfast.predictions.removal import (
    from_folder,
    from_job,
    held_in_spool,
    is_named,
    of_folder,
    removed_from,
)
from holdfast.predictions.tombstones import note, noted
from holdfast.progress import NullProgress
from holdfast.settings import secret_of
from holdfast.store import reading, writing
from holdfast.store.scrub import scrub
from holdfast.store.tables import audit as audited
from holdfast.store.tables import jobs, predictions, replies, tombstones

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.progress import Progress
    from holdfast.settings import Settings

JOBS = "jobs"
"""In the home folder: a folder for each job, with ``upload.*``, ``answers.*`` and ``rejects.csv``."""

BY_BLOCK = {"yield_per": 5_000}
"""So many rows are in memory at a time."""

COUNTED = ("predictions", "replies", "archived", "exported", "job_rows")
"""Rows of the log, stored answers, and rows of the archive, of exports and of jobs' results."""

ACTIONS = ("customers.erase", "customers.erased")
"""In the audit trail: the beginning and the end."""

LONGEST_QUOTED = 79
"""So many characters of a longer value an answer quotes at least."""

ERASED = "_"
"""Stands where the id was in what is kept about a job."""

ELSEWHERE = (
    "Files that were exported, downloaded or copied out of the home folder, backups, and your own systems "
    "are beyond reach: erase the customer there too."
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure removed. Names nobody: ``customer_hash`` is keyed with the installation's secret."""

    customer_hash: str
    at: datetime
    removed: dict[str, int]
    """How many, by `COUNTED`."""
    left: tuple[str, ...]
    """What could not be reached now, and what to do about it, a sentence each; mostly nothing."""

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "customer_hash": self.customer_hash,
            "erased_before": self.at.isoformat(),
            "removed": self.removed,
            "left": list(self.left),
            "elsewhere": ELSEWHERE,
        }


def customer_hash(secret: bytes, customer_id: str) -> str:
    """What stands for a customer where the id may not: HMAC-SHA256 of it, as hex.

    >>> customer_hash(b"secret", "C-1") == customer_hash(b"other", "C-1")
    False
    """
    return hmac.digest(secret, b"customer\0" + customer_id.encode(errors="surrogatepass"), "sha256").hex()


def last_erasure(engine: sa.Engine) -> int | None:
    """Number of the newest entry in the audit trail about an erasure; none if there is none.

    Numbers only rise. Times would not: clocks of several machines differ.
    """
    with reading(engine) as connection:
        number: int | None = connection.scalar(
            sa.select(sa.func.max(audited.c.number)).where(audited.c.action.in_(ACTIONS))
        )
        return number


def can_be_id(text: str) -> bool:
    """Whether a customer of this id can be in the log."""
    return bool(text) and storable(text)


def erase(
    engine: sa.Engine, settings: Settings, customer_id: str, actor: str, progress: Progress | None = None
) -> Erased:
    """Remove a customer from the log, stored replies, the archive, exports and jobs in the home folder.

    Each process empties its cache within a second (`last_erasure`). Predictions
    asked for later are logged as any others: a customer may come back. Once more does no harm.

    Args:
        engine: the database.
        settings: of the installation.
        customer_id: as the log holds it.
        actor: for the audit trail.
        progress: told what is being looked through.

    Raises:
        WantedError: this can be nobody's id.
        ArchiveError: a file cannot be read or written; the log itself is erased, do it again.
        StoreError: the database cannot be used; do it again.
    """
    if not can_be_id(customer_id):
        raise WantedError("This can be no customer's id.", hint="Give it as `GET /predictions` shows it.")
    progress = progress or NullProgress()
    digest, home = customer_hash(secret_of(settings), customer_id), settings.home
    removed: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    with keeping(home):
        at = datetime.now(UTC)
        progress.start("Erasing", None)
        with writing(engine) as connection:
            # First the tombstone: from now on nothing that waits to be logged brings the customer back.
            _bury(connection, digest, at)
            note(home, digest, at)
            removed.update(_from_log(connection, customer_id, at))
            audit.record(connection, actor, ACTIONS[0], digest)
        removed["replies"] += _from_other_replies(engine, customer_id)
        _from_jobs(engine, customer_id)
        left = _from_files(engine, home, customer_id, removed)
        with writing(engine) as connection:  # those that were under way
            removed.update(_from_log(connection, customer_id, at))
        if not scrub(engine, (predictions, replies, jobs), [customer_id]):
            left.append(
                "The database is busy or full and may hold traces of deleted rows; erase again later."
            )
        with writing(engine) as connection:
            proof = {**removed, "left": len(left)}
            audit.record(connection, actor, ACTIONS[1], digest, proof)
    return Erased(digest, at, dict(removed), tuple(left))


def apply_tombstones(engine: sa.Engine, secret: bytes, home: Path, *, since: datetime | None = None) -> int:
    """Remove what came back of erased customers, as from a backup; returns how many predictions.

    What was recorded up to a tombstone's time goes, what came later stays. Tombstones that only the home
    folder has come back into the database, and then all of the log is looked at.

    Args:
        engine: the database.
        secret: the installation's, as it was when they were erased.
        home: the home folder.
        since: look not at the archive, only for customers erased from then on, and only at what was logged in
            the hour before each erasure: for predictions that were under way.

    Raises:
        ArchiveError: a file cannot be read or written.
        StoreError: the database cannot be used.
    """
    every = _tombstones(engine, None)
    lost = {digest: at for digest, at in noted(home).items() if digest not in every or every[digest] < at}
    all_of_it = since is None or bool(lost)
    stones = every | lost if all_of_it else _tombstones(engine, since)
    if not stones:
        return 0
    recent = [] if all_of_it else [predictions.c.id >= first_id(min(stones.values()) - SLACK)]
    customers = sa.select(predictions.c.customer_id).where(predictions.c.customer_id.is_not(None), *recent)
    removed = 0
    with reading(engine) as connection:
        found = connection.scalars(customers.distinct(), execution_options=BY_BLOCK)
        back = [
            (customer, stones[digest])
            for customer in found
            if (digest := customer_hash(secret, customer)) in stones
        ]
    for customer, until in back:
        with writing(engine) as connection:
            removed += _from_log(connection, customer, until)["predictions"]
    if since is None and (home / ARCHIVE).is_dir():
        with keeping(home):
            for file, customer in of_folder(home / ARCHIVE):
                gone = stones.get(customer_hash(secret, customer))
                if gone is not None:
                    removed += removed_from(file, customer, gone)
    with writing(engine) as connection:  # last: until they are all gone, the next time finds what is lost
        for digest, at in lost.items():
            _bury(connection, digest, at)
    if removed:
        scrub(engine, (predictions, replies), [customer for customer, _ in back])
    return removed


def _tombstones(engine: sa.Engine, since: datetime | None) -> dict[str, datetime]:
    query = sa.select(tombstones.c.customer_hash, tombstones.c.at)
    if since is not None:
        query = query.where(tombstones.c.at >= since)
    with reading(engine) as connection:
        return {row.customer_hash: row.at for row in connection.execute(query)}


def _bury(connection: sa.Connection, digest: str, at: datetime) -> None:
    """Set the tombstone, or move it."""
    own = tombstones.c.customer_hash == digest
    if not connection.execute(sa.update(tombstones).where(own).values(at=at)).rowcount:
        connection.execute(sa.insert(tombstones).values(customer_hash=digest, at=at))


def _from_log(connection: sa.Connection, customer: str, until: datetime) -> dict[str, int]:
    """Remove a customer's predictions up to a time, and all stored replies that held one of them."""
    theirs = sa.and_(predictions.c.customer_id == customer, predictions.c.at <= until)
    requests = sa.select(predictions.c.request).where(theirs)
    return {
        "replies": connection.execute(sa.delete(replies).where(replies.c.request.in_(requests))).rowcount,
        "predictions": connection.execute(sa.delete(predictions).where(theirs)).rowcount,
    }


def _from_other_replies(engine: sa.Engine, customer: str) -> int:
    """Remove stored replies that quote the customer, also cut short: refusals, and answers about others."""
    needle = json.dumps(customer, ensure_ascii=False)
    if len(customer) > LONGEST_QUOTED:
        needle = json.dumps(customer[:LONGEST_QUOTED], ensure_ascii=False)[:-1]
    with reading(engine) as connection:  # a batch's are long, and nobody may wait for the search
        query = sa.select(replies.c.scope, replies.c.body)
        found = connection.execute(query, execution_options={"yield_per": 20})
        scopes = [row.scope for row in found if needle.encode() in row.body]
    if scopes:
        with writing(engine) as connection:
            for scope in scopes:
                connection.execute(sa.delete(replies).where(replies.c.scope == scope))
    return len(scopes)


def _from_jobs(engine: sa.Engine, customer: str) -> None:
    """Take the id out of what is kept about jobs: a file's name, an error, a summary."""
    fields = (jobs.c.file, jobs.c.error, jobs.c.summary)
    with reading(engine) as connection:
        known = connection.execute(sa.select(jobs.c.id, *fields)).all()
    for row in known:
        said = row._asdict()
        new = {name: _without(value, customer) for name, value in said.items() if name != "id"}
        new = {name: value for name, value in new.items() if value != said[name]}
        if new:
            with writing(engine) as connection:
                connection.execute(sa.update(jobs).where(jobs.c.id == row.id).values(new))


def _without(said: Any, customer: str) -> Any:
    """The same with `ERASED` for the id, or the part of it that is quoted, in each text."""
    match said:
        case str():
            return said.replace(customer, ERASED).replace(customer[:LONGEST_QUOTED], ERASED)
        case dict():
            return {name: _without(value, customer) for name, value in said.items()}
        case list():
            return [_without(value, customer) for value in said]
    return said


def _from_files(engine: sa.Engine, home: Path, customer: str, removed: Counter[str]) -> list[str]:
    """Remove a customer from the files in the home folder; says what is left and why."""
    left = []
    for counted, folder in (("archived", ARCHIVE), ("exported", EXPORTS)):
        rows, unread = from_folder(home / folder, customer)
        removed[counted] += rows
        left += [
            f"The file {name} cannot be read or written; look after it and erase again." for name in unread
        ]
    with reading(engine) as connection:
        known = connection.execute(sa.select(jobs.c.id, jobs.c.finished)).all()
    for job, finished in known:
        folder = home / JOBS / job
        if finished is not None:
            removed["job_rows"] += from_job(folder, customer)
            for upload in folder.glob("upload.*"):
                if is_named(customer, upload):  # nobody needs it any more
                    upload.unlink(missing_ok=True)
        elif any(is_named(customer, upload) for upload in folder.glob("upload.*")):
            left.append(
                f"The file of job {job} names the customer; erase again when it is done or cancelled."
            )
    if held_in_spool(home, customer):
        left.append(
            "Predictions that wait for the database name the customer. They will not be logged; erase again "
            "when nothing waits any more."
        )
    return left
