"""Where in a TOML file each key stands, so that an error can name its line."""

from __future__ import annotations

import re
import tomllib
from typing import Any

KeyPath = tuple[str, ...]

_TABLE = re.compile(r"^\s*\[\[?(?P<name>[^\]\[]*(?:\"[^\"]*\"[^\]\[]*|'[^']*'[^\]\[]*)*)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<key>(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Each key and table of a TOML text to its line, from 1; the first line where it is there twice.

    Lines inside a text or list that goes over several lines may be taken for keys; they only ever add names
    that nobody asks for.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _TABLE.match(line):
            path = _dotted(found["name"])
            if path is not None:
                table = path
                lines.setdefault(table, number)
        elif found := _KEY.match(line):
            path = _dotted(found["key"])
            if path is not None:
                lines.setdefault(table + path, number)
    return lines


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """The line of a key, or of the nearest table around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _dotted(text: str) -> KeyPath | None:
    """``columns."Monthly Charges"`` as its parts, read by the TOML parser itself."""
    try:
        found: dict[str, Any] = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return None
    parts: list[str] = []
    inner: Any = found
    while isinstance(inner, dict):
        key, inner = next(iter(inner.items()))
        parts.append(key)
    return tuple(parts)
