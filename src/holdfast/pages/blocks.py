"""The blocks a section is made of, as HTML. All text is escaped; only `Html` is taken as it is."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from holdfast.pages import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Html(str):
    """Markup that is safe already. Joining or formatting it gives a plain ``str``, which is escaped again."""

    __slots__ = ()


_KEPT = re.compile(r"(?<=\d) %")  # a line must not break between a number and its unit

Tone = Literal["good", "warn", "bad", "info"]


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in a coloured pill, such as *pass*."""

    text: str
    tone: Tone = "info"


Cell = str | float | Html | Badge | None
"""What a table or key figure may show. Numbers are written for people; none is a dash."""


def show(cell: Cell) -> Html:
    """A cell as HTML."""
    if isinstance(cell, Html):
        return cell
    if isinstance(cell, Badge):
        return Html(f'<span class="badge {cell.tone}">{html.escape(cell.text)}</span>')
    if isinstance(cell, str):
        return Html(_KEPT.sub("\u00a0%", html.escape(cell)))
    return Html(html.escape(words.number(cell)))


def paragraph(text: str, *, small: bool = False) -> Html:
    """A paragraph."""
    return Html(f'<p class="{"small" if small else "text"}">{show(text)}</p>')


def bullets(items: Iterable[str | Html]) -> Html:
    """A list."""
    return Html("<ul>" + "".join(f"<li>{show(item)}</li>" for item in items) + "</ul>")


def notice(text: str | Html, tone: Tone = "info") -> Html:
    """A sentence that must not be missed."""
    return Html(f'<div class="notice {tone}">{show(text)}</div>')


def key_figures(figures: Sequence[tuple[str, Cell] | tuple[str, Cell, str]]) -> Html:
    """A row of large values: (what it is, value) or (what it is, value, a few words more)."""
    cards = []
    for what, value, *more in figures:
        note = f'<div class="more">{show(more[0])}</div>' if more else ""
        main = f'<div class="what">{show(what)}</div><div class="value">{show(value)}</div>'
        cards.append(f'<div class="key">{main}{note}</div>')
    return Html(f'<div class="keys">{"".join(cards)}</div>')


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    caption: str | None = None,
    most: int = 500,
) -> Html:
    """A table. Columns whose cells are numbers stand to the right.

    Args:
        headers: the columns' names.
        rows: as many cells each as there are headers.
        caption: a line above it.
        most: so many rows are shown; the rest are counted below.
    """
    classes = [
        ' class="r"' if rows and all(_figure(row[place]) for row in rows) else ""
        for place in range(len(headers))
    ]
    head = "".join(f"<th{css}>{show(name)}</th>" for name, css in zip(headers, classes, strict=True))
    lines = (
        "".join(f"<td{css}>{show(cell)}</td>" for cell, css in zip(row, classes, strict=True))
        for row in rows[:most]
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    above = f"<caption>{show(caption)}</caption>" if caption else ""
    below = paragraph(f"… and {words.count(len(rows) - most)} more.", small=True) if len(rows) > most else ""
    inner = f"{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return Html(f'<div class="scroll"><table>{inner}</table></div>{below}')


def _figure(cell: Cell) -> bool:
    """Whether a cell is a number, or text that is little more than one, such as 26.5 %."""
    if not isinstance(cell, str) or isinstance(cell, Html):
        return cell is None or isinstance(cell, (int, float))
    digits = cell.lstrip(words.MINUS + "<>~ ")
    return cell in {"", words.NONE} or (digits[:1].isdigit() and not any(map(str.isalpha, digits)))


def grid(blocks: Iterable[Html], *, width: int = 320) -> Html:
    """Blocks side by side, as many as fit, each at least ``width`` pixels wide."""
    inner = "".join(f'<div class="cell">{block}</div>' for block in blocks)
    return Html(f'<div class="grid" style="--cell: {width}px">{inner}</div>')


def fold(summary: str, *blocks: Html) -> Html:
    """Blocks that open on a click (and on paper)."""
    return Html(f"<details><summary>{show(summary)}</summary>{''.join(blocks)}</details>")
