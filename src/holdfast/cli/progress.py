"""Shows how far long work is: a bar with time left at a terminal, a plain line a stage elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from holdfast.progress import Progress


@contextmanager
def shown_progress(*, silent: bool) -> Iterator[Progress]:
    """The progress that fits where stderr leads; what it drew is closed at the end."""
    if silent:
        yield NullProgress()
    elif not sys.stderr.isatty():
        yield PlainProgress()
    else:
        from rich.console import Console  # noqa: PLC0415 - only at a terminal

        with _bars(Console(stderr=True)) as bars:
            shown = RichProgress(bars)
            yield shown
            shown.finish()


class PlainProgress:
    """One line on stderr as each stage begins, for logs and pipes."""

    def start(self, name: str, total: float | None) -> None:  # noqa: ARG002 - a line has no length
        """Write the stage's name."""
        print(f"{name} …", file=sys.stderr, flush=True)  # noqa: T201 - that is the progress

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """Say nothing: a log needs no steps."""


class RichProgress:
    """One bar a stage: share done, time left (time so far where the total is unknown), and a note."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._stage: TaskID | None = None

    def start(self, name: str, total: float | None) -> None:
        """Finish the stage before and draw the next."""
        self.finish()
        self._stage = self._bars.add_task(name, total=total, note="")

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """Move the present stage's bar."""
        if self._stage is not None:
            words: dict[str, Any] = {} if note is None else {"note": note}
            self._bars.update(self._stage, advance=amount, **words)

    def finish(self) -> None:
        """Fill the present stage's bar: what follows means that it is done."""
        if self._stage is not None:
            task = next(task for task in self._bars.tasks if task.id == self._stage)
            total = task.total if task.total is not None else max(task.completed, 1.0)
            self._bars.update(self._stage, total=total, completed=total, note="")
            self._stage = None


def _bars(console: Console) -> Bars:
    from rich import progress as rich  # noqa: PLC0415 - only at a terminal

    return rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=24),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(elapsed_when_finished=True),
        rich.TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=console,
    )
