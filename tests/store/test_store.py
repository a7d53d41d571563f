from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from holdfast.store import StoreError, database_file, open_store, reading, upgrade, writing
from holdfast.store import tables as t
from holdfast.store.schema import HEAD, MIGRATIONS

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    engine = open_store(tmp_path / "home")
    yield engine
    engine.dispose()


def version(number: int, **other) -> dict:
    row = {
        "number": number,
        "name": "c",
        "recipe": "r",
        "path": f"artefacts/c/{number}",
        "metrics": {"auc": 0.8},
    }
    digests = dict.fromkeys(("contract_digest", "data_digest", "manifest_digest"), "0" * 64)
    return row | digests | {"created": NOON} | other


def test_the_migrations_make_exactly_the_tables(store):
    with store.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, t.metadata) == []


def test_head_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_go_back_too(store):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    with writing(store) as connection:
        context = MigrationContext.configure(
            connection, opts={"fn": lambda revision, _: script._downgrade_revs("base", revision)}
        )
        with Operations.context(context):
            context.run_migrations()
    assert sa.inspect(store).get_table_names() == ["alembic_version"]
    upgrade(store)
    assert "versions" in sa.inspect(store).get_table_names()


def test_an_up_to_date_store_opens_without_alembic(tmp_path):
    open_store(tmp_path).dispose()
    program = (
        "import sys, pathlib; from holdfast.store import open_store; "
        "open_store(pathlib.Path(sys.argv[1])); print('alembic' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_two_may_create_the_store_at_once(tmp_path):
    start, failures = threading.Barrier(6), []

    def create():
        start.wait()
        try:
            open_store(tmp_path).dispose()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_times_come_back_in_utc(store):
    there = NOON.astimezone(timezone(timedelta(hours=-5)))
    with writing(store) as connection:
        connection.execute(sa.insert(t.versions).values(version(1, created=there)))
    with reading(store) as connection:
        back = connection.scalar(sa.select(t.versions.c.created))
    assert back == NOON
    assert back.tzinfo is UTC


def test_a_time_without_zone_and_a_number_that_is_none_are_refused(store):
    for wrong in ({"created": NOON.replace(tzinfo=None)}, {"metrics": {"auc": float("nan")}}):
        with pytest.raises(StoreError), writing(store) as connection:
            connection.execute(sa.insert(t.versions).values(version(1, **wrong)))


def test_a_row_cannot_name_a_version_that_is_not(store):
    with pytest.raises(StoreError, match="FOREIGN KEY"), writing(store) as connection:
        connection.execute(sa.insert(t.deployments).values(slot=t.CHAMPION, version=9, event=1))


def test_a_failed_write_leaves_nothing(store):
    with pytest.raises(StoreError), writing(store) as connection:
        connection.execute(sa.insert(t.versions), [version(1), version(2), version(1)])
    with reading(store) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.versions)) == 0


def test_a_newer_schema_is_refused_and_left_alone(store, tmp_path):
    with writing(store) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v9999'"))
    with pytest.raises(StoreError, match="newer Holdfast"):
        open_store(tmp_path / "home")
    with reading(store) as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "v9999"


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path):
    content = b"not a database at all, but long enough to be read as one" * 40
    database_file(tmp_path).write_bytes(content)
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path)
    assert "holdfast.db" in str(caught.value)
    assert caught.value.exit_code == 1
    assert database_file(tmp_path).read_bytes() == content


def test_a_home_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="home folder"):
        open_store(tmp_path / "file" / "home")


@pytest.fixture
def _permissive():
    """What is made may be read by everybody, unless whoever makes it sees to it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(home):
    return {path.name: oct(path.stat().st_mode & 0o777) for path in (home, *home.iterdir())}


@pytest.mark.usefixtures("_permissive")
def test_only_its_owner_reads_a_new_database(tmp_path):
    home = tmp_path / "home"
    opened = open_store(home)
    with reading(opened):
        found = modes(home)
    opened.dispose()
    private = {"holdfast.db": "0o600", "holdfast.db-wal": "0o600", "holdfast.db-shm": "0o600"}
    assert found == {"home": "0o700"} | private


@pytest.mark.usefixtures("_permissive")
def test_a_database_that_others_could_read_is_closed_to_them(tmp_path):
    home = tmp_path / "home"
    before = open_store(home)
    with reading(before):  # keeps the files beside it there
        for path in (*home.iterdir(), home):
            path.chmod(0o755 if path == home else 0o644)
        after = open_store(home)
        found = modes(home)
        after.dispose()
    before.dispose()
    private = {"holdfast.db": "0o600", "holdfast.db-wal": "0o600", "holdfast.db-shm": "0o600"}
    assert found == {"home": "0o700"} | private


@pytest.mark.usefixtures("_permissive")
def test_a_folder_that_is_no_home_yet_stays_as_it_is(tmp_path):
    open_store(tmp_path / "home").dispose()
    elsewhere = tmp_path / "shared"
    elsewhere.mkdir(mode=0o755)
    open_store(elsewhere).dispose()
    assert elsewhere.stat().st_mode & 0o777 == 0o755
    assert (elsewhere / "holdfast.db").stat().st_mode & 0o777 == 0o600
