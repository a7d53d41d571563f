from __future__ import annotations

import io
import subprocess
import sys

import pytest

from holdfast.access.passwords import is_password
from holdfast.access.users import list_users
from holdfast.store import open_store

PASSWORD = "four words or more"  # noqa: S105 - of tests


@pytest.fixture
def pipe(monkeypatch):
    """Pipes text into the next command."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def ana(holdfast, pipe):
    pipe(PASSWORD + "\n")
    made = holdfast("users", "create", "Ana", "--role", "analyst", "--password-stdin")
    assert made.out == "ana may log in as analyst.\n"
    assert "From now on every request needs" in made.err


def user_in(tmp_path):
    opened = open_store(tmp_path / ".holdfast")
    (user,) = list_users(opened)
    opened.dispose()
    return user


@pytest.mark.usefixtures("ana")
def test_a_user_is_added_changed_and_locked_out(holdfast, pipe, tmp_path):
    assert is_password(PASSWORD, user_in(tmp_path).password)
    assert holdfast("users", "role", "ana", "operator").out == "ana may act as operator.\n"
    assert holdfast("users", "disable", "ana").out == "ana is locked out.\n"
    assert holdfast("users", "list", "--json").json()["users"] == [user_in(tmp_path).as_dict()]
    assert user_in(tmp_path).disabled
    assert holdfast("users", "enable", "ana").code == 0
    pipe(PASSWORD * 2)
    assert holdfast("users", "password", "ana", "--password-stdin").out == "ana has a new password.\n"
    assert is_password(PASSWORD * 2, user_in(tmp_path).password)
    assert "operator" in holdfast("users").out
    assert PASSWORD not in holdfast("audit", "--json").out
    assert holdfast("users", "delete", "ANA").out == "ana is removed.\n"
    assert holdfast("users", "list", "--json").json() == {"users": []}
    assert holdfast("users", "delete", "ana").code == 2


@pytest.mark.usefixtures("ana")
def test_what_cannot_be_is_refused(holdfast, pipe):
    pipe(PASSWORD)
    assert holdfast("users", "create", "ana", "--role", "viewer", "--password-stdin").code == 2
    pipe("short")
    refused = holdfast("users", "password", "ana", "--password-stdin")
    assert (refused.code, "short" in refused.err) == (2, False)
    assert holdfast("users", "role", "ana", "boss").code == 2
    assert holdfast("users", "disable", "bob").code == 2


def test_without_a_terminal_it_says_how_to_give_the_password(tmp_path):
    line = [sys.executable, "-m", "holdfast.cli", "users", "create", "ana", "--role", "viewer"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, input="", check=False)  # noqa: S603 - our own program
    assert done.returncode == 2
    assert "--password-stdin" in done.stderr
    assert list(tmp_path.iterdir()) == []
