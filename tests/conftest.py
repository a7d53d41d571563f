"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from real_postgres import PostgresUnavailableError, RealPostgres
from real_redis import RealRedis, RedisUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import sqlalchemy as sa

    from holdfast.contract import Contract
    from holdfast.model import Model

settings.register_profile("same", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

DATABASES = ("sqlite", "postgres")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file begins first: at the end two of three processes would wait for it."""
    items.sort(key=lambda item: item.path.name != "test_spark.py")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_machine(tmp_path_factory) -> Iterator[None]:
    """What the developer has set for Holdfast, in the environment or in .env, changes no test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("HOLDFAST_")]:
            patch.delenv(name)
        if Path(".env").exists():
            patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _hangups_are_heard() -> None:
    """Under nohup they are ignored, and programs that tests start would inherit that; a handler is not."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Argon2 at its least cost: the tenth of a second that it takes on purpose is most of many tests."""
    from pwdlib import PasswordHash  # noqa: PLC0415 - as below
    from pwdlib.hashers.argon2 import Argon2Hasher  # noqa: PLC0415 - as below

    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast.access.passwords._hasher", lambda: quick)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[RealPostgres]:
    """A real server; ``postgres.url()`` makes an empty database. Whoever stops it starts it again."""
    try:
        server = RealPostgres()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis() -> Iterator[RealRedis]:
    """A real server at ``redis.url``. Whoever stops or pauses it makes it answer again."""
    try:
        server = RealRedis()
    except RedisUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture(params=DATABASES)
def empty_database_url(request, tmp_path) -> str:
    """URL of a database without tables, of each kind."""
    if request.param == "sqlite":
        (tmp_path / "home").mkdir(exist_ok=True)
        return f"sqlite:///{tmp_path / 'home' / 'holdfast.db'}"
    return request.getfixturevalue("postgres").url()


@pytest.fixture(params=DATABASES)
def database_url(request, tmp_path) -> str:
    """URL of a new database with all tables, of each kind; SQLite's is that of ``tmp_path / "home"``."""
    ready = request.getfixturevalue(f"{request.param}_ready")
    if request.param == "postgres":
        return request.getfixturevalue("postgres").url(like=ready)
    (tmp_path / "home").mkdir(exist_ok=True)
    shutil.copy(ready, tmp_path / "home" / "holdfast.db")
    return f"sqlite:///{tmp_path / 'home' / 'holdfast.db'}"


@pytest.fixture
def database(database_url) -> Iterator[sa.Engine]:
    """The engine of `database_url`."""
    from holdfast.store import engine  # noqa: PLC0415 - most tests need no database

    opened = engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def sqlite_ready(tmp_path_factory) -> Path:
    """A database file with all tables, to copy: quicker than making them for each test."""
    file = tmp_path_factory.mktemp("ready") / "holdfast.db"
    _make_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_ready(postgres) -> str:
    """URL of a database with all tables, to copy."""
    url = postgres.url()
    _make_tables(url)
    return url


def _make_tables(url: str) -> None:
    from holdfast.store import engine, upgrade  # noqa: PLC0415 - most tests need no database

    opened = engine(url)
    upgrade(opened)
    opened.dispose()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real public datasets; tests that need it skip where it is not."""
    if not SHARED.is_dir():
        pytest.skip("the shared datasets (../shared/data) are not on this machine")
    return SHARED


@dataclass(frozen=True)
class Shop:
    """A small telco with two really trained versions. Read only: all tests share it."""

    customers: pl.DataFrame
    """What it was trained on, typed, with id (``customerID``) and label (``Churn``)."""
    table: Path
    """The same as CSV, as IBM writes it."""
    contract_file: Path
    contract: Contract
    home: Path
    model: Model
    """v1, the champion: boosted trees."""
    challenger: Model
    """v2: logistic regression on splines."""


@pytest.fixture
def installed(trained, tmp_path) -> Path:
    """A home of one's own with the versions of `trained`, v1 being the champion."""
    return Path(shutil.copytree(trained.home, tmp_path / "installed" / "home"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Iterator[Shop]:
    """Two versions, trained once on 800 simulated customers."""
    from holdfast.contract.infer import infer_contract  # noqa: PLC0415 - most tests need none of this
    from holdfast.contract.write import write_contract  # noqa: PLC0415 - as above
    from holdfast.simulator import simulate  # noqa: PLC0415 - as above
    from holdfast.training import train  # noqa: PLC0415 - as above

    folder = tmp_path_factory.mktemp("trained")
    table, contract_file, home = folder / "customers.csv", folder / "churn.toml", folder / "home"
    customers = simulate(800, seed=11).customers
    customers.write_csv(table, null_value=" ")
    inferred = infer_contract(customers, label="Churn")
    write_contract(inferred, contract_file, table)
    champion, challenger = (
        train(customers, inferred.contract, budget=1.0, models=[name], seed=1, home=home).model
        for name in ("catboost", "logistic_regression")  # the quickest to import: many processes load it
    )
    before = _dump(home / "holdfast.db")
    yield Shop(customers, table, contract_file, inferred.contract, home, champion, challenger)
    assert _dump(home / "holdfast.db") == before, "a test wrote to `trained.home`; take `installed`"


def _dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())
