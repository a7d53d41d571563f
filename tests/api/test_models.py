from __future__ import annotations

import pytest

from holdfast.audit import entries
from holdfast.registry import Registry


@pytest.fixture
def sound(monkeypatch):
    """The artefacts of these tests are empty; checking real ones belongs to another room."""
    monkeypatch.setattr("holdfast.registry.registry._verify_artefact", lambda _folder: None)


@pytest.fixture
def two(shop, open_client):
    shop.add()
    shop.add(promote=False)
    return open_client(shop)


def test_versions_are_told_without_their_place_on_disk(two, shop):
    listed = two.get("/models")
    assert listed.status_code == 200
    found = listed.json()["models"]
    assert [(one["version"], one["status"]) for one in found] == [("v1", "champion"), ("v2", "challenger")]
    assert two.get("/models/challenger").json() == found[1]
    assert two.get("/models/V1").json() == found[0]
    assert str(shop.home) not in listed.text
    assert "artefacts" not in listed.text


@pytest.mark.usefixtures("sound")
def test_promote_and_rollback_change_the_champion_and_are_audited(two, shop):
    promoted = two.post("/models/challenger/promote")
    assert promoted.status_code == 200
    assert (promoted.json()["model"]["version"], promoted.json()["changed"]) == ("v2", True)
    assert two.post("/models/2/promote").json()["changed"] is False
    assert two.post("/models/rollback").json()["model"]["version"] == "v1"
    made = [(one.actor, one.action, one.subject) for one in entries(shop.registry.engine, limit=2)]
    assert made == [("local", "models.rollback", "v1"), ("local", "models.promote", "v2")]


def test_who_promotes_what_another_promoted_meanwhile_changes_nothing(two, shop, monkeypatch):
    def meanwhile(_folder):
        Registry(shop.home, engine=shop.registry.engine, verify=lambda _: None).promote("2")

    monkeypatch.setattr("holdfast.registry.registry._verify_artefact", meanwhile)
    assert two.post("/models/2/promote").json()["changed"] is False


@pytest.mark.usefixtures("sound")
def test_the_connections_of_the_service_outlive_a_promotion(two, shop):
    for _ in range(3):
        two.post("/models/2/promote")
        two.post("/models/rollback")
    shared = Registry(shop.home, engine=shop.registry.engine)
    shared.close()
    assert two.get("/models").status_code == 200


def test_what_is_not_there_is_a_problem_that_names_what_is(two):
    for ask in (lambda: two.get("/models/v9"), lambda: two.post("/models/v9/promote")):
        missing = ask()
        assert (missing.status_code, missing.json()["code"]) == (404, "version")
        assert missing.json()["hint"] == "Registered: v1 (champion), v2 (challenger)."
    first = two.post("/models/rollback")
    assert (first.status_code, first.json()["code"]) == (409, "no_earlier")


def test_a_damaged_version_is_not_promoted_and_no_path_leaks(two, shop):
    (shop.registry.resolve("2").path / "manifest.json").write_text('{"changed": 1}')
    refused = two.post("/models/2/promote")
    assert (refused.status_code, refused.json()["code"]) == (409, "registry")
    assert str(shop.home) not in refused.text
    assert shop.registry.resolve("champion").label == "v1"
