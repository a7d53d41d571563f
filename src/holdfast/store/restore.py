"""Brings back what `holdfast.store.backup` wrote, into a database of either kind.

Nothing is changed before every byte of the file was verified; then all of the database changes in one
transaction. What must not come back does not: tombstones of erased customers stay, revoked keys stay revoked,
and users who were locked out or have another password or role since do not get back what they had.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.disk import scratch
from holdfast.errors import UsageError
from holdfast.progress import NullProgress
from holdfast.store import unpack
from holdfast.store.engine import StoreError, place_of, reading, writing
from holdfast.store.schema import HEAD, migrate, revision
from holdfast.store.tables import (
    ROLES,
    Moment,
    api_keys,
    audit,
    audit_head,
    metadata,
    tombstones,
    users,
)

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.progress import Progress

_TYPES: dict[str, Any] = {
    "time": Moment(),
    "bytes": sa.LargeBinary(),
    "json": sa.JSON(),
    "plain": sa.types.NULLTYPE,
}


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back, and the SHA-256 of the file it came from."""

    digest: str
    manifest: unpack.Manifest
    rows: dict[str, int]
    files: int
    locked_out: tuple[str, ...] = ()
    """Users who are enabled in the file, and disabled now: disabled or deleted since."""


def restore(
    opened: sa.Engine,
    home: Path,
    source: Path,
    *,
    replace: bool = False,
    then: Callable[[sa.Connection, Restored, dict[str, Any]], object],
    progress: Progress | None = None,
) -> Restored:
    """Bring back a backup. No server may be running on this database.

    Args:
        opened: the database; need not have tables yet.
        home: the home folder, for the models.
        source: the backup.
        replace: whether what the database holds may go.
        then: called at the end of the transaction with the connection, what was restored, and the head of the
            audit trail that went (``number`` and ``hash``); to write down that it happened.
        progress: told of bytes and rows.

    Raises:
        BackupError: the file is no sound backup; nothing was changed.
        UsageError: the database is not empty, and ``replace`` was not given.
        StoreError: the database cannot be used, or its schema is not this Holdfast's; nothing was changed.
    """
    progress = progress or NullProgress()
    _insist_on_room(opened, replace=replace)
    with unpack.opened(source) as tar:
        manifest = unpack.manifest_of(tar)
        digest = unpack.verify(tar, manifest, source, progress)
        found = Restored(
            digest, manifest, {table.name: table.rows for table in manifest.tables}, len(manifest.files)
        )
        try:
            with scratch(home, ".restore-") as work:
                unpack.extract(tar, manifest, work / "new", progress)
                with unpack.placed(work, home), writing(opened) as connection:
                    before = _emptied(connection)
                    migrate(connection, manifest.schema_)
                    progress.start("Bringing back rows", sum(found.rows.values()))
                    for table in manifest.tables:
                        _load(connection, tar, table, progress)
                    migrate(connection, HEAD)
                    before.put_back(connection)
                    found = changed(found, locked_out=before.lock_out(connection))
                    then(connection, found, before.head)
        except OSError as error:
            raise StoreError(
                f"The models cannot be written: {error.strerror or error}.",
                where=str(home),
                hint="Check the folder and the free space; the database was not changed.",
            ) from error
    return found


def _insist_on_room(opened: sa.Engine, *, replace: bool) -> None:
    present = revision(opened)
    if present not in {None, HEAD}:
        raise StoreError(
            f'The database has another schema ("{present}").',
            where=place_of(opened),
            hint="Run holdfast db upgrade first, or restore into an empty database.",
        )
    if present is None or replace:
        return
    with reading(opened) as connection:
        full = [
            table.name
            for table in metadata.sorted_tables
            if table is not audit_head and _holds(connection, table)
        ]
    if full:
        raise UsageError(
            f"The database is not empty: it has rows in {', '.join(full[:5])}{', …' if full[5:] else ''}.",
            where=place_of(opened),
            hint="Back it up, then give --replace; or restore into another database.",
        )


