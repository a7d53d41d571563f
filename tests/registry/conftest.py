from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import HoldfastError
from holdfast.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path


class FakeArtefactError(HoldfastError):
    code = "artefact"


def verify_sums(folder: Path) -> None:
    """Checks what the real one does, as shortly as possible: the folder holds what its manifest says."""
    listed = json.loads((folder / "manifest.json").read_text())
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    if wrong:
        raise FakeArtefactError(f"Damaged: {', '.join(wrong)}")


def fill_folder(folder: Path, text: str = "model") -> Path:
    """A small artefact: two files, one of them in a folder, and their manifest."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "model.txt").write_text(text)
    (folder / "plots" / "roc.svg").write_text("<svg/>")
    names = ("model.txt", "plots/roc.svg")
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "manifest.json").write_text(json.dumps(sums))
    return folder


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def fake_verify():
    return verify_sums


@pytest.fixture(scope="session")
def fill():
    return fill_folder


@pytest.fixture
def switch_to_postgres(request, monkeypatch):
    """Call it, and from then on the settings name a PostgreSQL database, with tables and without rows."""

    def switch():
        server, like = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_ready")
        monkeypatch.setenv("HOLDFAST_DATABASE_URL", server.url(like=like))

    return switch


@pytest.fixture
def registry(tmp_path, kind, switch_to_postgres):
    """A registry without versions, on each kind of database; the home does not exist yet."""
    if kind == "postgres":
        switch_to_postgres()
    made = Registry(tmp_path / "home", verify=verify_sums)
    yield made
    made.close()


@pytest.fixture
def register(registry):
    """Registers one more small artefact with the given registry (or the test's own)."""

    def register_one(into: Registry = registry, **changes):
        facts = {"name": "customers", "recipe": "fake", "contract_digest": "c" * 64, "data_digest": "d" * 64}
        facts |= {"metrics": {"auc": 0.85}} | changes
        with into.staging() as staged:
            return into.register(fill_folder(staged, text=str(len(into.list()))), **facts)

    return register_one
