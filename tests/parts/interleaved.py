"""Two pieces of work on one PostgreSQL database, made to meet at a chosen moment."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from waiting import LONGEST, wait_until

from holdfast.store import engine, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def interleaved(
    url: str,
    first: Callable[[sa.Engine], Any],
    second: Callable[[sa.Engine], Any],
    *,
    after: str | None = None,
) -> tuple[Future[Any], Future[Any]]:
    """Stop ``first``, let ``second`` run until it waits for a lock or ends, let ``first`` go on.

    Args:
        url: of the database.
        first: what is stopped.
        second: what comes between.
        after: ``first`` stops after a statement that holds this; before its commit, unless given.
    """
    reached, go_on = Event(), Event()

    def stop(*_: object) -> None:
        reached.set()
        assert go_on.wait(LONGEST)

    def stop_after(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if after is not None and after in statement:
            stop()

    with _opened(url) as one, _opened(url) as other, _opened(url) as watch, ThreadPoolExecutor(2) as both:
        if after is None:
            sa.event.listen(one, "commit", stop)
        else:
            sa.event.listen(one, "after_cursor_execute", stop_after)
        try:
            began = both.submit(first, one)
            assert reached.wait(LONGEST)
            between = both.submit(second, other)
            _until_waiting(watch, between)
        finally:
            go_on.set()
        began.exception(LONGEST)
        between.exception(LONGEST)
    return began, between


@contextmanager
def _opened(url: str) -> Iterator[sa.Engine]:
    made = engine(url)
    yield made
    made.dispose()


def _until_waiting(watch: sa.Engine, work: Future[Any]) -> None:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def begun() -> bool:
        with reading(watch) as connection:
            return work.done() or bool(connection.scalar(waiting))

    wait_until(begun, "it to meet a lock")
