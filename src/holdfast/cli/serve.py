"""``holdfast serve``."""

from __future__ import annotations

import json
import shlex
import socket
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.session import Session, command

if TYPE_CHECKING:
    from holdfast.api.live import Live
    from holdfast.cli.supervisor import Kept
    from holdfast.settings import Settings


@command("holdfast serve --port 8000", panel="Run")
def serve(
    session: Session,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port to answer on: 8000, or a free one with 0."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to answer on: 127.0.0.1, this machine only; 0.0.0.0 is all.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes that answer: 1.")] = None,
    inherited: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Answer predictions over HTTP, with the champion.

    Promotions and rollbacks take effect within a second, without a restart. The page /docs shows every route
    as a form. Ctrl-C or SIGTERM stops it after what it is at; with several workers, SIGHUP starts them anew
    without a pause. HOLDFAST_HOST, HOLDFAST_PORT and HOLDFAST_WORKERS are the defaults.
    """
    from holdfast.cli.binding import bind  # noqa: PLC0415 - help must not wait for it

    given = {"port": port, "host": host, "workers": workers}
    settings = session.settings.model_copy(update={k: v for k, v in given.items() if v is not None})
    if inherited is not None:
        _answer(session, settings, socket.socket(fileno=inherited), one_of_many=True)
        return
    bound = bind(settings.host, settings.port)
    if settings.workers > 1:
        _supervise(session, settings, bound)
    else:
        _answer(session, settings, bound)
    session.note("Stopped.")


def _answer(session: Session, settings: Settings, bound: socket.socket, *, one_of_many: bool = False) -> None:
    """Answer in this process."""
    from holdfast.access import Gate, may_listen  # noqa: PLC0415 - help must not wait for it
    from holdfast.api import log  # noqa: PLC0415 - as above
    from holdfast.api.live import Live  # noqa: PLC0415 - as above
    from holdfast.api.server import serve as run  # noqa: PLC0415 - as above
    from holdfast.cli.binding import url_of  # noqa: PLC0415 - as above

    log.configure(debug=session.debug, quiet=session.quiet or session.json, level=settings.log_level)
    with session.registry() as registry:
        may_listen(settings.host, settings, Gate(registry.engine, settings))
        live = Live(registry, settings=settings)
        jobs = None if one_of_many else _jobs(session, settings)

        def ready() -> None:
            document, words = announced(live, url_of(bound))
            if one_of_many:
                print(json.dumps({"ready": [document, words]}), flush=True)  # noqa: T201 - told to the supervisor
            else:
                session.answer(document, words)
                sys.stdout.flush()

        try:
            run(live, settings, registry.engine, bound, ready=ready, beside=jobs, one_of_many=one_of_many)
        finally:
            if jobs:
                jobs.stop()


def _supervise(session: Session, settings: Settings, bound: socket.socket) -> None:
    """Have other processes answer, and see to it that they do."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - help must not wait for it

    from holdfast.cli.supervisor import Server, Supervisor  # noqa: PLC0415 - as above

    def announce(told: tuple[dict[str, Any], str]) -> None:
        session.answer(*told)
        sys.stdout.flush()

    with bound, TemporaryDirectory(prefix="holdfast-metrics-") as metrics:
        command = _command(session, settings, bound)
        supervisor = Supervisor(
            lambda: Server(command, bound.fileno(), metrics),
            settings.workers,
            drain_seconds=settings.linger_seconds + settings.drain_seconds,
            announce=announce,
            forget=lambda pid: mark_process_dead(pid, metrics),  # type: ignore[no-untyped-call]  # has no types
            beside=_jobs(session, settings),
        )
        failed = supervisor.run()
    if failed is not None:  # it has said why, on stderr or as a document
        sys.stdout.write(failed.said.decode())
        raise typer.Exit(failed.poll() or 1)


def _command(session: Session, settings: Settings, bound: socket.socket) -> list[str]:
    """What starts one of several processes that answer."""
    line = [sys.executable, "-m", "holdfast.cli", "serve", "--inherited", bound.fileno()]
    line += ["--host", settings.host, "--port", settings.port, "--workers", settings.workers]
    line += ["--home", settings.home.absolute()]
    flags = {"--json": session.json, "--quiet": session.quiet, "--debug": session.debug}
    return [*map(str, line), *(name for name, on in flags.items() if on)]


def _jobs(session: Session, settings: Settings) -> Kept:
    """The process that scores files in the background, once there are any; it says no more than this one."""
    from holdfast.cli.supervisor import Kept  # noqa: PLC0415 - help must not wait for it
    from holdfast.jobs import any_yet, start_worker  # noqa: PLC0415 - as above

    if (session.quiet or session.json) and not session.debug and settings.log_level in ("debug", "info"):
        settings = settings.model_copy(update={"log_level": "warning"})
    return Kept(lambda: start_worker(settings), lambda: any_yet(settings.home))


def announced(live: Live, url: str) -> tuple[dict[str, Any], str]:
    """What is served where, as a document and in words."""
    from holdfast.api.intake import CUSTOMER_ID  # noqa: PLC0415 - help must not wait for it

    current = live.current
    document: dict[str, Any] = {"url": url, "docs": f"{url}/docs", "model": None, "example": None}
    if current is None:
        trouble = live.trouble
        found = "There is no model yet; train one with `holdfast train churn.toml`."
        found = f"{trouble.reason}\n{trouble.hint}" if trouble else found
        words = f"{found}\nThe server waits for it at {url} and takes it up by itself. Ctrl-C stops it."
        return document, words
    whole = current.intake.example
    example = whole if current.features is None else {CUSTOMER_ID: "C-0001"}
    body = shlex.quote(json.dumps(example, ensure_ascii=False))
    ask = f"curl {url}/predict -H 'content-type: application/json' -d {body}"
    document["model"] = {"name": current.model.name, "version": current.model.version}
    document["example"] = ask
    words = (
        f'Holdfast answers at {url} with {current.model.version} of "{current.model.name}".\n'
        f"Try it in a browser: {url}/docs\n"
    )
    if current.from_tables and current.features is None:
        words += (
            "Its records are built from tables, which are not at hand. `holdfast score churn.toml` prepares\n"
            "files, HOLDFAST_SOURCE_URL says where a PostgreSQL is; started again, an id is enough.\n"
            f"Until then it takes whole records of {len(whole):,} fields, as `holdfast features build` has.\n"
        )
    else:
        words += f"Or here: {ask}\n"
    return document, f"{words}Ctrl-C stops it."
