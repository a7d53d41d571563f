"""What every command has: the options that work everywhere, and one way to answer.

A command's answer goes to stdout; progress, notes and errors go to stderr. With ``--json`` stdout holds
exactly one JSON document, the answer or ``{"error": {...}}``, and nothing else is said.
"""

from __future__ import annotations

import getpass
import inspect
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import sqlalchemy as sa
    from rich.console import Console, RenderableType

    from holdfast.progress import Progress
    from holdfast.registry import Registry
    from holdfast.settings import Settings

CHOOSE = "Choose another with --home, or train a first model: holdfast train churn.toml"

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Where models and state live: .holdfast, or what HOLDFAST_HOME says.",
        rich_help_panel="Everywhere",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help='Answer with one JSON document on stdout; a failure is {"error": …}.',
        rich_help_panel="Everywhere",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress, nothing but the answer.", rich_help_panel="Everywhere"),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the full trace of a failure.", rich_help_panel="Everywhere")
]


@dataclass(frozen=True)
class Session:
    """One run of one command. ``given_home`` is what --home says."""

    given_home: Path | None = None
    json: bool = False
    quiet: bool = False
    debug: bool = False

    @cached_property
    def console(self) -> Console:
        """Where answers go."""
        from rich.console import Console  # noqa: PLC0415 - only when something is shown

        # A pipe has no width to fit into: lines stay whole, so that grep finds what it looks for.
        return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=1_000)

    @cached_property
    def settings(self) -> Settings:
        """What the operator has set; its home is this session's."""
        from holdfast.settings import load_settings  # noqa: PLC0415 - help must not wait for it

        return load_settings(home=self.given_home)

    @property
    def home(self) -> Path:
        """Where models and state live. May not exist yet."""
        return self.settings.home

    @property
    def actor(self) -> str:
        """Who runs this command, for the audit trail."""
        try:
            return f"cli:{getpass.getuser()}"
        except (KeyError, OSError):  # a container's user may have no name
            return f"cli:{os.getuid()}"

    @contextmanager
    def registry(self) -> Iterator[Registry]:
        """The registry of this home."""
        from holdfast.registry import Registry  # noqa: PLC0415 - help must not wait for it

        registry = Registry(self.home, actor=self.actor)
        try:
            yield registry
        finally:
            registry.close()

    @contextmanager
    def database(self, *, existing: bool = False) -> Iterator[sa.Engine]:
        """The database of this home; made where there is none, unless it must be there.

        Raises:
            UsageError: it must be there and is not.
        """
        if existing:
            self.insist_on_database()
        with self.registry() as registry:
            yield registry.engine

    def insist_on_database(self) -> None:
        """Refuse to make a database where there is none.

        Raises:
            UsageError: there is none.
        """
        from holdfast.store import store_exists  # noqa: PLC0415 - help must not wait for it

        if not store_exists(self.home):
            raise UsageError("There is no database in this home yet.", where=str(self.home), hint=CHOOSE)

    def answer(self, document: dict[str, Any], *shown: RenderableType) -> None:
        """Give the command's result: ``document`` with ``--json``, else ``shown``, one below the other.

        A ``Text`` with ``no_wrap`` is meant to be copied: its lines stay whole on the narrowest terminal.
        """
        if self.json:
            print(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))  # noqa: T201 - the answer
            return
        for part in shown:
            self.console.print(part, soft_wrap=getattr(part, "no_wrap", None) is True)

    def note(self, text: str) -> None:
        """Say something beside the answer, on stderr."""
        if not (self.json or self.quiet):
            print(text, file=sys.stderr)  # noqa: T201 - meant for the person at the terminal

    def progress(self) -> AbstractContextManager[Progress]:
        """What long work reports to, drawn on stderr while the context is open."""
        from holdfast.cli.progress import shown_progress  # noqa: PLC0415 - only for long work

        return shown_progress(silent=self.json or self.quiet)


@dataclass(frozen=True)
class Command:
    """A command, ready to be added to an app."""

    run: Callable[..., None]
    panel: str | None
    examples: tuple[str, ...]

    def add_to(self, app: typer.Typer, name: str | None = None) -> None:
        """Make it a command of ``app``, named after its function unless ``name`` is given."""
        examples = "\n\n".join(f"[bold]Example[/]  {example}" for example in self.examples)
        # Paragraphs without the source's line breaks, which a narrow terminal would break once more.
        paragraphs = (inspect.getdoc(self.run) or "").split("\n\n")
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        app.command(name, help=text, rich_help_panel=self.panel, epilog=examples)(self.run)

    def run_alone(self, ctx: typer.Context) -> None:
        """Run it for a group that was called without a command, with the group's options."""
        own = inspect.signature(self.run).parameters.values()
        given = {one.name: one.default for one in own if one.default is not one.empty}
        self.run(ctx, **given)


def command(*examples: str, panel: str | None = None) -> Callable[[Callable[..., None]], Command]:
    """Turn ``function(session, …)`` into a command that also takes the options that work everywhere.

    Those given before the command's name hold unless given again after it.
    """

    def decorate(function: Callable[..., None]) -> Command:
        signature = inspect.signature(function, eval_str=True)
        context, *shared = inspect.signature(session_of, eval_str=True).parameters.values()

        @wraps(function)
        def run(ctx: typer.Context, **given: Any) -> None:
            session = session_of(ctx, **{option.name: given.pop(option.name) for option in shared})
            function(session, **given)

        own = [p.replace(kind=p.KEYWORD_ONLY) for p in list(signature.parameters.values())[1:]]
        # Typer reads what a command takes from its signature; the annotations would repeat the function's.
        run.__signature__ = signature.replace(parameters=[context, *own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {}
        return Command(run, panel, examples)

    return decorate


class Group(typer.Typer):
    """An app for the commands of one topic, with the options that work everywhere.

    Args:
        about: what its help says.

    Attributes:
        alone: the command that runs where none is named; its help is shown unless there is one.
    """

    def __init__(self, about: str) -> None:
        super().__init__(help=about, invoke_without_command=True)
        self.alone: Command | None = None

        @self.callback()
        def everything(
            ctx: typer.Context,
            home: Home = None,
            *,
            json: Json = False,
            quiet: Quiet = False,
            debug: Debug = False,
        ) -> None:
            ctx.obj = session_of(ctx, home=home, json=json, quiet=quiet, debug=debug)
            if ctx.invoked_subcommand is None and self.alone is not None:
                self.alone.run_alone(ctx)
            elif ctx.invoked_subcommand is None:
                ctx.get_help()  # Typer prints it


def session_of(
    ctx: typer.Context, *, home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> Session:
    """The session that these options ask for, on top of those given before the command's name."""
    before = ctx.find_object(Session) or Session()
    return Session(
        given_home=home or before.given_home,
        json=json or before.json,
        quiet=quiet or before.quiet,
        debug=debug or before.debug,
    )
