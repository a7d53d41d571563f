from __future__ import annotations

import pytest

from holdfast.access.keys import list_keys
from holdfast.store import open_store


def keys_in(tmp_path):
    opened = open_store(tmp_path / ".holdfast")
    found = list_keys(opened)
    opened.dispose()
    return found


def test_a_key_is_shown_once_on_stdout_alone(holdfast, tmp_path):
    made = holdfast("keys", "create", "--role", "scorer", "--name", "crm", "--expires", "90d", "--rate", 50)
    assert made.code == 0
    assert "shown this once" in made.err
    (key,) = keys_in(tmp_path)
    assert key.opens(made.out.strip().encode())
    assert (key.expires - key.created).days in {89, 90}
    listed = holdfast("keys")
    assert made.out.strip() not in listed.out + str(holdfast("keys", "list", "--json").out)
    assert "usable" in listed.out
    assert holdfast("keys", "list", "--json").json()["keys"] == [key.as_dict()]


def test_the_first_credential_says_that_from_now_on_all_need_one(holdfast):
    line = ("keys", "create", "--role", "scorer", "--name")
    assert "From now on every request needs" in holdfast(*line, "first").err
    assert "From now on" not in holdfast(*line, "second").err


def test_json_holds_the_key_and_what_is_known_of_it(holdfast, tmp_path):
    made = holdfast("keys", "create", "--role", "admin", "--name", "ops", "--json").json()["key"]
    (key,) = keys_in(tmp_path)
    assert key.opens(made.pop("key").encode())
    assert made == key.as_dict()
    assert made["expires"] is None


def test_a_revoked_key_says_so(holdfast):
    holdfast("keys", "create", "--role", "viewer", "--name", "crm")
    assert "is revoked" in holdfast("keys", "revoke", "crm").out
    assert "revoked" in holdfast("keys", "list").out
    assert holdfast("keys", "revoke", "other").code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["--role", "boss", "--name", "a"],
        ["--role", "viewer", "--name", "a b"],
        ["--role", "viewer", "--name", "a", "--expires", "soon"],
        ["--role", "viewer", "--name", "a", "--expires", "9999999d"],
        ["--role", "viewer", "--name", "a", "--rate", "0"],
        ["--name", "a"],
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_what_to_do(holdfast, wrong):
    refused = holdfast("keys", "create", *wrong)
    assert refused.code == 2
    assert "Traceback" not in refused.err


def test_listing_makes_no_home(holdfast, tmp_path):
    assert holdfast("keys").code == 2
    assert list(tmp_path.iterdir()) == []
