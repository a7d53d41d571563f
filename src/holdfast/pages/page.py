"""One whole page: head, navigation, sections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from holdfast.pages.blocks import Html, show

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, init=False)
class Section:
    """A titled part of a page, reachable from its navigation.

    Args:
        title: what stands above it.
        blocks: what stands in it, from the helpers of `holdfast.pages`; plain text becomes escaped text.
        intro: a sentence or two below the title: what is seen here and how to read it.
    """

    title: str
    blocks: tuple[Html | str, ...]
    intro: str | None

    def __init__(self, title: str, *blocks: Html | str, intro: str | None = None) -> None:
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "intro", intro)


def page(title: str, subtitle: str, sections: Sequence[Section], *, footer: str | None = None) -> str:
    """A page that needs nothing but itself.

    Args:
        title: the page's name, also the browser's.
        subtitle: one line below it.
        sections: in order; each gets a line in the navigation.
        footer: a last line, such as what made the page.

    Returns:
        The whole HTML document; equal arguments give equal text.
    """
    anchors = _anchors([section.title for section in sections])
    links = "".join(
        f'<a href="#{anchor}">{show(section.title)}</a>'
        for anchor, section in zip(anchors, sections, strict=True)
    )
    parts = "".join(_section(anchor, section) for anchor, section in zip(anchors, sections, strict=True))
    last = f"<footer>{show(footer)}</footer>" if footer else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{show(title)}</title>\n<style>\n{_css()}</style>\n</head>\n<body>\n"
        f'<header><div class="brand">Holdfast</div><h1>{show(title)}</h1><p>{show(subtitle)}</p></header>\n'
        f'<div class="frame"><nav aria-label="Contents">{links}</nav>\n<main>\n{parts}{last}</main></div>\n'
        "</body>\n</html>\n"
    )


def _section(anchor: str, section: Section) -> str:
    intro = f'<p class="intro">{show(section.intro)}</p>' if section.intro else ""
    blocks = "\n".join(
        block if isinstance(block, Html) else f"<p>{show(block)}</p>" for block in section.blocks
    )
    return f'<section id="{anchor}"><h2>{show(section.title)}</h2>{intro}\n{blocks}</section>\n'


def _anchors(titles: Sequence[str]) -> list[str]:
    """A different name for each section, made of its title."""
    found: list[str] = []
    for title in titles:
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        anchor, again = slug, 2
        while anchor in found:
            anchor, again = f"{slug}-{again}", again + 1
        found.append(anchor)
    return found


@cache
def _css() -> str:
    return resources.files("holdfast.pages").joinpath("page.css").read_text(encoding="utf-8")
