"""Users: people, who prove who they are with a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from holdfast import audit
from holdfast.access.errors import NameTakenError, UnknownNameError
from holdfast.access.passwords import hash_password
from holdfast.access.roles import Role
from holdfast.errors import UsageError
from holdfast.store import reading, writing
from holdfast.store.tables import sessions, users

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")


@dataclass(frozen=True, slots=True)
class User:
    """A person. Names are in lower case."""

    name: str
    role: Role
    created: datetime
    disabled: datetime | None
    password: str
    """Its hash."""

    def as_dict(self) -> dict[str, Any]:
        """For people and programs; nothing secret."""
        return {
            "name": self.name,
            "role": self.role.label,
            "created": self.created.isoformat(timespec="seconds"),
            "disabled": None if self.disabled is None else self.disabled.isoformat(timespec="seconds"),
        }


def create_user(opened: sa.Engine, *, actor: str, name: str, role: Role, password: str) -> User:
    """Add a person.

    Args:
        opened: the database.
        actor: who does it, for the audit trail.
        name: their name, unique; capitals do not count.
        role: what they may do.
        password: their first.

    Raises:
        UsageError: the name or password is wrong, or the name is taken.
        StoreError: the database cannot be written.
    """
    name = name.lower()
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name[:100]}" cannot be the name of a user.',
            hint="Take letters a to z, digits and . _ @ + -, 100 at most: ana or ana@example.com.",
        )
    user = User(name, role, datetime.now(UTC), None, hash_password(password))
    row = {"name": name, "role": role.label, "password": user.password, "created": user.created}
    with writing(opened) as connection:
        audit.hold(connection)
        try:
            connection.execute(sa.insert(users).values(**row))
        except IntegrityError as error:
            raise NameTakenError(
                f'A user called "{name}" is there already.', hint="List them: holdfast users list"
            ) from error
        audit.record(connection, actor, "users.create", f"user:{name}", {"role": role.label})
    return user


def list_users(opened: sa.Engine) -> list[User]:
    """Everybody, by name."""
    with reading(opened) as connection:
        return users_of(connection)


def users_of(connection: sa.Connection) -> list[User]:
    """As `list_users`, within a transaction."""
    rows = connection.execute(sa.select(users).order_by(users.c.name))
    return [User(r.name, Role[r.role.upper()], r.created, r.disabled, r.password) for r in rows]


def find_user(connection: sa.Connection, name: str) -> User:
    """One user.

    Raises:
        UnknownNameError: there is none of that name.
    """
    named = sa.select(users).where(users.c.name == name.lower())
    r = connection.execute(named).one_or_none() if _NAME.fullmatch(name.lower()) else None
    if r is None:
        raise UnknownNameError(f'There is no user "{name[:100]}".', hint="List them: holdfast users list")
    return User(r.name, Role[r.role.upper()], r.created, r.disabled, r.password)


def change_user(
    opened: sa.Engine,
    *,
    actor: str,
    name: str,
    role: Role | None = None,
    password: str | None = None,
    disabled: bool | None = None,
) -> User:
    """Change what is given. A new password and disabling end the user's sessions at once.

    Args:
        opened: the database.
        actor: who does it.
        name: the user's.
        role: what they may do from now on.
        password: the new one.
        disabled: whether they are locked out.

    Raises:
        UnknownNameError: there is no such user.
        UsageError: the password is too short or too long.
        StoreError: the database cannot be written.
    """
    hashed = None if password is None else hash_password(password)
    now = datetime.now(UTC)
    with writing(opened) as connection:
        audit.hold(connection)
        before = find_user(connection, name)
        values: dict[str, Any] = {}
        if role is not None and role is not before.role:
            values["role"] = role.label
            detail = {"from": before.role.label, "to": role.label}
            audit.record(connection, actor, "users.role", f"user:{before.name}", detail)
        if hashed is not None:
            values["password"] = hashed
            audit.record(connection, actor, "users.password", f"user:{before.name}")
        if disabled is not None and disabled is not (before.disabled is not None):
            values["disabled"] = now if disabled else None
            action = "users.disable" if disabled else "users.enable"
            audit.record(connection, actor, action, f"user:{before.name}")
        if values:
            connection.execute(sa.update(users).where(users.c.name == before.name).values(**values))
        if hashed is not None or disabled:
            own = (sessions.c.user == before.name) & sessions.c.ended.is_(None)
            connection.execute(sa.update(sessions).where(own).values(ended=now))
        return find_user(connection, name)


def delete_user(opened: sa.Engine, *, actor: str, name: str) -> None:
    """Remove a person and their sessions; the audit trail keeps what they did.

    Raises:
        UnknownNameError: there is no such user.
        StoreError: the database cannot be written.
    """
    with writing(opened) as connection:
        audit.hold(connection)
        user = find_user(connection, name)
        connection.execute(sa.delete(sessions).where(sessions.c.user == user.name))
        connection.execute(sa.delete(users).where(users.c.name == user.name))
        audit.record(connection, actor, "users.delete", f"user:{user.name}")
