"""Small here and in ``make test``; ``make chaos`` runs the same at the size of a night."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from served import Client, Served, bodies_of

from holdfast.access import Role
from holdfast.access.keys import create_key
from holdfast.registry import Registry
from holdfast.store import engine, upgrade
from holdfast.store.tables import metadata

if TYPE_CHECKING:
    from pathlib import Path

BIG = bool(os.environ.get("CHAOS"))


@pytest.fixture(scope="session")
def size():
    """Picks a number: the first in ``make test``, the second in ``make chaos``."""
    return lambda small, big: big if BIG else small


@pytest.fixture(scope="session")
def told():
    """Says a figure; ``make chaos`` shows what tests said."""
    return print


@pytest.fixture(scope="session")
def bodies(trained):
    return list(bodies_of(trained.customers))


@dataclass(frozen=True)
class Installation:
    """A home with two versions, and its database."""

    home: Path
    url: str
    kind: str

    def serve(self, *options, database=None, **settings):
        """A server; ``database`` is where it finds PostgreSQL, if not where it is."""
        if self.kind == "postgres":
            settings["database_url"] = database or self.url
        return Served(self.home, *options, **({"rate_limit": 10_000_000} | settings))

    def engine(self):
        return engine(self.url)

    def registry(self):
        return Registry(self.home, actor="test", engine=self.engine())

    def api_key(self):
        """A new one; from then on nobody is answered without."""
        opened = self.engine()
        _, text = create_key(opened, actor="test", name="crm", role=Role.SCORER)
        opened.dispose()
        return text


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request):
    """On SQLite, and on a real PostgreSQL."""
    return request.getfixturevalue(f"on_{request.param}")


@pytest.fixture
def on_sqlite(installed):
    return Installation(installed, f"sqlite:///{installed / 'holdfast.db'}", "sqlite")


@pytest.fixture
def on_postgres(installed, postgres):
    """What SQLite holds is copied, as the artefacts are the same."""
    url = postgres.url()
    source, target = engine(f"sqlite:///{installed / 'holdfast.db'}"), engine(url)
    upgrade(target)
    with source.begin() as here, target.begin() as there:
        for table in reversed(metadata.sorted_tables):
            there.execute(table.delete())
        for table in metadata.sorted_tables:
            rows = [dict(row) for row in here.execute(sa.select(table)).mappings()]
            if rows:
                there.execute(table.insert(), rows)
        for table in metadata.sorted_tables:
            [key, *more] = table.primary_key.columns
            if not more and isinstance(key.type, sa.Integer) and key.autoincrement is not False:
                newest = there.execute(sa.select(sa.func.coalesce(sa.func.max(key), 0) + 1)).scalar()
                name = there.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, key.name))).scalar()
                if name:
                    there.execute(sa.select(sa.func.setval(name, newest, False)))  # noqa: FBT003 - the database's function
    source.dispose()
    target.dispose()
    for file in installed.glob("holdfast.db*"):
        file.unlink()
    return Installation(installed, url, "postgres")


@pytest.fixture
def client():
    """Opens clients, and closes them at the end."""
    opened = []

    def one(served, **options):
        opened.append(Client(served.address, **options))
        return opened[-1]

    yield one
    for each in opened:
        each.close()
