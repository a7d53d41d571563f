"""The report's section on a backtest: the figures by period, their drawing, and what was dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.pages import COLOURS, Html, Section, fold, heading, new_figure, paragraph, svg, table, words
from holdfast.training.byperiod import BASE_RATE, PIPELINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from holdfast.pages.blocks import Cell
    from holdfast.training.byperiod import Backtest
    from holdfast.training.findings import Findings

WIDE = 860
TALL = 300
MOST_DROPPED = 400
_DASHED = (0, (4, 3))
_LINE = 0.12
"""Of the range of the labelled ends: how far apart labels stand at the least."""


def by_period(findings: Findings, drawn: Mapping[str, Html]) -> Section | None:
    """How the model did period by period, each predicted by what was known when it began."""
    found = findings.backtest
    if found is None:
        return None
    parts = [drawn[name] for name in ("periods_loss", "periods_rate") if name in drawn]
    headers = ["As of", "Customers", "Left", "Predicted", "AUC", "Log loss", "Brier", "Cal. error"]
    headers += ["Intercept", "Slope", "Lift", "Gain", "Model"]
    rule = "" if found.rule is None else f", and of a rule that knows only {found.rule}"
    naive = ["As of", "Known before", "Left, known before", "Log loss of that base rate"]
    naive += ["Log loss of the rule", "AUC of the rule", "Gain of the rule"]
    dropped: list[tuple[Cell, ...]] = []
    dropped += list(found.dropped.items())[:MOST_DROPPED]
    lists = [
        fold(
            f"Features that the model does without ({len(found.dropped):,})",
            table(["Feature", "Why"], dropped),
        )
    ]
    return Section(
        "Period by period",
        *parts,
        table(headers, [_row(row) for row in found.of(PIPELINE).iter_rows(named=True)]),
        Html("<h3>What needs no model</h3>"),
        table(naive, _naive(found)),
        paragraph(
            "Gain is per customer at the threshold. The intercept is 0 and the slope 1 where probabilities "
            "are right; the lift is that of the riskiest tenth.",
            small=True,
        ),
        *(lists if dropped else []),
        *_survival(findings),
        intro="Each period is predicted by models, settings, weights and calibration that follow from labels "
        f"known when it began. The last, {found.last}, was used for nothing until the end. Beside the model "
        f"stand the losses of the base rate so far{rule}.",
    )


def _row(row: Mapping[str, object]) -> tuple[Cell, ...]:
    def fixed(name: str, decimals: int) -> str:
        value = row[name]
        return words.fixed(value if isinstance(value, float) else None, decimals)

    model = str(row["chosen"]).replace("_", " ")
    return (
        str(row["period"]),
        words.count(int(str(row["rows"]))),
        words.percent(float(str(row["base_rate"]))),
        words.percent(float(str(row["mean_predicted"]))),
        fixed("roc_auc", 3),
        fixed("log_loss", 4),
        fixed("brier", 4),
        fixed("calibration_error", 3),
        fixed("calibration_intercept", 2),
        fixed("calibration_slope", 2),
        fixed("lift_top_decile", 2),
        fixed("profit_per_customer", 2),
        f"{model}, last" if row["last"] else model,
    )


def _naive(found: Backtest) -> list[tuple[Cell, ...]]:
    rules = {} if found.rule_name is None else {r["period"]: r for r in found.of(found.rule_name).to_dicts()}
    rows: list[tuple[Cell, ...]] = []
    for row in found.of(BASE_RATE).iter_rows(named=True):
        rule = rules.get(row["period"], {})
        rows.append(
            (
                row["period"],
                words.count(row["learned_rows"]),
                words.percent(row["learned_rate"]),
                words.fixed(row["log_loss"], 4),
                words.fixed(rule.get("log_loss"), 4),
                words.fixed(rule.get("roc_auc"), 3),
                words.fixed(rule.get("profit_per_customer"), 2),
            )
        )
    return rows


def _survival(findings: Findings) -> list[Html]:
    """Predicted and seen survival of the last period's customers."""
    if findings.survival is None or not findings.survival.metrics:
        return []
    months = findings.survival.metrics["months"]
    rows: list[tuple[Cell, ...]] = [
        (each["month"], words.percent(each["predicted"]), words.percent(each["seen"])) for each in months
    ]
    return [
        Html("<h3>Time until churn</h3>"),
        table(["Months after", "Still there, predicted", "Still there, seen (Kaplan-Meier)"], rows),
        paragraph(
            f"Of customers as of {findings.backtest.last if findings.backtest else ''}, by a hazard that had "
            "not seen them, as far as the tables tell. A month is 30 days. At the horizon the curve is the "
            "churn probability's.",
            small=True,
        ),
    ]


