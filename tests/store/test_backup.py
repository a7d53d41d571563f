from __future__ import annotations

import json
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tracemalloc
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from holdfast.audit import record, verify
from holdfast.errors import HoldfastError, UsageError
from holdfast.store import StoreError, engine, reading, revision, upgrade, writing
from holdfast.store import tables as t
from holdfast.store.backup import LEFT_OUT, backup
from holdfast.store.restore import restore
from holdfast.store.schema import HEAD
from holdfast.store.unpack import BackupError

NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
DIGEST = "0" * 64


def prediction(number, customer="C-1"):
    return {
        "id": str(UUID(int=number)),
        "request": str(UUID(int=number)),
        "at": NOON + timedelta(seconds=number),
        "customer_id": customer,
        "as_of": NOON,
        "model": "customers",
        "version": "v1",
        "slot": "champion",
        "record": '{"Stadt":"Köln 🦉\\u2028"}',
        "probability": 0.1 + 0.2,
        "threshold": 5e-324,
        "will_churn": number % 2 == 0,
        "latency_ms": 1e300,
        "key_id": None,
        "correlation_id": "a\tb\\n",
    }


def fill(opened, home):
    """One row at least in every table that is kept, with the strangest values that it takes."""
    digests = dict.fromkeys(("contract_digest", "data_digest", "manifest_digest"), DIGEST)
    version = {
        "number": 1,
        "name": "customers",
        "recipe": "r",
        "path": "artefacts/customers/1",
        "created": NOON,
    }
    with writing(opened) as connection:
        metrics = {"auc": 0.1 + 0.2, "nested": {"ключ": [1, None, True]}}
        connection.execute(sa.insert(t.versions).values(version | digests | {"metrics": metrics}))
        event = {"id": 7, "at": NOON, "action": "register", "slot": t.CHAMPION, "to_version": 1}
        connection.execute(sa.insert(t.events).values(event))
        connection.execute(sa.insert(t.deployments).values(slot=t.CHAMPION, version=1, event=7))
        connection.execute(sa.insert(t.predictions), [prediction(number) for number in range(1, 501)])
        reply = {"scope": DIGEST, "body_digest": DIGEST, "request": "r", "at": NOON}
        connection.execute(sa.insert(t.replies).values(reply | {"body": bytes(range(256))}))
        connection.execute(sa.insert(t.tombstones).values(customer_hash="a" * 64, at=NOON))
        for key in ("one", "two"):
            facts = {"id": key, "name": key, "role": "scorer", "hash": DIGEST, "created": NOON}
            connection.execute(sa.insert(t.api_keys).values(facts))
        connection.execute(sa.insert(t.users).values(name="ana", role="admin", password="", created=NOON))
        record(connection, "cli:ana", "models.register", "v1", {"slot": "champion", "ü": 0.1})
    folder = home / "artefacts" / "customers" / "1"
    (folder / "plots").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "plots" / "roc.svg").write_bytes(b"<svg/>\0")


def content(opened):
    with reading(opened) as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in t.metadata.sorted_tables
            if table.name not in LEFT_OUT
        }


def files(home):
    found = (home / "artefacts").rglob("*")
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in found if path.is_file()}


def nothing(*_):
    pass


@pytest.fixture
def filled(database, tmp_path):
    fill(database, tmp_path / "home")
    return database


@pytest.fixture
def saved(filled, tmp_path):
    return backup(filled, tmp_path / "home", tmp_path / "saved" / "one.backup").path


@pytest.fixture(params=["sqlite", "postgres"])
def target(request, tmp_path):
    """Another database without tables."""
    url = f"sqlite:///{tmp_path}/target.db"
    made = engine(url if request.param == "sqlite" else request.getfixturevalue("postgres").url())
    yield made
    made.dispose()


