"""The ``holdfast`` command: collects the commands and guards their run."""

from __future__ import annotations

import signal
import sys
import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast import __version__
from holdfast.cli.audit import audit
from holdfast.cli.check import check
from holdfast.cli.config import config
from holdfast.cli.db import db
from holdfast.cli.erase import erase
from holdfast.cli.errors import TERMINATED, guarded
from holdfast.cli.evaluate import evaluate
from holdfast.cli.explain import explain
from holdfast.cli.features import features
from holdfast.cli.init import init
from holdfast.cli.jobs import jobs
from holdfast.cli.keys import keys
from holdfast.cli.models import models
from holdfast.cli.predictions import predictions
from holdfast.cli.score import score
from holdfast.cli.serve import serve
from holdfast.cli.session import Debug, Home, Json, Quiet, session_of
from holdfast.cli.simulate import simulate
from holdfast.cli.train import train
from holdfast.cli.users import users

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

app = typer.Typer(
    name="holdfast",
    rich_markup_mode="rich",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with  [bold]holdfast init customers.csv --label Churn[/]",
)


@app.callback()
def everything(
    ctx: typer.Context,
    home: Home = None,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the customers you are about to lose, whom to act on, and why."""
    ctx.obj = session_of(ctx, home=home, json=json, quiet=quiet, debug=debug)
    if version:
        ctx.obj.answer({"version": __version__}, f"holdfast {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        ctx.get_help()  # Typer prints it


for _command in (simulate, init, check, train, evaluate, score, explain, serve, erase):
    _command.add_to(app)
app.add_typer(features, name="features", rich_help_panel="Prepare")
app.add_typer(models, name="models", rich_help_panel="Run")
app.add_typer(jobs, name="jobs", rich_help_panel="Run")
app.add_typer(predictions, name="predictions", rich_help_panel="Run")
app.add_typer(keys, name="keys", rich_help_panel="Operate")
app.add_typer(users, name="users", rich_help_panel="Operate")
app.add_typer(db, name="db", rich_help_panel="Operate")
app.add_typer(audit, name="audit", rich_help_panel="Operate")
app.add_typer(config, name="config", rich_help_panel="Operate")


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Raises nothing but ``SystemExit`` (on SIGTERM)."""
    debug = "--debug" in arguments
    program = typer.main.get_command(app)

    def work() -> int:
        return program.main(list(arguments), prog_name="holdfast", standalone_mode=False) or 0

    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")  # libraries talk to programmers; our users are others
        return guarded(work, as_json="--json" in arguments, debug=debug)


def main() -> None:
    """Entry point of the ``holdfast`` command."""
    signal.signal(signal.SIGTERM, _leave)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without "é" must not end the program
    sys.exit(run(sys.argv[1:]))


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds like an exception, so that half-written files are removed on the way out."""
    raise SystemExit(TERMINATED)
