"""Which schema a database has, and how it becomes this Holdfast's.

Alembic is imported only when there is something to do: to find an up-to-date database costs one query.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.store.engine import StoreError, place_of, reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.config import Config

REVISIONS = ("v0001", "v0002")
"""The migrations, oldest first. A test holds them equal to what Alembic finds in the folder."""

HEAD = REVISIONS[-1]

MIGRATIONS = Path(__file__).parent / "migrations"

_UPGRADE_LOCK = 0x486F6C64
"""Names the lock that only one upgrade of a PostgreSQL database holds."""


def expect_current(opened: sa.Engine) -> None:
    """Insist that the database has this Holdfast's tables; a SQLite file without any is given them.

    Raises:
        StoreError: the schema is older or newer, or PostgreSQL has none yet; says which command mends that.
    """
    present = revision(opened)
    if present == HEAD:
        return
    if present is None and opened.dialect.name == "sqlite":
        upgrade(opened)
        return
    _refuse_newer(present, opened)
    if present is None:
        made, hint = "has no tables of Holdfast yet", "Run: holdfast db upgrade"
    else:
        made, hint = f'has the older schema "{present}"', "Back it up, then run: holdfast db upgrade"
    raise StoreError(f"The database {made}.", where=place_of(opened), hint=hint)


def upgrade(opened: sa.Engine, then: Callable[[sa.Connection, list[str]], object] | None = None) -> list[str]:
    """Run the migrations that the database lacks, in one transaction; however many try, one does.

    Args:
        opened: the database.
        then: called in that transaction with what was run, if anything was; to write down that it happened.

    Returns:
        The migrations that were run, oldest first.

    Raises:
        StoreError: the database was made by a newer Holdfast, or cannot be used.
    """
    if revision(opened) == HEAD:
        return []
    with writing(opened) as connection:
        if connection.dialect.name == "postgresql":  # SQLite has the one lock that `writing` took
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        present = _revision(connection)
        _refuse_newer(present, opened)
        missing = [one for one in REVISIONS if present is None or one > present]
        if missing:  # another process may have been faster
            migrate(connection, HEAD)
            if then is not None:
                then(connection, missing)
        return missing


def revision(opened: sa.Engine) -> str | None:
    """The schema that the database has; none before its first upgrade.

    Raises:
        StoreError: the database cannot be read.
    """
    with reading(opened) as connection:
        return _revision(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def _refuse_newer(present: str | None, opened: sa.Engine) -> None:
    if present is not None and present not in REVISIONS:
        raise StoreError(
            f'A newer Holdfast made this database (schema "{present}"; this one knows up to "{HEAD}").',
            where=place_of(opened),
            hint="Upgrade Holdfast, or choose another database or --home.",
        )


def migrate(connection: sa.Connection, to: str) -> None:
    """Run the migrations up to the revision ``to``, in the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - slow to import, rarely needed

    command.upgrade(alembic_config(connection), to)


def alembic_config(connection: sa.Connection | None = None) -> Config:
    """What Alembic is told."""
    from alembic.config import Config  # noqa: PLC0415 - slow to import, rarely needed

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
