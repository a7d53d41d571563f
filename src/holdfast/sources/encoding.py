"""Text that is no UTF-8: as older programs of Windows write it."""

from __future__ import annotations

WINDOWS = "cp1252"


def as_utf8(data: bytes) -> tuple[bytes, int]:
    """Whole lines with those that are no UTF-8 read as Windows-1252, and how many these are.

    Each line is judged alone, so that what it says does not depend on what stands around it, and a file that
    was put together from two sources is read, too.

    Raises:
        UnicodeDecodeError: a line is neither; its ``start`` counts from the start of ``data``.
    """
    if data.isascii() or _is_utf8(data):
        return data, 0
    lines = data.split(b"\n")
    found, at = 0, 0
    for place, line in enumerate(lines):  # rows, but only of a block that holds such a line
        if not line.isascii() and not _is_utf8(line):
            found += 1
            try:
                lines[place] = line.decode(WINDOWS).encode()
            except UnicodeDecodeError as error:
                error.object, error.start = data, at + error.start
                raise
        at += len(line) + 1
    return b"\n".join(lines), found


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
