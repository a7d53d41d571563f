from __future__ import annotations

import json
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from holdfast.audit import entries, verify
from holdfast.predictions.erasure import erase
from holdfast.settings import load_settings
from holdfast.store import engine, open_store, writing
from holdfast.store import tables as t

ROW = {
    "as_of": t.datetime(2024, 2, 29, tzinfo=t.UTC),
    "at": t.datetime(2024, 2, 29, tzinfo=t.UTC),
    "model": "customers",
    "version": "v1",
    "slot": "champion",
    "record": "{}",
    "probability": 0.5,
    "threshold": 0.5,
    "will_churn": True,
    "latency_ms": 1.0,
    "correlation_id": "",
}


@pytest.fixture
def logged(tmp_path):
    """Logs predictions of these customers in the default home's database."""

    def log(*customers):
        opened = open_store(tmp_path / ".holdfast")
        rows = [ROW | {"id": one, "request": one, "customer_id": one} for one in customers]
        with writing(opened) as connection:
            connection.execute(sa.insert(t.predictions), rows)
        opened.dispose()

    return log


def old(url):
    """Make the database what version 0.1.0 left behind."""
    opened = engine(url)
    with writing(opened) as connection:
        for table in reversed(t.metadata.sorted_tables):
            if table.name not in {"versions", "deployment_events", "deployments"}:
                table.drop(connection)
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v0001'"))
    opened.dispose()


@pytest.mark.usefixtures("files_are_sound")
def test_an_older_database_is_refused_by_commands_until_it_is_upgraded(holdfast, register, tmp_path):
    register()
    old(f"sqlite:///{tmp_path}/.holdfast/holdfast.db")
    for line in (
        ["models"],
        ["models", "promote", "1"],
        ["audit"],
        ["serve", "--port", "0"],
        ["db", "backup", "x"],
    ):
        refused = holdfast(*line, "--json")
        assert (refused.code, refused.json()["error"]["code"]) == (1, "store")
        assert "holdfast db upgrade" in refused.json()["error"]["hint"]
    status = holdfast("db", "status", "--json").json()
    assert (status["schema"], status["state"]) == ("v0001", "older")
    assert "run: holdfast db upgrade" in holdfast("db").out
    assert holdfast("db", "upgrade", "--json").json()["migrations"] == ["v0002"]
    assert "Up to date already" in holdfast("db", "upgrade").out
    assert [one["version"] for one in holdfast("models", "--json").json()["models"]] == ["v1"]
    (made,) = holdfast("audit", "list", "--json").json()["entries"]
    assert (made["action"], made["subject"], made["detail"]) == (
        "db.upgrade",
        "v0002",
        {"migrations": ["v0002"]},
    )


def test_an_empty_postgresql_is_refused_until_it_is_upgraded(holdfast, monkeypatch, postgres, tmp_path):
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", postgres.url())
    refused = holdfast("models", "--json")
    assert refused.json()["error"]["hint"].endswith("holdfast db upgrade")
    assert holdfast("db", "status", "--json").json()["state"] == "empty"
    assert holdfast("db", "upgrade", "--json").json()["migrations"] == ["v0001", "v0002"]
    assert holdfast("models", "--json").json() == {"models": []}
    status = holdfast("db", "status", "--json").json()
    assert (status["kind"], status["state"], status["rows"]["audit"]) == ("postgresql", "current", 1)
    assert status["bytes"] > 1_000_000
    assert list(tmp_path.iterdir()) == []


def test_status_tells_the_rows_and_the_size_and_makes_nothing(holdfast, register, tmp_path):
    assert holdfast("db").code == 2
    assert list(tmp_path.iterdir()) == []
    register()
    status = holdfast("db", "status", "--json").json()
    assert (status["rows"]["versions"], status["state"]) == (1, "current")
    assert status["bytes"] >= (tmp_path / ".holdfast" / "holdfast.db").stat().st_size
    assert "up to date" in holdfast("db").out


def test_all_moves_from_sqlite_to_postgresql_and_back(holdfast, register, logged, monkeypatch, postgres):
    register(roc_auc=0.8)
    logged("ana", "bob")
    first = holdfast("db", "backup", "one.backup", "--json")
    assert (first.code, first.json()["rows"]["predictions"], first.json()["model_files"]) == (0, 2, 2)
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", postgres.url())
    monkeypatch.setenv("HOLDFAST_HOME", "moved")
    there = holdfast("db", "restore", "one.backup", "--json").json()
    assert (there["audit_sound"], there["sha256"]) == (True, first.json()["sha256"])
    assert holdfast("models", "--json").json()["models"][0]["metrics"] == {"roc_auc": 0.8}
    assert Path("moved/artefacts/customers/1/model.txt").read_text() == "model"
    actions = [one["action"] for one in holdfast("audit", "--json").json()["entries"]]
    assert actions == ["db.restore", "models.register"]
    assert holdfast("db", "backup", "two.backup").code == 0
    monkeypatch.delenv("HOLDFAST_DATABASE_URL")
    monkeypatch.setenv("HOLDFAST_HOME", "again")
    assert "audit trail" not in holdfast("db", "restore", "two.backup").out
    assert holdfast("db", "status", "--json").json()["rows"]["predictions"] == 2
    assert holdfast("audit", "verify").code == 0


