"""Brings a database up to date.

Alembic is imported only when there is something to do: an up-to-date database costs one query.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from holdfast.store.engine import StoreError, reading, writing

HEAD = "v0002"
"""The newest migration. A test holds it equal to what Alembic finds in the folder."""

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(opened: sa.Engine) -> None:
    """Run the migrations that the database lacks, in one transaction.

    Raises:
        StoreError: the database was made by a newer Holdfast, or cannot be used.
    """
    with reading(opened) as connection:
        if _revision(connection) == HEAD:
            return
    with writing(opened) as connection:
        if _revision(connection) != HEAD:  # another process may have been faster
            _migrate(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def _migrate(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, rarely needed
    from alembic.config import Config  # noqa: PLC0415 - slow to import, rarely needed
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to import, rarely needed

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = _revision(connection)
    if present is not None and present not in known:
        raise StoreError(
            f'A newer Holdfast made this database (schema "{present}"; this one knows up to "{HEAD}").',
            where=connection.engine.url.database,
            hint="Upgrade Holdfast, or choose another --home.",
        )
    command.upgrade(config, HEAD)
