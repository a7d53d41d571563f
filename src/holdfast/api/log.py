"""What the server says about itself on stderr: one line an event, never anything about a customer.

Lines are JSON, or words on a terminal. All loggers go through the one renderer, and no error's own words
leave it, for they may hold data. Rooms below log with the standard library, by a logger named as they are.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars, merge_contextvars
from structlog.dev import ConsoleRenderer
from structlog.processors import JSONRenderer, TimeStamper
from structlog.stdlib import ProcessorFormatter, add_log_level

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_LOG = logging.getLogger("holdfast.api")
_OWN = "holdfast"

SLOW_SECONDS = 1.0
"""A request that takes longer is logged whatever came of it."""

SERVER_FAULT = 500
TURNED_AWAY = 503
MOST_PLACES = 5
"""So many steps of a trace are told; all of them at level debug."""


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Say that something happened. ``fields`` are facts about the service; None is left out."""
    _LOG.log(level, name, extra={"fields": fields})


def fault(error: BaseException, **fields: object) -> None:
    """Say that something failed that should not: its kind and place, not its words, which may hold data."""
    _LOG.error("fault", extra={"fields": fields}, exc_info=error)


def bind(correlation_id: str) -> None:
    """Put the id into every further line of this task, which is one request's."""
    bind_contextvars(correlation_id=correlation_id)


def answered(method: str, route: str, status: int, seconds: float, caller: str | None) -> None:
    """Say what came of a request, if it failed through our fault or was slow; else only at level debug.

    Requests that are turned away for a time (503) are many when they are any: what turns them away is told
    when it begins, and they are counted.

    Args:
        method: of HTTP.
        route: the template of its path; the path itself may name a customer.
        status: of the answer.
        seconds: from its arrival to its answer.
        caller: who asked, where that is known.
    """
    fault_of_ours = status >= SERVER_FAULT and status != TURNED_AWAY
    level = logging.INFO if fault_of_ours or seconds >= SLOW_SECONDS else logging.DEBUG
    if _LOG.isEnabledFor(level):
        milliseconds = round(seconds * 1_000, 3)
        event(
            "request", level=level, method=method, route=route, status=status, ms=milliseconds, caller=caller
        )


def configure(*, debug: bool = False, quiet: bool = False, level: str = "info") -> None:
    """Send what this process logs to stderr.

    Args:
        debug: everything, also each request and the full traces of faults.
        quiet: only what is wrong.
        level: from which level on otherwise (`Settings.log_level`).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(for_people=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # libraries talk to programmers
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    dbos = logging.getLogger("dbos")
    dbos.handlers, dbos.propagate = [logging.NullHandler()], True  # without any it makes one of its own
    lowest = logging.DEBUG if debug else logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger(_OWN).setLevel(max(lowest, logging.WARNING) if quiet and not debug else lowest)


def formatter(*, for_people: bool) -> logging.Formatter:
    """Writes records of any logger as one line: words for people, JSON for machines."""
    before: list[Processor] = [merge_contextvars, add_log_level, TimeStamper(fmt="iso"), _with_fields]
    renderer = ConsoleRenderer(colors=True, pad_event_to=0) if for_people else JSONRenderer(default=str)
    after = [ProcessorFormatter.remove_processors_meta, renderer]
    return ProcessorFormatter(foreign_pre_chain=before, processors=after)


def _with_fields(_logger: WrappedLogger, _method: str, found: EventDict) -> EventDict:
    """An event's own fields, and of an error its kind and place."""
    record: logging.LogRecord = found["_record"]
    fields: dict[str, Any] = getattr(record, "fields", {})
    for name, value in fields.items():
        if value is not None:
            found[name] = round(value, 6) if isinstance(value, float) else value
    if not record.name.startswith(_OWN):
        found["event"] = _without_data(str(found["event"]), str(record.msg))
        found["logger"] = record.name
    error = record.exc_info[1] if record.exc_info else None
    found.pop("exc_info", None)
    if error is not None:
        found["kind"] = type(error).__name__
        found["at"] = _places(error)
    return found


def _without_data(said: str, template: str) -> str:
    """What a library wrote beforehand, as far as that can be told from what an error says.

    >>> _without_data("took 3 s for C-17", "took %d s for %s")
    'took %d s for %s'
    >>> _without_data("Lost it: (OSError) C-17", "Lost it: (OSError) C-17")
    'Lost it'
    """
    first = template.split("\n", 1)[0]
    return first if said != template else re.split(r":\s|:$|\(", first, maxsplit=1)[0].rstrip()


def _places(error: BaseException) -> str:
    """Where an error came from, the innermost step last."""
    steps = traceback.extract_tb(error.__traceback__)
    if not _LOG.isEnabledFor(logging.DEBUG):
        steps = traceback.StackSummary(steps[-MOST_PLACES:])
    told = " > ".join(f"{step.name}:{step.lineno}" for step in steps)
    cause = error.__cause__ or error.__context__
    if cause is None or not _LOG.isEnabledFor(logging.DEBUG):
        return told
    return f"{told} after {type(cause).__name__} {_places(cause)}"
