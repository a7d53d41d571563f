from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import matplotlib as mpl
from hypothesis import given
from hypothesis import strategies as st

from holdfast.pages import (
    COLOURS,
    Badge,
    Html,
    Section,
    bullets,
    drawing,
    fold,
    grid,
    heading,
    key_figures,
    new_figure,
    notice,
    page,
    paragraph,
    short,
    svg,
    table,
)

NASTY = "<script>alert(\"x\")</script> & 'y'"
VOID = {"meta", "br", "path", "use", "rect"}


class Balanced(HTMLParser):
    """Follows tags, and fails on one that is closed out of turn."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def check(html: str) -> Balanced:
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser


def sections(text: str) -> list[Section]:
    return [
        Section(
            text,
            text,
            paragraph(text),
            bullets([text]),
            notice(text, "bad"),
            key_figures([(text, text), (text, 3.5, text), ("b", Badge(text, "good"))]),
            table([text, "n"], [(text, 1), (None, 2.5)], caption=text),
            grid([paragraph(text)]),
            fold(text, paragraph(text)),
            intro=text,
        ),
        Section(text),
    ]


@given(text=st.one_of(st.just(NASTY), st.text(max_size=20)))
def test_all_text_is_escaped(text):
    parser = check(page(text, text, sections(text), footer=text))
    assert "script" not in parser.seen


def test_a_page_needs_nothing_but_itself():
    with drawing():
        figure, axes = new_figure(300, 200)
        axes.plot([1, 2], [3, 4])
        html = page("t", "s", [Section("a", svg(figure, description="a line"))])
    parser = check(html)
    assert not parser.seen & {"script", "link", "img", "iframe", "image", "object"}
    links = [value for name, value in parser.attributes if name in {"href", "src", "xlink:href"}]
    assert all(value.startswith("#") for value in links)
    assert not re.search(r"url\((?!#)|@import|http(?!://www\.w3\.org/)", html)


def test_sections_are_reachable_by_name_even_if_two_share_it():
    html = page("t", "s", [Section("Äpfel & co"), Section("Äpfel & co"), Section("###")])
    assert re.findall(r'href="#([^"]+)"', html) == re.findall(r'<section id="([^"]+)"', html)
    assert len(set(re.findall(r'<section id="([^"]+)"', html))) == 3


def test_numbers_stand_to_the_right_and_long_tables_say_what_is_left_out():
    html = table(["name", "n", "share"], [("a", 1, "26.5 %"), ("b", None, "< 0.1 %")] * 10, most=5)
    assert '<th>name</th><th class="r">n</th><th class="r">share</th>' in html
    assert html.count("<tr>") == 6
    assert "… and 15 more." in html


def test_only_html_is_taken_as_it_is():
    assert paragraph(Html("<b>x</b>")) == '<p class="text"><b>x</b></p>'
    assert "&lt;b&gt;" in paragraph(f"{Html('<b>x</b>')} and more")


def draw(title: str, description: str, colour: str = "stayed") -> Html:
    with drawing():
        figure, axes = new_figure(300, 200, margins=(40, 10, 30, 30))
        heading(figure, title, "note")
        axes.bar([0, 1], [3, 4], color=COLOURS[colour])
        axes.set_title(title)
        return svg(figure, description=description, caption=title)


def test_the_same_figure_is_the_same_bytes():
    assert draw("a", "d") == draw("a", "d")


def test_figures_take_the_pages_colours_but_texts_stay_as_they_are():
    drawn = draw(f"cost $5 {COLOURS['left']} {NASTY}", NASTY)
    check(drawn)
    assert "fill: var(--stayed)" in drawn
    assert "fill: var(--ink)" in drawn
    assert COLOURS["stayed"] not in drawn
    assert f"cost $5 {COLOURS['left']}" in drawn
    assert "<script" not in drawn
    assert "font-family" not in drawn


def test_a_figure_shrinks_no_further_than_can_be_read():
    assert re.search(r'<svg[^>]* style="max-width: 300px; min-width: 195px"', draw("a", "a"))


def test_figures_of_one_page_do_not_share_identifiers():
    first, second = (set(re.findall(r'\bid="([^"]+)"', draw("a", name))) for name in ("x", "y"))
    assert first
    assert not first & second
    refers = set(re.findall(r"url\(#([^)]+)\)", draw("a", "x")))
    assert refers <= first


def test_scripts_of_all_the_world_can_be_drawn():
    assert "电信 🎈" in draw("电信 🎈", "d")


def test_a_users_own_settings_do_not_matter():
    wanted = draw("a", "d")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30}):
        assert draw("a", "d") == wanted


def test_long_names_are_cut_in_the_middle():
    assert short("abc", 5) == "abc"
    assert short("number of calls in week 12", 16) == "number…n week 12"
    assert len(short("x" * 99, 20)) == 20


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, holdfast.pages, holdfast.quality.report; sys.exit('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603 - our own words
    assert done.returncode == 0
