from __future__ import annotations

import pytest

from holdfast.access import Role, role_of
from holdfast.errors import UsageError
from holdfast.store.tables import ROLES


def test_roles_rise_from_viewer_to_admin():
    assert [role.label for role in sorted(Role)] == ["viewer", "scorer", "analyst", "operator", "admin"]


@pytest.mark.parametrize("name", ["", "root", "ADMIN ", "admin\x00"])
def test_another_role_is_refused_with_those_there_are(name):
    with pytest.raises(UsageError) as told:
        role_of(name)
    assert "admin" in told.value.hint


def test_the_store_knows_the_same_roles_in_the_same_order():
    assert [role.label for role in sorted(Role)] == list(ROLES)
