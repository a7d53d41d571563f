"""Self-contained HTML pages with inline SVG figures: one look for every report.

Nothing in a page refers to anything outside it: no script, no font, no image. It reads in light and dark, on
a phone and on paper. `page` takes `Section`s of blocks; the helpers that make blocks escape all text they are
given, and whatever is not `Html` counts as text. Matplotlib is imported when the first figure is drawn.

>>> from holdfast.pages import Section, page, paragraph, table
>>> html = page("Report", "of today", [Section("Costs", paragraph("R & D"), table(["what"], [["<b>"]]))])
>>> "R &amp; D" in html, "&lt;b&gt;" in html
(True, True)
"""

from holdfast.pages import words
from holdfast.pages.blocks import (
    Badge,
    Html,
    bullets,
    fold,
    grid,
    key_figures,
    notice,
    paragraph,
    table,
)
from holdfast.pages.figures import COLOURS, drawing, heading, new_figure, short, svg
from holdfast.pages.page import Section, page
from holdfast.pages.words import count, money, number, percent, share

__all__ = [
    "COLOURS",
    "Badge",
    "Html",
    "Section",
    "bullets",
    "count",
    "drawing",
    "fold",
    "grid",
    "heading",
    "key_figures",
    "money",
    "new_figure",
    "notice",
    "number",
    "page",
    "paragraph",
    "percent",
    "share",
    "short",
    "svg",
    "table",
    "words",
]
