"""The figures about candidates and features. Draw inside `holdfast.pages.drawing`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.pages import COLOURS, Html, heading, new_figure, short, svg, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from holdfast.training.findings import Findings

WIDE = 860
TALL = 450
ROW = 25
MOST_FEATURES = 20
LEAST_REACH = 0.025
"""The leaderboard's figure shows at least so much log loss above the best."""
LEAST_SECONDS = 0.01
LETTER, LINE = 6.6, 15.0
"""Width of a letter and height of a line of a label, in pixels."""
CLEAR = 9.0
"""Half the side of the square about a point that no label may enter, in pixels."""
FURTHEST = 100.0
"""A label stands at most so far from its point's height, in pixels."""
LED = 12.0
"""A label further from its point's height than this has a line that leads to it."""
HEAD: Any = {"size": 13, "weight": "bold", "va": "top"}


def importance(findings: Findings) -> Html:
    """What moves predictions (SHAP) beside what their quality needs (permutation), strongest first."""
    entries = findings.importance[:MOST_FEATURES]
    width, height = WIDE, 78 + ROW * len(entries)
    figure, left = new_figure(width, height, margins=(190, 376, 30, 44))
    right = figure.add_axes((520 / width, 44 / height, (width - 520 - 46) / width, (height - 74) / height))
    _bars(left, [float(each["shap"]) for each in entries], "stayed", "mean effect (log-odds)")
    _bars(right, [float(each["permutation"]) for each in entries], "second", "rise of log loss when shuffled")
    left.set_yticks(np.arange(len(entries)), [short(str(each["feature"]), 27) for each in entries])
    right.set_yticks([])
    y = 1 - 4 / height
    figure.text(190 / width, y, "How far it moves predictions (SHAP)", **HEAD)
    figure.text(520 / width, y, "How much they need it (permutation)", **HEAD)
    said = ", ".join(str(each["feature"]) for each in entries)
    more = len(findings.importance) - len(entries)
    return svg(
        figure,
        description=f"Importance of features, most important first: {said}",
        caption=f"{words.count(more, 'weaker feature')} not drawn." if more else None,
    )


def _bars(axes: Axes, values: Sequence[float], colour: str, label: str) -> None:
    places = np.arange(len(values))
    axes.barh(places, values, height=0.62, color=COLOURS[colour])
    least, most = min(0.0, *values), max(0.0, *values)
    reach = (most - least) or 1.0
    axes.set_xlim(least - (0.02 * reach if least < 0 else 0), most + 0.04 * reach)
    axes.set_ylim(len(values) - 0.4, -0.6)
    for place, value in enumerate(values):
        axes.annotate(
            words.fixed(value, 3),
            (max(value, 0.0), place),
            (5, 0),
            textcoords="offset points",
            va="center",
            size=10.5,
            color=COLOURS["muted"],
        )
    if least < 0:
        axes.axvline(0, color=COLOURS["muted"], linewidth=0.8)
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)


@dataclass(frozen=True)
class _Point:
    """One candidate of the figure: ``shown`` is its log loss, or the upper edge where it is beyond."""

    name: str
    seconds: float
    loss: float
    shown: float
    chosen: bool
    within: bool

    @property
    def beyond(self) -> bool:
        return self.loss > self.shown


