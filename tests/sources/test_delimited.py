"""CSV in its many dialects: what is in the file is what comes out."""

from __future__ import annotations

import bz2
import csv
import gzip
import io

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.sources import SourceError, iter_batches, read_names, read_table, table_size
from holdfast.sources import delimited as delimited_room

ROWS = [["c1", "Ann", "1,5"], ["c2", "", " x "], ["007", "O'Neil", "a b"]]
NAMES = ["id", "First Name", "value"]


def text(separator=",", end="\n", quoting=csv.QUOTE_MINIMAL):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([NAMES, *ROWS])
    return out.getvalue()


def rows_of(frame):
    return [["" if cell is None else cell for cell in row] for row in frame.rows()]


@pytest.fixture
def put(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_separators_line_ends_and_quotes_are_found(put, separator, end, quoting):
    raw = read_table(put(text(separator, end, quoting)))
    assert raw.frame.columns == NAMES
    assert rows_of(raw.frame) == ROWS
    assert raw.malformed.is_empty()
    assert raw.rows.to_list() == [1, 2, 3]


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (lambda data: data, "t.csv"),
        (lambda data: b"\xef\xbb\xbf" + data, "t.csv"),
        (gzip.compress, "t.csv.gz"),
        (gzip.compress, "gzip-without-the-name.csv"),
        (lambda data: gzip.compress(data[:10]) + gzip.compress(data[10:]), "two-members.gz"),
        (bz2.compress, "t.csv.bz2"),
        (lambda data: pa.compress(data, codec="zstd", asbytes=True), "t.csv.zst"),
        (lambda data: data.decode().encode("utf-16"), "t.csv"),
        (lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"), "t.csv"),
        (lambda data: data.decode().encode("utf-32"), "t.csv"),
        (lambda data: b"sep=,\r\n" + data, "excel.csv"),
        (lambda data: b"\r\n\n" + data, "blank-first.csv"),
        (lambda data: data.rstrip(b"\n"), "no-last-line-end.csv"),
        (lambda data: data.replace(b"\n", b"\n\n"), "blank-lines.csv"),
    ],
)
def test_packing_and_encoding_do_not_matter(put, pack, name):
    raw = read_table(put(pack(text().encode()), name))
    assert raw.frame.columns == NAMES
    assert rows_of(raw.frame) == ROWS


LETTERS = st.text("aZ 1éäÉ", max_size=6)  # no two of them look like one of UTF-8


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=40), size=st.integers(16, 200))
def test_windows_1252_is_read_as_utf_8_is_and_its_lines_are_counted(tmp_path_factory, rows, size):
    folder = tmp_path_factory.mktemp("encodings")
    lines = [f'{place},"{one}","{other}"' for place, (one, other) in enumerate(rows)]
    text = "\n".join(["n,Prix,Straße", *lines]) + "\n"
    (folder / "utf8.csv").write_text(text, encoding="utf-8")
    (folder / "windows.csv").write_text(text, encoding="cp1252")
    expected, found = read_table(folder / "utf8.csv"), read_table(folder / "windows.csv")
    with pytest.MonkeyPatch.context() as patch:  # wherever the blocks begin
        patch.setattr(delimited_room, "_SMALLEST", size)
        patch.setattr(delimited_room, "_LARGEST", size)
        patch.setattr(delimited_room, "_SAMPLE", size)
        pieces = list(iter_batches(folder / "windows.csv", columns=["n", "Straße"]))
    assert found.frame.equals(expected.frame)
    assert pl.concat([piece.frame for piece in pieces]).equals(expected.frame.select("n", "Straße"))
    assert expected.windows_1252 == 0
    foreign = sum(not line.isascii() for line in text.splitlines())
    assert found.windows_1252 == sum(piece.windows_1252 for piece in pieces) == foreign


def test_lines_of_two_encodings_in_one_file_are_each_read_in_their_own(put):
    raw = read_table(put("a,b\n1,é\n".encode() + "2,£\n3,x,é\n".encode("cp1252") + "4,€\n".encode()))
    assert raw.frame.rows() == [("1", "é"), ("2", "£"), ("4", "€")]
    assert raw.malformed["value"].to_list() == ["3,x,é"]
    assert raw.windows_1252 == 2


def test_cells_are_verbatim_and_only_empty_ones_are_null(put):
    raw = read_table(put('zip,note,n\n00123," two ",NA\n1.0,"",null\n"a ""b""",x,\n'))
    assert raw.frame.rows() == [("00123", " two ", "NA"), ("1.0", None, "null"), ('a "b"', "x", None)]
    assert set(raw.frame.dtypes) == {pl.String}


