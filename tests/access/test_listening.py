from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.access import Gate, Role, may_listen
from holdfast.access.keys import create_key, revoke_key
from holdfast.access.users import create_user
from holdfast.errors import UsageError
from holdfast.settings import Settings

OTHERS = ["0.0.0.0", "::", "192.168.1.5", "churn.example"]  # noqa: S104 - names of hosts, nothing listens


def refused(host, settings, gate):
    with pytest.raises(UsageError) as told:
        may_listen(host, settings, gate)
    return f"{told.value.message} {told.value.hint}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_this_machine_is_served_without_anything(gate, tmp_path, host):
    may_listen(host, Settings(home=tmp_path), gate)


@pytest.mark.parametrize("host", OTHERS)
def test_others_are_served_only_with_an_admin_and_a_secret(database, gate, settings, tmp_path, host):
    bare = Settings(home=tmp_path)
    assert "HOLDFAST_SECRET" in refused(host, bare, gate)
    assert "keys create --role admin" in refused(host, settings(), gate)
    create_key(database, actor="test", name="low", role=Role.OPERATOR)
    gate.refresh()
    assert "keys create --role admin" in refused(host, settings(), gate)
    create_key(database, actor="test", name="ops", role=Role.ADMIN)
    gate.refresh()
    may_listen(host, settings(), gate)
    assert "HOLDFAST_SECRET" in refused(host, bare, gate)
    revoke_key(database, actor="test", ref="ops")
    gate.refresh()
    refused(host, settings(), gate)


def test_an_admin_whose_time_is_over_is_none(database, gate, settings):
    soon = datetime.now(UTC) + timedelta(milliseconds=200)
    create_key(database, actor="test", name="ops", role=Role.ADMIN, expires=soon)
    gate.refresh()
    while datetime.now(UTC) < soon:
        pass
    refused("0.0.0.0", settings(), gate)  # noqa: S104 - nothing listens


def test_a_user_or_an_issuer_may_administer_too(database, gate, settings):
    issued = settings(oidc_issuer="https://login.example", oidc_audience="holdfast")
    may_listen("192.168.1.5", issued, Gate(database, issued))
    create_user(database, actor="test", name="ana", role=Role.ADMIN, password="four words or more")  # noqa: S106 - of tests
    gate.refresh()
    may_listen("192.168.1.5", settings(), gate)
