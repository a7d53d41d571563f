from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from holdfast.cli.main import run
from holdfast.registry import Registry


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("HOLDFAST_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def holdfast(capsys):
    """Runs a command line in this process."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(tmp_path):
    """Runs a command line as users do, in a process of its own."""

    def call(*arguments: object) -> Outcome:
        line = [sys.executable, "-m", "holdfast.cli", *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)  # noqa: S603 - our own program
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def register(tmp_path):
    """Registers one more small version in the default home; its files are only a manifest and a text."""

    def one(**metrics):
        registry = Registry(tmp_path / ".holdfast")
        facts = {
            "name": "customers",
            "recipe": "lightgbm",
            "contract_digest": "c" * 64,
            "data_digest": "d" * 64,
        }
        with registry.staging() as staged:
            (staged / "manifest.json").write_text("{}")
            (staged / "model.txt").write_text("model")
            version = registry.register(staged, metrics=metrics, **facts)
        registry.close()
        return version

    return one


@pytest.fixture
def files_are_sound(monkeypatch):
    """Checking an artefact's files belongs to another room; here every artefact is sound."""
    monkeypatch.setattr("holdfast.registry.registry._verify_artefact", lambda _folder: None)
