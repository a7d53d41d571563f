from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from waiting import wait_until

from holdfast.access import LOCAL, AccessError, Gate, Role
from holdfast.access import gate as module
from holdfast.access.keys import create_key, revoke_key
from holdfast.access.sessions import log_in, log_out
from holdfast.access.users import change_user, create_user, delete_user
from holdfast.settings import Settings
from holdfast.store import StoreError, engine, writing
from holdfast.store.tables import users

PASSWORD = "four words or more"  # noqa: S105 - of tests


def make_key(database, name="crm", role=Role.SCORER, **facts):
    return create_key(database, actor="test", name=name, role=role, **facts)


def make_user(database, name="ana", role=Role.ANALYST):
    return create_user(database, actor="test", name=name, role=role, password=PASSWORD)


def token_of(database, gate, name="ana"):
    login = log_in(database, name, PASSWORD, days=1)
    return gate.tokens.issue(login.user.name, login.user.role, login.session), login


def test_a_key_is_known_by_either_header(database, gate, identify):
    key, text = make_key(database, rate=7)
    gate.refresh()
    for headers in (
        {"x_api_key": text},
        {"authorization": f"Bearer {text}"},
        {"authorization": f"bearer  {text}"},
    ):
        caller = identify(gate, **headers)
        assert (caller.id, caller.role, caller.rate) == (f"key:{key.id}", Role.SCORER, 7)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_api_key": ""},
        {"x_api_key": "hf_"},
        {"x_api_key": "hf__"},
        {"x_api_key": "hf_ID_" + "x" * 43},
        {"x_api_key": "KEY "},
        {"x_api_key": "\xff\xfe_é_"},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer hf_ID_"},
        {"authorization": "Basic KEY"},
        {"authorization": "KEY"},
        {"authorization": "Bearer " + "x" * 100_000},
    ],
    ids=lambda headers: str(headers)[:40],
)
def test_whatever_else_is_sent_is_nobody(database, gate, identify, headers):
    key, text = make_key(database)
    gate.refresh()
    sent = {name: value.replace("ID", key.id).replace("KEY", text) for name, value in headers.items()}
    found = identify(gate, local=True, **sent)
    assert isinstance(found, AccessError)
    assert text not in str(found)


def test_a_wrong_credential_is_nobody_even_where_the_local_user_needs_none(gate, identify):
    assert identify(gate, local=True) == LOCAL
    assert isinstance(identify(gate, local=True, x_api_key="hf_a_b"), AccessError)
    assert isinstance(identify(gate, local=False), AccessError)


@pytest.mark.parametrize("make", [make_key, make_user])
def test_the_first_credential_ends_the_local_user_for_good(database, gate, identify, make):
    assert not gate.configured
    make(database, "x")
    gate.refresh()
    assert gate.configured
    assert isinstance(identify(gate, local=True), AccessError)
    if make is make_key:
        revoke_key(database, actor="test", ref="x")
    else:
        change_user(database, actor="test", name="x", disabled=True)
    gate.refresh()
    assert isinstance(identify(gate, local=True), AccessError)


def test_an_issuer_is_a_credential_too(database, settings, identify):
    gate = Gate(database, settings(oidc_issuer="https://login.example", oidc_audience="holdfast"))
    assert gate.configured
    assert gate.administrable
    assert isinstance(identify(gate, local=True), AccessError)


def test_a_key_expires_without_anybody_looking(database, gate, identify):
    _, text = make_key(database, expires=datetime.now(UTC) + timedelta(seconds=1))
    gate.refresh()
    assert identify(gate, x_api_key=text).role is Role.SCORER
    wait_until(lambda: isinstance(identify(gate, x_api_key=text), AccessError), "its end")