def test_what_comes_back_is_what_was_there_from_either_kind_to_either(filled, saved, target, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    found = restore(target, elsewhere, saved, then=nothing)
    assert content(target) == content(filled)
    assert files(elsewhere) == files(tmp_path / "home")
    assert found.rows["predictions"] == 500
    assert revision(target) == HEAD
    assert verify(target).sound
    assert [path.name for path in elsewhere.iterdir()] == ["artefacts"]


def test_rows_added_after_a_restore_get_new_numbers(saved, target, tmp_path):
    restore(target, tmp_path / "elsewhere", saved, then=nothing)
    with writing(target) as connection:
        row = {"at": NOON, "action": "promote", "slot": t.CHAMPION, "to_version": 1}
        made = connection.execute(sa.insert(t.events).values(row)).inserted_primary_key
    assert made[0] > 7


def test_the_restore_is_written_down_in_its_own_transaction(saved, target, tmp_path):
    def note(connection, restored, before):
        record(connection, "cli:ana", "db.restore", restored.digest, before)

    restore(target, tmp_path / "elsewhere", saved, then=note)
    restore(target, tmp_path / "elsewhere", saved, replace=True, then=note)
    verdict = verify(target)
    assert (verdict.sound, verdict.entries) == (True, 2)
    with reading(target) as connection:
        before = connection.scalar(sa.select(t.audit.c.detail).where(t.audit.c.number == 2))
    assert before["number"] == 2
    assert len(before["hash"]) == 64


def test_a_database_with_rows_is_left_alone_unless_replaced(filled, saved, tmp_path):
    before = content(filled)
    with pytest.raises(UsageError, match="not empty: it has rows in") as caught:
        restore(filled, tmp_path / "home", saved, then=nothing)
    assert "--replace" in caught.value.hint
    assert content(filled) == before
    with writing(filled) as connection:
        connection.execute(sa.delete(t.predictions))
    (tmp_path / "home" / "artefacts" / "customers" / "1" / "manifest.json").write_text("damaged")
    restore(filled, tmp_path / "home", saved, replace=True, then=nothing)
    assert content(filled) == before
    assert files(tmp_path / "home")["artefacts/customers/1/manifest.json"] == b"{}"


def test_a_database_with_tables_and_no_rows_is_empty_enough(saved, target, tmp_path):
    upgrade(target)
    restore(target, tmp_path / "elsewhere", saved, then=nothing)
    assert len(content(target)["predictions"]) == 500


def test_the_erased_stay_erased_and_the_revoked_revoked(filled, saved, tmp_path):
    later = NOON + timedelta(days=1)
    with writing(filled) as connection:
        connection.execute(sa.update(t.tombstones).values(at=later))
        connection.execute(sa.insert(t.tombstones).values(customer_hash="b" * 64, at=NOON))
        connection.execute(sa.update(t.api_keys).where(t.api_keys.c.id == "one").values(revoked=later))
    restore(filled, tmp_path / "home", saved, replace=True, then=nothing)
    now = content(filled)
    assert now["tombstones"] == [("a" * 64, later), ("b" * 64, NOON)]
    assert {row[0]: row[-1] for row in now["api_keys"]} == {"one": later, "two": None}


def test_who_was_locked_out_since_stays_out_and_old_passwords_stay_old(database, tmp_path):
    later = NOON + timedelta(days=1)
    people = ("ana", "ben", "cleo", "dora", "emil")
    with writing(database) as connection:
        facts = [{"name": name, "role": "analyst", "password": "old", "created": NOON} for name in people]
        connection.execute(sa.insert(t.users), facts)
        change = sa.update(t.users)
        connection.execute(change.where(t.users.c.name == "dora").values(disabled=NOON))
        record(connection, "cli:ana", "users.create", "user:ana")
    saved = backup(database, tmp_path / "home", tmp_path / "saved" / "one.backup").path
    with writing(database) as connection:
        connection.execute(change.where(t.users.c.name == "ana").values(disabled=later, role="admin"))
        other = {"password": "new", "role": "viewer"}
        connection.execute(change.where(t.users.c.name == "ben").values(other))
        connection.execute(sa.delete(t.users).where(t.users.c.name == "cleo"))
        connection.execute(change.where(t.users.c.name == "dora").values(disabled=later))
        session = {"id": "s", "user": "ana", "hash": DIGEST, "created": NOON, "expires": later}
        connection.execute(sa.insert(t.sessions).values(session))
    found = restore(database, tmp_path / "home", saved, replace=True, then=nothing)
    with reading(database) as connection:
        rows = connection.execute(sa.select(t.users))
        now = {row.name: (row.role, row.password, row.disabled) for row in rows}
        assert connection.execute(sa.select(t.sessions)).all() == []
    assert now.pop("cleo")[2] > later
    assert now == {
        "ana": ("analyst", "old", later),
        "ben": ("viewer", "new", None),
        "dora": ("analyst", "old", later),
        "emil": ("analyst", "old", None),
    }
    assert found.locked_out == ("ana", "cleo")


def test_nobody_is_locked_out_of_a_database_that_never_had_users(filled, saved, target, tmp_path):
    upgrade(target)
    with writing(target) as connection:
        record(connection, "cli:ana", "db.upgrade", HEAD)
    restore(target, tmp_path / "elsewhere", saved, replace=True, then=nothing)
    assert content(target)["users"] == content(filled)["users"]


def test_a_restore_that_fails_leaves_everything_as_it_was(filled, saved, tmp_path):
    home = tmp_path / "home"
    (home / "artefacts" / "customers" / "1" / "more.txt").write_text("only here")
    before, held = content(filled), files(home)

    def fail(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        restore(filled, home, saved, replace=True, then=fail)
    assert (content(filled), files(home)) == (before, held)
    assert revision(filled) == HEAD


def altered(saved, tmp_path, change):
    """The backup with other members: ``change`` gets each name and content and gives those to write."""
    made = tmp_path / "altered.backup"
    with tarfile.open(saved) as source, tarfile.open(made, "w") as copy:
        folder = tmp_path / "one"
        for member in source.getmembers():
            for name, content_ in change(member.name, source.extractfile(member).read()):
                folder.write_bytes(content_)
                copy.add(folder, name)
    return made


def flipped(name, content_):
    return [(name, content_[:-1] + b"\1" if "predictions" in name else content_)]


def added(name, content_):
    extra = [("artefacts/customers/1/extra", b"")] if name == "manifest.json" else []
    return [*extra, (name, content_)]


def dropped(name, content_):
    return [] if "roc.svg" in name else [(name, content_)]


def in_manifest(**facts):
    def change(name, content_):
        return [
            (name, json.dumps(json.loads(content_) | facts).encode() if name == "manifest.json" else content_)
        ]

    return change


def outside(name, content_):
    other = content_.replace(b"artefacts/customers/1/plots/roc.svg", b"artefacts/customers/../../../evil")
    return [("artefacts/customers/../../../evil" if "roc.svg" in name else name, other)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flipped, "predictions.ndjson.gz is not what"),
        (added, "extra is not what"),
        (dropped, "roc.svg is not what"),
        (outside, "evil is not what"),
        (in_manifest(schema="v9999"), "newer Holdfast"),
        (in_manifest(format=2), "newer Holdfast"),
        (in_manifest(tables="many"), "manifest cannot be read"),
        (lambda name, content_: [] if name == "manifest.json" else [(name, content_)], "no manifest"),
    ],
)
def test_a_damaged_backup_is_named_before_anything_is_changed(filled, saved, tmp_path, change, said):
    before, held = content(filled), files(tmp_path / "home")
    with pytest.raises(BackupError, match=said):
        restore(filled, tmp_path / "home", altered(saved, tmp_path, change), replace=True, then=nothing)
    assert (content(filled), files(tmp_path / "home")) == (before, held)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("cut", [0, 100, 5_000, -11_000])