def loss_by_period(findings: Findings) -> Html:
    """Log loss by period: the model, the base rate so far and the rule."""
    found = _backtest(findings)
    names = found.of(PIPELINE)["period"].to_list()
    figure, axes = new_figure(WIDE, TALL, margins=(64, 170, 34, 44))
    heading(figure, "Log loss by period", "lower is better")
    lines = [(PIPELINE, "the model", "stayed", "-"), (BASE_RATE, "base rate so far", "muted", _DASHED)]
    if found.rule_name is not None:
        lines.append((found.rule_name, "rule", "second", _DASHED))
    ends = []
    for who, label, colour, dashes in lines:
        losses = found.of(who)["log_loss"].to_list()
        axes.plot(names, losses, "o", linestyle=dashes, color=COLOURS[colour], markersize=5)
        ends.append((losses[-1], label, colour))
    for height, label, colour in _apart(ends):
        axes.annotate(
            label, (1, height), (10, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", color=COLOURS[colour],
        )  # fmt: skip
    _last(axes, names)
    said = "; ".join(
        f"{n} {words.fixed(v, 4)}" for n, v in zip(names, found.of(PIPELINE)["log_loss"], strict=True)
    )
    return svg(figure, description=f"Log loss of the model by period: {said}", caption=_CAPTION)


def rate_by_period(findings: Findings) -> Html:
    """Share who left, predicted and seen, by period."""
    found = _backtest(findings)
    rows = found.of(PIPELINE)
    names = rows["period"].to_list()
    figure, axes = new_figure(WIDE, TALL, margins=(64, 170, 34, 44))
    heading(figure, "Left, predicted and seen", "how the base rate drifts")
    series = [
        (rows["base_rate"], "seen", "left", "-"),
        (rows["mean_predicted"], "predicted", "stayed", "-"),
        (rows["learned_rate"], "known before", "muted", _DASHED),
    ]
    ends = []
    for values, label, colour, dashes in series:
        axes.plot(names, values, "o", linestyle=dashes, color=COLOURS[colour], markersize=5)
        ends.append((float(values[-1]), label, colour))
    for height, label, colour in _apart(ends):
        axes.annotate(
            label, (1, height), (10, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", color=COLOURS[colour],
        )  # fmt: skip
    axes.yaxis.set_major_formatter(lambda share, _: words.percent(share))
    _last(axes, names)
    said = "; ".join(
        f"{n}: seen {words.percent(a)}, predicted {words.percent(b)}"
        for n, a, b in zip(names, rows["base_rate"], rows["mean_predicted"], strict=True)
    )
    return svg(figure, description=f"Share who left by period. {said}", caption=_CAPTION)


_CAPTION = "Grey band: the last period, untouched until the end."


def _backtest(findings: Findings) -> Backtest:
    assert findings.backtest is not None  # noqa: S101 - only drawn where there is one
    return findings.backtest


def _last(axes: Axes, names: list[str]) -> None:
    """Mark the last period, and let names of periods not run into each other."""
    at = len(names) - 1
    axes.axvspan(at - 0.5, at + 0.5, color=COLOURS["soft"], alpha=0.3, linewidth=0)
    axes.set_xlim(-0.5, at + 0.5)
    axes.grid(visible=False, axis="x")


def _apart(ends: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Labels at the ends of lines, moved up or down so that none covers another."""
    every = [value for value, _, _ in ends]
    gap = _LINE * (max(every) - min(every) or 1.0)
    placed: list[tuple[float, str, str]] = []
    for value, label, colour in sorted(ends):
        height = max(value, placed[-1][0] + gap) if placed else value
        placed.append((height, label, colour))
    return placed
