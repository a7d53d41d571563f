"""``holdfast audit``: who changed what, and whether that record was tampered with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.session import Group, Session, command
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from holdfast.audit import Entry

audit = Group(
    "Show the audit trail, and prove that it is as it was recorded. Alone, it shows the newest entries."
)


@command("holdfast audit list", "holdfast audit list --action models --limit 10")
def list_(
    session: Session,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many entries at most.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Only entries before this one.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only this one's, such as cli:ana or key:crm.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this one, such as models.promote, or all of models.")
    ] = None,
) -> None:
    """Show who changed what, newest first."""
    from holdfast.audit import entries  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as database:
        found = entries(database, limit=limit, before=before, actor=actor, action=action)
    session.answer(
        {"entries": [entry.as_dict() for entry in found]},
        _table(found) if found else "Nothing was changed yet.",
    )


@command("holdfast audit verify")
def verify(session: Session) -> None:
    """Recompute every hash of the trail; name each entry that was edited, removed, moved or added.

    Exit code 1 if there is one. Keep the head's hash elsewhere now and then: who rewrites the whole trail
    from some entry on changes that, too.
    """
    from holdfast.audit import verify as follow  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as database:
        verdict = follow(database)
    told = [f"Entry {fault}" for fault in verdict.faults]
    if verdict.found > len(told):
        told.append(f"… and {verdict.found - len(told)} more.")
    words = "as recorded" if verdict.sound else f"{verdict.found} not as recorded"
    session.answer(verdict.as_dict(), *told, f"{verdict.entries} entries, {words}. Head: {verdict.head}")
    if not verdict.sound:
        raise typer.Exit(HoldfastError.exit_code)


list_.add_to(audit, "list")
verify.add_to(audit)
audit.alone = list_


def _table(found: Sequence[Entry]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    table = Table(box=None, pad_edge=False)
    for heading in ("number", "when (UTC)", "who", "action", "subject", "detail"):
        table.add_column(heading)
    for one in found:
        detail = json.dumps(one.detail, ensure_ascii=False)
        words = (f"{one.at:%Y-%m-%d %H:%M:%S}", one.actor, one.action, one.subject, detail)
        table.add_row(str(one.number), *map(Text, words))
    return table
