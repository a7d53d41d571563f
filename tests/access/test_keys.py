from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from holdfast.access import NameTakenError, Role, UnknownNameError, keys
from holdfast.access.keys import create_key, list_keys, revoke_key
from holdfast.errors import UsageError
from holdfast.store import reading
from holdfast.store.tables import api_keys, audit


def make(database, name="crm", role=Role.SCORER, **facts):
    return create_key(database, actor="test", name=name, role=role, **facts)


def test_a_key_has_its_form_and_only_its_hash_is_stored(database):
    key, text = make(database, expires=datetime.now(UTC) + timedelta(days=90), rate=50)
    assert re.fullmatch(rf"hf_{key.id}_[\w-]{{43}}", text)
    with reading(database) as connection:
        stored = str(connection.execute(sa.select(api_keys)).all()) + str(
            connection.execute(sa.select(audit)).all()
        )
    assert text not in stored
    assert text.split("_", 2)[2] not in stored
    assert list_keys(database) == [key]
    assert key.opens(text.encode())
    assert text not in repr(key.as_dict())


def test_two_keys_have_nothing_in_common(database):
    (_, one), (_, other) = make(database, "a"), make(database, "b")
    assert one.split("_", 2)[1:] != other.split("_", 2)[1:]


@pytest.mark.parametrize("change", [lambda k: k[:-1], lambda k: f"{k}x", lambda k: k[:-1] + "~", str.upper])
def test_a_key_that_is_nearly_right_opens_nothing(database, change):
    key, text = make(database)
    assert not key.opens(change(text).encode())


def test_secrets_are_compared_in_constant_time():
    assert "hmac.compare_digest" in inspect.getsource(keys.Key.opens)


@pytest.mark.parametrize("name", ["", " crm", "a b", "é", "a" * 101, "../x", "a\x00"])
def test_a_name_that_is_none_is_refused(database, name):
    with pytest.raises(UsageError):
        make(database, name)
    assert list_keys(database) == []


@pytest.mark.parametrize("facts", [{"rate": 0}, {"expires": datetime.now(UTC) - timedelta(seconds=1)}])
def test_a_rate_or_an_end_that_is_none_is_refused(database, facts):
    with pytest.raises(UsageError):
        make(database, **facts)


def test_a_name_is_given_once_even_after_its_key_was_revoked(database):
    make(database)
    revoke_key(database, actor="test", ref="crm")
    with pytest.raises(NameTakenError, match="crm"):
        make(database)


def test_a_key_is_revoked_by_id_or_name_once(database):
    by_id, _ = make(database, "a")
    make(database, "b")
    first = revoke_key(database, actor="ana", ref=by_id.id)
    assert revoke_key(database, actor="bob", ref="a").revoked == first.revoked
    assert revoke_key(database, actor="ana", ref="b").state == "revoked"
    with pytest.raises(UnknownNameError):
        revoke_key(database, actor="ana", ref="c\x00")
    with reading(database) as connection:
        done = connection.execute(sa.select(audit.c.actor, audit.c.action).order_by(audit.c.number)).all()
    assert [tuple(row) for row in done][2:] == [("ana", "keys.revoke"), ("ana", "keys.revoke")]
