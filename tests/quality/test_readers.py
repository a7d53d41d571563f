from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract import Churn, Column, Kind
from holdfast.quality.levels import label_reader, text_reader
from holdfast.quality.readers import column_reader

if TYPE_CHECKING:
    from holdfast.quality.reader import Reader

WORDS = st.sampled_from(
    [
        *[
            "",
            " ",
            "Yes",
            "yes ",
            "NO",
            "true",
            "False",
            "1",
            "0",
            "1.0",
            "-0",
            "+3",
            "3.0",
            "3.5",
            " 7",
            "5.",
        ],
        *[
            ".5",
            "1,200",
            "$12.50",
            "12 %",
            "(3)",
            "inf",
            "-Infinity",
            "nan",
            "NaN",
            "NA",
            "null",
            "None",
            "n/a",
        ],
        *[
            "1e400",
            "1e5",
            "9223372036854775808",
            "9007199254740993",
            "1_000",
            "0x1",
            "\u0661",
            "1,5",
            "1.234",
        ],
        *[
            "Basic",
            "basic",
            " Basic",
            "BASIC.",
            "2024-01-31",
            "2024-1-3",
            "2024-02-30",
            "31/01/2024",
            "05-01-23",
        ],
        *["20240131", "2024-01-31 10:00:00", "10.0", "1.50", "a.0", "-1.0", "éa", "\u00a0x", "#N/A"],
    ]
)
TEXT = st.one_of(st.none(), WORDS, st.text(max_size=6), st.floats().map(str), st.integers().map(str))
COLUMNS = [
    Column(kind=Kind.NUMBER),
    Column(kind=Kind.NUMBER, min=0, max=1200),
    Column(kind=Kind.NUMBER, decimal=","),
    Column(kind=Kind.INTEGER),
    Column(kind=Kind.INTEGER, min=1, max=10),
    Column(kind=Kind.BOOLEAN),
    Column(kind=Kind.BOOLEAN, true="Yes", false="No"),
    Column(kind=Kind.BOOLEAN, true="1", false="2"),
    Column(kind=Kind.BOOLEAN, false="true"),
    Column(kind=Kind.BOOLEAN, true="Basic", false="basic"),
    Column(kind=Kind.DATE),
    Column(kind=Kind.DATE, day_first=True),
    Column(kind=Kind.CATEGORY, levels=("Basic", "Yes", "yes", "1", "10.0")),
    Column(kind=Kind.CATEGORY),
]


def check_both_ways_agree(reader: Reader, raw: pl.Series) -> None:
    """Cells not in doubt read the same, and as nothing but a plain value, when read carefully."""
    if reader.fast is None:
        return
    value = raw.to_frame("raw").select(reader.fast(pl.col("raw")).alias("value"))["value"]
    doubtful = reader.doubtful(raw, value)
    sure = ~doubtful if doubtful is not None else pl.Series([True] * len(raw), dtype=pl.Boolean)
    careful = reader.read(raw.filter(sure))
    assert careful["value"].dtype == value.dtype == reader.dtype
    assert careful["value"].to_list() == value.filter(sure).to_list()
    assert careful["reason"].null_count() == careful.height
    assert not careful["repaired"].any()
    assert not careful["unseen"].any()
    assert careful["missing"].to_list() == careful["raw"].is_null().to_list()


@pytest.mark.parametrize("column", COLUMNS, ids=str)
@given(cells=st.lists(TEXT, max_size=8))
def test_text_read_quickly_is_text_read_carefully(column: Column, cells: list[str | None]):
    raw = pl.Series("raw", cells, dtype=pl.String)
    check_both_ways_agree(column_reader(column, raw.dtype), raw)


@pytest.mark.parametrize("column", COLUMNS, ids=str)
@given(
    cells=st.one_of(
        st.lists(st.one_of(st.none(), st.sampled_from([0.0, 1.0, -0.0, 10.0, 0.5]), st.floats()), max_size=8),
        st.lists(st.one_of(st.none(), st.integers(-2, 12), st.integers(-(2**63), 2**63 - 1)), max_size=8),
        st.lists(st.one_of(st.none(), st.booleans()), max_size=8),
        st.lists(st.one_of(st.none(), st.dates(date(1, 1, 1), date(2200, 1, 1))), max_size=8),
    )
)
def test_typed_read_quickly_is_typed_read_carefully(column: Column, cells: list[Any]):
    raw = pl.Series("raw", cells)
    if raw.dtype != pl.Null:
        check_both_ways_agree(column_reader(column, raw.dtype), raw)


@given(cells=st.lists(TEXT, max_size=8))
def test_ids_and_labels_read_quickly_are_read_carefully(cells: list[str | None]):
    raw = pl.Series("raw", cells, dtype=pl.String)
    for churn in (
        Churn(label="x", positive="Yes", negative="No"),
        Churn(label="x", positive="1"),
        Churn(label="x", positive="Basic", negative="basic plus"),
    ):
        check_both_ways_agree(label_reader(churn, raw.dtype), raw)
    check_both_ways_agree(text_reader(raw.dtype, Kind.ID, missing_reason="missing"), raw)


