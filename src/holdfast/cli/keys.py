"""``holdfast keys``: the API keys by which programs prove who they are."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.durations import parse_duration
from holdfast.cli.session import Group, Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa
    from rich.table import Table

    from holdfast.access.keys import Key

keys = Group("Make, list and revoke API keys. Alone, it lists them.")


@command("holdfast keys create --role scorer --name crm --expires 90d")
def create(
    session: Session,
    name: Annotated[str, typer.Option(help="What to call it, such as crm.")],
    role: Annotated[str, typer.Option(help="viewer, scorer, analyst, operator or admin.")],
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends, such as 90d; never unless given.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, max=2**31 - 1, help="Requests a minute, where not the usual.")
    ] = None,
) -> None:
    """Make an API key and show it, this once."""
    from holdfast.access import role_of  # noqa: PLC0415 - help must not wait for it
    from holdfast.access.keys import create_key  # noqa: PLC0415 - as above

    ends = None if expires is None else _after(expires)
    with session.database() as opened, told_if_first(session, opened):
        key, text = create_key(
            opened, actor=session.actor, name=name, role=role_of(role), expires=ends, rate=rate
        )
    until = "" if ends is None else f" until {ends:%Y-%m-%d %H:%M} UTC"
    session.note(f'"{key.name}" may act as {key.role.label}{until}. The key is shown this once:')
    session.answer({"key": key.as_dict() | {"key": text}}, text)


@command("holdfast keys list")
def list_(session: Session) -> None:
    """Show every key that ever was, oldest first; the keys themselves are known to their owners alone."""
    from holdfast.access.keys import list_keys  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as opened:
        found = list_keys(opened)
    nothing = "No key yet. Make one: holdfast keys create --role scorer --name crm"
    session.answer({"keys": [key.as_dict() for key in found]}, _table(found) if found else nothing)


@command("holdfast keys revoke crm")
def revoke(
    session: Session, key: Annotated[str, typer.Argument(metavar="KEY", help="Its id or its name.")]
) -> None:
    """End a key. Every server refuses it within a second."""
    from holdfast.access.keys import revoke_key  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as opened:
        revoked = revoke_key(opened, actor=session.actor, ref=key)
    session.answer({"key": revoked.as_dict()}, f'"{revoked.name}" ({revoked.id}) is revoked.')


list_.add_to(keys, "list")
for _command in (create, revoke):
    _command.add_to(keys)
keys.alone = list_


@contextmanager
def told_if_first(session: Session, opened: sa.Engine) -> Iterator[None]:
    """Say what changes for everybody with the first key or user, which is made within."""
    from holdfast.access import Gate  # noqa: PLC0415 - help must not wait for it

    first = not Gate(opened, session.settings).configured
    yield
    if first:
        session.note(
            "From now on every request needs a key or a token; until now this machine's user needed none."
        )


def _after(text: str) -> datetime:
    """The time so long from now.

    Raises:
        UsageError: it is no length of time.
    """
    from holdfast.errors import UsageError  # noqa: PLC0415 - only where it is needed

    try:
        return datetime.now(UTC) + timedelta(seconds=parse_duration(text))
    except OverflowError as error:
        raise UsageError(f'"{text}" from now is beyond the calendar.', hint="Try 90d.") from error


def _table(found: Sequence[Key]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "role", "state", "made (UTC)", "ends (UTC)"):
        table.add_column(heading)
    table.add_column("a minute", justify="right")
    for key in found:
        ends = key.revoked or key.expires
        table.add_row(
            key.id,
            key.name,
            key.role.label,
            key.state,
            f"{key.created:%Y-%m-%d %H:%M}",
            "never" if ends is None else f"{ends:%Y-%m-%d %H:%M}",
            "usual" if key.rate is None else f"{key.rate:,}",
        )
    return table
