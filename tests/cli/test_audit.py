from __future__ import annotations

import getpass

import pytest
import sqlalchemy as sa

from holdfast.store import engine, writing
from holdfast.store.tables import audit


@pytest.mark.usefixtures("files_are_sound")
def test_each_change_from_the_command_line_is_listed_under_who_made_it(holdfast, register):
    register()
    register()
    holdfast("models", "promote", "2")
    holdfast("models", "rollback")
    found = holdfast("audit", "list", "--json").json()["entries"]
    assert [one["number"] for one in found] == [4, 3, 2, 1]
    assert [(one["actor"], one["action"], one["subject"]) for one in found[:2]] == [
        (f"cli:{getpass.getuser()}", "models.rollback", "v1"),
        (f"cli:{getpass.getuser()}", "models.promote", "v2"),
    ]
    assert "models.promote" in holdfast("audit").out
    (chosen,) = holdfast(
        "audit", "list", "--action", "models", "--limit", "1", "--before", "3", "--json"
    ).json()["entries"]
    assert chosen["number"] == 2


def test_verify_tells_whether_the_trail_is_as_recorded_and_fails_if_not(holdfast, register, tmp_path):
    register()
    register()
    sound = holdfast("audit", "verify", "--json")
    assert (sound.code, sound.json()["sound"], sound.json()["entries"]) == (0, True, 2)
    assert "2 entries, as recorded." in holdfast("audit", "verify").out
    opened = engine(f"sqlite:///{tmp_path / '.holdfast' / 'holdfast.db'}")
    with writing(opened) as connection:
        connection.execute(sa.update(audit).where(audit.c.number == 1).values(actor="nobody"))
    opened.dispose()
    tampered = holdfast("audit", "verify")
    assert tampered.code == 1
    assert "Entry 1: It was edited" in tampered.out
    assert holdfast("audit", "verify", "--json").json()["faults"][0]["number"] == 1


def test_without_a_database_nothing_is_verified_and_nothing_made(holdfast, tmp_path):
    for line in (["audit"], ["audit", "list"], ["audit", "verify"]):
        assert holdfast(*line).code == 2
    assert list(tmp_path.iterdir()) == []
