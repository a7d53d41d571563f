from __future__ import annotations

import polars as pl
import pytest

from holdfast.errors import UsageError
from holdfast.simulator import ORACLE_MARK, simulate, write
from holdfast.sources import SourceError, read_table


@pytest.fixture(scope="module")
def world():
    return simulate(2_000, seed=3)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_world_gives_the_same_bytes(world, tmp_path, suffix):
    first = write(world, tmp_path / "a", suffix=suffix)
    second = write(simulate(2_000, seed=3), tmp_path / "b", suffix=suffix)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        f"customers.{suffix}",
        "oracle.parquet",
    ]


def test_the_csv_spells_a_missing_total_as_the_real_file_does(world, tmp_path):
    table, _ = write(world, tmp_path)
    read = pl.read_csv(table, infer_schema=False)
    assert (
        read.filter(pl.col("TotalCharges") == " ").height == world.customers["TotalCharges"].null_count() > 0
    )
    assert read.filter(pl.col("tenure") != "0")["TotalCharges"].cast(pl.Float64).null_count() == 0


def test_the_oracle_is_marked_and_joins_to_the_table(world, tmp_path):
    table, oracle = write(world, tmp_path, suffix="parquet")
    assert ORACLE_MARK in pl.read_parquet_metadata(oracle)
    assert ORACLE_MARK not in pl.read_parquet_metadata(table)
    assert pl.read_parquet(oracle)["customerID"].equals(pl.read_parquet(table)["customerID"])


def test_no_other_room_can_read_the_oracle(world, tmp_path):
    table, oracle = write(world, tmp_path)
    with pytest.raises(SourceError, match="oracle"):
        read_table(oracle)
    assert read_table(table).frame.height == 2_000


def test_nothing_is_overwritten_unasked(world, tmp_path):
    (tmp_path / "customers.csv").write_text("mine\n")
    with pytest.raises(UsageError, match="already there"):
        write(world, tmp_path)
    assert (tmp_path / "customers.csv").read_text() == "mine\n"
    write(world, tmp_path, overwrite=True)
    assert (tmp_path / "customers.csv").read_text() != "mine\n"


def test_a_folder_that_cannot_be_made_is_one_clear_error(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Cannot write"):
        write(world, tmp_path / "file" / "sub")
