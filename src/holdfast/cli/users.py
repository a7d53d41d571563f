"""``holdfast users``: people who log in with a password."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.keys import told_if_first
from holdfast.cli.session import Group, Session, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from holdfast.access.users import User

users = Group("Add, list and change users. Alone, it lists them.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
Stdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]


@command("holdfast users create ana --role analyst")
def create(
    session: Session,
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, scorer, analyst, operator or admin.")],
    *,
    password_stdin: Stdin = False,
) -> None:
    """Add a user. The password is asked for twice, or read from standard input."""
    from holdfast.access import role_of  # noqa: PLC0415 - help must not wait for it
    from holdfast.access.users import create_user  # noqa: PLC0415 - as above

    wanted = role_of(role)
    password = _password(stdin=password_stdin)
    with session.database() as opened, told_if_first(session, opened):
        user = create_user(opened, actor=session.actor, name=name, role=wanted, password=password)
    session.answer({"user": user.as_dict()}, f"{user.name} may log in as {user.role.label}.")


@command("holdfast users list")
def list_(session: Session) -> None:
    """Show every user, by name."""
    from holdfast.access.users import list_users  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as opened:
        found = list_users(opened)
    nothing = "No user yet. Add one: holdfast users create ana --role analyst"
    session.answer({"users": [user.as_dict() for user in found]}, _table(found) if found else nothing)


@command("holdfast users disable ana")
def disable(session: Session, name: Name) -> None:
    """Lock a user out. Their sessions end within a second."""
    _change(session, name, "{} is locked out.", disabled=True)


@command("holdfast users enable ana")
def enable(session: Session, name: Name) -> None:
    """Let a user log in again."""
    _change(session, name, "{} may log in again.", disabled=False)


@command("holdfast users password ana")
def password(session: Session, name: Name, *, password_stdin: Stdin = False) -> None:
    """Give a user a new password. Their sessions end within a second."""
    _change(session, name, "{} has a new password.", password=_password(stdin=password_stdin))


@command("holdfast users role ana operator")
def role(
    session: Session,
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, scorer, analyst, operator or admin.")],
) -> None:
    """Change what a user may do, within a second, also where they are logged in."""
    from holdfast.access import role_of  # noqa: PLC0415 - help must not wait for it

    wanted = role_of(role)
    _change(session, name, f"{{}} may act as {wanted.label}.", role=wanted)


@command("holdfast users delete ana")
def delete(session: Session, name: Name) -> None:
    """Remove a user and their sessions. The audit trail keeps what they did."""
    from holdfast.access.users import delete_user  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as opened:
        delete_user(opened, actor=session.actor, name=name)
    session.answer({"deleted": name.lower()}, f"{name.lower()} is removed.")


list_.add_to(users, "list")
for _command in (create, disable, enable, password, role, delete):
    _command.add_to(users)
users.alone = list_


def _change(session: Session, name: str, words: str, **change: Any) -> None:
    from holdfast.access.users import change_user  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as opened:
        user = change_user(opened, actor=session.actor, name=name, **change)
    session.answer({"user": user.as_dict()}, words.format(user.name))


def _password(*, stdin: bool) -> str:
    """A password, never from the command line, where others would see it.

    Raises:
        UsageError: there is nobody to ask.
    """
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask for the password.", hint="Pipe it in: --password-stdin")
    entered: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return entered


def _table(found: Sequence[User]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "role", "added (UTC)", "locked out (UTC)"):
        table.add_column(heading)
    for user in found:
        locked = "" if user.disabled is None else f"{user.disabled:%Y-%m-%d %H:%M}"
        table.add_row(user.name, user.role.label, f"{user.created:%Y-%m-%d %H:%M}", locked)
    return table
