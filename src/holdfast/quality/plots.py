"""The figures of the quality report. Draw inside `holdfast.pages.drawing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.pages import COLOURS, Html, heading, new_figure, short, svg, words
from holdfast.quality.verdict import MOST_MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from holdfast.quality.findings import ColumnFindings, Correlations, Histogram, Segment

PANEL = 370
"""Width of one of many small figures."""
WIDE = 860
ROW = 25
MOST_ROWS = 12
WITH_NUMBERS = 12
"""A heat map of at most so many columns has its numbers written in."""


def missingness(columns: Sequence[ColumnFindings]) -> Html:
    """Bars of the share missing, most first, against the gate."""
    figure, axes = new_figure(WIDE, 42 + ROW * len(columns), margins=(200, 90, 6, 30))
    shares = [column.missing_share for column in columns]
    colours = [COLOURS["left" if share > MOST_MISSING else "stayed"] for share in shares]
    _bars(axes, [column.name for column in columns], shares, colours)
    for place, column in enumerate(columns):
        said = f"{words.count(column.missing)} = {words.percent(column.missing_share)}"
        _beside(axes, column.missing_share, place, said)
    axes.axvline(MOST_MISSING, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(0, max(0.06, min(1.0, 1.18 * max(shares))))
    _percents(axes)
    return svg(
        figure,
        description="Share of missing values in " + ", ".join(column.name for column in columns[:MOST_ROWS]),
        caption="Dashed: the limit of 5 %.",
    )


def strengths(columns: Sequence[ColumnFindings]) -> Html:
    """Bars of how strongly each column goes with churn, strongest first."""
    figure, axes = new_figure(WIDE, 42 + ROW * len(columns), margins=(200, 130, 6, 30))
    found = [column.association for column in columns if column.association is not None]
    _bars(
        axes,
        [column.name for column in columns],
        [each.strength for each in found],
        [COLOURS["stayed"]] * len(found),
    )
    for place, each in enumerate(found):
        _beside(axes, each.strength, place, f"{each.measure} {words.fixed(each.value)}")
    axes.set_xlim(0, max(0.1, min(1.0, 1.15 * max(each.strength for each in found))))
    said = "; ".join(
        f"{column.name} {words.fixed(each.value)}" for column, each in zip(columns, found, strict=True)
    )
    return svg(figure, description=f"How strongly each column goes with churn: {said}")


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], colours: Sequence[str]) -> None:
    places = np.arange(len(names))
    axes.barh(places, values, height=0.62, color=colours)
    axes.set_yticks(places, [short(name, 28) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    _few_ticks(axes)


def _beside(axes: Axes, value: float, place: int, text: str) -> None:
    axes.annotate(
        text, (value, place), (5, 0), textcoords="offset points", va="center", size=11, color=COLOURS["muted"]
    )


def _few_ticks(axes: Axes, most: int = 5) -> None:
    axes.locator_params(axis="x", nbins=most)


def _percents(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(lambda value, _: words.percent(value, 0))


def churn_by_segment(column: ColumnFindings, overall: float, top: float) -> Html:
    """Churn rate with its 95 % interval in each segment of one column.

    Args:
        column: with segments.
        overall: churn rate of all customers, drawn as a line.
        top: right end of the scale, the same for all figures that are compared.
    """
    segments = _shown(column)
    figure, axes = new_figure(PANEL, 62 + ROW * len(segments), margins=(130, 104, 30, 28))
    heading(figure, short(column.name, 30), _strength_note(column))
    places = np.arange(len(segments))
    rates = np.array([each.rate or 0.0 for each in segments])
    reach = np.array([[each.low for each in segments], [each.high for each in segments]])
    axes.axvline(overall, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
    axes.hlines(
        places,
        reach[0],
        np.minimum(reach[1], top),
        color=COLOURS["left"],
        linewidth=4,
        alpha=0.35,
        clip_on=False,
    )
    axes.plot(rates, places, "o", color=COLOURS["left"], markersize=6, clip_on=False)
    axes.set_yticks(places, [short(each.name, 19) for each in segments])
    axes.set_ylim(len(segments) - 0.4, -0.6)
    axes.set_xlim(0, top)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    _few_ticks(axes, 3)
    _percents(axes)
    for place, each in enumerate(segments):
        axes.annotate(
            f"{words.percent(each.rate)} of {words.count(each.rows)}",
            (1, place),
            (102, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="center",
            size=11,
            color=COLOURS["muted"],
        )
    said = "; ".join(
        f"{each.name} {words.percent(each.rate)} of {words.count(each.rows)}" for each in segments
    )
    more = (
        len(column.segments) - len(segments) + bool(column.missing_segment) + max(0, column.other_levels - 1)
    )
    return svg(
        figure,
        description=f"Churn rate by {column.name}: {said}",
        caption=f"{words.count(more, 'rarer level')} not drawn." if more > 0 else None,
    )


def _shown(column: ColumnFindings) -> list[Segment]:
    """The segments drawn: the most frequent, and customers without a value."""
    room = MOST_ROWS - 1 if column.missing_segment else MOST_ROWS
    missing = [column.missing_segment] if column.missing_segment else []
    return [*column.segments[:room], *missing]


def _strength_note(column: ColumnFindings) -> str:
    if column.association is None:
        return ""
    return f"{column.association.measure} {words.fixed(column.association.value)}"


def distribution(column: ColumnFindings, histogram: Histogram) -> Html:
    """A number's distribution, each outcome's bars adding up to 100 % of its own customers."""
    figure, axes = new_figure(PANEL, 220, margins=(40, 12, 34, 28))
    heading(figure, short(column.name, 28), "% of each group")
    edges = np.array(histogram.edges)
    for counts, colour, style in ((histogram.stayed, "stayed", "fill"), (histogram.left, "left", "line")):
        total = sum(counts)
        heights = 100 * np.array(counts) / total if total else np.zeros(len(counts))
        if style == "fill":
            axes.stairs(heights, edges, fill=True, color=COLOURS[colour], alpha=0.45)
        axes.stairs(heights, edges, color=COLOURS[colour], linewidth=1.6)
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.01)
    _few_ticks(axes)
    axes.locator_params(axis="y", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: words.compact(value))
    cut = histogram.below + histogram.above
    return svg(
        figure,
        description=f"Distribution of {column.name} for customers who left and who stayed",
        caption=f"{words.count(cut, 'value')} further out." if cut else None,
    )


def heat_map(found: Correlations, rows: Sequence[Sequence[float | None]], title: str) -> Html:
    """A square of correlations, blue for negative and orange for positive."""
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415 - slow to import

    names = [short(name, 22) for name in found.columns]
    many = len(names) > WITH_NUMBERS
    side = max(170, min(640, (22 if many else 58) * len(names)))
    figure, axes = new_figure(side + 180, side + 160, margins=(168, 12, 34, 126))
    heading(figure, title)
    values = np.array([[np.nan if value is None else value for value in row] for row in rows])
    scale = LinearSegmentedColormap.from_list("holdfast", ["#2f6ea8", "#f4f2ee", "#d1622b"])
    axes.pcolormesh(values, cmap=scale, vmin=-1, vmax=1, edgecolor=COLOURS["paper"], linewidth=1)
    middles = np.arange(len(names)) + 0.5
    axes.set_xticks(middles, names, rotation=90 if many else 40, ha="right", rotation_mode="anchor")
    if many:  # upright labels hang from their middle
        for label in axes.get_xticklabels():
            label.set_verticalalignment("center")
    axes.set_yticks(middles, names)
    axes.set_ylim(len(names), 0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if not many:
        _write_numbers(axes, values)
    return svg(figure, description=f"{title} of {', '.join(found.columns[:MOST_ROWS])}")


def _write_numbers(axes: Axes, values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    strong = 0.6
    for (row, place), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = (
                "#fdfdfd" if abs(value) > strong else "#23303d"
            )  # on the cell's own colour, light or dark
            axes.text(
                place + 0.5,
                row + 0.5,
                words.fixed(float(value)),
                ha="center",
                va="center",
                size=11.5,
                color=colour,
            )
