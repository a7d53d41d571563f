from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = [one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra]
WANTED = [
    Requirement(one)
    for one in PROJECT["project"]["dependencies"] + EXTRAS + PROJECT["dependency-groups"]["dev"]
]
PINS = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", LOCK, re.MULTILINE)


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_the_lock_pins_what_the_project_asks_for(wanted):
    versions = [version for name, version in PINS if plain(name) == plain(wanted.name)]
    assert versions, "run `make lock`"
    assert all(wanted.specifier.contains(version, prereleases=True) for version in versions)


def test_every_pin_has_a_hash_and_none_an_address():
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) == len(PINS)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--index|--find-links|--extra", LOCK)


CALLED = {
    "sklearn": "scikit-learn",
    "imblearn": "imbalanced-learn",
    "xgboost": "xgboost-cpu",
    "jwt": "pyjwt",
    "opentelemetry": "opentelemetry-sdk",
}
COMES_WITH = {
    "starlette": "fastapi",
    "pydantic_core": "pydantic",
    "threadpoolctl": "scikit-learn",
    "py4j": "pyspark",
}
ONLY_IF_THE_CALLER_HAS_IT = {"pandas"}


def test_the_package_imports_only_what_it_declares():
    wanted = [*PROJECT["project"]["dependencies"], *EXTRAS]
    declared = {plain(Requirement(one).name) for one in wanted}
    imported = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported |= {name.split(".")[0] for name in names}
    foreign = imported - sys.stdlib_module_names - ONLY_IF_THE_CALLER_HAS_IT - {"holdfast"}
    assert {plain(CALLED.get(name, COMES_WITH.get(name, name))) for name in foreign} <= declared
