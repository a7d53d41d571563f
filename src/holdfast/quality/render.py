"""The quality report as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pages import (
    Badge,
    Html,
    Section,
    bullets,
    drawing,
    fold,
    grid,
    key_figures,
    notice,
    page,
    paragraph,
    table,
    words,
)
from holdfast.quality import plots
from holdfast.quality.explore import MOST_CORRELATED, SAMPLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.pages.blocks import Cell
    from holdfast.quality.findings import ColumnFindings, Gate, QualityReport, Segment

MOST_PANELS = 24
"""So many small figures are drawn of one sort; tables still list every column."""
MOST_BARS = 30
MOST_LISTED = 2_000
"""Every column that a contract may have."""
LEGEND = Html(
    '<p class="small"><span style="color: var(--left)">■</span> left &nbsp; '
    '<span style="color: var(--stayed)">■</span> stayed</p>'
)


def render_html(report: QualityReport) -> str:
    """The report as one self-contained HTML page with figures; equal reports give equal pages."""
    with drawing():
        sections = [
            _summary(report),
            _drivers(report),
            _segments(report),
            _distributions(report),
            _correlations(report),
            _missing(report),
            _columns(report),
            _repairs(report),
            _rejects(report),
            _unused(report),
        ]
    subtitle = (
        f"{words.count(report.kept, 'usable customer')} in {words.count(len(report.inputs), 'column')}; "
        f"{words.share(report.left, report.kept)} left ({report.label} = {report.positive})."
    )
    note = f"Contract {report.contract_digest[:12]}."
    if report.sampled:
        note += (
            f" Ranks (AUC, correlations) were taken on {words.count(SAMPLE)} rows drawn with a fixed seed."
        )
    return page(
        f"Data quality: {report.name}",
        subtitle,
        [section for section in sections if section is not None],
        footer=note,
    )


def _summary(report: QualityReport) -> Section:
    passed = sum(gate.passed for gate in report.gates)
    low, high = words.percent(report.churn.low), words.percent(report.churn.high)
    cells = report.rows * len(report.inputs)
    missing = sum(column.missing for column in report.inputs)
    figures = key_figures(
        [
            ("Rows read", words.count(report.rows), words.count(report.malformed, "broken line")),
            ("Usable", words.count(report.kept), f"{words.count(report.rejected)} rejected"),
            ("Left", words.percent(report.churn.rate), f"{words.count(report.left)}; 95 %: {low} to {high}"),
            ("Columns used", len(report.inputs), f"of {len(report.columns)} in the contract"),
            (
                "Missing values",
                words.percent(missing / cells if cells else 0),
                f"{words.count(missing)} cells",
            ),
            ("Gates passed", f"{passed} of {len(report.gates)}"),
        ]
    )
    named = tuple(f"{gate.name}:" for gate in report.gates)  # the table above says these
    said = [notice(warning, "warn") for warning in report.warnings if not warning.startswith(named)]
    good = notice("Nothing stands in the way of learning from this table.", "good")
    return Section("Summary", figures, gate_table(report.gates), *(said or ([good] if report.passed else [])))


def gate_table(gates: Sequence[Gate]) -> Html:
    """Each gate, whether it is passed, its limit and what was found."""
    return table(
        ["Gate", "Result", "Limit", "Found"],
        [
            (
                gate.name,
                Badge("pass", "good") if gate.passed else Badge("fail", "bad"),
                gate.limit,
                gate.found,
            )
            for gate in gates
        ],
    )


def _ordered(columns: Sequence[ColumnFindings]) -> list[ColumnFindings]:
    """Columns that go with churn, strongest first."""
    known = [column for column in columns if column.association is not None]
    return sorted(known, key=lambda column: -(column.association.strength if column.association else 0))


def _drivers(report: QualityReport) -> Section | None:
    columns = _ordered(report.inputs)
    if not columns:
        return None
    left_out = _left_out(len(columns), MOST_BARS, "the weakest; the table of columns has all")
    return Section(
        "What goes with churn",
        plots.strengths(columns[:MOST_BARS]),
        *left_out,
        intro="Each column alone, from 0 for nothing to 1 for everything. AUC: the chance that a customer "
        "who left has the higher value (0.5 says nothing; the bar is its distance from that). Cramér's V: "
        "for levels. To go together is not to cause.",
    )


def _segments(report: QualityReport) -> Section | None:
    columns = [column for column in _ordered(report.inputs) if len(column.segments) > 1]
    if not columns or report.churn.rate is None:
        return None
    shown = columns[:MOST_PANELS]
    top = min(1.0, 1.08 * max(_reach(column.segments, report.churn.rate) for column in shown))
    panels = grid(plots.churn_by_segment(column, report.churn.rate, top) for column in shown)
    return Section(
        "Churn by segment",
        panels,
        *_left_out(len(columns), MOST_PANELS, "the weakest with churn"),
        intro="Share of customers who left, with its 95 % interval (Wilson); right, the numbers. Dashed: "
        f"all customers, {words.percent(report.churn.rate)}. One scale for all.",
    )


def _reach(segments: Sequence[Segment], overall: float) -> float:
    """Where the scale must end: the rates, and the intervals of all but tiny segments."""
    sure = [each.high for each in segments if each.high - each.low < 0.25]  # noqa: PLR2004 - wider is a guess
    return max([overall, *(each.rate or 0.0 for each in segments), *sure])


def _distributions(report: QualityReport) -> Section | None:
    columns = [column for column in _ordered(report.inputs) if column.number and column.number.histogram]
    if not columns:
        return None
    panels = [
        plots.distribution(column, column.number.histogram)
        for column in columns[:MOST_PANELS]
        if column.number is not None and column.number.histogram is not None
    ]
    return Section(
        "Distributions of numbers",
        LEGEND,
        grid(panels),
        *_left_out(len(columns), MOST_PANELS, "the weakest with churn"),
        intro="Where the two shapes part, the column tells customers who left from those who stayed.",
    )


def _correlations(report: QualityReport) -> Section | None:
    found = report.correlations
    if len(found.columns) < 2:  # noqa: PLR2004 - nothing to compare
        return None
    maps = [plots.heat_map(found, found.spearman, "Spearman (by rank)")]
    if len(found.columns) <= plots.WITH_NUMBERS:
        maps.append(plots.heat_map(found, found.pearson, "Pearson (linear)"))
    left_out = (
        [paragraph(f"{words.count(found.left_out, 'column')} beyond {MOST_CORRELATED} left out.", small=True)]
        if found.left_out
        else []
    )
    return Section(
        "Correlations",
        grid(maps, width=420) if len(maps) > 1 else maps[0],
        *left_out,
        intro=f"Numbers that say the same thing twice have a value near 1 or {words.MINUS}1.",
    )


def _missing(report: QualityReport) -> Section:
    columns = sorted(
        (column for column in report.inputs if column.missing), key=lambda column: -column.missing_share
    )
    if not columns:
        return Section("Missing values", notice("No value is missing in any column that models see.", "good"))
    rows: list[tuple[Cell, ...]] = []
    for column in columns:
        gap = column.missing_segment
        rate = f"{words.share(gap.left, gap.rows)}" if gap else words.NONE
        rows.append((column.name, words.count(column.missing), words.percent(column.missing_share, 2), rate))
    return Section(
        "Missing values",
        plots.missingness(columns[:MOST_BARS]),
        *_left_out(len(columns), MOST_BARS, "with the fewest missing"),
        table(["Column", "Missing", "Share", "Of these, left"], rows),
        intro=f"Of all customers {words.percent(report.churn.rate)} left. Where customers without a value "
        "differ from that, their gaps mean something.",
    )


def _columns(report: QualityReport) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            column.name,
            column.kind,
            column.meaning or "",
            words.count(column.missing),
            words.count(column.distinct),
            _values(column),
            words.fixed(column.association.strength) if column.association else words.NONE,
        )
        for column in report.inputs
    ]
    headers = ["Column", "Kind", "Meaning", "Missing", "Distinct", "Values", "With churn"]
    return Section("Columns", table(headers, rows, most=MOST_LISTED), *_numbers(report))


def _numbers(report: QualityReport) -> list[Html]:
    rows: list[tuple[Cell, ...]] = []
    for column in report.inputs:
        if column.number is None:
            continue
        found, out = column.number, column.number.outliers
        shown = (found.min, found.p1, found.p25, found.p50, found.mean, found.p75, found.p99, found.max)
        outliers = map(words.count, (out.iqr, out.z, out.percentile))
        rows.append((column.name, *(words.number(value, 4) for value in (*shown, found.std)), *outliers))
    headers = ["Min", "1 %", "25 %", "Median", "Mean", "75 %", "99 %", "Max", "Std", "IQR", "z", "Percentile"]
    explained = (
        "The last three count outliers, by three rules: beyond the quartiles by more than 1.5 interquartile "
        "ranges; more than 3 standard deviations from the mean; outside the 1st to 99th percentile. "
        "They are kept."
    )
    listed = table(["Column", *headers], rows, most=MOST_LISTED)
    return [Html("<h3>Numbers and outliers</h3>"), listed, paragraph(explained, small=True)] if rows else []


def _values(column: ColumnFindings) -> str:
    """A few words on what a column holds."""
    if column.absent:
        return "not in the table"
    if column.number is not None:
        return f"{words.number(column.number.min, 4)} to {words.number(column.number.max, 4)}"
    names = [
        f"{each.name} ({words.percent(each.rows / column_rows(column), 0)})" for each in column.segments[:3]
    ]
    return ", ".join(names) + (", …" if len(column.segments) > 3 else "")  # noqa: PLR2004 - three fit a line


def column_rows(column: ColumnFindings) -> int:
    """Usable rows that have a value in the column, at least one."""
    return max(1, sum(each.rows for each in column.segments))


def _repairs(report: QualityReport) -> Section:
    blocks: list[Html] = []
    if report.repairs:
        rows = [(each.column, words.count(each.cells), "; ".join(each.examples)) for each in report.repairs]
        blocks.append(table(["Column", "Cells", "Such as"], rows))
    else:
        blocks.append(notice("Every value is written as the contract writes it.", "good"))
    if report.unseen:
        rows = [
            (each.column, words.count(each.cells), ", ".join(f'"{level}"' for level in each.examples))
            for each in report.unseen
        ]
        blocks += [
            Html("<h3>Levels the contract does not list</h3>"),
            paragraph("Read as missing. If they are real, add them to the contract's levels."),
            table(["Column", "Cells", "Such as"], rows),
        ]
    return Section(
        "Repairs",
        *blocks,
        intro="Values written otherwise than the contract says, whose meaning is not in doubt.",
    )


def _rejects(report: QualityReport) -> Section:
    if not report.rejects:
        return Section("Rejects", notice("No row was rejected.", "good"))
    rows = [
        (
            group.column,
            group.reason,
            words.count(group.cells),
            ", ".join(f'"{example}"' for example in group.examples),
            ", ".join(map(str, group.rows)) + (", …" if group.cells > len(group.rows) else ""),
        )
        for group in report.rejects
    ]
    return Section(
        "Rejects",
        table(["Column", "Reason", "Cells", "Such as", "Rows"], rows),
        intro=f"{words.share(report.rejected, report.rows)} rows were left out, and "
        f"{words.count(report.malformed, 'line')} could not be split. Row 1 is the first below the header.",
    )


def _unused(report: QualityReport) -> Section | None:
    unused = [column for column in report.columns if column.role != "input"]
    rows = [
        (
            column.name,
            column.kind,
            {"id": "names the customer", "text": "free text"}.get(column.role, column.exclude or ""),
            words.count(column.missing),
            words.count(column.distinct),
        )
        for column in unused
    ]
    blocks: list[Html] = []
    if rows:
        blocks.append(table(["Column", "Kind", "Why", "Missing", "Distinct"], rows, most=MOST_LISTED))
    if report.ignored_columns:
        shown = bullets(report.ignored_columns[:200])
        said = f"{words.count(len(report.ignored_columns), 'column')} the contract does not know"
        blocks.append(fold(said, shown))
    return Section("Not used", *blocks, intro="Columns that models do not see.") if blocks else None


def _left_out(found: int, most: int, which: str) -> list[Html]:
    if found <= most:
        return []
    return [paragraph(f"{words.count(found - most, 'column')} not drawn, {which}.", small=True)]
