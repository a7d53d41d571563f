"""Objects of an S3-compatible store: one, or all directly below a prefix, are a table."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs, parquet

from holdfast.disk import scratch
from holdfast.sources.columnar import ORACLE_MARK
from holdfast.sources.local import LocalPart, is_part, nothing_in
from holdfast.sources.problems import NoFileError, SourceError
from holdfast.sources.select import OPERATORS
from holdfast.sources.source import SCRATCH, Source, told_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import polars as pl

    from holdfast.settings import Settings
    from holdfast.sources.source import Asked, Where

PIECE = 1 << 23
"""Bytes that are on their way at one time."""

PIECE_ROWS = 100_000
"""Likewise rows of Parquet."""

HEAD = 1 << 21
"""Bytes that are enough to find the columns of a text table, packed or not."""

SILENT_SECONDS = 30.0
"""How long the store may say nothing in the middle of its answer."""

CONNECT_SECONDS = 10.0


class ObjectPart:
    """An object of a store; see `holdfast.sources.source.Part`."""

    def __init__(self, store: fs.S3FileSystem, found: fs.FileInfo) -> None:
        self._store = store
        self._found = found
        self.name = f"s3://{found.path}"
        self.size: int = found.size

    def schema(self) -> pl.Schema:
        """See `Part`: from the object's head or, if it is Parquet, its footer."""
        with scratch(Path(tempfile.gettempdir()), SCRATCH) as folder, told_of(self.name, folder / "table"):
            if self._is_parquet:
                with _asking(self.name), self._parquet() as file:
                    parquet.write_table(file.schema_arrow.empty_table(), folder / "table")
            else:
                with _asking(self.name), self._store.open_input_file(self._found.path) as file:
                    (folder / "table").write_bytes(file.read(HEAD))
            return LocalPart(folder / "table").schema()

    def rows(self) -> int | None:
        """See `Part`: known for Parquet."""
        if not self._is_parquet:
            return None
        with _asking(self.name), self._parquet() as file:
            return int(file.metadata.num_rows)

    def stamp(self) -> str:
        """See `Part`: name, size and time."""
        return f"{self.name},{self.size},{self._found.mtime_ns}"

    def near(self, asked: Asked) -> Generator[float | Path, None, None]:
        """See `Part`: a copy; of Parquet, only the columns and groups of rows that are asked for."""
        with scratch(Path(tempfile.gettempdir()), SCRATCH) as folder:
            path = folder / "table"
            with _asking(self.name):
                yield from self._copy_rows(path, asked) if self._is_parquet else self._copy_bytes(path)
            yield path

    @cached_property
    def _is_parquet(self) -> bool:
        with _asking(self.name), self._store.open_input_file(self._found.path) as file:
            return bool(file.read(4) == b"PAR1")

    @property
    def is_oracle(self) -> bool:
        """Whether it is marked as a simulator's oracle."""
        if not self._is_parquet:
            return False
        with _asking(self.name), self._parquet() as file:
            return ORACLE_MARK in (file.metadata.metadata or {})

    def _parquet(self) -> parquet.ParquetFile:
        return parquet.ParquetFile(self._store.open_input_file(self._found.path), pre_buffer=True)

    def _copy_bytes(self, path: Path) -> Iterator[float]:
        done = 0
        # Each piece is a request of its own, so a line that breaks costs one piece.
        with self._store.open_input_file(self._found.path) as file, path.open("wb") as copy:
            while piece := file.read(PIECE):
                done += copy.write(piece)
                yield min(1.0, done / max(1, self.size))
        if done != self.size:
            raise SourceError(
                f"The object had {self.size:,} bytes, and {done:,} came: it changed while it was read.",
                where=self.name,
                hint="Try again when whoever writes it has finished.",
            )

    def _copy_rows(self, path: Path, asked: Asked) -> Iterator[float]:
        with self._parquet() as file:
            named = {name.strip(): name for name in file.schema_arrow.names}
            raw = [named[name] for name in asked.columns if name in named]
            groups = [
                group for group in range(file.num_row_groups) if _may_hold(file, group, named, asked.where)
            ]
            enough = asked.limit if asked.limit is not None and not asked.where else file.metadata.num_rows
            done = 0
            schema = pa.schema([file.schema_arrow.field(name) for name in raw], file.schema_arrow.metadata)
            with parquet.ParquetWriter(path, schema, compression="lz4") as writer:
                for batch in file.iter_batches(PIECE_ROWS, row_groups=groups, columns=raw):
                    if done >= enough:
                        return
                    writer.write_batch(batch.select(raw).cast(schema))
                    done += batch.num_rows
                    yield min(1.0, done / max(1, enough))


