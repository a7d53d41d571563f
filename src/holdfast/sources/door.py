"""The one door to tables, wherever they are."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.settings import load_settings
from holdfast.sources.local import local_source, tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holdfast.settings import Settings
    from holdfast.sources.database import Database
    from holdfast.sources.source import Source

TABLE = "table:"
STORE = "s3://"


def open_source(source: str, root: Path, settings: Settings | None = None) -> Source:
    """The table that a contract's ``source`` names; nothing is read yet.

    Args:
        source: a file or a folder of files seen from ``root``, ``s3://bucket/key`` or ``s3://bucket/prefix/``,
            or ``table:NAME`` in the database that ``HOLDFAST_SOURCE_URL`` names.
        root: the contract's folder.
        settings: addresses and credentials; those of this process, unless given.

    Raises:
        UsageError: a setting that the source needs is missing or wrong.
    """
    if source.startswith(TABLE):
        from holdfast.sources.sql import sql_source  # noqa: PLC0415 - most tables are files

        database = _database(source, settings or load_settings())
        return sql_source(database, source.removeprefix(TABLE), close=True)
    if source.startswith(STORE):
        from holdfast.sources.store import store_source  # noqa: PLC0415 - as above

        return store_source(source, settings or load_settings())
    return local_source(root / Path(source).expanduser())


@contextmanager
def open_sources(
    sources: Mapping[str, str], root: Path, settings: Settings | None = None
) -> Iterator[dict[str, Source]]:
    """Several tables, to be read one after the other; those of the database all as of one moment of it.

    If the connection breaks, what is read from then on is of a later one.

    Args:
        sources: what to call each, to what `open_source` takes.
        root: as for `open_source`.
        settings: likewise.

    Raises:
        UsageError: as `open_source`.
    """
    with ExitStack() as opened:
        found, database = {}, None
        for name, source in sources.items():
            if not source.startswith(TABLE):
                found[name] = opened.enter_context(open_source(source, root, settings))
                continue
            from holdfast.sources.sql import sql_source  # noqa: PLC0415 - most tables are files

            if database is None:
                database = _database(source, settings or load_settings(), one_moment=True)
                opened.callback(database.close)
            found[name] = sql_source(database, source.removeprefix(TABLE), close=False)
        yield found


def _database(source: str, settings: Settings, *, one_moment: bool = False) -> Database:
    """The database of the settings.

    Raises:
        UsageError: they name none, or one of another kind.
    """
    from holdfast.sources.database import Database  # noqa: PLC0415 - most tables are files

    if settings.source_url is None:
        raise UsageError(
            "The settings do not say in which database the table is.",
            where=source,
            hint="Set HOLDFAST_SOURCE_URL, such as postgresql://USER:PASSWORD@HOST:5432/NAME",
        )
    return Database(
        settings.source_url.get_secret_value(),
        retries=settings.source_retries,
        seconds=settings.source_seconds,
        one_moment=one_moment,
    )


def list_tables(place: str, settings: Settings | None = None) -> list[str]:
    """What `open_source` calls each table that is in ``place``, by name.

    Args:
        place: a folder (its files and its folders of files are tables, seen from it), ``s3://bucket/prefix/``
            likewise, or the URL of a database, which is then to be ``source_url`` of the settings.
        settings: as for `open_source`.

    Raises:
        SourceError: it cannot be looked into, or holds no table.
        UsageError: it is a URL of another kind.
    """
    if place.startswith(STORE):
        from holdfast.sources.store import tables_under  # noqa: PLC0415 - as above

        return tables_under(place, settings or load_settings())
    if "://" in place:
        from holdfast.sources.sql import tables_at  # noqa: PLC0415 - as above

        settings = settings or load_settings()
        found = tables_at(place, retries=settings.source_retries, seconds=settings.source_seconds)
        return [TABLE + name for name in found]
    return tables_of(Path(place).expanduser())