def test_header_names_are_stripped_and_blank_ones_named_as_pandas_does(put):
    raw = read_table(put(', Monthly Charges ,"Straße\nName",ünï.code\n0,1,2,3\n'))
    assert raw.frame.columns == ["Unnamed: 0", "Monthly Charges", "Straße\nName", "ünï.code"]


def test_single_quotes_are_found(put):
    frame = read_table(put("'id','a name'\n'1','x, y'\n")).frame
    assert frame.to_dict(as_series=False) == {"id": ["1"], "a name": ["x, y"]}


def test_a_file_without_separator_is_one_column(put):
    assert read_table(put("only\n1\n2\n")).frame.to_dict(as_series=False) == {"only": ["1", "2"]}


def test_semicolons_win_over_decimal_commas(put):
    frame = read_table(put("a;b\n1,5;2,5\n3,25;4,5\n")).frame
    assert frame.rows() == [("1,5", "2,5"), ("3,25", "4,5")]


def test_row_names_without_a_header_get_a_column(put):
    frame = read_table(put("a,b\n1,x,y\n2,z,w\n")).frame
    assert frame.columns == ["Unnamed: 0", "a", "b"]
    assert frame.rows() == [("1", "x", "y"), ("2", "z", "w")]


def test_a_separator_at_each_line_end_gets_an_empty_column(put):
    frame = read_table(put("a,b\n1,x,\n2,z,\n")).frame
    assert frame.columns == ["a", "b", "Unnamed: 2"]
    assert frame["Unnamed: 2"].null_count() == 2


def test_a_quoted_line_break_stays_in_its_cell(put):
    raw = read_table(put('a,b\n1,"two\nlines"\n2,"three\r\n\nlines"\n3,x\n'))
    assert raw.frame.rows() == [("1", "two\nlines"), ("2", "three\r\n\nlines"), ("3", "x")]
    assert raw.rows.to_list() == [1, 2, 3]


def test_lines_of_the_wrong_width_are_set_aside_with_their_number(put):
    raw = read_table(put("a,b,c\n1,2,3\n4,5\n\n6,7,8\n1,2,3,4\n9,9,9\n"))
    assert raw.frame.rows() == [("1", "2", "3"), ("6", "7", "8"), ("9", "9", "9")]
    assert raw.rows.to_list() == [1, 3, 5]
    assert raw.malformed.rows() == [
        (2, None, "4,5", "2 fields instead of 3"),
        (4, None, "1,2,3,4", "4 fields instead of 3"),
    ]


def test_one_open_quote_does_not_swallow_the_rest(put):
    raw = read_table(put('a,b\n1,x\n2,"open\n3,y\n4,"z"\n5,5" screen\n6,w\n7\n'))
    assert raw.frame.rows() == [("1", "x"), ("3", "y"), ("4", "z"), ("5", '5" screen'), ("6", "w")]
    assert raw.rows.to_list() == [1, 3, 4, 5, 6]
    assert raw.malformed["row"].to_list() == [2, 7]
    assert raw.malformed["reason"].to_list() == ["a quote is opened and not closed", "1 field instead of 2"]


def test_an_open_quote_before_a_quoted_line_break_costs_one_line(put):
    raw = read_table(put('a,b\n1,"open\n2,"two\nlines"\n3,y\n'))
    assert raw.frame.rows() == [("2", "two\nlines"), ("3", "y")]
    assert raw.rows.to_list() == [2, 3]


CELL = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\r\ufeff"), max_size=6
).filter(lambda cell: cell != "")


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=30), size=st.integers(20, 400))
def test_blocks_of_any_size_give_the_rows_that_were_written(tmp_path_factory, rows, size):
    path = tmp_path_factory.mktemp("blocks") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(["a", "b", "c"])
        writer.writerows(rows)
    limits = delimited_room._SMALLEST, delimited_room._SAMPLE
    delimited_room._SMALLEST, delimited_room._SAMPLE = size, 64
    try:
        batches = list(iter_batches(path, batch_rows=1))
    finally:
        delimited_room._SMALLEST, delimited_room._SAMPLE = limits
    found = pl.concat([batch.frame for batch in batches])
    assert found.rows() == rows
    assert pl.concat([batch.rows for batch in batches]).to_list() == list(range(1, len(rows) + 1))


