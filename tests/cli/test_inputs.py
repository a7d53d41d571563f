from __future__ import annotations

from pathlib import Path

from holdfast.cli.inputs import typed


def test_a_file_is_shown_in_the_shortest_way_to_type_it_here(tmp_path, monkeypatch):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b" / "c")
    assert typed(tmp_path / "a" / "b" / "c" / "x.csv") == "x.csv"
    assert typed(Path("../../b/x.csv")) == "../x.csv"
    up = Path("../" * len(Path.cwd().parts))
    assert typed(up / "usr" / "x.csv") == "/usr/x.csv"
    assert typed(Path("july 2025.csv")) == "'july 2025.csv'"


def test_a_way_back_through_a_linked_folder_leads_to_the_file(tmp_path, monkeypatch):
    (tmp_path / "data" / "contracts").mkdir(parents=True)
    (tmp_path / "data" / "x.csv").write_text("x")
    (tmp_path / "linked").symlink_to(tmp_path / "data" / "contracts")
    monkeypatch.chdir(tmp_path)
    assert typed(Path("linked/../x.csv")) == "data/x.csv"
