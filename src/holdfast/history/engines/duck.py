"""Runs a history's SQL in DuckDB over the prepared Parquet files, in a bounded share of memory.

The connection can read those files and nothing else: no other file, no network, no extension, and its
settings are locked. A query that slipped through every check could still not reach anything.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import duckdb
import polars as pl

from holdfast.disk import scratch
from holdfast.errors import HoldfastError
from holdfast.history.settle import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

MIB = 2**20
SHARE = 0.5
"""Of the machine's memory, unless told how much."""

LEAST_MIB = 256
_INTERRUPTED = "Query interrupted"
_NO_ROOM = "There is no room left on the disk of the home folder."
_CGROUP = Path("/sys/fs/cgroup/memory.max")


class EngineError(HoldfastError):
    """The engine that builds features failed: no memory, no disk, or a file that is gone."""

    code = "engine"


def machine_mib() -> int:
    """Memory of this machine or container, in MiB."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CGROUP.read_text(encoding="ascii").strip() if _CGROUP.is_file() else "max"
    return min(physical, int(limit) if limit.isdigit() else physical) // MIB


def limit_mib(given: int | None = None) -> int:
    """What DuckDB may use before it spills to disk, in MiB: what is given, or a share of the machine's."""
    return given or max(LEAST_MIB, int(machine_mib() * SHARE))


class Duck:
    """A connection to the prepared tables, each a view under its own name.

    They stay as they are now, whoever prepares them anew meanwhile. Use it as a context manager; what it
    spills is removed at the end.

    Args:
        folder: where ``<table>.parquet`` are.
        tables: names of the tables.
        memory_mib: what it may use; half of the machine's unless given. Beyond, it spills to disk.
        spill: a folder to spill into; ``folder`` unless given.
        threads: as many as there are processors unless given.

    Raises:
        EngineError: a file is not there.
    """

    def __init__(
        self,
        folder: Path,
        tables: Sequence[str],
        *,
        memory_mib: int | None = None,
        spill: Path | None = None,
        threads: int | None = None,
    ) -> None:
        self._files = {name: (folder / f"{name}.parquet").resolve() for name in tables}
        missing = [path for path in self._files.values() if not path.is_file()]
        if missing:
            raise EngineError(
                "A prepared table is gone.",
                where=str(missing[0]),
                hint="Build again; the tables are prepared anew.",
            )
        self._closing = ExitStack()
        work = self._closing.enter_context(scratch(spill or folder, ".spill-"))
        self._connection = duckdb.connect()
        self._closing.callback(self._connection.close)
        self._files = {name: _held(path, work) for name, path in self._files.items()}
        paths = ", ".join(literal(str(path)) for path in self._files.values())
        for setting in (
            f"memory_limit = '{limit_mib(memory_mib)}MiB'",
            f"temp_directory = {literal(str(work))}",
            f"threads = {threads or os.cpu_count() or 1}",
            "preserve_insertion_order = false",
            "TimeZone = 'UTC'",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "python_enable_replacements = false",
            f"allowed_paths = [{paths}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._connection.execute(f"SET {setting}")
        self.narrow(None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def narrow(self, first: str | None, before: str | None) -> None:
        """Show only customers from ``first`` on and before ``before``; no bound where None.

        The files are sorted by customer, so that little more than their rows is read.
        """
        bounds = [f"_customer >= {literal(first)}"] if first is not None else []
        bounds += [f"_customer < {literal(before)}"] if before is not None else []
        self._view(" AND ".join(bounds))

    def show(self, customers: Sequence[str]) -> None:
        """Show these customers alone."""
        self._view(f"_customer IN ({', '.join(map(literal, customers)) or 'NULL'})")

    def _view(self, condition: str) -> None:
        where = f" WHERE {condition}" if condition else ""
        for name, path in self._files.items():
            rows = f"SELECT * FROM read_parquet({literal(str(path))}){where}"
            self.run(f"CREATE OR REPLACE VIEW {quoted(name)} AS {rows}")

    def file(self, table: str) -> Path:
        """The Parquet file behind a table."""
        return self._files[table]

    def run(self, sql: str) -> None:
        """Run a statement for what it does.

        Raises:
            EngineError: with what DuckDB says.
        """
        with told():
            self._connection.execute(sql)

    def store(self, name: str, frame: pl.DataFrame) -> None:
        """Make a table of a frame."""
        self._connection.register("_given", frame.to_arrow())
        self.run(f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM _given")
        self._connection.unregister("_given")

    def query(self, sql: str) -> pl.DataFrame:
        """All rows of a query.

        Raises:
            EngineError: with what DuckDB says.
        """
        with told():
            return pl.DataFrame(self._connection.sql(sql).to_arrow_table())

    def batches(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query, ``rows`` at a time; read them all before the next query.

        Raises:
            EngineError: with what DuckDB says.
        """
        with told():
            yield from self._connection.sql(sql).to_arrow_reader(rows)


def _held(path: Path, work: Path) -> Path:
    """The file under another name, which goes on if the file is replaced; itself where there are no links."""
    link = work / path.name
    try:
        os.link(path, link)
    except OSError:
        return path
    return link


@contextmanager
def told() -> Iterator[None]:
    """Says what DuckDB says in our words; Ctrl-C is Ctrl-C."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise EngineError(
            "The tables need more memory than may be used, or more disk than there is.",
            hint="Raise HOLDFAST_MEMORY_MIB, or make room on the disk of the home folder.",
        ) from error
    except duckdb.Error as error:
        said = str(error).strip().partition("\n")[0].rstrip(".")
        if os.strerror(errno.ENOSPC) in str(error):
            raise EngineError(_NO_ROOM, hint="Make room on it, or name another place with --home.") from error
        raise EngineError(f"DuckDB cannot run the query: {said}.") from error
    except RuntimeError as error:
        if str(error) != _INTERRUPTED:
            raise
        raise KeyboardInterrupt from error  # which DuckDB swallows when it looks for signals itself