@settings(max_examples=100, deadline=None)
@given(
    kinds=st.lists(
        st.sampled_from(["good", "short", "long", "open", "lines", "blank"]), min_size=1, max_size=40
    )
)
def test_every_row_is_counted_whatever_is_broken(tmp_path_factory, kinds):
    lines = {
        "good": '{0},"x"\n', "short": "{0}\n", "long": "{0},x,y\n", "open": '{0},"x{0}\n',
        "lines": '{0},"x\ny"\n', "blank": "\n",
    }  # fmt: skip
    # Two open quotes after one another would close each other; a good row between tells them apart.
    body = "".join(
        lines[kind].format(place) + ('-,"-"\n' if kind == "open" else "") for place, kind in enumerate(kinds)
    )
    path = tmp_path_factory.mktemp("broken") / "t.csv"
    path.write_text("a,b\n-,-\n-,-\n" + body)
    raw = read_table(path)
    good = [str(place) for place, kind in enumerate(kinds) if kind in {"good", "lines"}]
    assert [cell for cell in raw.frame["a"].to_list() if cell != "-"] == good
    numbers = sorted([*raw.rows.to_list(), *raw.malformed["row"].to_list()])
    assert numbers == list(range(1, len(numbers) + 1))
    wrong = [kind for kind in kinds if kind in {"short", "long", "open"}]
    assert raw.malformed.height == len(wrong)


def test_batches_hold_about_the_rows_asked_for_and_count_on(put):
    body = "".join(f"{place},abc\n" for place in range(60_000))
    batches = list(iter_batches(put("a,b\n" + body), batch_rows=10_000))
    assert len(batches) >= 4
    assert pl.concat([batch.frame["a"] for batch in batches]).to_list() == [
        str(place) for place in range(60_000)
    ]
    assert pl.concat([batch.rows for batch in batches]).to_list() == list(range(1, 60_001))
    done = [batch.done for batch in batches]
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_only_the_columns_asked_for_are_read(put):
    batch = next(iter_batches(put(text()), columns=["value", "id", "nothing"]))
    assert batch.frame.columns == ["id", "value"]


def test_names_and_size_are_told_without_reading(put):
    path = put(text())
    assert read_names(path) == tuple(NAMES)
    assert table_size(path).bytes == path.stat().st_size
    assert table_size(path).rows is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "no header"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1\n2\n", "None of the 2 rows fits"),
        (b"a, a,b,b \n1,2,3,4\n", '"a" (columns 1, 2); "b" (columns 3, 4)'),
        (b"a,b\n1,\x00\n", "NUL bytes"),
        (b"a,b\n1,f\x81r\n", "data row 1 holds the byte 0x81"),
        (b"a,f\x81r\n1,2\n", "the header holds the byte 0x81"),
        (b"\x80\x04\x95\x10\x00\x00\x00junk", "pickle"),
        (b"PK\x03\x04rest", "Excel"),
        (b'[{"a": 1}]', "JSON"),
        (b"<!DOCTYPE html><html>", "web page"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 5000, mtime=0)[:-20], "ends in the middle"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 5000, mtime=0)[:30], "ends in the middle"),
        (b"\x1f\x8b\x08" + b"x" * 40, "is damaged"),
        (",".join(f"c{place}" for place in range(5000)).encode() + b"\n", "5,000 columns"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x01", "UTF-16"),
    ],
)
def test_what_is_no_table_is_a_clear_error(put, content, says):
    path = put(content)
    with pytest.raises(SourceError) as caught:
        read_table(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert caught.value.code == "source"
    assert caught.value.exit_code == 3


def test_wrong_encoding_names_row_and_byte_far_into_the_file(put):
    good = b"a,b\n" + b"1,\xa3\n" * 100_000
    with pytest.raises(SourceError) as caught:
        read_table(put(good + b"3,\x81\n"))
    assert "data row 100,001" in str(caught.value)
    assert f"byte {len(good) + 2:,}" in str(caught.value)
    assert "iconv" in str(caught.value.hint)


def test_a_missing_file_names_its_neighbours(put):
    path = put(text(), "customers.csv")
    with pytest.raises(SourceError, match=r'Did you mean "customers.csv"'):
        read_table(path.with_name("custmers.csv"))


def test_a_directory_is_no_table(tmp_path):
    with pytest.raises(SourceError, match="directory"):
        read_table(tmp_path)


def test_a_line_without_end_is_a_clear_error(put, monkeypatch):
    monkeypatch.setattr(delimited_room, "LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(delimited_room, "_LARGEST", 1 << 16)
    with pytest.raises(SourceError, match="no end"):
        read_table(put("a,b\n1,2\n3," + "x" * (1 << 22)))


@pytest.mark.parametrize("rows", range(1, 40))
def test_a_file_that_ends_where_a_block_ends_is_read_to_its_end(put, monkeypatch, rows):
    monkeypatch.setattr(delimited_room, "_SMALLEST", 32)
    monkeypatch.setattr(delimited_room, "_SAMPLE", 16)
    raw = read_table(put("ab,cd\n" + "12345,7\n" * rows))
    assert raw.frame.height == rows
