"""Objects of an S3-compatible store: one, or all directly below a prefix, are a table."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs, parquet

from holdfast.sources.again import persistently
from holdfast.sources.columnar import ORACLE_MARK, may_hold, oracle_as_input
from holdfast.sources.local import LocalPart, is_part, nothing_in
from holdfast.sources.problems import NoFileError, SourceError
from holdfast.sources.source import Source, copies, told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    import polars as pl

    from holdfast.settings import Settings
    from holdfast.sources.source import Asked

PIECE = 1 << 23
"""Bytes that are on their way at one time."""

PIECE_ROWS = 100_000
"""Likewise rows of Parquet."""

HEAD = 1 << 21
"""Bytes that are enough to find the columns of a text table, packed or not."""

SILENT_SECONDS = 30.0
"""How long the store may say nothing in the middle of its answer."""

CONNECT_SECONDS = 10.0

_LEAST = 4_096
"""Bytes to ask for at least: a refusal that is longer than the answer asked for cannot be told."""

T = TypeVar("T")


class Store:
    """An S3-compatible store, as the settings describe it. Connects to nothing yet."""

    def __init__(self, settings: Settings) -> None:
        given: dict[str, Any] = {}
        if settings.s3_endpoint is not None:
            parts = urlsplit(settings.s3_endpoint)
            given |= {"scheme": parts.scheme, "endpoint_override": f"{parts.netloc}{parts.path.rstrip('/')}"}
        if settings.s3_region is not None:
            given["region"] = settings.s3_region
        if settings.s3_access_key_id is not None and settings.s3_secret_access_key is not None:
            given["access_key"] = settings.s3_access_key_id.get_secret_value()
            given["secret_key"] = settings.s3_secret_access_key.get_secret_value()
        self._retries = settings.source_retries
        self._system = fs.S3FileSystem(
            connect_timeout=CONNECT_SECONDS,
            request_timeout=SILENT_SECONDS,
            # A piece that breaks is asked for again at once; what stays broken, by `ask`.
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
            **given,
        )

    def ask(self, work: Callable[[fs.S3FileSystem], Iterable[T]], name: str) -> Iterator[T]:
        """What ``work`` gives; see `holdfast.sources.again.persistently`.

        Raises:
            SourceError: a fault that lasts, or one that came back after the last try.
        """
        return persistently(
            lambda: work(self._system),
            retries=self._retries,
            faults=(OSError, pa.ArrowException),
            passes=_passes,
            failed=lambda error, tries: _failed(error, name, tries),
        )

    def look(self, address: str) -> fs.FileInfo:
        """What is at an address.

        Raises:
            SourceError: as `ask`.
        """
        [found] = self.ask(lambda system: [system.get_file_info(_path(address))], address)
        return found

    def inside(self, address: str) -> list[fs.FileInfo]:
        """What is directly below a prefix, by name.

        Raises:
            SourceError: as `ask`.
        """
        [found] = self.ask(lambda system: [system.get_file_info(fs.FileSelector(_path(address)))], address)
        return sorted(found, key=lambda one: str(one.path))


class ObjectPart:
    """An object of a store; see `holdfast.sources.source.Part`."""

    def __init__(self, store: Store, found: fs.FileInfo) -> None:
        self._store = store
        self._found = found
        self.name = f"s3://{found.path}"
        self.size: int = found.size

    @cached_property
    def _footer(self) -> parquet.FileMetaData | None:
        """What it says of itself if it is Parquet."""

        def read(system: fs.S3FileSystem) -> Iterator[parquet.FileMetaData | None]:
            with system.open_input_file(self._found.path) as file:
                yield parquet.read_metadata(file) if file.read(_LEAST)[:4] == b"PAR1" else None

        [found] = self._store.ask(read, self.name)
        return found

    @property
    def is_oracle(self) -> bool:
        """Whether it is marked as a simulator's oracle."""
        return self._footer is not None and ORACLE_MARK in (self._footer.metadata or {})

    def schema(self) -> pl.Schema:
        """See `Part`: from the object's head or, if it is Parquet, its footer."""
        if self.is_oracle:
            raise oracle_as_input(self.name)
        with copies(self.name) as folder, told_of(self.name, folder / "table"):
            if self._footer is not None:
                empty = self._footer.schema.to_arrow_schema().empty_table()
                parquet.write_table(empty, folder / "table")
            else:
                list(
                    self._store.ask(
                        lambda system: self._copy_bytes(system, folder / "table", HEAD), self.name
                    )
                )
            return LocalPart(folder / "table").schema()

    def rows(self) -> int | None:
        """See `Part`: known for Parquet."""
        return None if self._footer is None else int(self._footer.num_rows)

    def stamp(self) -> str:
        """See `Part`: name, size and time."""
        return f"{self.name},{self.size},{self._found.mtime_ns}"

    def near(self, asked: Asked) -> Generator[float | Path, None, None]:
        """See `Part`: a copy; of Parquet, only the columns and groups of rows that are asked for."""
        with copies(self.name) as folder:
            path = folder / "table"
            if self._footer is None:
                yield from self._store.ask(lambda system: self._copy_bytes(system, path), self.name)
            else:
                yield from self._store.ask(lambda system: self._copy_rows(system, path, asked), self.name)
            yield path

    def _copy_bytes(self, system: fs.S3FileSystem, path: Path, most: int | None = None) -> Iterator[float]:
        size = self.size if most is None else min(most, self.size)
        done = 0
        # Each piece is a request of its own, so a line that breaks costs one piece.
        with system.open_input_file(self._found.path) as file, path.open("wb") as copy:
            while done < size and (piece := file.read(min(PIECE, size - done))):
                done += copy.write(piece)
                yield done / size
        if done != size:
            raise SourceError(
                f"The object had {self.size:,} bytes, and {done:,} came: it changed while it was read.",
                where=self.name,
                hint="Try again when whoever writes it has finished.",
            )

    def _copy_rows(self, system: fs.S3FileSystem, path: Path, asked: Asked) -> Iterator[float]:
        opened = system.open_input_file(self._found.path)
        with opened, parquet.ParquetFile(opened, metadata=self._footer, pre_buffer=True) as file:
            named = {name.strip(): name for name in file.schema_arrow.names}
            raw = [named[name] for name in asked.columns]
            groups = [
                group for group in range(file.num_row_groups) if may_hold(file, group, named, asked.where)
            ]
            enough = asked.limit if asked.limit is not None and not asked.where else file.metadata.num_rows
            schema = pa.schema([file.schema_arrow.field(name) for name in raw], file.schema_arrow.metadata)
            done = 0
            with parquet.ParquetWriter(path, schema, compression="lz4") as writer:
                for batch in file.iter_batches(PIECE_ROWS, row_groups=groups, columns=raw):
                    writer.write_batch(batch.select(raw))
                    done += batch.num_rows
                    yield min(1.0, done / max(1, enough))
                    if done >= enough:
                        return


