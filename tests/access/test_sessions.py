from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from holdfast.access import AccessError, Role
from holdfast.access.sessions import log_in, log_out, refresh_login
from holdfast.access.users import change_user, create_user, delete_user
from holdfast.store import reading, writing
from holdfast.store.tables import audit, sessions

PASSWORD = "four words or more"  # noqa: S105 - of tests


@pytest.fixture
def ana(database):
    return create_user(database, actor="test", name="ana", role=Role.ANALYST, password=PASSWORD)


def login(database, name="ana", password=PASSWORD):
    return log_in(database, name, password, days=1)


def refused(work, *arguments):
    with pytest.raises(AccessError) as told:
        work(*arguments)
    return told.value.message


@pytest.mark.usefixtures("ana")
def test_a_refresh_token_is_stored_as_its_hash(database):
    token = login(database, "ANA").refresh
    with reading(database) as connection:
        assert token.split("_", 2)[2] not in str(connection.execute(sa.select(sessions)).all())


@pytest.mark.usefixtures("ana")
def test_nothing_tells_who_exists(database):
    said = refused(login, database, "ana", "wrong")
    assert refused(login, database, "nobody", "wrong") == said
    assert refused(login, database, "nobody\x00", "wrong") == said
    change_user(database, actor="test", name="ana", disabled=True)
    assert refused(login, database, "ana", PASSWORD) == said


def test_an_unknown_user_s_password_is_checked_all_the_same(database, monkeypatch):
    checked = []
    monkeypatch.setattr("pwdlib.PasswordHash.verify", lambda *words: checked.append(words) or False)
    refused(login, database, "nobody", "wrong")
    assert len(checked) == 1
    assert checked[0][2].startswith("$argon2id$")


@pytest.mark.usefixtures("ana")
def test_a_session_goes_on_with_each_new_token(database):
    first = login(database)
    second = refresh_login(database, first.refresh)
    third = refresh_login(database, second.refresh)
    assert first.session == second.session == third.session
    assert len({first.refresh, second.refresh, third.refresh}) == 3


@pytest.mark.usefixtures("ana")
def test_a_token_that_comes_back_ends_the_session_for_both(database):
    first = login(database)
    second = refresh_login(database, first.refresh)
    refused(refresh_login, database, first.refresh)
    refused(refresh_login, database, second.refresh)
    with reading(database) as connection:
        assert "auth.reuse" in connection.execute(sa.select(audit.c.action)).scalars().all()
    assert refresh_login(database, login(database).refresh)


@pytest.mark.usefixtures("ana")
def test_a_session_ends_with_logout_time_password_lock_and_user(database):
    endings = (
        lambda token: log_out(database, token),
        lambda _: change_user(database, actor="test", name="ana", password=PASSWORD),
        lambda _: expire(database),
        lambda _: change_user(database, actor="test", name="ana", disabled=True),
        lambda _: delete_user(database, actor="test", name="ana"),
    )
    for end in endings:
        change = change_user(database, actor="test", name="ana", disabled=False)
        assert change.disabled is None
        token = login(database).refresh
        end(token)
        refused(refresh_login, database, token)


def expire(database):
    with writing(database) as connection:
        connection.execute(sa.update(sessions).values(expires=datetime.now(UTC) - timedelta(seconds=1)))


@pytest.mark.usefixtures("ana")
@pytest.mark.parametrize("token", ["", "hfr_x_y", "hfr__", "x" * 5_000, "hfr_\x00", "hfr_' OR 1=1 --_x"])
def test_what_is_no_token_is_refused(database, token):
    refused(refresh_login, database, token)
    refused(log_out, database, token)


@pytest.mark.usefixtures("ana")
def test_a_token_of_a_guessed_session_does_not_end_it_by_logout(database):
    made = login(database)
    log_out(database, f"hfr_{made.session}_{'x' * 43}")
    assert refresh_login(database, made.refresh)
