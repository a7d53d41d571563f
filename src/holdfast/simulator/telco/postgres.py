"""Copies a written world into PostgreSQL: four tables with their keys, all of them or none.

The contract is written once more, about the tables of the database that ``HOLDFAST_SOURCE_URL`` names.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl
import sqlalchemy as sa
from pyarrow import parquet

from holdfast.errors import HoldfastError, UsageError
from holdfast.progress import NullProgress
from holdfast.simulator.telco.clocks import UTC
from holdfast.simulator.telco.world import TABLES
from holdfast.store import StoreError, engine, place_of, reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.progress import Progress
    from holdfast.simulator.telco.files import Written

TYPES = {
    pl.String: "text",
    pl.Date: "date",
    UTC: "timestamptz",
    pl.Int16: "smallint",
    pl.Int64: "bigint",
    pl.Float64: "double precision",
}
KEYS = {
    "customers": "customer_id",
    "subscriptions": "subscription_id, known_at",
    "transactions": "transaction_id, known_at",
    "support_tickets": "ticket_id, known_at",
}
"""Primary keys: rows with one id are versions, known at different times."""

COPIED = "churn-database.toml"
"""The contract of the copy."""

_WRITE = "Write --into postgresql://USER@HOST:5432/NAME; the password may stand in PGPASSWORD or ~/.pgpass."

_ROWS = 100_000
_BYTES = 1 << 20


def expect_room(url: str, *, overwrite: bool = False) -> None:
    """Look whether the tables could be made, before anything is simulated.

    Raises:
        UsageError: the URL is none of PostgreSQL, or one of the tables is there and ``overwrite`` is false.
        StoreError: the database cannot be reached.
    """
    with _opened(url) as opened, reading(opened) as connection:
        _refuse(connection, place_of(opened), overwrite=overwrite)


def copy_into(
    written: Written, url: str, *, overwrite: bool = False, progress: Progress | None = None
) -> str:
    """Make the four tables in a database and fill them; says which database that is, without a password.

    Args:
        written: the world, as it lies in files.
        url: ``postgresql://USER@HOST/NAME``; what it leaves out, such as the password, libpq looks for in
            its environment and files (``PGPASSWORD``, ``~/.pgpass``).
        overwrite: whether tables of these names may be dropped.
        progress: told of rows.

    Raises:
        UsageError: as `expect_room`.
        StoreError: the database fails; then it is as it was before.
    """
    shown = progress or NullProgress()
    with _opened(url) as opened:
        shown.start(f"Copying to {place_of(opened)}", sum(written.rows.values()))
        with writing(opened) as connection:
            _refuse(connection, place_of(opened), overwrite=overwrite)
            for name in reversed(TABLES):
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
            for name in TABLES:
                columns = ", ".join(f"{column} {TYPES[kind]}" for column, kind in TABLES[name].items())
                connection.exec_driver_sql(f"CREATE TABLE {name} ({columns})")
                _copy(connection, name, written.tables[name], place_of(opened), shown)
            for name, key in KEYS.items():
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD PRIMARY KEY ({key})")
                if name != "customers":
                    refers = "ADD FOREIGN KEY (customer_id) REFERENCES customers"
                    connection.exec_driver_sql(f"ALTER TABLE {name} {refers}")
                connection.exec_driver_sql(f"ANALYZE {name}")
        _write_contract(written)
        return place_of(opened)


@contextmanager
def _opened(url: str) -> Iterator[sa.Engine]:
    try:
        opened = engine(url)
        try:
            if opened.dialect.name != "postgresql":
                raise UsageError("The tables can be copied into PostgreSQL alone.", hint=_WRITE)
            yield opened
        finally:
            opened.dispose()
    except HoldfastError as error:
        if "HOLDFAST_DATABASE_URL" in (error.hint or ""):  # which names Holdfast's own database
            error.hint = _WRITE
        raise


def _refuse(connection: sa.Connection, place: str, *, overwrite: bool) -> None:
    there = set(sa.inspect(connection).get_table_names()) & set(TABLES)
    if there and not overwrite:
        raise UsageError(
            f'There is already a table "{min(there)}".',
            where=place,
            hint="Name another database, or allow overwriting (--force).",
        )


def _copy(connection: sa.Connection, name: str, file: Path, place: str, progress: Progress) -> None:
    import psycopg  # noqa: PLC0415 - an extra; `engine` has found it by now

    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):  # pragma: no cover - `engine` chooses the driver
        raise TypeError(f"{type(driver)} has no COPY")
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN (FORMAT csv)") as copying:
            for text, rows in _pieces(file):
                copying.write(text)
                progress.advance(rows)
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error)
        raise StoreError(
            f"The database failed: {said.splitlines()[0]}.", where=f"{place}, table {name}"
        ) from error


def _write_contract(written: Written) -> None:
    text = written.contract.read_text(encoding="utf-8")
    for name, path in written.tables.items():
        text = text.replace(f'source = "{path.name}"', f'source = "table:{name}"')
    written.contract.with_name(COPIED).write_text(text, encoding="utf-8")


def _pieces(file: Path) -> Iterator[tuple[bytes, int]]:
    """The rows of a table as CSV without its header, and how many they are."""
    if file.suffix == ".csv":
        with file.open("rb") as opened:
            opened.readline()
            while piece := opened.read(_BYTES):
                yield piece, piece.count(b"\n")
        return
    with parquet.ParquetFile(file) as opened:
        for batch in opened.iter_batches(_ROWS):
            frame = pl.DataFrame(batch)
            yield frame.write_csv(include_header=False).encode(), frame.height