def test_every_gate_follows_each_change(database, database_url, settings, identify):
    other_engine = engine(database_url)
    gates = [Gate(database, settings()), Gate(other_engine, settings())]

    def found(**headers):
        for one in gates:
            one.refresh()
        return [identify(one, **headers) for one in gates]

    _, text = make_key(database)
    assert [caller.role for caller in found(x_api_key=text)] == [Role.SCORER] * 2
    revoke_key(database, actor="test", ref="crm")
    assert all(isinstance(one, AccessError) for one in found(x_api_key=text))
    make_user(database)
    token, _ = token_of(database, gates[0])
    bearer = {"authorization": f"Bearer {token}"}
    assert [(caller.id, caller.role) for caller in found(**bearer)] == [("user:ana", Role.ANALYST)] * 2
    change_user(database, actor="test", name="ana", role=Role.VIEWER)
    assert [caller.role for caller in found(**bearer)] == [Role.VIEWER] * 2
    change_user(database, actor="test", name="ana", disabled=True)
    assert all(isinstance(one, AccessError) for one in found(**bearer))
    other_engine.dispose()


def test_a_key_revoked_by_another_process_is_refused(tmp_path, identify):
    from holdfast.store import open_store  # noqa: PLC0415 - only here

    home = tmp_path / "home"
    opened = open_store(home)
    gate = Gate(opened, Settings(home=home))
    _, text = make_key(opened)
    gate.refresh()
    line = [sys.executable, "-m", "holdfast.cli", "--home", str(home), "keys", "revoke", "crm"]
    subprocess.run(line, check=True, capture_output=True)  # noqa: S603 - our own program
    assert identify(gate, x_api_key=text).role is Role.SCORER
    gate.refresh()
    assert isinstance(identify(gate, x_api_key=text), AccessError)
    opened.dispose()


def test_an_access_token_ends_with_its_session_and_its_user(database, gate, identify):
    make_user(database)
    token, login = token_of(database, gate)
    gate.refresh()
    bearer = {"authorization": f"Bearer {token}"}
    assert identify(gate, **bearer).id == "user:ana"
    log_out(database, login.refresh)
    gate.refresh()
    assert isinstance(identify(gate, **bearer), AccessError)
    token, _ = token_of(database, gate)
    delete_user(database, actor="test", name="ana")
    gate.refresh()
    assert isinstance(identify(gate, authorization=f"Bearer {token}"), AccessError)


def test_somebody_new_of_an_old_name_does_not_get_the_old_tokens(database, gate, identify):
    make_user(database)
    token, _ = token_of(database, gate)
    delete_user(database, actor="test", name="ana")
    with writing(database) as connection:
        make = {"name": "ana", "role": "admin", "password": "x"}
        later = datetime.now(UTC) + timedelta(seconds=2)
        connection.execute(sa.insert(users).values(**make, created=later))
    fresh = Gate(database, gate._settings)
    assert isinstance(identify(fresh, authorization=f"Bearer {token}"), AccessError)


def test_a_database_that_fails_leaves_what_was_known(tmp_path, identify):
    from holdfast.store import open_store  # noqa: PLC0415 - only here

    home = tmp_path / "home"
    opened = open_store(home)
    settings = Settings(home=home)
    _, text = make_key(opened)
    gate = Gate(opened, settings)
    with writing(opened) as connection:
        connection.execute(sa.text("ALTER TABLE audit_head RENAME TO elsewhere"))
    gate.refresh()
    assert identify(gate, x_api_key=text).role is Role.SCORER
    blind = Gate(opened, settings)
    assert blind.configured
    assert not blind.administrable
    with pytest.raises(StoreError):
        identify(blind, local=True, x_api_key=text)
    opened.dispose()


def test_administrable_needs_a_usable_admin(database, gate):
    assert not gate.administrable
    make_key(database, "low", Role.OPERATOR)
    make_key(database, "ops", Role.ADMIN)
    gate.refresh()
    assert gate.administrable
    revoke_key(database, actor="test", ref="ops")
    gate.refresh()
    assert not gate.administrable
    make_user(database, role=Role.ADMIN)
    gate.refresh()
    assert gate.administrable


def test_a_key_costs_no_query(database, gate, identify):
    _, text = make_key(database)
    gate.refresh()
    asked = []
    sa.event.listen(database, "before_cursor_execute", lambda *words: asked.append(words[2]))
    assert identify(gate, x_api_key=text).role is Role.SCORER
    assert asked == []
    gate.refresh()
    assert len([sql for sql in asked if "audit_head" in sql]) == 1
    assert not [sql for sql in asked if "api_keys" in sql]
    assert "await" not in inspect.getsource(module._by_key)
