"""People who log in, refresh and log out while somebody changes or removes them, on PostgreSQL."""

from __future__ import annotations

from functools import partial

import pytest
import sqlalchemy as sa
from interleaved import interleaved

from holdfast.access import AccessError, Role
from holdfast.access.sessions import log_in, log_out, refresh_login
from holdfast.access.users import change_user, create_user, delete_user
from holdfast.store import engine, reading
from holdfast.store.tables import sessions

PASSWORD = "four words or more"  # noqa: S105 - of tests

CHANGES = [{"password": "another four words"}, {"disabled": True}]


@pytest.fixture
def url(postgres, postgres_ready):
    """Of a database where ana is a user."""
    made = postgres.url(like=postgres_ready)
    opened = engine(made)
    create_user(opened, actor="test", name="ana", role=Role.ANALYST, password=PASSWORD)
    opened.dispose()
    return made


@pytest.fixture
def token(url):
    """Ana's refresh token."""
    opened = engine(url)
    made = login(opened).refresh
    opened.dispose()
    return made


def login(opened):
    return log_in(opened, "ana", PASSWORD, days=1)


def lock_out(opened):
    return change_user(opened, actor="test", name="ana", disabled=True)


def remove(opened):
    return delete_user(opened, actor="test", name="ana")


def alive(url):
    opened = engine(url)
    with reading(opened) as connection:
        found = connection.scalar(
            sa.select(sa.func.count()).select_from(sessions).where(sessions.c.ended.is_(None))
        )
    opened.dispose()
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_a_login_that_began_with_the_old_password_is_refused_after_the_change(url, change):
    changed, entered = interleaved(url, partial(change_user, actor="test", name="ana", **change), login)
    assert changed.exception() is None
    assert isinstance(entered.exception(), AccessError)
    assert alive(url) == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_login_that_is_first_is_ended_by_the_change(url, change):
    change = partial(change_user, actor="test", name="ana", **change)
    entered, changed = interleaved(url, login, change, after="INSERT INTO sessions")
    assert (entered.exception(), changed.exception()) == (None, None)
    assert alive(url) == 0


@pytest.mark.parametrize("use", [refresh_login, log_out])
@pytest.mark.parametrize("end", [lock_out, remove])
def test_who_uses_a_session_and_who_ends_it_wait_for_each_other(url, token, use, end):
    used, ended = interleaved(url, lambda opened: use(opened, token), end, after="FROM sessions")
    assert (used.exception(), ended.exception()) == (None, None)
    assert alive(url) == 0


@pytest.mark.usefixtures("token")
def test_who_removes_a_user_and_who_changes_them_wait_for_each_other(url):
    removed, changed = interleaved(url, remove, lock_out, after="DELETE FROM sessions")
    assert removed.exception() is None
    assert "There is no user" in str(changed.exception())
