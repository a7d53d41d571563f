from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from holdfast.errors import UsageError
from holdfast.settings import Settings, load_settings, secret_mark, secret_of, unknown_settings

LONG = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_is_given_holds_before_the_environment_and_that_before_the_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("HOLDFAST_PORT=1\nHOLDFAST_WORKERS=2\nHOLDFAST_JOB_DAYS=3\nPORT=9\n")
    monkeypatch.setenv("HOLDFAST_PORT", "10")
    monkeypatch.setenv("HOLDFAST_WORKERS", "20")
    found = load_settings(port=100, home=None)
    assert (found.port, found.workers, found.job_days) == (100, 20, 3)
    assert str(found.home) == ".holdfast"


def test_an_empty_value_counts_as_none(monkeypatch):
    monkeypatch.setenv("HOLDFAST_HOME", "")
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", "")
    assert str(load_settings().home) == ".holdfast"
    assert load_settings().database_url is None


def test_several_names_are_written_with_commas(monkeypatch):
    monkeypatch.setenv("HOLDFAST_ALLOWED_HOSTS", "crm.example.com, 10.0.0.7,")
    monkeypatch.setenv("HOLDFAST_CORS_ORIGINS", "https://crm.example.com,http://localhost:3000")
    found = load_settings()
    assert found.allowed_hosts == ("crm.example.com", "10.0.0.7")
    assert found.cors_origins == ("https://crm.example.com", "http://localhost:3000")


@pytest.mark.parametrize("name", ["password", "database_url", "redis_url", "secret"])
def test_secrets_come_from_files_named_after_their_setting(monkeypatch, tmp_path, name):
    folder = tmp_path / "secrets"
    folder.mkdir()
    values = {
        "database_url": "postgresql://db/x",
        "redis_url": "redis://r:1/0",
        "secret": LONG,
        "password": "?",
    }
    (folder / f"HOLDFAST_{name.upper()}").write_text(f"{values[name]}\n")
    monkeypatch.setenv("HOLDFAST_SECRETS_DIR", str(folder))
    if name in Settings.model_fields:
        assert getattr(load_settings(), name).get_secret_value() == values[name]
        assert list(unknown_settings()) == []
    else:
        assert "HOLDFAST_PASSWORD is no setting" in next(unknown_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "mysql://db/x"),
        ("redis_url", "http://r:1"),
        ("secret", "short"),
        ("cors_origins", "*"),
        ("oidc_issuer", "http://login.example.com"),
        ("otlp_endpoint", "collector:4318"),
        ("batch_wait_ms", "-1"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_does_not_quote_secrets(monkeypatch, name, value):
    monkeypatch.setenv(f"HOLDFAST_{name.upper()}", value)
    with pytest.raises(UsageError, match=f"^HOLDFAST_{name.upper()} is wrong: ") as caught:
        load_settings()
    if name.endswith("_url") or name == "secret":
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HOST", "not a host", "127.0.0.1"),
        ("HOST", "http://a/b", "127.0.0.1"),
        ("ALLOWED_HOSTS", "http://a/b", "crm.example.com"),
        ("ALLOWED_HOSTS", "good.example,bad name", "crm.example.com"),
    ],
)
def test_what_is_no_host_is_refused_with_what_to_write(monkeypatch, name, value, told):
    monkeypatch.setenv(f"HOLDFAST_{name}", value)
    with pytest.raises(UsageError, match=told):
        load_settings()


def test_every_way_to_write_a_host_is_taken(monkeypatch):
    for host in (
        "127.0.0.1",
        "192.0.2.7",
        "::1",
        "[::1]",
        "localhost",
        "fe80::1%eth0",
        "my_box.lan",
        "ü.example",
    ):
        monkeypatch.setenv("HOLDFAST_HOST", host)
        monkeypatch.setenv("HOLDFAST_ALLOWED_HOSTS", f"A.example , {host}")
        assert (load_settings().host, load_settings().allowed_hosts) == (host, ("A.example", host))


def test_an_issuer_on_this_machine_needs_no_certificate(monkeypatch):
    monkeypatch.setenv("HOLDFAST_OIDC_ISSUER", "http://127.0.0.1:8080/realms/x")
    monkeypatch.setenv("HOLDFAST_OIDC_AUDIENCE", "holdfast")
    assert load_settings().oidc_audience == "holdfast"


def test_settings_hide_secrets_when_printed():
    assert LONG not in repr(Settings(secret=LONG, database_url=f"postgresql://ana:{LONG}@db/x"))


def test_a_home_makes_its_secret_once_and_for_its_owner_alone(tmp_path):
    settings = Settings(home=tmp_path / "home")
    made = secret_of(settings)
    assert len(made) >= 32
    assert secret_of(settings) == made
    assert stat.S_IMODE((tmp_path / "home" / "secret").stat().st_mode) == 0o600
    assert secret_of(Settings(home=tmp_path / "other")) != made
    assert secret_of(Settings(home=tmp_path / "home", secret=LONG)) == LONG.encode()


def test_processes_that_make_the_secret_at_once_agree(tmp_path):
    program = (
        "import sys, pathlib; from holdfast.settings import Settings, secret_of; sys.stdin.read(1);"
        "sys.stdout.buffer.write(secret_of(Settings(home=pathlib.Path('home'))))"
    )
    line = [sys.executable, "-c", program]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(line, cwd=tmp_path, **pipes) for _ in range(4)]  # noqa: S603 - our own program
    for process in started:
        process.stdin.write(b"!")
        process.stdin.flush()
    made = {process.communicate()[0] for process in started}
    assert len(made) == 1
    assert sorted(os.listdir(tmp_path / "home")) == ["secret"]  # noqa: PTH208 - names alone


def test_a_home_that_cannot_be_written_to_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="secret cannot be read or made"):
        secret_of(Settings(home=tmp_path / "file" / "home"))


def test_a_mark_tells_secrets_apart_and_nothing_of_them():
    assert secret_mark(b"one") == secret_mark(b"one")
    assert secret_mark(b"one") != secret_mark(b"two")
    assert "one" not in secret_mark(b"one")
