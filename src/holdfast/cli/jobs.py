"""``holdfast jobs``: files that are scored in the background."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from holdfast.cli.session import Group, Session, command
from holdfast.errors import DataError, HoldfastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from holdfast.jobs import Job, JobBook

LOOK_SECONDS = 0.25

jobs = Group("Score files in the background: send, watch and fetch them. Alone, it lists them.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, or its beginning.")]


@command("holdfast jobs list")
def list_(session: Session) -> None:
    """Show the latest jobs, newest first."""
    with _book(session) as book:
        found = book.list()
    nothing = "No job yet. Send a file: holdfast jobs submit customers.csv"
    session.answer({"jobs": [job.as_dict() for job in found]}, _table(found) if found else nothing)


@command("holdfast jobs show 3f2b")
def show(session: Session, job_id: JobId) -> None:
    """Show how far a job is, and what came of it."""
    with _book(session) as book:
        job = _found(book, job_id)
    session.answer({"job": job.as_dict()}, _facts(job))


@command("holdfast jobs submit customers.csv --wait")
def submit(
    session: Session,
    table: Annotated[Path, typer.Argument(metavar="FILE", help="The table of customers, CSV or Parquet.")],
    *,
    model: Annotated[
        str,
        typer.Option("--model", metavar="REF", help="champion, challenger, or a version such as 3 or v3."),
    ] = "champion",
    reasons: Annotated[
        int, typer.Option("--reasons", min=0, max=20, metavar="K", help="Add each row's K strongest reasons.")
    ] = 0,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["csv", "parquet"] | None,
        typer.Option("--format", help="How to write the answers; as FILE is written unless given."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until the job has ended; exit code 3 if it failed.")
    ] = False,
) -> None:
    """Have a file scored by the server, or by `holdfast jobs worker`. The file is copied.

    The model is the one that is in charge now, whoever is promoted before the job's turn.
    """
    with _book(session) as book, session.registry() as registry:
        version = registry.resolve(model).label
        with book.staging() as staged:
            _copy(table, staged)
            job = book.accept(
                staged, owner=session.actor, file=table.name, version=version, reasons=reasons, format=format
            )
        if wait:
            job = _watched(session, book, job)
    session.answer({"job": job.as_dict()}, *([_facts(job)] if wait else [job.id]))
    if job.error:
        raise typer.Exit(DataError.exit_code)


@command("holdfast jobs cancel 3f2b")
def cancel(session: Session, job_id: JobId) -> None:
    """End a job that is waiting or running, and remove its files."""
    with _book(session) as book:
        job = book.cancel(_found(book, job_id).id, actor=session.actor)
    session.answer({"job": job.as_dict()}, f"{job.id} is cancelled.")


@command("holdfast jobs download 3f2b -o july.scored.csv")
def download(
    session: Session,
    job_id: JobId,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Where to write the file.")],
    rejects: Annotated[bool, typer.Option("--rejects", help="The rejects instead of the answers.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT if it is there.")] = False,
) -> None:
    """Copy the answers of a job that is done."""
    if out.exists() and not force:
        raise UsageError(
            "The file is already there.", where=str(out), hint="Choose another, or overwrite it with --force."
        )
    with _book(session) as book:
        job = _found(book, job_id)
        _expect_ending(out, "csv" if rejects else job.format)
        fetch = book.rejects if rejects else book.results
        _copy(fetch(job, actor=session.actor), out)
    session.answer({"job": job.id, "out": str(out)}, f"Written: {out}")


@command("holdfast jobs worker")
def worker(
    session: Session, *, with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False
) -> None:
    """Work on jobs until told to stop. `holdfast serve` runs one by itself.

    Any number may run on one home folder: one works, the others take over when it is gone.
    """
    from holdfast.api import log  # noqa: PLC0415 - help must not wait for it
    from holdfast.jobs import follow_parent  # noqa: PLC0415 - as above
    from holdfast.jobs.worker import Worker  # noqa: PLC0415 - as above

    log.configure(debug=session.debug, quiet=session.quiet or session.json, level=session.settings.log_level)
    with session.registry() as registry:
        made = Worker(session.settings, registry)
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda _sign, _frame: made.stop())
        if with_parent:
            follow_parent(made.stop)
        made.run()


for _command, _name in (
    (list_, "list"),
    (show, "show"),
    (submit, "submit"),
    (cancel, "cancel"),
    (download, "download"),
    (worker, "worker"),
):
    _command.add_to(jobs, _name)
jobs.alone = list_


@contextmanager
def _book(session: Session) -> Iterator[JobBook]:
    from holdfast.jobs import JobBook  # noqa: PLC0415 - help must not wait for it

    with session.database() as engine:
        yield JobBook(engine, session.settings.home)


def _found(book: JobBook, given: str) -> Job:
    """The job whose id begins like that."""
    matching = [job for job in book.list(limit=10_000) if given and job.id.startswith(given.lower())]
    if len(matching) > 1:
        raise UsageError(f'{len(matching)} jobs begin with "{given}".', hint="Give more of the id.")
    return matching[0] if matching else book.get(given)


def _expect_ending(out: Path, layout: str) -> None:
    """Refuse a name that says that the file is written in another way than it is."""
    if out.suffix.lower() not in {"", f".{layout}"}:
        raise UsageError(
            f"The file is written as {layout}, and its name says otherwise.",
            where=str(out),
            hint=f"Call it {out.with_suffix(f'.{layout}').name}",
        )


def _copy(source: Path, target: Path) -> None:
    from holdfast.disk import make_private  # noqa: PLC0415 - help must not wait for it
    from holdfast.sources import table_size  # noqa: PLC0415 - help must not wait for it

    table_size(source)  # raises where there is no such file
    try:
        make_private(target)
        shutil.copyfile(source, target)
    except OSError as error:
        raise UsageError(
            f"The file cannot be copied: {error.strerror or error}.",
            where=str(source),
            hint="Check the free space and who owns the folders.",
        ) from error


def _watched(session: Session, book: JobBook, job: Job) -> Job:
    """Draw how far the job is until it has ended."""
    with session.progress() as progress:
        progress.start(f"Scoring {job.file}", 1.0)
        while not job.state.ended:
            time.sleep(LOOK_SECONDS)
            before, job = job, book.get(job.id)
            progress.advance(job.done - before.done, str(job.state))
    return job


def _table(found: Any) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    table = Table(box=None, pad_edge=False)
    for name in ("id", "state", "done", "file", "model", "owner", "created"):
        table.add_column(name, no_wrap=True)
    for job in found:
        facts = (job.id, str(job.state), f"{job.done:.0%}", job.file, job.version, job.owner)
        table.add_row(*map(Text, facts), job.created.strftime("%Y-%m-%d %H:%M"))
    return table


def _facts(job: Job) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    facts = {"id": job.id, "file": f"{job.file} ({job.bytes:,} bytes)", "model": job.version}
    facts["state"] = str(job.state)
    if not job.state.ended:
        left = job.seconds_left
        facts["done"] = f"{job.done:.0%}" + ("" if left is None else f", {left:,.0f} s left")
    if job.summary:
        s = job.summary
        facts["rows"] = f"{s['rows_in']:,} read, {s['scored']:,} scored, {s['rejected']:,} rejected"
        facts["to act on"] = f"{s['will_churn']:,}"
        facts["answers"] = f"holdfast jobs download {job.id[:8]} -o answers.{job.format}"
    if job.has_rejects:
        facts["rejects"] = f"holdfast jobs download {job.id[:8]} --rejects -o rejects.csv"
    if job.error:
        facts["error"] = str(HoldfastError(job.error["message"], where=job.error.get("where")))
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, fact in facts.items():
        table.add_row(name, Text(fact))
    return table