def _holds(connection: sa.Connection, table: sa.Table) -> bool:
    return connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None


@dataclass(frozen=True)
class _Before:
    """What of the database that goes must outlive it."""

    stones: dict[str, datetime]
    revoked: dict[str, datetime]
    people: dict[str, sa.Row[Any]] | None
    """Users by name; none if the database never had any."""
    head: dict[str, Any]

    def put_back(self, connection: sa.Connection) -> None:
        for digest, at in self.stones.items():
            own = tombstones.c.customer_hash == digest
            known = connection.scalar(sa.select(tombstones.c.at).where(own))
            if known is None:
                connection.execute(sa.insert(tombstones).values(customer_hash=digest, at=at))
            elif known < at:
                connection.execute(sa.update(tombstones).where(own).values(at=at))
        for key, at in self.revoked.items():
            again = sa.and_(api_keys.c.id == key, api_keys.c.revoked.is_(None))
            connection.execute(sa.update(api_keys).where(again).values(revoked=at))

    def lock_out(self, connection: sa.Connection) -> tuple[str, ...]:
        """Give users no more than they had; returns who is disabled thereby."""
        if self.people is None:
            return ()
        out, now = [], datetime.now(UTC)
        for user in connection.execute(sa.select(users).order_by(users.c.name)).all():
            had = self.people.get(user.name)
            times = [at for at in (user.disabled, now if had is None else had.disabled) if at is not None]
            values: dict[str, Any] = {"disabled": max(times, default=None)}
            if had is not None:
                role = min(user.role, had.role, key=ROLES.index)
                values |= {"password": had.password, "role": role}
            connection.execute(sa.update(users).where(users.c.name == user.name).values(values))
            if times and user.disabled is None:
                out.append(user.name)
        return tuple(out)


def _emptied(connection: sa.Connection) -> _Before:
    """Remove all tables; gives what must outlive them."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return _Before({}, {}, None, {"number": 0})
    stones = {row.customer_hash: row.at for row in connection.execute(sa.select(tombstones))}
    ended = sa.select(api_keys.c.id, api_keys.c.revoked).where(api_keys.c.revoked.is_not(None))
    revoked = {row.id: row.revoked for row in connection.execute(ended)}
    had_users = sa.select(audit.c.number).where(audit.c.action.startswith("users.")).limit(1)
    people = None
    if connection.scalar(had_users) is not None:
        people = {row.name: row for row in connection.execute(sa.select(users))}
    head = connection.execute(sa.select(audit_head.c.number, audit_head.c.hash)).mappings().first()
    metadata.drop_all(connection)
    connection.execute(sa.text("DROP TABLE alembic_version"))
    return _Before(stones, revoked, people, dict(head or {"number": 0}))


def _load(connection: sa.Connection, tar: tarfile.TarFile, rows: unpack.Rows, progress: Progress) -> None:
    table = sa.table(rows.name, *(sa.column(name, _TYPES[kind]) for name, kind in rows.columns))
    connection.execute(sa.delete(table))  # a migration may have put rows of its own there
    for some in unpack.rows_of(tar, rows):
        connection.execute(sa.insert(table), some)
        progress.advance(len(some))
    _go_on_counting(connection, rows.name)


def _go_on_counting(connection: sa.Connection, name: str) -> None:
    """PostgreSQL numbers rows by a counter that knows nothing of those that came with their number."""
    column = metadata.tables[name].autoincrement_column if name in metadata.tables else None
    if column is None or connection.dialect.name != "postgresql":
        return
    counter = sa.func.pg_get_serial_sequence(name, column.name)
    newest = sa.select(sa.func.max(sa.column(column.name))).select_from(sa.table(name)).scalar_subquery()
    connection.execute(sa.select(sa.func.setval(counter, sa.func.coalesce(newest, 1), newest.is_not(None))))
