"""The figures of the test split. Draw inside `holdfast.pages.drawing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.pages import COLOURS, Html, heading, new_figure, svg, words
from holdfast.training.curves import acting, best_acting, calibration_bins, worth_by_threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from holdfast.training.curves import Ranked
    from holdfast.training.findings import Findings

PANEL = (480, 330)
"""Width and height of a figure that stands beside another."""
WIDE = 860
MARGINS = (58, 18, 34, 44)
LINED_UP: Any = {"ha": "center", "va": "center"}
DASHED = (0, (4, 3))
BARS = 40
WELL_RIGHT = 0.8
"""From this threshold on its label stands to the left of it."""


def roc(findings: Findings, ranked: Ranked) -> Html:
    """Share of leavers found against share of stayers disturbed."""
    figure, axes = new_figure(*PANEL, margins=MARGINS)
    area = findings.test["roc_auc"]
    heading(figure, "ROC curve", f"AUC {words.fixed(area, 3)}{_between(findings, 'roc_auc', 3)}")
    thin = ranked.thinned()
    x, y = (thin.acted - thin.found) / ranked.stayed, thin.found / ranked.left
    axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=1, linestyle=DASHED)
    axes.fill_between(np.r_[0, x], np.r_[0, y], color=COLOURS["soft"], alpha=0.25, linewidth=0)
    axes.plot(np.r_[0, x], np.r_[0, y], color=COLOURS["stayed"])
    at = acting(ranked, findings.threshold, findings.contract.economics)
    _chosen(axes, (at.acted - at.found) / ranked.stayed, at.found / ranked.left, "threshold", (12, -12))
    _unit_square(axes, "of those who stayed, picked (false positives)", "of those who left, picked")
    return svg(figure, description=f"ROC curve, area under it {words.fixed(area, 3)}; chance is 0.5")


def precision_recall(findings: Findings, ranked: Ranked) -> Html:
    """Share of contacted customers who left against share of leavers found."""
    figure, axes = new_figure(*PANEL, margins=MARGINS)
    area, rate = findings.test["pr_auc"], ranked.left / ranked.rows
    heading(
        figure, "Precision and recall", f"average {words.fixed(area, 3)}{_between(findings, 'pr_auc', 3)}"
    )
    thin = ranked.thinned()
    recall, precision = thin.found / ranked.left, thin.found / thin.acted
    axes.axhline(rate, color=COLOURS["muted"], linewidth=1, linestyle=DASHED)
    axes.plot(recall, precision, color=COLOURS["stayed"])
    at = acting(ranked, findings.threshold, findings.contract.economics)
    if at.acted:
        _chosen(axes, at.found / ranked.left, at.found / at.acted, "threshold", (-12, -14), align="right")
    _unit_square(axes, "of those who left, picked (recall)", "of those picked, left (precision)")
    note = f"Dashed: picking at random, {words.percent(rate)}."
    said = f"Precision against recall, average precision {words.fixed(area, 3)}"
    return svg(figure, description=said, caption=note)


def gain(findings: Findings, ranked: Ranked) -> Html:
    """Share of leavers found against share of customers contacted, riskiest first."""
    figure, axes = new_figure(*PANEL, margins=MARGINS)
    at = acting(ranked, findings.threshold, findings.contract.economics)
    share, found = at.acted / ranked.rows, at.found / ranked.left
    heading(
        figure, "Gain", f"{words.percent(share, 0)} of customers hold {words.percent(found, 0)} of leavers"
    )
    thin = ranked.thinned()
    rate = ranked.left / ranked.rows
    axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=1, linestyle=DASHED)
    axes.plot([0, rate, 1], [0, 1, 1], color=COLOURS["third"], linewidth=1, linestyle=(0, (1, 2)))
    axes.plot(np.r_[0, thin.acted / ranked.rows], np.r_[0, thin.found / ranked.left], color=COLOURS["stayed"])
    _chosen(axes, share, found, "threshold", (12, -14))
    _unit_square(axes, "customers contacted, riskiest first", "of those who left, reached")
    said = f"Gain: {words.percent(share)} of customers hold {words.percent(found)} of those who left"
    return svg(figure, description=said, caption="Dashed: at random. Dotted: knowing who leaves.")


def lift(findings: Findings, ranked: Ranked) -> Html:
    """How many times more leavers than by chance: each tenth of customers, and all down to it."""
    figure, axes = new_figure(*PANEL, margins=MARGINS)
    top = findings.test["lift_top_decile"]
    heading(
        figure, "Lift", f"riskiest tenth {words.number(top)} times{_between(findings, 'lift_top_decile')}"
    )
    bins, rate = calibration_bins(findings.test_y, findings.test_p)[::-1], ranked.left / ranked.rows
    sizes = np.array([each.rows for each in bins])
    edges = np.r_[0, np.cumsum(sizes)] / ranked.rows
    seen = np.array([each.seen for each in bins]) / rate
    axes.bar(edges[:-1], seen, width=0.94 * np.diff(edges), align="edge", color=COLOURS["soft"])
    thin = ranked.thinned()
    enough = thin.acted >= max(10, ranked.rows // 100)
    line = (thin.found[enough] / thin.acted[enough]) / rate
    axes.plot(thin.acted[enough] / ranked.rows, line, color=COLOURS["stayed"])
    axes.axhline(1, color=COLOURS["muted"], linewidth=1, linestyle=DASHED)
    axes.set(xlim=(0, 1), ylim=(0, 1.08 * max(1.0, *seen, *line)), xlabel="customers, riskiest first")
    axes.set_ylabel("times the average churn rate")
    axes.xaxis.set_major_formatter(_percent)
    _apart(axes)
    axes.grid(visible=False, axis="x")
    said = "; ".join(words.number(value, 2) for value in seen)
    return svg(
        figure,
        description=f"Lift of each tenth of customers, riskiest first: {said}",
        caption="Bars: each tenth by itself. Line: all customers up to there. Dashed: the average.",
    )


def calibration(findings: Findings, ranked: Ranked) -> Html:
    """Predicted against seen churn in ten bins, and where the probabilities lie."""
    height = PANEL[1] + 80
    figure, axes = new_figure(PANEL[0], height, margins=(58, 18, 34, 146))
    error = findings.test["calibration_error"]
    heading(figure, "Calibration", f"calibration error {words.fixed(error, 3)}")
    bins = calibration_bins(findings.test_y, findings.test_p)
    x, y = [each.predicted for each in bins], [each.seen for each in bins]
    reach = min(1.0, 1.06 * max(*x, *(each.high for each in bins)))
    axes.plot([0, reach], [0, reach], color=COLOURS["muted"], linewidth=1, linestyle=DASHED)
    axes.vlines(
        x,
        [each.low for each in bins],
        [each.high for each in bins],
        color=COLOURS["stayed"],
        linewidth=4,
        alpha=0.3,
    )
    axes.plot(x, y, "o-", color=COLOURS["stayed"], linewidth=1, markersize=6)
    axes.set(xlim=(0, reach), ylim=(0, reach), ylabel="share who left")
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)
    axes.tick_params(labelbottom=False)
    below = figure.add_axes((58 / PANEL[0], 44 / height, 1 - 76 / PANEL[0], 84 / height))
    edges = np.linspace(0, reach, BARS + 1)
    counts, _ = np.histogram(np.minimum(findings.test_p, reach), edges)
    below.stairs(counts, edges, fill=True, color=COLOURS["soft"])
    below.axvline(findings.threshold, color=COLOURS["left"], linewidth=1.4)
    below.set(xlim=(0, reach), xlabel="predicted probability of leaving", ylabel="customers")
    below.xaxis.set_major_formatter(_percent)
    _apart(below)
    below.locator_params(axis="y", nbins=3)
    below.grid(visible=False, axis="x")
    said = "; ".join(
        f"{words.percent(a)} predicted, {words.percent(b)} left" for a, b in zip(x, y, strict=True)
    )
    return svg(
        figure,
        description=f"Calibration of {words.count(ranked.rows, 'customer')} in bins of equal size: {said}",
        caption="Bins of equal size with 95 % intervals (Wilson). Below: how many customers have which "
        "probability; the line is the threshold.",
    )


def profit(findings: Findings, ranked: Ranked) -> Html:
    """Expected gain per customer against the threshold."""
    figure, axes = new_figure(WIDE, 380, margins=(70, 20, 34, 44))
    economics = findings.contract.economics
    thresholds = np.linspace(0, 1, 401)
    values = worth_by_threshold(ranked, thresholds, economics)
    at = acting(ranked, findings.threshold, economics).worth / ranked.rows
    heading(
        figure,
        "Profit against threshold",
        f"chosen {words.percent(findings.threshold)}: {words.money(at)} a customer",
    )
    axes.axhline(0, color=COLOURS["muted"], linewidth=1)
    axes.axhline(values[0], color=COLOURS["muted"], linewidth=1, linestyle=DASHED)
    axes.step(thresholds, values, color=COLOURS["stayed"], where="post")
    _interval(axes, findings)
    spot, best = best_acting(ranked, economics)
    if best.acted:
        peak = best.worth / ranked.rows
        axes.plot([spot], [peak], "D", color=COLOURS["third"], markersize=5)
    ends = findings.intervals.get("profit_per_customer", (at, at))
    low, high = min(0.0, float(values.min()), at, *ends), max(0.0, float(values.max()), at, *ends)
    room = 0.12 * ((high - low) or 1.0)
    beside, align = ((10, -10), "left") if findings.threshold < WELL_RIGHT else ((-10, -10), "right")
    _chosen(
        axes, findings.threshold, at, f"chosen: {words.money(at)}", beside, align=align, beneath=high + room
    )
    _note(axes, 1, 0, "nobody: 0", 5)
    _note(axes, 1, float(values[0]), f"everybody: {words.money(float(values[0]))}", 5)
    axes.set(xlim=(0, 1), ylim=(low - room, high + room), xlabel="threshold: act from this probability on")
    axes.set_ylabel("expected gain per customer")
    axes.xaxis.set_major_formatter(_percent)
    said = (
        f"Expected gain per customer against the threshold: {words.money(at)} at the chosen "
        f"{words.percent(findings.threshold)}, {words.money(float(values[0]))} for acting on everybody, "
        "0 on nobody"
    )
    note = "In the contract's money. Bar: 95 % interval at the chosen threshold."
    if best.acted:
        note += f" Diamond: the best on these very customers ({words.percent(spot)}), known only afterwards."
    return svg(figure, description=said, caption=note)


def confusion(findings: Findings, ranked: Ranked) -> Html:
    """Who was above the threshold and who left, in counts."""
    figure, axes = new_figure(PANEL[0], 300, margins=(120, 18, 62, 12))
    heading(figure, "Confusion matrix at the threshold")
    counts: dict[str, int] = findings.test["confusion"]
    cells = [
        [(counts["tp"], "reached in time", "third"), (counts["fn"], "missed", "left")],
        [(counts["fp"], "offered for nothing", "second"), (counts["tn"], "rightly left alone", "stayed")],
    ]
    for row, line in enumerate(cells):
        for column, (number, what, colour) in enumerate(line):
            share = number / max(1, ranked.rows)
            box = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]]
            axes.fill(
                *np.array(box).T,
                color=COLOURS[colour],
                alpha=0.12 + 0.45 * share,
                edgecolor="none",
                linewidth=0,
            )
            axes.text(column + 0.5, row + 0.38, words.count(number), size=21, weight="bold", **LINED_UP)
            axes.text(column + 0.5, row + 0.68, f"{what}, {words.percent(share)}", size=11.5, **LINED_UP)
    axes.axhline(1, color=COLOURS["muted"], linewidth=1)
    axes.axvline(1, color=COLOURS["muted"], linewidth=1)
    axes.set(xlim=(0, 2), ylim=(2, 0))
    axes.set_xticks([0.5, 1.5], ["acted on", "left alone"])
    axes.set_yticks([0.5, 1.5], ["left", "stayed"])
    axes.tick_params(labelsize=12, top=False, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    said = ", ".join(f"{what} {number}" for line in cells for number, what, _ in line)
    return svg(figure, description=f"Confusion matrix at the threshold: {said}")


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x, ylabel=y)
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)
    _apart(axes)


def _apart(axes: Axes) -> None:
    """Ticks far enough from the corner that both zeros can be read."""
    axes.tick_params(axis="x", pad=9)


def _percent(value: float, _: object) -> str:
    return words.percent(value, 0)


def _between(findings: Findings, name: str, decimals: int = 2) -> str:
    """The interval of a figure, to stand behind it."""
    if name not in findings.intervals:
        return ""
    low, high = (words.fixed(end, decimals) for end in findings.intervals[name])
    return f" ({low} to {high})"


def _interval(axes: Axes, findings: Findings) -> None:
    """The interval of the profit, at the threshold."""
    if "profit_per_customer" in findings.intervals:
        low, high = findings.intervals["profit_per_customer"]
        axes.vlines([findings.threshold], [low], [high], color=COLOURS["left"], linewidth=5, alpha=0.3)


def _chosen(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    away: tuple[float, float],
    *,
    align: str = "left",
    beneath: float | None = None,
) -> None:
    """Mark where the threshold puts the business, with a label by the mark or below a height."""
    axes.plot([x], [y], "o", color=COLOURS["left"], markersize=8, clip_on=False, zorder=5)
    axes.annotate(
        text,
        (x, y if beneath is None else beneath),
        away,
        textcoords="offset points",
        ha=align,
        va="center",
        size=11.5,
        color=COLOURS["left"],
        weight="bold",
    )


def _note(axes: Axes, x: float, y: float, text: str, above: float) -> None:
    axes.annotate(
        text,
        (x, y),
        (-2, above),
        textcoords="offset points",
        ha="right",
        va="bottom",
        size=11,
        color=COLOURS["muted"],
    )