def store_source(address: str, settings: Settings) -> Source:
    """The table that the object ``s3://bucket/key`` is, or the objects directly below that prefix."""
    return Source(address, lambda: _parts(address, Store(settings)))


def tables_under(address: str, settings: Settings) -> list[str]:
    """Addresses of the tables below a prefix: its objects, and the prefixes below it that have some.

    Raises:
        SourceError: it cannot be listed, or there are none.
    """
    store = Store(settings)
    found = []
    for entry in store.inside(address):
        inside = [entry] if entry.type is fs.FileType.File else store.inside(f"s3://{entry.path}")
        parts = [ObjectPart(store, one) for one in inside if _is_part(one)]
        if parts and not parts[0].is_oracle:
            found.append(f"s3://{entry.path}")
    if not found:
        raise nothing_in(address)
    return found


def _parts(address: str, store: Store) -> list[ObjectPart]:
    found = store.look(address)
    if found.type is fs.FileType.File:
        return [ObjectPart(store, found)]
    if found.type is fs.FileType.NotFound:
        raise NoFileError(
            "There is no such object.", where=address, hint="Check bucket and key; case matters in them."
        )
    parts = [ObjectPart(store, one) for one in store.inside(address) if _is_part(one)]
    if not parts:
        raise nothing_in(address)
    return parts


def _is_part(found: fs.FileInfo) -> bool:
    return found.type is fs.FileType.File and is_part(found.base_name)


def _path(address: str) -> str:
    return address.removeprefix("s3://").rstrip("/")


def _passes(error: Exception) -> bool:
    """Whether the same request may succeed in a moment."""
    said = str(error)
    return bool(_PASSING.search(said)) and not _LASTING.search(said)


def _failed(error: Exception, name: str, tries: int) -> SourceError:
    said = str(error).strip() or type(error).__name__
    cause = said.splitlines()[0].rstrip(".").rpartition("AWS Error ")[2]
    hint = next((hint for sign, hint in _HINTS.items() if sign in said), None)
    often = f" after {tries} tries" if tries > 1 else ""
    return SourceError(f"The store failed{often}: {cause}.", where=name, hint=hint)


# A short answer that is broken or is a refusal in many words is an INTERNAL_FAILURE to the library.
_PASSING = re.compile(
    r"NETWORK_CONNECTION|SLOW_DOWN|THROTTLING|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|REQUEST_TIMEOUT"
    r"|HTTP status 5\d\d|ETIMEDOUT"
)
_LASTING = re.compile(r"curlCode: (6|35|51|58|60|77)\b")  # no such host, or no trust in its certificate

_HINTS = {
    "NO_SUCH_BUCKET": "Check the bucket's name, and HOLDFAST_S3_ENDPOINT.",
    "ACCESS_DENIED": "Check HOLDFAST_S3_ACCESS_KEY_ID and its secret, and what the key may read.",
    "INVALID_ACCESS_KEY_ID": "Check HOLDFAST_S3_ACCESS_KEY_ID.",
    "SIGNATURE_DOES_NOT_MATCH": "Check HOLDFAST_S3_SECRET_ACCESS_KEY.",
    "301": "The bucket is in another region: set HOLDFAST_S3_REGION.",
    "NETWORK_CONNECTION": "Check HOLDFAST_S3_ENDPOINT, and that the store answers.",
    "SLOW_DOWN": "The store has too much to do; try again later.",
    "No space left": "Free some space for temporary files, or set TMPDIR to a folder that has some.",
}
"""What to do, by words of the store's. The first that fits holds."""
