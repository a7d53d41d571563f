"""Cut a stream of CSV into blocks of whole records, and set broken quotes aside.

A line whose quotes do not pair is either the first line of a record that goes on below (a quoted line
break) or broken. It is taken as a record only if it then reads as one with the right number of fields;
otherwise that one line is malformed and the next stands for itself, so one stray quote never swallows the
rest of a file.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.sources.dialect import Dialect

LONGEST_RECORD = 1 << 20
"""Bytes; a quote left open for longer is broken."""

MOST_LINES = 1_000
"""Lines; a quote left open for more is broken."""

NEWLINE = 10
UNCLOSED = "a quote is opened and not closed"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, in the file's order."""

    data: bytes
    """The records that can be split, each with its line end."""
    multiline: bool
    """Whether any record has a line break within quotes."""
    broken: dict[int, bytes]
    """Lines with broken quotes, left out of ``data``: number of the record in the block, from 1, to line."""


def cut(data: bytes, dialect: Dialect, *, last: bool) -> tuple[Block, bytes]:
    """The whole records at the start of ``data``, and the bytes after them.

    Args:
        data: bytes from the start of a record.
        dialect: how the file is written.
        last: whether nothing follows; then everything is cut.
    """
    if last and data and not data.endswith(b"\n"):
        data += b"\n"
    quote = dialect.quote.encode()
    if quote not in data:
        end = data.rfind(b"\n") + 1
        return Block(data[:end], multiline=False, broken={}), data[end:]
    ends, odd = _odd_lines(data, quote)
    if not len(ends):
        return Block(b"", multiline=False, broken={}), data
    if not len(odd):
        end = int(ends[-1]) + 1
        return Block(data[:end], multiline=False, broken={}), data[end:]
    return _Mender(data, dialect, ends, last=last).mend(odd)


def _odd_lines(data: bytes, quote: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each line ends, and which lines (from 0) hold an odd number of quotes."""
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw == NEWLINE)
    quotes = np.flatnonzero(raw == quote[0])
    before = np.searchsorted(quotes, ends)
    counts = np.diff(before, prepend=0)
    return ends, np.flatnonzero(counts % 2 == 1)


class _Mender:
    """Decides about each line with unpaired quotes, in order. Only those lines are looked at one by one."""

    def __init__(self, data: bytes, dialect: Dialect, ends: NDArray[np.int64], *, last: bool) -> None:
        self._data = data
        self._dialect = dialect
        self._ends = ends
        self._last = last
        self._spans: list[tuple[int, int]] = []  # lines of records that go over several
        self._broken: list[int] = []  # lines set aside

    def mend(self, odd: NDArray[np.int64]) -> tuple[Block, bytes]:
        """The block, and the bytes that wait for more."""
        lines = odd.tolist()
        stop = len(self._ends)  # the first line that is not in the block
        at = 0
        while at < len(lines):
            line = lines[at]
            following = lines[at + 1] if at + 1 < len(lines) else None
            if self._is_record(line, line):
                at += 1
            elif following is not None and self._near(line, following) and self._is_record(line, following):
                self._spans.append((line, following))
                at += 2
            elif following is None and not self._last and self._near(line, len(self._ends) - 1):
                stop = line
                break
            else:
                self._broken.append(line)
                at += 1
        return self._block(stop), self._data[self._start(stop) :]

    def _start(self, line: int) -> int:
        return 0 if line == 0 else int(self._ends[line - 1]) + 1

    def _near(self, first: int, final: int) -> bool:
        size = int(self._ends[final]) - self._start(first)
        return final - first < MOST_LINES and size < LONGEST_RECORD

    def _is_record(self, first: int, final: int) -> bool:
        text = self._data[self._start(first) : int(self._ends[final])].decode(errors="replace").rstrip("\r")
        reader = csv.reader(
            [text], delimiter=self._dialect.separator, quotechar=self._dialect.quote, strict=True
        )
        try:
            fields = next(reader, [])
        except csv.Error:
            return False
        # A single line of the wrong width is told as such by the parser proper.
        return first == final or len(fields) == len(self._dialect.names)

    def _block(self, stop: int) -> Block:
        end = self._start(stop)
        if not self._broken:
            return Block(self._data[:end], multiline=bool(self._spans), broken={})
        starts = np.concatenate([[0], self._ends[:stop] + 1])[:stop]
        counted = self._ends[:stop] - starts > 0  # blank lines are no records
        counted &= ~((self._ends[:stop] - starts == 1) & (self._bytes_at(starts) == b"\r"[0]))
        for first, final in self._spans:
            counted[first + 1 : final + 1] = False
        number = np.cumsum(counted)
        pieces, at = [], 0
        broken: dict[int, bytes] = {}
        for line in self._broken:
            begin, finish = self._start(line), int(self._ends[line]) + 1
            broken[int(number[line])] = self._data[begin:finish].rstrip(b"\r\n")
            pieces.append(self._data[at:begin])
            at = finish
        pieces.append(self._data[at:end])
        return Block(b"".join(pieces), multiline=bool(self._spans), broken=broken)

    def _bytes_at(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.frombuffer(self._data, dtype=np.uint8)[places]
