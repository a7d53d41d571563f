"""The one database: engine, tables and their migrations. SQLite by default, PostgreSQL by URL.

Knows rows, not what they mean: rooms above decide. Everything here is SQLAlchemy Core with types that both
databases have; times are UTC with their zone. No other room may make an engine, write SQL text for a
particular database, or let a SQLAlchemy error reach a user (`reading` and `writing` translate them).
"""

from holdfast.store.bulk import insert_rows, upsert
from holdfast.store.engine import (
    StoreError,
    connect_store,
    database_file,
    database_url,
    engine,
    open_store,
    place_of,
    reading,
    snapshot,
    store_exists,
    writing,
)
from holdfast.store.impatient import RefusedError, SteadyWriter, impatient
from holdfast.store.schema import revision, upgrade

__all__ = [
    "RefusedError",
    "SteadyWriter",
    "StoreError",
    "connect_store",
    "database_file",
    "database_url",
    "engine",
    "impatient",
    "insert_rows",
    "open_store",
    "place_of",
    "reading",
    "revision",
    "snapshot",
    "store_exists",
    "upgrade",
    "upsert",
    "writing",
]