def test_a_database_in_use_is_replaced_only_when_asked(holdfast, register):
    register()
    holdfast("db", "backup", "one.backup")
    refused = holdfast("db", "restore", "one.backup")
    assert refused.code == 2
    assert "--replace" in refused.err
    replaced = holdfast("db", "restore", "one.backup", "--replace", "--json")
    assert replaced.code == 0
    newest = holdfast("audit", "--json").json()["entries"][0]
    assert newest["action"] == "db.restore"
    assert newest["detail"]["instead_of"]["number"] == 2  # the registration, and the backup itself


def test_whom_was_erased_after_the_backup_does_not_come_back(holdfast, register, logged, tmp_path):
    register()
    logged("ana", "bob")
    holdfast("db", "backup", "one.backup")
    settings = load_settings(home=tmp_path / ".holdfast")
    opened = open_store(settings.home)
    erase(opened, settings, "ana", "cli:test")
    restored = holdfast("db", "restore", "one.backup", "--replace", "--json").json()
    assert (restored["erased_again"], restored["other_secret"]) == (1, False)
    with opened.begin() as connection:
        assert connection.scalars(sa.select(t.predictions.c.customer_id)).all() == ["bob"]
    assert verify(opened).sound
    assert entries(opened)[0].action == "db.restore"
    opened.dispose()


def test_whom_was_erased_does_not_come_back_into_a_database_that_was_lost(
    holdfast, register, logged, tmp_path
):
    register()
    logged("ana", "bob")
    holdfast("db", "backup", "one.backup")
    settings = load_settings(home=tmp_path / ".holdfast")
    opened = open_store(settings.home)
    erase(opened, settings, "ana", "cli:test")
    opened.dispose()
    for file in settings.home.glob("holdfast.db*"):
        file.unlink()
    assert holdfast("db", "restore", "one.backup", "--json").json()["erased_again"] == 1
    opened = open_store(settings.home)
    with opened.begin() as connection:
        assert connection.scalars(sa.select(t.predictions.c.customer_id)).all() == ["bob"]
    opened.dispose()


def test_a_backup_of_another_secret_says_that_its_erased_cannot_be_recognised(
    holdfast, register, logged, monkeypatch, tmp_path
):
    register()
    logged("ana", "bob")
    settings = load_settings(home=tmp_path / ".holdfast")
    opened = open_store(settings.home)
    erase(opened, settings, "ana", "cli:test")
    opened.dispose()
    holdfast("db", "backup", "one.backup")
    monkeypatch.setenv("HOLDFAST_HOME", "elsewhere")
    assert "HOLDFAST_SECRET" in holdfast("db", "restore", "one.backup").out


def test_a_damaged_backup_is_code_3_and_changes_nothing(holdfast, register, tmp_path):
    register()
    holdfast("db", "backup", "one.backup")
    whole = (tmp_path / "one.backup").read_bytes()
    (tmp_path / "one.backup").write_bytes(whole[: len(whole) // 2])
    broken = holdfast("db", "restore", "one.backup", "--replace", "--json")
    assert (broken.code, broken.json()["error"]["code"]) == (3, "backup")
    assert holdfast("db", "restore", "nowhere", "--replace").code == 2
    assert [one["version"] for one in holdfast("models", "--json").json()["models"]] == ["v1"]


def test_a_backup_holds_no_secret(holdfast, register, tmp_path):
    register()
    holdfast("db", "backup", "one.backup")
    held = (tmp_path / "one.backup").read_bytes()
    assert (tmp_path / ".holdfast" / "secret").read_bytes() not in held
    assert json.dumps(str(tmp_path)).encode() not in held


def test_a_server_refuses_a_newer_database(holdfast, register, tmp_path):
    register()
    opened = engine(f"sqlite:///{tmp_path}/.holdfast/holdfast.db")
    with writing(opened) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v9999'"))
    opened.dispose()
    for line in (["serve", "--port", "0"], ["models"], ["db", "upgrade"], ["db", "backup", "x"]):
        refused = holdfast(*line)
        assert refused.code == 1
        assert "Upgrade Holdfast" in refused.err
    assert "newer than" in holdfast("db").out


def test_indexes_are_proposed_and_made_where_the_tables_are(holdfast, postgres, monkeypatch, tmp_path):
    url = postgres.url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bills (customer text, at timestamptz)")
    monkeypatch.setenv("HOLDFAST_SOURCE_URL", url)
    file = tmp_path / "churn.toml"
    file.write_text(
        'name = "bills"\n[churn]\nevent = "inactivity"\ntable = "bills"\nhorizon_days = 30\n'
        "[economics]\ncustomer_value = 1\ncontact_cost = 1\noffer_cost = 1\nsuccess_rate = 0.2\n"
        '[tables.bills]\nkind = "events"\nsource = "table:bills"\ncustomer = "customer"\ntime = "at"\n'
    )
    with monkeypatch.context() as narrow:  # a terminal of 110 columns, where a statement is longer
        narrow.setattr(sys.stdout, "isatty", lambda: True)
        shown = holdfast("db", "index", str(file)).out
    assert shown.startswith('CREATE INDEX CONCURRENTLY "holdfast_bills_customer_')
    assert not any(one["there"] for one in holdfast("db", "index", str(file), "--json").json()["indexes"])
    made = holdfast("db", "index", str(file), "--apply", "--json").json()
    assert (len(made["made"]), made["there"]) == (1, [])
    assert "Every index that is needed is there." in holdfast("db", "index", str(file)).out
    with psycopg.connect(url, autocommit=True) as connection:  # what was shown is what was made
        connection.execute(f"DROP INDEX {made['made'][0]}")
        connection.execute(shown.partition(";\n")[0])
    assert "Every index that is needed is there." in holdfast("db", "index", str(file)).out
