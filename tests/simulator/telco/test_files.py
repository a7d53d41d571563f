from __future__ import annotations

import polars as pl
import pytest

from holdfast.contract.load import load_history
from holdfast.errors import UsageError
from holdfast.simulator import ORACLE_MARK
from holdfast.simulator.telco import World, write_world
from holdfast.simulator.telco import world as world_room
from holdfast.simulator.telco.world import TABLES
from holdfast.sources import SourceError, open_source, read_table

WORLD = World(250, 8, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_world(WORLD, tmp_path_factory.mktemp("telco")).contract.parent


def test_the_same_world_gives_the_same_bytes_however_many_blocks_are_under_way(tmp_path, monkeypatch):
    monkeypatch.setattr(world_room, "BLOCK", 60)
    places = [tmp_path / "one", tmp_path / "another"]
    for place, processors in zip(places, (1, 4), strict=True):
        monkeypatch.setattr("os.cpu_count", lambda found=processors: found)
        write_world(World(250, 8, seed=3), place)
    files = [
        sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file()) for place in places
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 8
    for name in files[0]:
        assert (places[0] / name).read_bytes() == (places[1] / name).read_bytes(), name


def test_blocks_follow_one_another_in_every_file(tmp_path, monkeypatch):
    monkeypatch.setattr(world_room, "BLOCK", 100)
    written = write_world(WORLD, tmp_path)
    for name, path in written.tables.items():
        assert pl.read_parquet(path).height == written.rows[name]
    assert pl.read_parquet(written.tables["customers"])["customer_id"].to_list() == [
        f"C{n:08d}" for n in range(250)
    ]
    assert pl.read_parquet(written.oracle / "customers.parquet").height == 250


def test_csv_holds_the_same_as_parquet(folder, tmp_path):
    written = write_world(WORLD, tmp_path, suffix="csv")
    for name, columns in TABLES.items():
        text = pl.read_csv(written.tables[name], infer_schema=False)
        whole = pl.read_parquet(folder / f"{name}.parquet")
        typed = [_read(column, kind) for column, kind in columns.items()]
        assert text.select(typed).equals(whole), name
    assert load_history(written.contract).tables["customers"].source == "customers.csv"


def _read(column, kind):
    if isinstance(kind, pl.Datetime):
        return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    return pl.col(column).str.to_date() if kind == pl.Date else pl.col(column).cast(kind)


def test_the_contract_describes_the_tables_beside_it(folder):
    history = load_history(folder / "churn.toml")
    assert list(history.tables) == list(TABLES)
    assert history.clock.until == WORLD.calendar.day(8)
    for name, table in history.tables.items():
        frame = pl.read_parquet(folder / table.source)
        assert set(table.clocks) | set(table.columns) == set(frame.columns), name
        for column, told in table.columns.items():
            if told.levels is not None:
                assert set(frame[column].drop_nulls()) <= set(told.levels), column


def test_no_other_room_can_read_the_oracle(folder):
    files = sorted((folder / "oracle").iterdir())
    assert [path.name for path in files] == ["calendar.parquet", "customers.parquet", "truth.parquet"]
    for path in files:
        assert ORACLE_MARK in pl.read_parquet_metadata(path)
        with pytest.raises(SourceError, match="oracle"):
            read_table(path)
        with pytest.raises(SourceError, match="oracle"), open_source(str(path), folder) as source:
            list(source.batches(["customer_id"]))
    assert ORACLE_MARK not in pl.read_parquet_metadata(folder / "customers.parquet")


def test_no_table_shows_what_is_hidden(folder):
    hidden = {"taste", "premium", "family", "effect_discount", "effect_call"}
    told = {name for table in TABLES.values() for name in table}
    assert hidden < set(pl.read_parquet_schema(folder / "oracle" / "customers.parquet"))
    assert not told & hidden
    assert not [name for name in told if name.startswith(("churn", "observable"))]


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "churn.toml").write_text("mine\n")
    with pytest.raises(UsageError, match="already there"):
        write_world(WORLD, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["churn.toml"]
    write_world(WORLD, tmp_path, overwrite=True)
    again = write_world(World(20, 6, seed=1), tmp_path, overwrite=True)
    assert pl.read_parquet(again.tables["customers"]).height == 20
    assert pl.read_parquet(again.oracle / "customers.parquet").height == 20


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Cannot write"):
        write_world(WORLD, tmp_path / "file" / "sub")


def test_progress_counts_customers(tmp_path):
    class Counting:
        done = 0.0
        said = ""

        def start(self, name, total):
            self.said = f"{name}: {total}"

        def advance(self, amount=1.0, note=None):
            assert note is None
            self.done += amount

    progress = Counting()
    write_world(WORLD, tmp_path, progress=progress)
    assert progress.said == "Simulating 250 customers over 8 months: 250"
    assert progress.done == 250
