"""Objects of a real S3-compatible store read as the same files, also when it falters."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
import tempfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError
from real_s3 import SECRET
from tcp_proxy import TcpProxy

from holdfast.settings import Settings
from holdfast.simulator.files import ORACLE_MARK
from holdfast.sources import SourceError, Where, list_tables, open_source

NAIVE = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - most tables have no zones
FRAME = pl.DataFrame(
    {
        "id": range(20_000),
        "at": [NAIVE + dt.timedelta(hours=n) for n in range(20_000)],
        "note": [os.urandom(20).hex() for _ in range(20_000)],
        " level ": ["a", "b", None, "d"] * 5_000,
    }
)
NAMED = FRAME.rename({" level ": "level"})


def parquet(frame, **options) -> bytes:
    data = io.BytesIO()
    frame.write_parquet(data, **options)
    return data.getvalue()


def read(source, **asked):
    with source:
        schema = source.schema()
        empty = pl.DataFrame(schema={name: schema[name] for name in asked.get("columns", schema)})
        return pl.concat([empty, *(batch.frame for batch in source.batches(**asked))])


@pytest.fixture(scope="module")
def frame_address(s3):
    return s3.put("module/frame.parquet", parquet(FRAME, row_group_size=1_000))


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where copies are kept while they are read."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def faltering(s3):
    """Lets the store answer some requests with SlowDown."""

    def set_up(which) -> None:
        s3.asked = 0
        s3.falter = which

    yield set_up
    s3.falter = lambda _: False


@pytest.mark.parametrize("packed", [False, True])
def test_an_object_of_text_reads_as_the_file(s3, s3_settings, tmp_path, packed):
    text = b"\xef\xbb\xbfa;b\n1;x\n2;\n3;y;z\n;w\n"
    data = gzip.compress(text) if packed else text
    (tmp_path / "t.csv").write_bytes(data)
    address = s3.put(f"text/{packed}.csv", data)
    far = list(open_source(address, Path(), s3_settings()).batches())
    near = list(open_source("t.csv", tmp_path).batches())
    assert_frame_equal(pl.concat([b.frame for b in far]), pl.concat([b.frame for b in near]))
    assert_frame_equal(pl.concat([b.malformed for b in far]), pl.concat([b.malformed for b in near]))
    assert far[-1].rows.to_list() == near[-1].rows.to_list() == [1, 2, 4]
    assert {batch.file for batch in far} == {address}


def test_an_object_of_parquet_reads_as_the_file(s3_settings, frame_address, scratch):
    source = open_source(frame_address, Path(), s3_settings())
    assert source.schema() == NAMED.schema
    assert source.rows() == FRAME.height
    assert_frame_equal(read(source), NAMED)
    assert list(scratch.iterdir()) == []


def test_objects_below_a_prefix_are_one_table(s3, s3_settings):
    s3.put("bills/2024-01.parquet", parquet(FRAME[:10]))
    s3.put("bills/2024-02.parquet", parquet(FRAME[10:30]))
    s3.put("bills/_SUCCESS", b"")
    s3.put("bills/older/2023.parquet", parquet(FRAME[30:]))
    for address in ["s3://telco/bills", "s3://telco/bills/"]:
        assert_frame_equal(read(open_source(address, Path(), s3_settings())), NAMED[:30])
    s3.put("bills/2024-03.parquet", parquet(FRAME.drop("note")))
    with pytest.raises(SourceError, match='lacks "note"') as told:
        open_source("s3://telco/bills", Path(), s3_settings()).names()
    assert told.value.where == "s3://telco/bills/2024-03.parquet"


def test_tables_below_a_prefix_are_its_objects_and_prefixes_but_no_oracle(s3, s3_settings):
    s3.put("world/customers.csv", b"id\n1\n")
    s3.put("world/bills/1.parquet", parquet(FRAME[:3]))
    s3.put("world/oracle/truth.parquet", parquet_of_oracle())
    s3.put("world/README.md", b"A world.")
    assert list_tables("s3://telco/world", s3_settings()) == [
        "s3://telco/world/bills",
        "s3://telco/world/customers.csv",
    ]
    with pytest.raises(SourceError, match="no CSV or Parquet"):
        list_tables("s3://telco/world/oracle/", s3_settings())
    with pytest.raises(SourceError, match="oracle") as told:
        open_source("s3://telco/world/oracle/truth.parquet", Path(), s3_settings()).names()
    assert told.value.where == "s3://telco/world/oracle/truth.parquet"


def parquet_of_oracle() -> bytes:
    return parquet(FRAME[:3], metadata={ORACLE_MARK: "true"})


def test_of_parquet_only_the_columns_and_groups_of_rows_come_that_are_asked_for(
    s3, s3_settings, frame_address
):
    def sent(**asked):
        before = s3.sent
        found = read(open_source(frame_address, Path(), s3_settings()), **asked)
        return found, s3.sent - before

    whole, all_bytes = sent()
    ids, bytes_of_ids = sent(columns=["id"])
    late = NAIVE + dt.timedelta(hours=19_500)
    some, bytes_of_some = sent(where=[Where("at", ">=", late)])
    assert_frame_equal(ids, whole.select("id"))
    assert_frame_equal(some, whole.filter(pl.col("at") >= late))
    assert bytes_of_ids < all_bytes / 2
    assert bytes_of_some < all_bytes / 2
    assert_frame_equal(sent(limit=5)[0], whole[:5])


@pytest.mark.parametrize(("column", "value"), [("id", 999), ("id", 1_000), ("level", "b"), ("id", -1)])
def test_conditions_choose_the_same_rows_in_the_store_as_in_a_file(
    s3_settings, frame_address, tmp_path, column, value
):
    FRAME.write_parquet(tmp_path / "t.parquet")
    for op in ["==", "<", "<=", ">", ">="]:
        asked = {"where": [Where(column, op, value)], "columns": ["id"]}
        found = read(open_source(frame_address, Path(), s3_settings()), **asked)
        assert_frame_equal(found, read(open_source("t.parquet", tmp_path), **asked))


def test_a_store_that_is_busy_for_a_moment_is_asked_again(s3, s3_settings, frame_address, faltering):
    small = s3.put("small.csv", b"a,b\n1,2\n")
    faltering(lambda request: request % 3 == 2)
    assert_frame_equal(read(open_source(frame_address, Path(), s3_settings())), NAMED)
    assert read(open_source(small, Path(), s3_settings())).rows() == [("1", "2")]


def test_a_store_that_stays_busy_is_one_clear_error(s3, s3_settings, faltering):
    address = s3.put("busy.csv", b"a,b\n1,2\n")
    faltering(lambda _: True)
    with pytest.raises(SourceError, match="failed after 2 tries") as told:
        open_source(address, Path(), s3_settings(source_retries=1)).names()
    assert told.value.where == address
    assert SECRET not in str(told.value)


def test_a_line_that_breaks_in_the_middle_is_tried_again_and_each_row_comes_once(
    s3, s3_settings, monkeypatch
):
    text = b"id,noise\n" + b"".join(b"%d,%s\n" % (n, os.urandom(20).hex().encode()) for n in range(40_000))
    address = s3.put("long.csv", text)
    monkeypatch.setattr("holdfast.sources.store.PIECE", 1 << 18)
    proxy = TcpProxy(s3.address)
    try:
        rows = open_source(address, Path(), s3_settings(proxy.address, source_retries=5)).batches(["id"])
        next(rows)
        proxy.reset()
        found = pl.concat([batch.frame for batch in rows])
    finally:
        proxy.close()
    assert found["id"].to_list() == [str(n) for n in range(40_000)]


def test_a_store_that_goes_away_in_the_middle_is_one_clear_error_and_leaves_nothing(
    s3, s3_settings, monkeypatch, scratch
):
    address = s3.put("long.csv", b"id\n" + b"1234567\n" * 100_000)
    monkeypatch.setattr("holdfast.sources.store.PIECE", 1 << 18)
    proxy = TcpProxy(s3.address)
    try:
        rows = open_source(address, Path(), s3_settings(proxy.address, source_retries=0)).batches()
        next(rows)
        proxy.cut()
        with pytest.raises(SourceError, match="NETWORK_CONNECTION") as told:
            list(rows)
    finally:
        proxy.close()
    assert told.value.where == address
    assert list(scratch.iterdir()) == []


def test_an_object_that_changes_while_it_is_read_is_an_error(s3, s3_settings, monkeypatch):
    address = s3.put("growing.csv", b"id\n" + b"1234567\n" * 100_000)
    monkeypatch.setattr("holdfast.sources.store.PIECE", 1 << 18)
    rows = open_source(address, Path(), s3_settings()).batches()
    next(rows)
    s3.put("growing.csv", b"id\n1\n")
    with pytest.raises(SourceError):
        list(rows)


def test_the_head_of_a_long_packed_object_tells_its_columns(s3, s3_settings):
    rows = b"".join(b"%d,%s\n" % (n, os.urandom(30).hex().encode()) for n in range(100_000))
    address = s3.put("long.csv.gz", gzip.compress(b"id,noise\n" + rows, 1))
    before = s3.sent
    source = open_source(address, Path(), s3_settings())
    assert source.names() == ("id", "noise")
    assert s3.sent - before < 3 << 20 < len(rows) // 2
    assert read(source, columns=["id"]).height == 100_000


@pytest.mark.parametrize(
    "address", ["s3://telco/nothing.csv", "s3://no-such-bucket/t.csv", "s3://no-such-bucket/"]
)
def test_what_is_not_there_is_told_at_once(s3, s3_settings, address):
    s3.asked = 0
    with pytest.raises(SourceError, match=r"no such object|NO_SUCH_BUCKET") as told:
        open_source(address, Path(), s3_settings()).names()
    assert told.value.where == address
    assert s3.asked <= 3


def test_the_stamp_changes_with_the_object(s3, s3_settings):
    address = s3.put("stamped.csv", b"a\n1\n")
    before = open_source(address, Path(), s3_settings()).stamp()
    assert open_source(address, Path(), s3_settings()).stamp() == before
    s3.put("stamped.csv", b"a\n1\n2\n")
    assert open_source(address, Path(), s3_settings()).stamp() != before


def test_a_key_without_its_secret_is_a_wrong_setting():
    with pytest.raises(ValidationError, match="set together"):
        Settings(s3_access_key_id="AKIA")
    with pytest.raises(ValidationError, match="set together"):
        Settings(s3_secret_access_key="shh")  # noqa: S106 - it is none
