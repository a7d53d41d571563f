"""Figures as inline SVG in the page's own colours and type, the same bytes for the same figure.

Draw inside `drawing`, with the hexadecimal `COLOURS`; `svg` turns each of them into the page's variable of
that name, so that a figure is dark where the page is.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from contextlib import contextmanager
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from holdfast.pages.blocks import Html, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = MappingProxyType(
    {
        "ink": "#1d2733",  # text, and lines that matter
        "muted": "#5f6c7b",  # ticks, labels
        "faint": "#d8dee6",  # grid
        "paper": "#ffffff",  # what is behind
        "left": "#d9541e",  # customers who left; whatever is bad
        "stayed": "#3a76ab",  # customers who stayed; the main series
        "second": "#7a5fb5",  # further series
        "third": "#2f8f6b",
        "soft": "#b6c6d8",  # background series, intervals
    }
)
"""Name to colour. No other use of these exact colours is possible: they become variables."""

_SETTINGS: Any = {  # Any, because Matplotlib types each key by itself
    "svg.fonttype": "none",
    "font.size": 11.5,
    "axes.titlesize": 13.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": 11.5,
    "axes.labelcolor": COLOURS["muted"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["faint"],
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["faint"],
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "lines.linewidth": 1.8,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "axes.unicode_minus": True,
}
_POINTS = 72.0
READABLE = 0.65
"""A figure shrinks to this share of its size on a narrow screen, and then scrolls; on paper it fits."""


@contextmanager
def drawing() -> Iterator[None]:
    """The one visual style; make and fill figures, and call `svg`, inside it."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and most commands draw nothing

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # whatever a user's own settings are
        mpl.rcParams.update(_SETTINGS)
        # the page's own fonts draw the text, so what Matplotlib's lacks does not matter
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message="constrained_layout not applied", category=UserWarning)
        yield


def new_figure(
    width: float, height: float, *, margins: tuple[float, float, float, float] | None = None
) -> tuple[Figure, Axes]:
    """An empty figure with one set of axes.

    Args:
        width: in pixels, at the page's own scale.
        height: in pixels.
        margins: room left of, right of, above and below the axes, in pixels. Without them it is measured,
            which doubles the time to draw: a page of many small figures gives them.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and most commands draw nothing

    size = (width / _POINTS, height / _POINTS)
    figure = Figure(figsize=size, dpi=_POINTS, layout="constrained" if margins is None else None)
    if margins is not None:
        left, right, top, bottom = margins
        figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    return figure, figure.subplots()


def heading(figure: Figure, text: str, note: str = "") -> None:
    """A title at the figure's upper left, and a few words at its upper right."""
    width, height = figure.get_size_inches() * _POINTS
    y = 1 - 4 / height
    figure.text(2 / width, y, text, weight="bold", size=13, va="top")
    if note:
        figure.text(1 - 2 / width, y, note, size=11, va="top", ha="right", color=COLOURS["muted"])


def short(text: str, most: int = 24) -> str:
    """Text cut in the middle to what fits beside an axis: names often differ only at their end.

    >>> short("number of calls in week 12", 16)
    'number…n week 12'
    """
    if len(text) <= most:
        return text
    tail = (most - 1) * 3 // 5
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"


def svg(figure: Figure, *, description: str, caption: str | None = None) -> Html:
    """A figure as a block of a page.

    The same drawing gives the same bytes: identifiers come from its description, and no date is written.

    Args:
        figure: drawn inside `drawing`.
        description: what a person who cannot see it should know; different for each figure of a page.
        caption: a line below it.
    """
    import matplotlib as mpl  # noqa: PLC0415 - as above

    written = io.StringIO()
    salt = sha256(description.encode()).hexdigest()[:12]
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata=nothing)
    drawn = written.getvalue()
    drawn = drawn[drawn.index("<svg") :].strip()
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn)  # nothing refers to groups
    drawn = re.sub(r'\b(id="|url\(#|xlink:href="#)', rf"\g<1>{salt}-", drawn)
    drawn = re.sub(r'style="[^"]*"', _in_page_style, drawn)
    label = html.escape(description)
    drawn = re.sub(r"^<svg ", lambda _: f'<svg role="img" aria-label="{label}" ', drawn)
    drawn = re.sub(r'(<svg[^>]*?) width="([0-9.]+)pt" height="[0-9.]+pt"', _in_page_size, drawn)
    below = f"<figcaption>{show(caption)}</figcaption>" if caption else ""
    return Html(f"<figure>{drawn}{below}</figure>")


def _in_page_size(opening: re.Match[str]) -> str:
    """A figure's start with how wide it may be at the most and must be at the least."""
    start, width = opening[1], float(opening[2])
    return f'{start} style="max-width: {width:g}px; min-width: {READABLE * width:.0f}px"'


def _in_page_style(style: re.Match[str]) -> str:
    """A style attribute with the page's colours and type."""
    text = re.sub(r" ?font-family: [^;\"]*;", "", style.group())
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return text
