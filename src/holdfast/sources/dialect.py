"""How a text table is written: separator, quotes, line ends and header, from its first lines."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from holdfast.sources.encoding import as_utf8
from holdfast.sources.problems import SourceError, check_columns, wrong_encoding

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_LINES = 100
SEPARATORS = (",", ";", "\t", "|")
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True)
class Dialect:
    """What to know before reading the rows."""

    separator: str
    quote: str
    names: tuple[str, ...]
    """Column names, blanks around them stripped; a column without one is ``Unnamed: 3`` by its place."""
    header_bytes: int
    """Where the first data row begins, in the stream."""
    carriage_returns: bool = False
    """Whether a bare carriage return ends a line, as on old Macs."""
    windows_1252: int = 0
    """Lines of the header that are no UTF-8 and were read as Windows-1252."""

    def describe(self) -> str:
        """For people: ``separated by ";"``."""
        return "separated by " + ("tabs" if self.separator == "\t" else f'"{self.separator}"')


def sniff(path: Path, sample: bytes, *, whole: bool) -> Dialect:
    """Find the dialect in the first bytes of the stream.

    Args:
        path: for errors.
        sample: the stream's first bytes, UTF-8.
        whole: whether that is all of it.

    Raises:
        SourceError: no header, too many columns, names twice, or a header in an unknown encoding.
    """
    carriage_returns = b"\n" not in sample and b"\r" in sample
    if carriage_returns:
        sample = sample.replace(b"\r", b"\n")
    skipped, hinted = _preamble(sample)
    body = sample[skipped:]
    if not body.strip():
        raise SourceError("The file holds no header and no rows.", where=str(path), hint="Export it again.")
    quote = "'" if body.startswith(b"'") and b'"' not in body[:4096] else '"'
    header_end = _header_end(body, quote.encode(), whole=whole)
    if header_end is None:
        raise SourceError(
            "The header has no end: its line is too long or a quote in it is never closed.",
            where=f"{path}, the header",
            hint="Check that the file is CSV with the column names on its first line.",
        )
    try:
        header, foreign = as_utf8(body[:header_end])
    except UnicodeDecodeError as error:
        at = skipped + error.start
        raise wrong_encoding(path, row=0, byte=at, value=sample[at]) from error
    header_text = header.decode()
    lines = body[header_end:].decode(errors="replace").split("\n")
    lines = lines if whole else lines[:-1]  # the last one may be cut
    lines = [line for line in lines[:SAMPLE_LINES] if line.strip("\r")]
    separator = hinted or _separator(header_text, lines, quote)
    names = _names(header_text, lines, separator, quote)
    check_columns(path, names)
    return Dialect(separator, quote, tuple(names), skipped + header_end, carriage_returns, foreign)


def _preamble(sample: bytes) -> tuple[int, str | None]:
    """Bytes before the header (blank lines, Excel's ``sep=;``), and the separator that line names."""
    at = len(sample) - len(sample.lstrip(b"\r\n"))
    line = sample[at : at + 8].lower()
    if line.startswith(b"sep=") and line[5:6] in {b"\r", b"\n"}:
        end = sample.find(b"\n", at) + 1
        return end, line[4:5].decode("latin-1")
    return at, None


def _header_end(body: bytes, quote: bytes, *, whole: bool) -> int | None:
    """Length of the first record with its line end; names in quotes may hold line breaks."""
    end = body.find(b"\n")
    first = end
    while 0 <= end < _LONGEST_HEADER:
        if body.count(quote, 0, end) % 2 == 0:
            return end + 1
        end = body.find(b"\n", end + 1)
    if 0 <= first < _LONGEST_HEADER:  # the quote is no quote, only a stray mark in a name
        return first + 1
    return len(body) if whole and len(body) < _LONGEST_HEADER else None


def _split(lines: list[str], separator: str, quote: str) -> list[list[str]]:
    reader = csv.reader(lines, delimiter=separator, quotechar=quote)
    try:
        return list(islice(reader, SAMPLE_LINES))
    except csv.Error:  # a field beyond the module's limit: this is not how the file is split
        return []


def _separator(header: str, lines: list[str], quote: str) -> str:
    """The separator that splits most rows into as many fields as the header, and those into most."""
    best, separator = (0.0, 0), ","
    for candidate in SEPARATORS:
        fields = _split([header], candidate, quote)
        width = len(fields[0]) if fields else 0
        if width < 2:  # noqa: PLR2004 - one field means no separator
            continue
        rows = _split(lines, candidate, quote)
        fitting = sum(len(row) in {width, width + 1} for row in rows) / len(rows) if rows else 1.0
        if (fitting, width) > best:
            best, separator = (fitting, width), candidate
    return separator


def _names(header: str, lines: list[str], separator: str, quote: str) -> list[str]:
    """Column names; a column too many in nearly every row gets one of its own, where it stands."""
    found = _split([header.rstrip("\r\n")], separator, quote)
    fields = found[0] if found else [header]
    rows = _split(lines, separator, quote)
    wider = [row for row in rows if len(row) == len(fields) + 1]
    if rows and len(wider) > 0.9 * len(rows):
        side: Literal["first", "last"] = "last" if not any(row[-1].strip() for row in wider) else "first"
        fields = [*fields, ""] if side == "last" else ["", *fields]
    names = [field.strip().strip("\ufeff").strip() for field in fields]
    return [name or f"Unnamed: {place}" for place, name in enumerate(names)]