def store_source(address: str, settings: Settings) -> Source:
    """The table that the object ``s3://bucket/key`` is, or the objects directly below that prefix."""
    return Source(address, lambda: _parts(address, settings))


def tables_under(address: str, settings: Settings) -> list[str]:
    """Addresses of the tables below a prefix: its objects, and the prefixes below it that have some.

    Raises:
        SourceError: it cannot be listed, or there are none.
    """
    store = _store(settings)
    with _asking(address):
        found = []
        for entry in _listed(store, address):
            inside = [entry] if entry.type is fs.FileType.File else _listed(store, f"s3://{entry.path}")
            parts = [ObjectPart(store, one) for one in inside if _is_part(one)]
            if parts and not parts[0].is_oracle:
                found.append(f"s3://{entry.path}")
    if not found:
        raise nothing_in(address)
    return found


def _parts(address: str, settings: Settings) -> list[ObjectPart]:
    store = _store(settings)
    with _asking(address):
        found = store.get_file_info(_path(address))
        if found.type is fs.FileType.File:
            return [ObjectPart(store, found)]
        if found.type is fs.FileType.NotFound:
            raise NoFileError(
                "There is no such object.",
                where=address,
                hint="Check bucket and key; names are case-sensitive.",
            )
        parts = [ObjectPart(store, one) for one in _listed(store, address) if _is_part(one)]
    if not parts:
        raise nothing_in(address)
    return parts


def _listed(store: fs.S3FileSystem, address: str) -> list[fs.FileInfo]:
    found: list[fs.FileInfo] = store.get_file_info(fs.FileSelector(_path(address)))
    return sorted(found, key=lambda one: one.path)


def _is_part(found: fs.FileInfo) -> bool:
    return found.type is fs.FileType.File and is_part(found.base_name)


def _path(address: str) -> str:
    return address.removeprefix("s3://").rstrip("/")


def _store(settings: Settings) -> fs.S3FileSystem:
    given: dict[str, Any] = {}
    if settings.s3_endpoint is not None:
        parts = urlsplit(settings.s3_endpoint)
        given |= {"scheme": parts.scheme, "endpoint_override": f"{parts.netloc}{parts.path.rstrip('/')}"}
    if settings.s3_region is not None:
        given["region"] = settings.s3_region
    if settings.s3_access_key_id is not None and settings.s3_secret_access_key is not None:
        given["access_key"] = settings.s3_access_key_id.get_secret_value()
        given["secret_key"] = settings.s3_secret_access_key.get_secret_value()
    return fs.S3FileSystem(
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENT_SECONDS,
        # Its standard strategy waits ever longer, with jitter, after faults that pass and after no others.
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=settings.source_retries + 1),
        **given,
    )


def _may_hold(file: parquet.ParquetFile, group: int, named: dict[str, str], where: Sequence[Where]) -> bool:
    """Whether a group of rows can have one for which all hold, by its smallest and largest values."""
    told = file.metadata.row_group(group)
    columns = {told.column(place).path_in_schema: place for place in range(told.num_columns)}
    for one in where:
        place = columns.get(named[one.column])
        held = None if place is None else told.column(place).statistics
        if held is None or not held.has_min_max or isinstance(one.value, float):  # NaN is in no statistics
            continue
        try:
            ends = (held.min, held.max)
            if isinstance(ends[0], float):
                continue
            # Monotonic in the value: if neither end passes, none does, but for what lies between them.
            between = one.op == "==" and ends[0] <= one.value <= ends[1]
            if not between and not any(OPERATORS[one.op](end, one.value) for end in ends):
                return False
        except (TypeError, ValueError):  # values of kinds that Python does not compare
            continue
    return True


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Errors of the store as errors of Holdfast."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        cause = str(error).strip().splitlines()[0].rstrip(".")
        cause = re.sub(r"^When [^:]*(: |$)", "", cause)
        hint = next((hint for sign, hint in _HINTS.items() if sign in cause), None)
        raise SourceError(f"The store failed: {cause}.", where=name, hint=hint) from error


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
