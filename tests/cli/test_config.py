from __future__ import annotations

import json
from contextlib import closing

import psycopg
import pytest

from holdfast.settings import Settings

SECRET = "a-secret-that-nobody-may-see-0123456789"  # noqa: S105 - of this test alone


@pytest.fixture
def own(monkeypatch, tmp_path):
    """Settings from each place."""
    monkeypatch.setenv("HOLDFAST_PORT", "8100")
    monkeypatch.setenv("HOLDFAST_SECRETS_DIR", str(tmp_path / "secrets"))
    (tmp_path / ".env").write_text("HOLDFAST_WORKERS=3\nHOLDFAST_PORT=1\nOTHER=1\nHOLDFAST_HOME=elsewhere\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "HOLDFAST_SECRET").write_text(SECRET)


@pytest.mark.usefixtures("own")
def test_show_tells_each_setting_its_value_and_where_it_comes_from(holdfast):
    shown = {one["name"]: one for one in holdfast("config", "show", "--json").json()["settings"]}
    assert list(shown) == [f"HOLDFAST_{name.upper()}" for name in Settings.model_fields]
    told = {name: (one["value"], one["from"]) for name, one in shown.items() if one["from"] != "default"}
    assert told == {
        "HOLDFAST_PORT": (8100, "environment"),
        "HOLDFAST_WORKERS": (3, ".env"),
        "HOLDFAST_HOME": ("elsewhere", ".env"),
        "HOLDFAST_SECRET": ("set", "the folder HOLDFAST_SECRETS_DIR"),
    }
    assert shown["HOLDFAST_DATABASE_URL"]["value"] == "not set"
    given = holdfast("config", "--home", "given", "--json").json()["settings"][0]
    assert (given["value"], given["from"]) == ("given", "--home")


@pytest.mark.usefixtures("own")
def test_no_secret_is_ever_shown(holdfast, monkeypatch):
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", f"postgresql://ana:{SECRET}@127.0.0.1:1/x")
    monkeypatch.setenv("HOLDFAST_REDIS_URL", f"redis://:{SECRET}@127.0.0.1:1/0")
    for line in (["config"], ["config", "--json"], ["config", "check", "--connect"]):
        shown = holdfast(*line)
        assert SECRET not in shown.out + shown.err
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", f"oracle://ana:{SECRET}@127.0.0.1:1/x")
    for line in (["config", "check"], ["models"], ["models", "--debug"]):
        wrong = holdfast(*line)
        assert wrong.code == 2
        assert "must begin with postgresql:" in wrong.out + wrong.err
        assert SECRET not in wrong.out + wrong.err


def test_check_names_each_wrong_setting_and_what_it_sets(holdfast, monkeypatch):
    wrong = {"PORT": "eight", "WORKERS": "0", "SECRET": "short", "CORS_ORIGINS": "https://a.b/path"}
    wrong |= {"OIDC_ISSUER": "http://login.example.com", "DURABILITY": "maybe"}
    for name, value in wrong.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", value)
    monkeypatch.setenv("HOLDFAST_DATABSE_URL", "postgresql://db/x")
    found = holdfast("config", "check", "--json")
    assert found.code == 2
    *named, unknown = found.json()["wrong"]
    assert {one.split()[0] for one in named} == {f"HOLDFAST_{name}" for name in wrong}
    assert all("It sets: " in one for one in named)
    assert 'Did you mean "HOLDFAST_DATABASE_URL"?' in unknown
    in_words = holdfast("config", "check")
    assert in_words.code == 2
    assert in_words.out.splitlines() == [*named, unknown]


def test_an_issuer_needs_an_audience(holdfast, monkeypatch):
    monkeypatch.setenv("HOLDFAST_OIDC_ISSUER", "https://login.example.com")
    assert "HOLDFAST_OIDC_AUDIENCE is wrong" in holdfast("config", "check").out
    monkeypatch.setenv("HOLDFAST_OIDC_AUDIENCE", "holdfast")
    assert holdfast("config", "check").code == 0


def test_what_kubernetes_sets_is_no_mistake_of_the_operator(holdfast, monkeypatch):
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_8000_TCP", "PORT_8000_TCP_ADDR"):
        monkeypatch.setenv(f"HOLDFAST_{name}", "10.0.0.1")
    assert holdfast("config", "check").out == "The settings are right.\n"


def test_a_folder_of_secrets_that_is_not_there_is_one_clear_error(holdfast, monkeypatch):
    monkeypatch.setenv("HOLDFAST_SECRETS_DIR", "nowhere")
    for line in (["config", "check"], ["config"], ["models"]):
        wrong = holdfast(*line)
        assert wrong.code == 2
        assert "HOLDFAST_SECRETS_DIR" in wrong.err


def test_wrong_settings_end_a_command_with_one_block_and_code_2(process, tmp_path):
    (tmp_path / ".env").write_text("HOLDFAST_PORT=99999\nHOLDFAST_WORKERS=no\n")
    for line in (["models"], ["serve", "--port", "0"], ["audit"]):
        wrong = process(*line, "--json")
        assert (wrong.code, wrong.json()["error"]["code"]) == (2, "usage")
        assert "(1 more are wrong.)" in wrong.json()["error"]["message"]
    (tmp_path / ".env").write_bytes(b"HOLDFAST_PORT=\xff\xfe")
    assert process("models").err.startswith("Error: .env cannot be read")


def test_the_home_may_stand_in_env_file(holdfast, register, tmp_path):
    register()
    (tmp_path / ".env").write_text("HOLDFAST_HOME=elsewhere\n")
    assert holdfast("models", "--json").json() == {"models": []}
    assert len(holdfast("models", "--home", ".holdfast", "--json").json()["models"]) == 1


def test_connect_asks_the_database(holdfast, monkeypatch, postgres, postgres_ready):
    assert holdfast("config", "check", "--connect", "--json").json()["connections"] == {}
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", postgres.url(like=postgres_ready))
    assert holdfast("config", "check", "--connect").out == "The settings are right.\ndatabase: answers\n"
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", postgres.url())
    empty = holdfast("config", "check", "--connect", "--json")
    assert empty.code == 1
    assert "holdfast db upgrade" in json.dumps(empty.json()["connections"]["database"])


def test_connect_asks_the_source(holdfast, monkeypatch, postgres):
    url = postgres.url()
    monkeypatch.setenv("HOLDFAST_SOURCE_URL", url)
    assert holdfast("config", "check", "--connect", "--json").json()["connections"]["source"]["ok"] is False
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("CREATE TABLE bills (customer text)")
    assert holdfast("config", "check", "--connect").out == "The settings are right.\nsource: answers\n"


def test_connect_asks_redis(holdfast, monkeypatch):
    monkeypatch.setenv("HOLDFAST_REDIS_URL", "redis://127.0.0.1:1/0")
    failed = holdfast("config", "check", "--connect", "--json")
    assert (failed.code, failed.json()["connections"]["redis"]["ok"]) == (1, False)
