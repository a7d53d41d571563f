"""Parquet comes as it is typed, and what only pretends to be Parquet is told so."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from holdfast.simulator.files import ORACLE_MARK
from holdfast.sources import SourceError, iter_batches, read_table, table_size
from holdfast.sources import columnar as columnar_room

FRAME = pl.DataFrame(
    {
        "id": ["a", "b", None],
        " spend ": [1.5, float("nan"), None],
        "n": [1, 2, None],
        "on": [True, False, None],
        "day": [dt.date(2024, 1, 2), None, None],
    }
)


@pytest.fixture
def path(tmp_path):
    FRAME.write_parquet(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_values_and_types_come_back_with_names_stripped(path):
    raw = read_table(path)
    assert_frame_equal(raw.frame, FRAME.rename({" spend ": "spend"}))
    assert raw.rows.to_list() == [1, 2, 3]
    assert raw.format == "Parquet"
    assert table_size(path).rows == 3


def test_the_name_of_a_file_does_not_decide(path):
    other = path.rename(path.with_name("t.csv"))
    assert read_table(other).frame.height == 3


def test_batches_are_cut_and_numbered(tmp_path):
    pl.DataFrame({"x": range(10), "y": range(10)}).write_parquet(tmp_path / "t.parquet", row_group_size=3)
    batches = list(iter_batches(tmp_path / "t.parquet", batch_rows=4, columns=["y"]))
    assert pl.concat([batch.frame for batch in batches])["y"].to_list() == list(range(10))
    assert batches[0].frame.columns == ["y"]
    assert max(batch.frame.height for batch in batches) <= 4
    assert [batch.first_row for batch in batches][:2] == [1, batches[0].frame.height + 1]
    assert batches[-1].done == 1.0


def test_dictionary_columns_are_read(tmp_path):
    frame = pl.DataFrame({"level": pl.Series(["a", "b"], dtype=pl.Categorical)})
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame["level"].cast(pl.String).to_list() == ["a", "b"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _: b"a,b\n1,2\n", "is not Parquet"),
        (lambda data: data[:-10], "cut off"),
        (lambda data: data[:200] + b"PAR1", "cannot be read"),
        (lambda _: b"", "empty"),
    ],
)
def test_what_is_no_parquet_is_a_clear_error(path, spoil, says):
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(SourceError, match=says):
        read_table(path)


def test_damage_inside_is_a_clear_error(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"x": [f"text {place}" for place in range(5000)]}).write_parquet(path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[40:400] = b"\xff" * 360
    path.write_bytes(data)
    with pytest.raises(SourceError):
        read_table(path)


def test_names_that_differ_by_blanks_only_are_refused(tmp_path):
    pl.DataFrame({"x": [1], "x ": [2]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="more than once"):
        read_table(tmp_path / "t.parquet")


def test_no_rows_is_a_clear_error(tmp_path):
    FRAME.head(0).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="no rows"):
        read_table(tmp_path / "t.parquet")


def test_the_simulators_oracle_is_refused(tmp_path):
    assert columnar_room.ORACLE_MARK.decode() == ORACLE_MARK
    FRAME.write_parquet(tmp_path / "oracle.parquet", metadata={ORACLE_MARK: "true"})
    with pytest.raises(SourceError, match="oracle"):
        next(iter_batches(tmp_path / "oracle.parquet"))
