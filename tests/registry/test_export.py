from __future__ import annotations

import os
import tarfile
import zipfile

import pytest

from holdfast.errors import HoldfastError, UsageError
from holdfast.registry import RegistryError

NAMES = ["manifest.json", "model.txt", "plots/roc.svg"]


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["out.tar.gz", "out.TGZ", "out.zip"])
def test_an_archive_holds_the_version_and_equal_versions_give_equal_bytes(registry, register, tmp_path, name):
    version = register()
    registry.export("champion", tmp_path / "a" / name)
    for path in version.path.rglob("*"):
        os.utime(path, (1, 1))
    registry.export("v1", tmp_path / "b" / name)
    archive = tmp_path / "a" / name
    assert archive.read_bytes() == (tmp_path / "b" / name).read_bytes()
    if name.endswith("zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "back")  # noqa: S202 - made two lines above
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(tmp_path / "back", filter="data")
    assert files(tmp_path / "back" / "customers-v1") == files(version.path)
    assert sorted(files(version.path)) == NAMES


def test_a_folder_is_a_plain_copy(registry, register, tmp_path):
    version = register()
    registry.export("1", tmp_path / "deep" / "copy")
    assert files(tmp_path / "deep" / "copy") == files(version.path)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["copy"]


@pytest.mark.parametrize("name", ["there", "there.zip", "dangling"])
def test_nothing_is_overwritten(registry, register, tmp_path, name):
    register()
    (tmp_path / "there").mkdir()
    (tmp_path / "there.zip").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="already there"):
        registry.export("1", tmp_path / name)
    assert (tmp_path / "there.zip").read_text() == "mine"


def test_a_damaged_version_is_not_exported(registry, register, tmp_path):
    version = register()
    (version.path / "added.txt").write_text("")
    with pytest.raises(HoldfastError, match=r"added\.txt"):
        registry.export("1", tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_a_destination_that_cannot_be_written_leaves_nothing(registry, register, tmp_path):
    register()
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="export failed"):
        registry.export("1", tmp_path / "file" / "out.zip")
