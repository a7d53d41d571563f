"""Plain values as TOML text. Reading is the standard library's; writing it has not."""

from __future__ import annotations

import json
import re
import textwrap
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 100
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LARGEST_WHOLE = 2**53


def key(name: str) -> str:
    """A key, in quotes only where it needs them.

    >>> key("tenure"), key("Monthly Charges"), key("")
    ('tenure', '"Monthly Charges"', '""')
    """
    return name if _BARE.fullmatch(name) else string(name)


def string(text: str) -> str:
    r"""A string: as it is where it holds double quotes and nothing else special, else with escapes.

    >>> print(string('a "b"'), string('it\'s "b"\n'))
    'a "b"' "it's \"b\"\n"
    """
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    # JSON escapes are TOML escapes; JSON leaves only DEL and what follows it as they are.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def number(value: float) -> str:
    """A number, whole ones without a fraction.

    >>> number(800.0), number(0.5), number(1e22)
    ('800', '0.5', '1e+22')
    """
    whole = value == int(value) and abs(value) < _LARGEST_WHOLE and str(value) != "-0.0"
    return str(int(value)) if whole else repr(float(value))


def value(found: object) -> str:
    """Text, a number, true or false, a date, or a list of these.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str):
        return string(found)
    if isinstance(found, int | float):
        return number(found)
    if isinstance(found, date):
        return found.isoformat()
    if isinstance(found, list | tuple):
        return _list([value(item) for item in found])
    raise TypeError(f"a contract holds no {type(found).__name__}")


def _list(items: Sequence[str]) -> str:
    """A list on one line, or where that is too long on as many as it takes."""
    line = f"[{', '.join(items)}]"
    if len(line) <= WIDTH:
        return line
    lines, current = [], "   "
    for item in items:
        if len(current) + len(item) + 2 > WIDTH and current.strip():
            lines.append(current)
            current = "   "
        current += f" {item},"
    return "\n".join(["[", *lines, current, "]"])


def comment(text: str, *, prefix: str = "# ") -> str:
    """Text as a comment on one line; whatever could end the comment or is not printed becomes a blank."""
    return prefix + " ".join("".join(c if c.isprintable() else " " for c in text).split())


def paragraph(text: str) -> str:
    """Text as a comment over several lines."""
    lines = textwrap.wrap(" ".join(text.split()), WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {line}" for line in lines)
