from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.quality import explore as room
from holdfast.quality.columns import ColumnsError
from holdfast.quality.report import QualityReport, explore, render_html
from holdfast.sources import RawTable


def one(report: QualityReport, name: str):
    return next(column for column in report.columns if column.name == name)


def many(text_frame: pl.DataFrame, rows: int = 600) -> pl.DataFrame:
    """Customers of whom those on plan Basic leave."""
    frame = pl.concat([text_frame] * (rows // 3))
    return frame.with_columns(
        id=pl.int_range(frame.height).cast(pl.String),
        tenure=(pl.int_range(frame.height) % 73).cast(pl.String),
    )


def test_the_real_table(telco):
    frame, contract = telco
    report = explore(RawTable(frame), contract)
    assert (report.rows, report.kept, report.left, report.stayed) == (7043, 7043, 1869, 5174)
    assert report.churn.rate == pytest.approx(0.2654, abs=1e-4)
    assert report.repeated_rows == 22
    assert report.passed
    total = one(report, "TotalCharges")
    assert (total.missing, total.number.min, total.number.max) == (11, 18.8, 8684.8)
    assert (total.missing_segment.rows, total.missing_segment.left) == (11, 0)
    term = {each.name: each for each in one(report, "Contract").segments}
    assert (term["Month-to-month"].rows, term["Month-to-month"].left) == (3875, 1655)
    assert one(report, "tenure").association.value == pytest.approx(0.26, abs=0.01)
    assert report.correlations.columns == ("tenure", "MonthlyCharges", "TotalCharges")
    assert report.correlations.pearson[0][2] == pytest.approx(0.826, abs=1e-3)
    assert one(report, "customerID").role == "id"
    html = render_html(report)
    assert "1,869 of 7,043 = 26.5" in html
    assert "nan" not in html.lower().replace("financ", "")


def test_the_report_is_json_and_the_same_twice(contract, text_frame):
    raw = RawTable(many(text_frame))
    first, second = explore(raw, contract), explore(raw, contract)
    assert json.dumps(first.as_dict(), allow_nan=False) == json.dumps(second.as_dict(), allow_nan=False)
    assert render_html(first) == render_html(second)
    assert QualityReport.model_validate(first.as_dict()) == first


def test_leaks_gaps_and_doubles_are_called_out(contract, text_frame):
    frame = many(text_frame).with_columns(
        city=pl.when(pl.col("Churn") == "Yes").then(pl.lit("gone")).otherwise(pl.lit("here")),
        charge=pl.when(pl.int_range(600) % 10 == 0).then(None).otherwise(pl.col("charge")),
        id=pl.when(pl.int_range(600) < 5).then(pl.lit("x")).otherwise(pl.col("id")),
        senior=pl.lit("0"),
        partner=pl.lit(None, pl.String),
    )
    report = explore(RawTable(frame), contract)
    said = "\n".join(report.warnings)
    assert '"city" tells the outcome unusually well' in said
    assert not report.passed
    assert [gate.passed for gate in report.gates] == [False, False]
    assert "charge (10.0 %)" in report.gates[0].found
    assert report.duplicate_ids == 4
    assert "nothing to learn from: senior, partner" in said
    assert "half empty: partner" in said
    html = render_html(report)
    assert html.count(">fail<") == 2


def test_rejects_repairs_and_unseen_levels_are_listed(contract, text_frame):
    frame = many(text_frame).with_columns(
        charge=pl.when(pl.int_range(600) < 60).then(pl.lit("lots")).otherwise(pl.col("charge")),
        plan=pl.when(pl.int_range(600) > 580).then(pl.lit("<Gold>")).otherwise(pl.col("plan")),
        partner=pl.lit(" yes"),
        stranger=1,
    )
    report = explore(RawTable(frame), contract)
    group = report.rejects[0]
    assert (group.column, group.reason, group.cells, group.examples) == (
        "charge",
        "not a number",
        60,
        ("lots",),
    )
    assert group.rows == (1, 2, 3, 4, 5)
    assert report.repairs[0].examples == ('" yes" read as Yes',)
    assert report.unseen[0].examples == ("<Gold>",)
    assert report.ignored_columns == ("stranger",)
    assert "60 of 600 = 10.0 % rows were rejected" in "\n".join(report.warnings)
    html = render_html(report)
    for text in ("not a number", "&lt;Gold&gt;", "stranger", "read as Yes", "leak: filled"):
        assert text in html
    assert "<Gold>" not in html


def test_malformed_lines_are_counted(contract, text_frame):
    malformed = pl.DataFrame(
        [(2, None, "x,y", "9 fields, not 10")],
        schema={"row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String},
        orient="row",
    )
    report = explore(RawTable(text_frame, malformed, numbered=pl.Series([1, 3, 4])), contract)
    assert report.malformed == 1
    assert report.rejects[0].column == "(whole line)"
    assert "1 line of the file could not be split" in "\n".join(report.warnings)
    render_html(report)


def test_lines_that_were_read_as_windows_1252_are_told(contract, text_frame):
    report = explore(RawTable(text_frame, windows_1252=7), contract)
    assert "7 lines are not UTF-8 and were read as Windows-1252" in "\n".join(report.warnings)


@pytest.mark.parametrize("label", ["Yes", "No", "", "perhaps"])
def test_one_outcome_or_none_is_said_not_crashed_on(contract, text_frame, label):
    report = explore(RawTable(text_frame.with_columns(Churn=pl.lit(label))), contract)
    assert "nothing" in report.warnings[0]
    render_html(report)


def test_no_rows_at_all(contract, text_frame):
    report = explore(RawTable(text_frame.clear()), contract)
    assert report.churn.rate is None
    json.dumps(report.as_dict(), allow_nan=False)
    render_html(report)


def test_other_columns_are_a_clear_error(contract, text_frame):
    with pytest.raises(ColumnsError, match="Churn"):
        explore(RawTable(text_frame.drop("Churn")), contract)


def test_few_who_left_is_a_warning(contract, text_frame):
    frame = many(text_frame, 3000).with_columns(
        Churn=pl.when(pl.int_range(3000) < 30).then(pl.lit("Yes")).otherwise(pl.lit("No"))
    )
    said = "\n".join(explore(RawTable(frame), contract).warnings)
    assert "Only 30 customers left" in said
    assert "30 of 3,000 = 1.0 %" in said


def test_a_sample_is_said_to_be_one(contract, text_frame, monkeypatch):
    monkeypatch.setattr(room, "SAMPLE", 100)
    report = explore(RawTable(many(text_frame)), contract)
    assert report.sampled == 100
    assert explore(RawTable(many(text_frame)), contract) == report


def test_hundreds_of_columns_are_listed_but_not_all_drawn(make_contract, text_frame):
    wide = {f"n{place}": {"kind": "number"} for place in range(150)}
    wide |= {f"c{place}": {"kind": "category"} for place in range(50)}
    contract = make_contract(columns=wide)
    frame = many(text_frame).with_columns(
        *[(pl.int_range(600) * (place + 1) % 101).cast(pl.String).alias(f"n{place}") for place in range(150)],
        *[(pl.int_range(600) % (place + 2)).cast(pl.String).alias(f"c{place}") for place in range(50)],
    )
    report = explore(RawTable(frame), contract)
    assert len(report.correlations.columns) == room.MOST_CORRELATED
    html = render_html(report)
    assert html.count("<figure>") < 60
    assert "columns not drawn" in html
    assert all(f">{name}<" in html for name in wide)
    assert len(html) < 2_000_000


CELLS = st.one_of(
    st.none(),
    st.sampled_from(["", "1", "0", "Yes", "no", "x", "1e308", "-1e308", "2024-01-31"]),
    st.text(max_size=4),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows=st.lists(st.lists(CELLS, min_size=10, max_size=10), max_size=12))
def test_whatever_the_cells_there_is_a_report(make_contract, text_frame, rows):
    contract = make_contract(columns={"charge": {"kind": "number"}})
    frame = pl.DataFrame(rows, schema=dict.fromkeys(text_frame.columns, pl.String), orient="row")
    report = explore(RawTable(frame), contract)
    json.dumps(report.as_dict(), allow_nan=False)
    render_html(report)
