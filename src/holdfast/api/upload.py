"""Takes a form with one file, writing the file to the disk as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from holdfast.api.problems import BodyError, FormError, MediaTypeError, SlowBodyError, TooLargeError
from holdfast.jobs import check_room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path
    from typing import BinaryIO

    from starlette.requests import Request

MEBI = 1024 * 1024
FLUSH = MEBI
"""Bytes that are kept in memory before they are written, in another thread."""
LONGEST_FIELD = 1_000
BESIDE = 64 * 1024
"""Bytes that a form may have besides its file."""
IDLE_SECONDS = 30.0
"""A client may pause for so long."""


class Upload:
    """A form with fields and one file.

    Args:
        path: where to write the file.
        fields: names of the fields that it may have besides.
        most: bytes that the file may have.
    """

    def __init__(self, path: Path, *, fields: Collection[str], most: int) -> None:
        self.path = path
        self.file_name: str | None = None
        """What the client calls the file."""
        self.fields: dict[str, str] = {}
        self._known = fields
        self._most = most
        self._size = 0
        self._taken = 0
        self._pending: list[bytes] = []
        self._header = b""
        self._headers: dict[bytes, bytes] = {}
        self._part: str | None = None
        self._text = b""
        self._ended = False

    async def receive(self, request: Request) -> None:
        """Read the request to its end.

        Raises:
            ProblemError: it is no such form, is too large or comes too slowly.
            NoRoomError: the disk is too full.
        """
        parser = MultipartParser(_boundary(request), self._callbacks())  # type: ignore[arg-type]
        length = request.headers.get("content-length", "")
        declared = int(length) if length.isdigit() and len(length) < 20 else 0  # noqa: PLR2004 - digits of 2 ** 63
        if declared > self._most + BESIDE:
            raise self._too_large()
        # Its answers need room, too: they are about as long.
        await asyncio.to_thread(check_room, self.path.parent, 2 * declared)
        with await asyncio.to_thread(self.path.open, "xb") as file:
            async for chunk in _chunks(request):
                self._take(parser, chunk)
                if sum(map(len, self._pending)) >= FLUSH:
                    await asyncio.to_thread(self._flush, file)
            await asyncio.to_thread(self._flush, file)
        if not self._ended:
            raise FormError("The form is cut off.", hint="Send it again.")
        if self.file_name is None:
            raise BodyError("The form has no file.", hint="Send it in the field `file`.")

    def _take(self, parser: MultipartParser, chunk: bytes) -> None:
        self._taken += len(chunk)
        if self._taken > self._most + BESIDE:
            raise self._too_large()
        try:
            parser.write(chunk)
        except FormParserError as error:
            raise FormError("The form cannot be read.", hint="Send it as curl -F does.") from error

    def _flush(self, file: BinaryIO) -> None:
        check_room(self.path.parent)
        file.write(b"".join(self._pending))
        self._pending.clear()

    def _callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_headers_finished": self._begin_data,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._headers = {}
        self._header = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        # A name that follows a value begins the next header.
        if self._header in self._headers:
            self._header = b""
        self._header += data[start:end].lower()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._header] = self._headers.get(self._header, b"") + data[start:end]

    def _begin_data(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == "file":
            if self.file_name is not None:
                raise BodyError("The form has more than one file.", hint="Send one at a time.")
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        elif name not in self._known or name in self.fields:
            wrong = [{"field": name[:100], "reason": "twice" if name in self.fields else "not known"}]
            raise BodyError("The form has a field that it should not have.", errors=wrong)
        self._part, self._text = name, b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._part == "file":
            self._size += len(piece)
            if self._size > self._most:
                raise self._too_large()
            self._pending.append(piece)
        elif len(self._text) + len(piece) > LONGEST_FIELD:
            raise BodyError(f"The field {self._part} is longer than {LONGEST_FIELD:,} bytes.")
        else:
            self._text += piece

    def _end_part(self) -> None:
        if self._part is not None and self._part != "file":
            self.fields[self._part] = self._text.decode("utf-8", "replace").strip()
        self._part = None

    def _end(self) -> None:
        self._ended = True

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"The file has more than {self._most // MEBI:,} MiB.", hint="Split it, or compress it with gzip."
        )


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:  # noqa: PLR2004 - RFC 2046, section 5.1.1
        raise MediaTypeError(
            "The body must be a form (multipart/form-data) with the file in it.",
            hint="With curl: -F file=@customers.csv",
        )
    return boundary


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        SlowBodyError: nothing came for too long.
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise SlowBodyError(
                f"Nothing came for {IDLE_SECONDS:.0f} s.", hint="Send the file again."
            ) from error
        if chunk is None:
            return
        yield chunk
