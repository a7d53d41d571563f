"""Finds and clears what SQLite leaves behind in the unused middle of its pages. Run as a program.

`secure_delete` overwrites what is deleted. But when a page is split, its rows are laid out anew, and where
they were, between the page's list of cells and the first of them, old copies stay until something happens to
overwrite them. SQLite itself clears that place whenever it tidies a page up, and never reads it. The layout
is that of https://www.sqlite.org/fileformat2.html, which is promised to stay.

A process of its own, with nothing but the standard library: SQLite's locks end when the process that has them
closes the file, whoever opened it.

    slack.py find FILE   reads texts, one a line as hex; writes the numbers of pages whose slack has one
    slack.py clear FILE  reads numbers of pages; clears their slack. The caller sees to it that no newer copy
                         of theirs is in a write-ahead log, and that nobody writes meanwhile.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FILE_HEADER = 100
"""Bytes of the first page before what every page begins with."""

HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}
"""Kinds of pages that have cells, and how long their headers are."""

MOST_PAGES = 2 << 24
"""In a larger file, the number that other pages begin with could look like one of these kinds."""


def main(action: str, file: str) -> None:
    """Do one of the two."""
    if action == "find":
        needles = [bytes.fromhex(line) for line in sys.stdin]
        with open(file, "rb") as opened:  # noqa: PTH123 - pathlib takes longer to import than all else here
            sys.stdout.writelines(f"{page}\n" for page in find(opened, needles))
    else:
        with open(file, "r+b") as opened:  # noqa: PTH123 - as above
            clear(opened, map(int, sys.stdin))


def find(file: BinaryIO, needles: Sequence[bytes]) -> list[int]:
    """Numbers of the pages (the first is 0) in whose slack one of ``needles`` lies, even in part.

    Raises:
        ValueError: the file is of a kind that Holdfast does not make.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        size = _page_size(content[:FILE_HEADER], len(content))
        return sorted({page for needle in needles for page in _holding(content, size, needle)})


def clear(file: BinaryIO, pages: Iterable[int]) -> None:
    """Fill the slack of these pages with zeros, on the disk."""
    size = _page_size(file.read(FILE_HEADER), os.fstat(file.fileno()).st_size)
    for page in pages:
        file.seek(page * size)
        start, end = _slack(file.read(size), page)
        file.seek(page * size + start)
        file.write(bytes(end - start))
    file.flush()
    os.fsync(file.fileno())


def _holding(content: mmap.mmap, size: int, needle: bytes) -> Iterator[int]:
    at = content.find(needle)
    while at >= 0:
        page = at // size
        start, end = (page * size + edge for edge in _slack(content[page * size : (page + 1) * size], page))
        if at + len(needle) > start and at < end:
            yield page
        # What comes before the slack may hide what is in it.
        at = content.find(needle, at + 1 if at < start < end else (page + 1) * size)


def _slack(page: bytes, number: int) -> tuple[int, int]:
    """Where a page's slack starts and ends; the same twice if it has none."""
    at = FILE_HEADER if number == 0 else 0
    header = HEADERS.get(page[at])
    if header is None:  # the rest of a long row, or a free page
        return 0, 0
    start = at + header + 2 * int.from_bytes(page[at + 3 : at + 5], "big")
    end = int.from_bytes(page[at + 5 : at + 7], "big") or 65_536
    return (start, end) if start <= end <= len(page) else (0, 0)


def _page_size(header: bytes, length: int) -> int:
    size = int.from_bytes(header[16:18], "big")
    size = 65_536 if size == 1 else size
    vacuums_itself = any(header[52:56])  # then there are pages of one more kind
    if not header.startswith(b"SQLite format 3\0") or vacuums_itself or length // size >= MOST_PAGES:
        raise ValueError("not a file as Holdfast makes them")
    return size


if __name__ == "__main__":
    main(*sys.argv[1:])
