from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from holdfast import __version__
from holdfast.api.policy import POLICY, PUBLIC
from holdfast.api.problems import PROBLEMS
from holdfast.cli.main import app
from holdfast.features.record import RECORD_FEATURES
from holdfast.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_table_of_features_is_what_the_code_says():
    import feature_table  # noqa: PLC0415 - a script, found through the line above

    page = feature_table.PAGE.read_text(encoding="utf-8")
    assert page == feature_table.written(page), "run `make docs`"
    assert len(RECORD_FEATURES) == 25
    assert all(f"| `{name}` |" in page for name in RECORD_FEATURES)


def test_the_table_of_settings_is_what_the_class_says():
    import settings_table  # noqa: PLC0415 - as above

    page = settings_table.PAGE.read_text(encoding="utf-8")
    assert page == settings_table.written(page), "run `make docs`"
    assert all(f"| `HOLDFAST_{name.upper()}` |" in page for name in Settings.model_fields)


def test_the_table_of_routes_is_what_the_policy_says():
    import access_table  # noqa: PLC0415 - as above

    page = access_table.PAGE.read_text(encoding="utf-8")
    assert page == access_table.written(page), "run `make docs`"
    assert all(f"`{method} {path}`" in page for path, method in (*POLICY, *PUBLIC))


def test_the_table_of_problems_names_each_code_with_its_status():
    page = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)
    told = [(code, statuses) for statuses, codes in rows for code in re.findall(r"`(\w+)`", codes)]
    assert sorted(code for code, _ in told) == sorted(PROBLEMS)
    assert [code for code, statuses in told if str(PROBLEMS[code][0]) not in statuses] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


def test_every_decision_names_what_enforces_it():
    records = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert records
    for record in records:
        assert "\n## Enforced by\n" in record.read_text(encoding="utf-8"), record.name


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    groups = [group.name for group in app.registered_groups]
    assert names
    assert groups
    assert [name for name in [*names, *groups] if f"`holdfast {name}`" not in readme] == []


def test_the_changelog_tells_of_the_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
