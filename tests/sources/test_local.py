"""A folder of files is one table, and a file that does not belong to it is named."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from holdfast.errors import HoldfastError
from holdfast.simulator.files import ORACLE_MARK
from holdfast.sources import SourceError, Where, list_tables, open_source

JANUARY = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - most tables have no zones
FRAME = pl.DataFrame(
    {
        "customer": ["a", "b", "c", None, "e"],
        "amount": [1.5, 2.0, None, -4.0, 0.1],
        "count": [1, 2, 3, None, 5],
        "at": [JANUARY + dt.timedelta(days=day, hours=12) for day in range(5)],
    }
)


def read(source, **asked):
    frames = [batch.frame for batch in source.batches(**asked)]
    return pl.concat(frames)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "bills"
    made.mkdir()
    FRAME[:2].write_parquet(made / "2024-01.parquet")
    FRAME[2:].select("at", "count", "amount", "customer").write_parquet(made / "2024-02.parquet")
    (made / "_SUCCESS").touch()
    (made / ".2024-01.parquet.crc").write_bytes(b"crc")
    (made / "README.md").write_text("Bills of 2024.")
    return made


def test_a_folder_reads_as_its_files_one_after_the_other(folder):
    source = open_source("bills", folder.parent)
    assert_frame_equal(read(source), FRAME)
    assert source.names() == tuple(FRAME.columns)
    assert source.schema() == FRAME.schema
    assert source.rows() == FRAME.height


def test_rows_are_numbered_within_their_file(folder):
    batches = list(open_source("bills", folder.parent).batches(batch_rows=2))
    told = [(batch.file.rpartition("/")[2], batch.rows.to_list()) for batch in batches]
    assert told == [("2024-01.parquet", [1, 2]), ("2024-02.parquet", [1, 2]), ("2024-02.parquet", [3])]
    assert [batch.done for batch in batches] == sorted(batch.done for batch in batches)
    assert batches[-1].done == 1.0


def test_lines_that_are_no_rows_are_told_with_their_file(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "t" / "2.csv").write_text("a;b\n1;2;3\n4;5\n")
    batches = list(open_source("t", tmp_path).batches())
    assert pl.concat([batch.frame for batch in batches]).rows() == [("1", "2"), ("4", "5")]
    assert batches[1].malformed["row"].to_list() == [1]
    assert batches[1].file.endswith("2.csv")
    assert batches[1].rows.to_list() == [2]


def test_only_the_columns_rows_and_number_of_them_that_are_asked_for_are_read(folder):
    source = open_source("bills", folder.parent)
    asked = [Where("at", ">=", JANUARY + dt.timedelta(days=1)), Where("count", "<", 5)]
    found = list(source.batches(columns=["amount", "nothing"], where=asked))
    assert pl.concat([batch.frame for batch in found])["amount"].to_list() == [2.0, None]
    assert [batch.rows.to_list() for batch in found] == [[2], [1]]
    assert read(source, limit=3).height == 3
    assert read(source, where=[Where("customer", "==", "e")], limit=3)["customer"].to_list() == ["e"]


@pytest.mark.parametrize(
    "wrong",
    [Where("nothing", "==", 1), Where("count", "<", "x"), Where("at", "<", JANUARY.replace(tzinfo=dt.UTC))],
)
def test_conditions_that_cannot_be_asked_are_refused(folder, wrong):
    with pytest.raises(SourceError, match=wrong.column):
        list(open_source("bills", folder.parent).batches(where=[wrong]))


@given(st.sampled_from(["==", "<", "<=", ">", ">="]), st.integers(0, 6))
def test_conditions_choose_what_comparing_row_by_row_chooses(tmp_path_factory, op, bound):
    file = tmp_path_factory.mktemp("where") / "t.parquet"
    FRAME.write_parquet(file)
    compared = {"==": "__eq__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[op]
    expected = [n for n in FRAME["count"].to_list() if n is not None and getattr(n, compared)(bound)]
    assert (
        read(open_source(str(file), file.parent), where=[Where("count", op, bound)])["count"].to_list()
        == expected
    )


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (FRAME.drop("count"), 'lacks "count"'),
        (FRAME.with_columns(extra=1), 'has "extra"'),
        (FRAME.with_columns(pl.col("amount").cast(pl.String)), '"amount" has the type String'),
        (FRAME.with_columns(pl.col("at").dt.replace_time_zone("UTC")), '"at"'),
    ],
)
def test_a_file_that_differs_is_named(folder, other, says):
    other.write_parquet(folder / "2024-03.parquet")
    with pytest.raises(SourceError, match=says) as told:
        open_source("bills", folder.parent).names()
    assert told.value.where.endswith("2024-03.parquet")


def test_numbers_and_empty_columns_of_other_types_are_one_table(folder):
    other = FRAME.with_columns(pl.col("count").cast(pl.Float64), amount=pl.lit(None))
    other.write_parquet(folder / "2024-03.parquet")
    source = open_source("bills", folder.parent)
    assert source.schema() == FRAME.schema | {"count": pl.Float64()}
    assert read(source).schema == source.schema()


def test_the_stamp_changes_with_the_files(folder):
    source = open_source("bills", folder.parent)
    before = source.stamp()
    assert open_source("bills", folder.parent).stamp() == before
    FRAME.write_parquet(folder / "2024-03.parquet")
    assert open_source("bills", folder.parent).stamp() != before


@pytest.mark.parametrize("source", ["nothing.csv", "empty", "nothing/"])
def test_what_is_not_there_is_a_clear_error(tmp_path, source):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HoldfastError, match=r"no such file|holds no CSV"):
        open_source(source, tmp_path).names()


def test_folders_in_a_folder_are_refused_and_not_passed_over(folder):
    deeper = folder / "2024"
    deeper.mkdir()
    (deeper / "notes.md").touch()
    assert read(open_source("bills", folder.parent)).height
    FRAME.write_parquet(deeper / "01.parquet")
    with pytest.raises(SourceError, match="holds another folder with files") as caught:
        open_source("bills", folder.parent).names()
    assert caught.value.where == str(deeper)
    for file in folder.glob("*.*"):
        file.unlink()
    assert list_tables(str(folder.parent)) == ["bills"]  # or nobody would be told
    deeper.rename(folder / "_2024")
    with pytest.raises(SourceError, match="no tables"):
        list_tables(str(folder.parent))


def test_tables_of_a_folder_are_its_files_and_folders_but_no_oracle_and_no_answers(folder):
    place = folder.parent
    for answer in ("shop.scored.csv", "shop.scored.parquet", "shop.scored.rejects.csv"):
        (place / answer).write_text("customer_id,churn_probability\n1,0.5\n")
    (place / "customers.csv").write_text("id\n1\n")
    (place / "churn.toml").touch()
    (place / "oracle").mkdir()
    FRAME.write_parquet(place / "oracle" / "truth.parquet", metadata={ORACLE_MARK: "true"})
    assert list_tables(str(place)) == ["bills", "customers.csv"]
    with pytest.raises(SourceError, match="no tables"):
        list_tables(str(place / "oracle"))
