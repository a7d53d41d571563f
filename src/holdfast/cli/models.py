"""``holdfast models``: what is registered, and which version is in charge."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.session import Group, Session, command
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from holdfast.registry import Promotion, Version

HEADLINE = ("roc_auc", "log_loss", "calibration_error", "profit_per_customer")
"""Metrics shown in the list, where a version has them."""

models = Group("List, compare and promote trained models. Alone, it lists them.")

Ref = Annotated[
    str, typer.Argument(metavar="REF", help="champion, challenger, or a version such as 3 or v3.")
]


@command("holdfast models list")
def list_(session: Session) -> None:
    """Show every version, oldest first."""
    with session.registry() as registry:
        found = registry.list()
    nothing = "No model yet. Train one: holdfast train churn.toml"
    session.answer({"models": [version.as_dict() for version in found]}, _table(found) if found else nothing)


@command("holdfast models show champion")
def show(session: Session, ref: Ref = "champion") -> None:
    """Show one version: its facts, its metrics and where its files are."""
    with session.registry() as registry:
        version = registry.resolve(ref)
    session.answer({"model": version.as_dict()}, _facts(version))


@command("holdfast models promote challenger")
def promote(session: Session, ref: Ref) -> None:
    """Make a version champion. Servers follow within a second."""
    with session.registry() as registry:
        done = registry.promote(ref)
    when = f"now{_instead(done)}" if done.changed else "already"
    _answer(session, done, f"{done.version.label} is champion {when}.")


@command("holdfast models rollback")
def rollback(session: Session) -> None:
    """Make the champion's predecessor champion again."""
    with session.registry() as registry:
        done = registry.rollback()
    _answer(session, done, f"{done.version.label} is champion again{_instead(done)}.")


@command("holdfast models verify", "holdfast models verify v3")
def verify(
    session: Session,
    ref: Annotated[str | None, typer.Argument(metavar="[REF]", help="One version; all unless given.")] = None,
) -> None:
    """Recompute the checksums of one version's files, or of all."""
    damaged: list[dict[str, object]] = []
    sound: list[str] = []
    told: list[str] = []
    with session.registry() as registry:
        if ref:
            sound.append(registry.verify(ref).label)
        for version in () if ref else registry.list():
            try:
                sound.append(registry.verify(version.label).label)
            except HoldfastError as error:
                damaged.append({"version": version.label, "error": error.as_dict()})
                told.append(f"{version.label}: {error}")
    words = f"As registered: {', '.join(sound) or 'none'}. Damaged: {len(damaged)}."
    session.answer({"verified": sound, "damaged": damaged}, *told, words)
    if damaged:
        raise typer.Exit(HoldfastError.exit_code)


@command("holdfast models export champion model.tar.gz")
def export(
    session: Session,
    ref: Ref,
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new folder, or a new file ending in .tar.gz or .zip.")
    ],
) -> None:
    """Copy a version, verified, to a folder or an archive. The same version gives the same bytes."""
    with session.registry() as registry:
        version = registry.export(ref, destination)
    session.answer(
        {"model": version.as_dict(), "destination": str(destination)},
        f"{version.label} was copied to {destination}.",
    )


list_.add_to(models, "list")
for _command in (show, promote, rollback, verify, export):
    _command.add_to(models)
models.alone = list_


def _instead(done: Promotion) -> str:
    return f" instead of {done.before.label}" if done.before else ""


def _answer(session: Session, done: Promotion, words: str) -> None:
    session.answer({"model": done.version.as_dict(), "changed": done.changed}, words)


def _table(found: Sequence[Version]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown

    table = Table(box=None, pad_edge=False)
    shown = [name for name in HEADLINE if any(isinstance(v.metrics.get(name), float) for v in found)]
    for heading in ("version", "status", "name", "recipe", "trained (UTC)"):
        table.add_column(heading)
    for name in shown:
        table.add_column(name, justify="right")
    for version in found:
        metrics = [_number(version.metrics.get(name)) for name in shown]
        when = f"{version.created:%Y-%m-%d %H:%M}"
        style = "bold" if version.status == "champion" else None
        table.add_row(
            version.label, version.status, version.name, version.recipe, when, *metrics, style=style
        )
    return table


def _facts(version: Version) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown

    table = Table(box=None, pad_edge=False, show_header=False)
    facts = {
        "version": f"{version.label} ({version.status})",
        "name": version.name,
        "recipe": version.recipe,
        "trained": f"{version.created:%Y-%m-%d %H:%M} UTC",
        "files": str(version.path),
        "contract": version.contract_digest[:12],
        "data": version.data_digest[:12],
    }
    numbers = {name: value for name, value in version.metrics.items() if isinstance(value, int | float)}
    for name, value in facts.items():
        table.add_row(name, value)
    for name, number in numbers.items():
        table.add_row(name, _number(number))
    return table


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 100 else f"{value:,.0f}"  # noqa: PLR2004 - money needs no decimals
    return "" if value is None else str(value)
