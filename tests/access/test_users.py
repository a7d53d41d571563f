from __future__ import annotations

import pytest
import sqlalchemy as sa

from holdfast.access import NameTakenError, Role, UnknownNameError
from holdfast.access.passwords import _hasher, is_password
from holdfast.access.users import change_user, create_user, delete_user, list_users
from holdfast.errors import UsageError
from holdfast.store import reading
from holdfast.store.tables import audit, users

PASSWORD = "four words or more"  # noqa: S105 - of tests


def add(database, name="Ana", role=Role.ANALYST, password=PASSWORD):
    return create_user(database, actor="test", name=name, role=role, password=password)


def test_a_password_is_stored_as_argon2_and_nowhere_else(database):
    user = add(database)
    assert user.name == "ana"
    with reading(database) as connection:
        everything = str(
            connection.execute(sa.select(users)).all() + connection.execute(sa.select(audit)).all()
        )
    assert "$argon2id$" in everything
    assert PASSWORD not in everything
    assert is_password(PASSWORD, user.password)
    assert not is_password(PASSWORD + "x", user.password)
    assert not is_password("nobody has this password", None)
    assert "argon2" not in repr(user.as_dict())


def test_guessing_costs_what_rfc_9106_recommends():
    assert "$m=65536,t=3,p=4$" in _hasher().hash(PASSWORD)  # taken before tests have it cost less


@pytest.mark.parametrize("name", ["", "a b", "-a", "é", "a" * 101, "a\x00"])
def test_a_name_that_is_none_is_refused(database, name):
    with pytest.raises(UsageError):
        add(database, name)
    with pytest.raises(UnknownNameError):
        change_user(database, actor="test", name=name, role=Role.ADMIN)


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1_001])
def test_a_password_that_is_too_short_or_too_long_is_refused(database, password):
    with pytest.raises(UsageError):
        add(database, password=password)
    assert list_users(database) == []


def test_a_name_is_given_once_whatever_its_capitals(database):
    add(database)
    with pytest.raises(NameTakenError):
        add(database, "ANA")


def test_each_change_is_recorded_and_none_is_no_change(database):
    add(database)
    for change in ({"role": Role.ADMIN}, {"disabled": True}, {"disabled": False}, {"password": PASSWORD * 2}):
        change_user(database, actor="bob", name="ana", **change)
        if "password" not in change:
            change_user(database, actor="bob", name="ana", **change)
    delete_user(database, actor="bob", name="ana")
    with reading(database) as connection:
        done = connection.execute(sa.select(audit.c.action).order_by(audit.c.number)).scalars().all()
    assert done == [
        "users.create",
        *(f"users.{word}" for word in ["role", "disable", "enable", "password", "delete"]),
    ]
    assert list_users(database) == []
    with pytest.raises(UnknownNameError):
        delete_user(database, actor="bob", name="ana")