def leaderboard(findings: Findings) -> Html:
    """Log loss against the time to fit; candidates far off stand at the upper edge with their number."""
    figure, axes = new_figure(WIDE, TALL, margins=(70, 24, 40, 44))
    heading(figure, "Quality against time", "lower is better")
    points, best, top = _points(findings)
    seconds = [point.seconds for point in points] or [1.0]
    axes.set_xscale("log")
    axes.set_xlim(min(seconds) / 1.6, max(seconds) * 2.2)
    axes.set_ylim(best - 0.22 * (top - best), top)
    for point in points:
        colour = "third" if point.chosen else "stayed" if point.within else "soft"
        axes.plot(
            [point.seconds],
            [point.shown],
            "^" if point.beyond else "*" if point.chosen else "o",
            color=COLOURS[colour],
            markersize=17 if point.chosen else 9,
            clip_on=False,
            zorder=4 if point.chosen else 3,
        )
    _labels(axes, sorted(points, key=lambda point: (not point.chosen, not point.within, -point.loss)))
    axes.set_xlabel("seconds on one thread to fit in all folds, tuning included")
    axes.set_ylabel("log loss, out of fold")
    axes.xaxis.set_major_formatter(lambda value, _: words.compact(value))
    axes.minorticks_off()
    said = "; ".join(f"{p.name} {words.fixed(p.loss, 4)} in {words.number(p.seconds, 2)} s" for p in points)
    return svg(
        figure,
        description=f"Log loss against seconds to fit: {said}",
        caption="Star: chosen. Dark: within noise of the best. Pale: worse by more than noise. Triangle: "
        "beyond the figure's upper edge.",
    )


def _points(findings: Findings) -> tuple[list[_Point], float, float]:
    """The candidates that took time, and the lower and upper end of what is shown."""
    shown = findings.leaderboard.select("model", "fit_seconds", "log_loss", "chosen", "within_noise").rows()
    timed = [row for row in shown if row[1] and row[1] > 0]
    losses = sorted(row[2] for row in timed)
    best, middle = (losses[0], losses[(len(losses) - 1) // 2]) if losses else (0.0, 0.0)
    top = best + max(LEAST_REACH, 2.0 * (middle - best))
    points = [
        _Point(name.replace("_", " "), max(seconds, LEAST_SECONDS), loss, min(loss, top), chosen, within)
        for name, seconds, loss, chosen, within in timed
    ]
    return points, best, top


def _labels(axes: Axes, points: Sequence[_Point]) -> None:
    """Names beside their points, each as near as it meets no other name and no point."""
    spots = [axes.transData.transform((point.seconds, point.shown)) for point in points]
    taken = [(x - CLEAR, y - CLEAR, x + CLEAR, y + CLEAR) for x, y in spots]
    room = axes.get_window_extent()
    for point, (x, y) in zip(points, spots, strict=True):
        text = f"{short(point.name, 34)} {words.fixed(point.loss, 3)}"
        width = LETTER * len(text) * (1.08 if point.chosen else 1.0)
        right, shift = _place(taken, (x, y), width, (room.x0, room.y0, room.x1, room.y1))
        start = x + 12 if right else x - 12 - width
        taken.append((start, y + shift - LINE / 2, start + width, y + shift + LINE / 2))
        lead = {"arrowstyle": "-", "color": COLOURS["soft"], "linewidth": 0.9, "shrinkA": 1, "shrinkB": 6}
        axes.annotate(
            text,
            (point.seconds, point.shown),
            (12 if right else -12, shift),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            size=11,
            weight="bold" if point.chosen else "normal",
            color=COLOURS["ink" if point.chosen or point.within else "muted"],
            arrowprops=lead if abs(shift) > LED else None,
        )


_Box = tuple[float, float, float, float]


def _place(taken: Sequence[_Box], spot: tuple[float, float], width: float, room: _Box) -> tuple[bool, float]:
    """Whether a label goes to the right of its point, and how far up, in pixels: the nearest free place."""
    x, y = spot
    for step in np.arange(0.0, FURTHEST, 3.0).tolist():
        for shift in (step, -step):
            low, high = y + shift - LINE / 2, y + shift + LINE / 2
            for right in (True, False):
                start = x + 12 if right else x - 12 - width
                inside = start >= room[0] and start + width <= room[2] and low >= room[1]
                clear = all(start >= c or a >= start + width or low >= d or b >= high for a, b, c, d in taken)
                if inside and clear and high <= room[3] + LINE:
                    return right, shift
    return x + 12 + width <= room[2], 0.0
