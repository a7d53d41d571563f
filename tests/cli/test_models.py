from __future__ import annotations

import tarfile

import pytest


def test_an_empty_home_says_what_to_do_and_stays_empty(process, tmp_path):
    for line in (["models"], ["models", "list"]):
        shown = process(*line)
        assert (shown.code, shown.err) == (0, "")
        assert "holdfast train" in shown.out
    missing = process("models", "show")
    assert missing.code == 2
    assert "holdfast train" in missing.err
    assert list(tmp_path.iterdir()) == []


def test_the_list_has_a_line_a_version_with_its_status_and_metrics(holdfast, register):
    register(log_loss=0.4112, roc_auc=0.8491, curve=[1, 2])
    register(log_loss=0.4099)
    shown = holdfast("models").out.splitlines()
    assert [line.split()[:2] for line in shown[1:]] == [["v1", "champion"], ["v2", "challenger"]]
    assert "0.4112" in shown[1]
    assert "0.8491" in shown[1]
    as_json = holdfast("models", "list", "--json").json()["models"]
    assert [one["version"] for one in as_json] == ["v1", "v2"]
    assert as_json[0]["metrics"]["curve"] == [1, 2]


def test_show_tells_one_version(holdfast, register):
    register(log_loss=0.4112)
    shown = holdfast("models", "show", "v1").out
    assert "v1 (champion)" in shown
    assert "0.4112" in shown
    assert holdfast("models", "show", "--json").json()["model"]["recipe"] == "lightgbm"


@pytest.mark.usefixtures("files_are_sound")
def test_promote_and_rollback_change_the_champion(holdfast, register):
    register()
    register()
    assert holdfast("models", "promote", "challenger").out == "v2 is champion now instead of v1.\n"
    again = holdfast("models", "promote", "2", "--json").json()
    assert (again["changed"], again["model"]["status"]) == (False, "champion")
    assert holdfast("models", "rollback").out == "v1 is champion again instead of v2.\n"
    nothing_left = holdfast("models", "rollback")
    assert nothing_left.code == 2
    assert "no earlier champion" in nothing_left.err


@pytest.mark.usefixtures("files_are_sound")
def test_verify_tells_all_damaged_versions_and_fails(holdfast, register):
    for _ in range(3):
        version = register()
    assert holdfast("models", "verify").out == "As registered: v1, v2, v3. Damaged: 0.\n"
    (version.path / "manifest.json").write_text("{ }")
    damaged = holdfast("models", "verify", "--json")
    assert damaged.code == 1
    assert damaged.json()["verified"] == ["v1", "v2"]
    assert [one["version"] for one in damaged.json()["damaged"]] == ["v3"]
    in_words = holdfast("models", "verify")
    assert in_words.code == 1
    assert "v3: " in in_words.out
    assert "manifest" in in_words.out
    assert holdfast("models", "verify", "-q").out == in_words.out
    assert holdfast("models", "verify", "v3").code == 1
    assert holdfast("models", "verify", "v2").code == 0


@pytest.mark.usefixtures("files_are_sound")
def test_export_copies_and_never_overwrites(holdfast, register, tmp_path):
    register()
    assert holdfast("models", "export", "champion", "model.tar.gz").code == 0
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        assert archive.getnames() == ["customers-v1/manifest.json", "customers-v1/model.txt"]
    again = holdfast("models", "export", "champion", "model.tar.gz")
    assert again.code == 2
    assert "already there" in again.err


def test_a_database_that_is_none_is_one_clear_error(process, tmp_path):
    (tmp_path / ".holdfast").mkdir()
    (tmp_path / ".holdfast" / "holdfast.db").write_bytes(b"no database" * 1000)
    failed = process("models", "list", "--json")
    assert (failed.code, failed.json()["error"]["code"]) == (1, "store")
    assert "Traceback" not in process("models", "list").err
