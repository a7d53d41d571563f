from __future__ import annotations

import os

import pytest

from holdfast.errors import UsageError
from holdfast.scoring import destination
from holdfast.sources import SourceError


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "july.2025.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_unless_named_it_is_beside_the_table(table, tmp_path):
    found = destination(table, None)
    assert found.out == tmp_path / "july.2025.scored.csv"
    assert found.rejects == tmp_path / "july.2025.scored.csv.rejects.csv"


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("o.csv", "csv"),
        ("o.CSV", "csv"),
        ("o.csv.gz", "csv.gz"),
        ("o.parquet", "parquet"),
        ("o.pq", "parquet"),
    ],
)
def test_the_ending_says_how_it_is_written(table, tmp_path, name, layout):
    assert destination(table, tmp_path / name).layout == layout


@pytest.mark.parametrize("name", ["o.xlsx", "o", "o.json"])
def test_other_endings_are_refused(table, tmp_path, name):
    with pytest.raises(UsageError, match="ending"):
        destination(table, tmp_path / name)


def test_a_file_that_is_there_needs_overwrite(table, tmp_path):
    (tmp_path / "o.csv").write_text("mine")
    with pytest.raises(UsageError, match="already there"):
        destination(table, tmp_path / "o.csv")
    assert destination(table, tmp_path / "o.csv", overwrite=True).out == tmp_path / "o.csv"


@pytest.mark.parametrize("way", ["same", "dots", "symlink", "hard link"])
def test_the_table_itself_is_never_overwritten(table, tmp_path, way):
    out = {
        "same": table,
        "dots": tmp_path / "x" / ".." / table.name,
        "symlink": tmp_path / "s.csv",
        "hard link": tmp_path / "h.csv",
    }[way]
    (tmp_path / "x").mkdir()
    if way == "symlink":
        out.symlink_to(table)
    elif way == "hard link":
        os.link(table, out)
    with pytest.raises(UsageError, match="overwrite the table"):
        destination(table, out, overwrite=True)


def test_the_rejects_must_not_overwrite_the_table_either(tmp_path):
    table = tmp_path / "o.csv.rejects.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="overwrite the table"):
        destination(table, tmp_path / "o.csv", overwrite=True)


def test_a_folder_is_refused(table, tmp_path):
    (tmp_path / "o.csv").mkdir()
    with pytest.raises(UsageError, match="directory"):
        destination(table, tmp_path / "o.csv", overwrite=True)


def test_a_table_that_is_not_there_is_said_first(tmp_path):
    with pytest.raises(SourceError):
        destination(tmp_path / "gone.csv", tmp_path / "o.xlsx")
