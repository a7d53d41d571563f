"""The figures of one training, for the report and as files of the artefact."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast.pages import COLOURS, Html, drawing
from holdfast.training import curves, drawn, drawn_models, inperiods

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.training.curves import Ranked
    from holdfast.training.findings import Findings

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', Arial, sans-serif"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that a column's name may hold and XML 1.0 (§2.2) may not."""

RANKING: dict[str, Callable[[Findings, Ranked], Html]] = {
    "roc": drawn.roc,
    "precision_recall": drawn.precision_recall,
    "gain": drawn.gain,
    "lift": drawn.lift,
}
"""Figures that need customers of both kinds."""

OTHERS: dict[str, Callable[[Findings, Ranked], Html]] = {
    "calibration": drawn.calibration,
    "profit": drawn.profit,
    "confusion": drawn.confusion,
}

NAMES = (*RANKING, *OTHERS, "importance", "leaderboard")
"""What `figures` promises, as long as there is something to show."""


def figures(findings: Findings) -> dict[str, Html]:
    """Name to figure, as a block of a page, in the page's own colours; equal findings give equal bytes.

    Figures that mean nothing are left out: curves where the test split has customers of one kind only,
    importances where there are none.
    """
    ranked = curves.rank(findings.test_y, findings.test_p)
    wanted = {**(RANKING if ranked.both else {}), **(OTHERS if ranked.rows else {})}
    with drawing():
        found = {name: make(findings, ranked) for name, make in wanted.items()}
        if findings.backtest is not None:
            found["periods_loss"] = inperiods.loss_by_period(findings)
            found["periods_rate"] = inperiods.rate_by_period(findings)
        if findings.importance:
            found["importance"] = drawn_models.importance(findings)
        if findings.leaderboard.height:
            found["leaderboard"] = drawn_models.leaderboard(findings)
    return found


def standalone(figure: Html) -> str:
    """A page's figure as an SVG document of its own: fixed colours on white, its own size, no page needed."""
    text = figure[figure.index("<svg") : figure.index("</svg>") + len("</svg>")]
    text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
    text = re.sub(r'style="[^"]*"', _in_own_colours, text)
    width, height = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', text).groups()  # type: ignore[union-attr] # Matplotlib always writes one
    size = f'width="{width}" height="{height}" font-family="{FONT}"'
    text = re.sub(r'^(<svg\b[^>]*?) style="[^"]*"', rf"\1 {size}", text)
    back = f'<rect width="{width}" height="{height}" style="fill: {COLOURS["paper"]}"/>'
    start = text.index(">", text.index("viewBox")) + 1
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text[:start]}\n {back}{text[start:]}\n'


def _in_own_colours(style: re.Match[str]) -> str:
    return re.sub(r"var\(--([a-z]+)\)", lambda found: COLOURS[found[1]], style.group())
