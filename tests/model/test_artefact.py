from __future__ import annotations

import json
import os
import shutil

import pytest

from holdfast.model import ArtefactError, Model
from holdfast.model.artefact import MANIFEST, read_json, read_manifest, verify, write_json


def refuses(folder, *words):
    """Both `verify` and `Model.load` refuse, in words that name what is wrong."""
    for look in (verify, Model.load):
        with pytest.raises(ArtefactError) as caught:
            look(folder)
        for word in words:
            assert word in str(caught.value)


def test_a_sound_artefact_passes_and_its_manifest_is_returned(artefacts):
    for folder in artefacts.values():
        manifest = verify(folder)
        assert manifest == read_manifest(folder)
        present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert set(manifest["files"]) == present - {MANIFEST}


def test_a_really_trained_artefact_passes(trained):
    manifest = verify(trained.model.path)
    assert {"contract.toml", "features.json", "model.json", "report.html"} <= set(manifest["files"])


def test_one_flipped_bit_in_any_file_is_found(artefacts, tmp_path):
    for at, name in enumerate(sorted(read_manifest(artefacts["stack"])["files"])):
        folder = shutil.copytree(artefacts["stack"], tmp_path / str(at))
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        refuses(folder, f"{name} was changed")


def test_a_missing_file_is_found(artefacts, tmp_path):
    for at, name in enumerate(sorted(read_manifest(artefacts["blend"])["files"])):
        folder = shutil.copytree(artefacts["blend"], tmp_path / str(at))
        (folder / name).unlink()
        refuses(folder, f"{name} is missing")


@pytest.mark.parametrize("name", ["extra.txt", "members/extra.pkl", "deep/er/extra.bin"])
def test_an_added_file_is_found(copy, name):
    folder = copy()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"hello")
    refuses(folder, f"{name} was added")


def test_a_symbolic_link_is_found_even_to_the_same_bytes(copy, tmp_path):
    folder = copy()
    moved = tmp_path / "model.json"
    (folder / "model.json").rename(moved)
    (folder / "model.json").symlink_to(moved)
    refuses(folder, "model.json is a link")


def test_a_linked_folder_is_found(copy, tmp_path):
    folder = copy()
    (folder / "members").rename(tmp_path / "members")
    (folder / "members").symlink_to(tmp_path / "members")
    refuses(folder, "members is a link")


def test_a_linked_manifest_is_no_manifest(copy, tmp_path):
    folder = copy()
    (folder / MANIFEST).rename(tmp_path / MANIFEST)
    (folder / MANIFEST).symlink_to(tmp_path / MANIFEST)
    refuses(folder, "no manifest.json")


def test_a_pipe_is_no_plain_file(copy):
    folder = copy()
    os.mkfifo(folder / "members" / "pipe")
    refuses(folder, "members/pipe is a link or no plain file")


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda m: m["files"].update({"model.json": "0" * 64}), "model.json was changed"),
        (lambda m: m["files"].pop("model.json"), "model.json was added"),
        (lambda m: m["files"].update({"../model.json": "0" * 64}), "../model.json is missing"),
        (lambda m: m["files"].update({"/etc/hostname": "0" * 64}), "/etc/hostname is missing"),
        (lambda m: m.update(format=2), "format 2"),
        (lambda m: m.pop("format"), "format None"),
        (lambda m: m.update(files=["model.json"]), "list files"),
        (lambda m: m.update(files={"model.json": 7}), "list files"),
        (lambda m: m.pop("files"), "list files"),
    ],
)
def test_an_edited_manifest_is_refused(copy, edit, word):
    folder = copy()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    edit(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    refuses(folder, word)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"7",
        b"null",
        b'{"files": ',
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"format": 1, "files": {}, "x": NaN}',
        b'{"format": 1, "files": {}, "x": 1e999}',
        b'{"format": 1, "files": {}, "x": ' + b"9" * 10_000 + b"}",
        b" " * (5 * 1024 * 1024),
    ],
    ids=lambda content: f"{content[:20]!r} {len(content)}",
)
def test_a_garbage_manifest_is_refused(copy, content):
    folder = copy()
    (folder / MANIFEST).write_bytes(content)
    refuses(folder)


@pytest.mark.parametrize("kind", ["absent", "file", "empty"])
def test_what_is_no_artefact_is_refused(tmp_path, kind):
    place = tmp_path / "x"
    if kind == "file":
        place.write_text("hello")
    if kind == "empty":
        place.mkdir()
    refuses(place, "not a Holdfast artefact")


def test_the_error_has_a_stable_code_and_says_where(tmp_path):
    with pytest.raises(ArtefactError) as caught:
        verify(tmp_path)
    assert caught.value.as_dict()["code"] == "artefact"
    assert caught.value.where == str(tmp_path)


def test_floats_keep_every_bit_and_nan_is_never_written(tmp_path):
    numbers = [0.1 + 0.2, 1e-300, -0.0, 2**-1074, 1.7976931348623157e308]
    write_json(tmp_path, "x.json", numbers)
    assert [x.hex() for x in read_json(tmp_path, "x.json")] == [x.hex() for x in numbers]
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path, "x.json", [float("nan")])


@pytest.mark.parametrize(
    "name", ["../x.json", "/etc/passwd", "", ".", "..", "a/b.json", "a\\b", "x\0", None, 7]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "x.json").write_text("1")
    with pytest.raises(ArtefactError):
        read_json(tmp_path / "in", name)
