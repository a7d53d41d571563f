"""A text file as a stream of UTF-8 bytes, whatever its compression and encoding."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from holdfast.sources.problems import SourceError, broken_archive, nul_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.sources.detect import Compression

UTF8_MARK = codecs.BOM_UTF8
_UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextStream:
    """Bytes of a text file from its start: decompressed, UTF-16 and -32 made UTF-8, byte order mark dropped.

    Args:
        path: the file.
        compression: how it is packed, from `holdfast.sources.detect.file_kind`.
    """

    def __init__(self, path: Path, compression: Compression | None) -> None:
        self.path = path
        self.compression = compression
        self.encoding = "utf-8"
        self._raw = pa.OSFile(str(path))
        self._total = self._raw.size()
        self._source = self._raw if compression is None else pa.CompressedInputStream(self._raw, compression)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._read = 0
        self._pending = self._begin()

    def _begin(self) -> bytes:
        try:
            head = self._pull(4)
            if head.startswith(_UTF32_MARKS):
                self.encoding = "utf-32"
            elif head.startswith(_UTF16_MARKS):
                self.encoding = "utf-16"
            if self.encoding != "utf-8":
                self._decoder = codecs.getincrementaldecoder(self.encoding)()
                return self._decoded(head)
        except SourceError:
            self.close()
            raise
        return head.removeprefix(UTF8_MARK)

    def read(self, size: int) -> bytes:
        """Up to about ``size`` bytes; empty at the end of the file.

        Raises:
            SourceError: the archive is broken, the text holds NUL bytes or is not what its mark says.
        """
        if self._pending:
            first, self._pending = self._pending, b""
            return first + self.read(size)
        start = self._read
        data = self._pull(size)
        if self._decoder is not None:
            text = self._decoded(data)
            # One short read may complete no character; the end of the file is a read of nothing.
            return text if text or not data else self.read(size)
        place = data.find(b"\0")
        if place >= 0:
            raise nul_bytes(self.path, start + place)
        return data

    def _pull(self, size: int) -> bytes:
        try:
            data: bytes = self._source.read(size)
        except (OSError, pa.ArrowException) as error:
            raise broken_archive(self.path, self.compression or "text", error) from error
        self._read += len(data)
        return data

    def _decoded(self, data: bytes) -> bytes:
        if self._decoder is None:  # pragma: no cover - callers look first
            return data
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise SourceError(
                f"The file is marked as {self.encoding.upper()} and is not: {error.reason}.",
                where=f"{self.path}, near byte {self._read:,}",
                hint="Export it again as CSV in UTF-8.",
            ) from error
        place = text.find("\0")
        if place >= 0:
            raise nul_bytes(self.path, self._read)
        return text.encode("utf-8", errors="replace")

    @property
    def done(self) -> float:
        """Share of the file's bytes read so far, 0 to 1."""
        return min(1.0, self._raw.tell() / self._total) if self._total else 1.0

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
