from __future__ import annotations

import io

from rich.console import Console

from holdfast.cli import progress
from holdfast.progress import NullProgress


def work(shown):
    shown.start("reading", 4)
    shown.advance(2, "half of it")
    shown.start("waiting", None)
    shown.advance()


def test_away_from_a_terminal_each_stage_is_one_line(capsys):
    with progress.shown_progress(silent=False) as shown:
        work(shown)
    assert capsys.readouterr().err == "reading …\nwaiting …\n"


def test_silent_says_nothing(capsys):
    with progress.shown_progress(silent=True) as shown:
        work(shown)
        assert isinstance(shown, NullProgress)
    assert capsys.readouterr() == ("", "")


def test_at_a_terminal_each_stage_is_a_bar_that_ends_full():
    drawn = io.StringIO()
    bars = progress._bars(Console(file=drawn, force_terminal=True, width=100))
    with bars:
        shown = progress.RichProgress(bars)
        shown.advance()  # before any stage: nothing to move
        work(shown)
        shown.finish()
    assert [(task.description, task.finished) for task in bars.tasks] == [
        ("reading", True),
        ("waiting", True),
    ]
    assert "reading" in drawn.getvalue()
    assert "100%" in drawn.getvalue()