def read(column: Column, cells: list[Any], dtype: Any = None) -> list[tuple[Any, ...]]:
    raw = pl.Series("raw", cells, dtype=dtype)
    return column_reader(column, raw.dtype).read(raw).select("value", "reason").rows()


def test_reasons_say_what_is_wrong():
    number = Column(kind=Kind.NUMBER, min=0, max=1200)
    assert read(number, ["twelve", "inf", "-1", "1201", "12", " ", None]) == [
        (None, "not a number"),
        (None, "infinite"),
        (None, "outside the allowed range 0 to 1,200"),
        (None, "outside the allowed range 0 to 1,200"),
        (12.0, None),
        (None, None),
        (None, None),
    ]
    assert read(Column(kind=Kind.NUMBER, min=0.5), [0.25]) == [
        (None, "below the smallest allowed value, 0.5")
    ]
    assert read(Column(kind=Kind.NUMBER, max=10), [11]) == [(None, "above the largest allowed value, 10")]
    assert read(Column(kind=Kind.INTEGER), ["3.0", "3.5", "1e30", "x", float("inf")][:4]) == [
        (3, None),
        (None, "not a whole number"),
        (None, "too large for an integer"),
        (None, "not a number"),
    ]
    assert read(Column(kind=Kind.INTEGER), [3.0, 3.5, float("inf"), float("nan"), 1e30]) == [
        (3, None),
        (None, "not a whole number"),
        (None, "infinite"),
        (None, None),
        (None, "too large for an integer"),
    ]
    assert read(Column(kind=Kind.DATE), ["2024-02-30", "soon"]) == [(None, "not a date")] * 2
    yes_no = Column(kind=Kind.BOOLEAN, true="Yes", false="No")
    assert read(yes_no, ["maybe"]) == [(None, 'neither "Yes" nor "No"')]
    assert read(Column(kind=Kind.BOOLEAN), [2]) == [(None, "not yes or no, true or false, 1 or 0")]


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_lists_objects_and_bytes_are_no_values(column: Column):
    for raw in (
        pl.Series("raw", [[1], None]),
        pl.Series("raw", [{"a": 1}, None]),
        pl.Series("raw", [b"\xff", None]),
        pl.Series("raw", [object(), None], dtype=pl.Object),
    ):
        reader = column_reader(column, raw.dtype)
        assert reader.read(raw.filter(raw.is_not_null()))["reason"].to_list() == ["not a single value"]


def test_every_spelling_of_yes_and_no():
    yes_no = Column(kind=Kind.BOOLEAN, true="Yes", false="No")
    for cells in (
        ["Yes", "No"],
        ["yes ", " NO"],
        ["true", "False"],
        ["1", "0"],
        ["1.0", "0.0"],
        [1, 0],
        [1.0, 0.0],
    ):
        assert read(yes_no, cells) == [(True, None), (False, None)]
    one_two = Column(kind=Kind.BOOLEAN, true="1", false="2")
    for cells in (["1", "2"], [1, 2], [1.0, 2.0]):
        assert read(one_two, cells) == [(True, None), (False, None)]


def test_levels_match_exactly_then_without_case_and_blanks_then_not_at_all():
    column = Column(kind=Kind.CATEGORY, levels=("Yes", "No", "1", "a", "A"))
    assert [value for value, _ in read(column, ["Yes", "yes ", "NO", "1.0", "a", "A", " A", "maybe"])] == [
        "Yes", "Yes", "No", "1", "a", "A", "A", None,
    ]  # fmt: skip
    assert [value for value, _ in read(column, [1.0, 2.0])] == ["1", None]
    assert [value for value, _ in read(column, [1, 2])] == ["1", None]


def test_times_of_day_are_dropped():
    assert read(Column(kind=Kind.DATE), [datetime(2024, 1, 31, 23, 59)]) == [(date(2024, 1, 31), None)]  # noqa: DTZ001 - tables have naive times


def test_labels():
    raw = pl.Series("raw", ["Yes", "yes ", "No", "", "perhaps"])
    found = label_reader(Churn(label="x", positive="Yes", negative="No"), raw.dtype).read(raw)
    assert found["value"].to_list() == [1, 1, 0, None, None]
    assert found["reason"].to_list()[3:] == ["label missing", 'neither "Yes" (left) nor "No" (stayed)']
    for cells in (["1", "0"], [1, 0], [1.0, 0.0], [True, False]):
        raw = pl.Series("raw", cells)
        found = label_reader(Churn(label="x", positive="1", negative="0"), raw.dtype).read(raw)
        assert found["value"].to_list() == [1, 0]


def test_no_way_to_write_a_date_is_a_repair_but_blanks_are():
    raw = pl.Series("raw", ["2024-01-31", "01/31/2024", "Jan 31, 2024", " 2024-01-31"])
    found = column_reader(Column(kind=Kind.DATE), raw.dtype).read(raw)
    assert found["value"].to_list() == [date(2024, 1, 31)] * 4
    assert found["repaired"].to_list() == [False, False, False, True]