def test_a_part_of_a_backup_is_none(filled, saved, tmp_path, cut):
    part = tmp_path / "part.backup"
    part.write_bytes(saved.read_bytes()[:cut])
    with pytest.raises(BackupError, match="no backup"):
        restore(filled, tmp_path / "home", part, replace=True, then=nothing)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_no_file_is_a_usage_error(database, tmp_path):
    for wrong in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UsageError):
            restore(database, tmp_path / "home", wrong, then=nothing)


def of_the_first_schema(name, content_):
    """What the first version would have written: its three tables and no more."""
    first = {"versions", "deployment_events", "deployments"}
    if name == "manifest.json":
        said = json.loads(content_)
        tables = [table for table in said["tables"] if table["name"] in first]
        return [(name, json.dumps(said | {"schema": "v0001", "tables": tables}).encode())]
    kept = not name.startswith("tables/") or name.removeprefix("tables/").split(".")[0] in first
    return [(name, content_)] if kept else []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_backup_of_an_older_schema_is_upgraded_as_it_comes_back(filled, saved, target, tmp_path):
    def note(connection, restored, _before):
        record(connection, "cli:ana", "db.restore", restored.digest)

    restore(target, tmp_path / "elsewhere", altered(saved, tmp_path, of_the_first_schema), then=note)
    assert revision(target) == HEAD
    assert content(target)["versions"] == content(filled)["versions"]
    assert verify(target).entries == 1


