"""What the server says about itself on stderr: one line an event, never anything about a customer."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from typing import Any

_LOG = logging.getLogger("holdfast.api")
_PLAIN = re.compile(r"[\w.:/@+-]+")


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Say that something happened. ``fields`` are facts about the service."""
    _LOG.log(level, name, extra={"fields": fields})


def fault(error: BaseException, **fields: object) -> None:
    """Say that something failed that should not: its kind and place, not its words, which may hold data."""
    places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]
    event("fault", level=logging.ERROR, kind=type(error).__name__, at=" > ".join(places), **fields)
    _LOG.debug("fault", exc_info=error)


def configure(*, debug: bool = False, quiet: bool = False) -> None:
    """Send the server's events, and the HTTP library's complaints, to stderr.

    Args:
        debug: also the full traces of faults.
        quiet: only what is wrong.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    for name in ("holdfast.api", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    lowest = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
    _LOG.setLevel(lowest)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


class _Line(logging.Formatter):
    """``2026-01-31T12:00:00Z info champion version=v3 seconds=0.2``."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        fields: dict[str, Any] = getattr(record, "fields", {})
        said = [when, record.levelname.lower(), record.getMessage()]
        said += [f"{name}={_value(value)}" for name, value in fields.items() if value is not None]
        line = " ".join(said)
        return (
            f"{line}\n{self.formatException(record.exc_info)}"
            if record.exc_info and record.exc_info[0]
            else line
        )


def _value(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