def test_a_backup_is_of_one_moment(filled, tmp_path, monkeypatch):
    """Rows that are written while it runs are all left out, in whichever table."""
    import holdfast.store.backup as module  # noqa: PLC0415 - to write in the middle of it

    add_table = module._add_table

    def slowly(connection, table, *rest):
        with writing(filled) as other:
            other.execute(sa.delete(t.replies))
            other.execute(
                sa.insert(t.predictions).values(prediction(9_000 + len(table.name) * 50 + ord(table.name[0])))
            )
        return add_table(connection, table, *rest)

    monkeypatch.setattr(module, "_add_table", slowly)
    made = backup(filled, tmp_path / "home", tmp_path / "one.backup")
    assert (made.rows["predictions"], made.rows["replies"]) == (500, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_file_appears_whole_is_private_and_overwrites_nothing(filled, saved, tmp_path):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert [path.name for path in saved.parent.iterdir()] == ["one.backup"]
    with pytest.raises(UsageError, match="already there"):
        backup(filled, tmp_path / "home", saved)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        backup(filled, tmp_path / "home", tmp_path / "file" / "one.backup")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_models_that_are_gone_are_told_and_links_not_followed(filled, tmp_path):
    folder = tmp_path / "home" / "artefacts" / "customers" / "1"
    (folder / "link").symlink_to("/etc/hostname")
    made = backup(filled, tmp_path / "home", tmp_path / "one.backup")
    with tarfile.open(made.path) as tar:
        assert not any("link" in name for name in tar.getnames())
    shutil.rmtree(folder)
    assert backup(filled, tmp_path / "home", tmp_path / "two.backup").missing == ["artefacts/customers/1"]


def test_memory_stays_flat(filled, tmp_path):
    """40 stored replies of 1 MB: neither way holds more than some of them at a time."""
    body = bytes(1_000_000)
    with writing(filled) as connection:
        connection.execute(sa.delete(t.predictions))
        for number in range(40):
            row = {
                "scope": f"{number + 1:064}",
                "body_digest": DIGEST,
                "request": "r",
                "at": NOON,
            }
            connection.execute(sa.insert(t.replies).values(row | {"body": body + bytes([number])}))
    tracemalloc.start()
    try:
        made = backup(filled, tmp_path / "home", tmp_path / "one.backup")
        restore(filled, tmp_path / "home", made.path, replace=True, then=nothing)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_another_schema_is_not_replaced(filled, saved, tmp_path):
    with writing(filled) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v0001'"))
    with pytest.raises(StoreError, match="another schema") as caught:
        restore(filled, tmp_path / "home", saved, replace=True, then=nothing)
    assert isinstance(caught.value, HoldfastError)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from holdfast.store import engine
from holdfast.store.restore import restore

url, home, source = sys.argv[1:]
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
restore(engine(url), Path(home), Path(source), replace=True, then=kill)
"""


def test_a_restore_that_is_killed_changes_no_row_and_works_when_run_again(
    filled, database_url, saved, tmp_path
):
    home = tmp_path / "home"
    with writing(filled) as connection:
        connection.execute(sa.delete(t.predictions))
    before = content(filled)
    line = [sys.executable, "-c", PROGRAM, database_url, str(home), str(saved)]
    assert subprocess.run(line, check=False).returncode == -signal.SIGKILL  # noqa: S603 - our own program
    assert content(filled) == before
    restore(filled, home, saved, replace=True, then=nothing)
    assert len(content(filled)["predictions"]) == 500
    assert not list(home.glob(".restore-*"))
