"""``holdfast init --tables``: finds the tables of a history, guesses what they are, says what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from holdfast.cli.inputs import typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from rich.console import RenderableType

    from holdfast.contract.guess.history import InferredHistory
    from holdfast.contract.history import Table
    from holdfast.progress import Progress
    from holdfast.settings import Settings

MOST_CELLS = 16_000_000
"""Of a longer table only its first rows are looked at, so that guessing takes seconds and a GiB."""

MOST_SHOWN = 12


@dataclass(frozen=True)
class Asked:
    """What a user knows better than the guess."""

    churn: str | None = None
    horizon_days: int | None = None
    time_zone: str | None = None
    customer: str | None = None


@dataclass(frozen=True)
class Found:
    """A guessed history, how many rows each table has, and in how many of them nothing was looked at."""

    guessed: InferredHistory
    rows: dict[str, int]
    partly: dict[str, int]
    windows_1252: dict[str, int]
    """Lines of tables that are no UTF-8 and were read as Windows-1252, among those looked at."""
    database: bool
    """Whether the tables are in a database, whose address the settings must have from now on."""


def find_tables(place: str, out: Path, asked: Asked, settings: Settings, progress: Progress) -> Found:
    """Guess a history from the tables in a place.

    Args:
        place: a folder, one file, ``s3://bucket/prefix/`` or the URL of a database.
        out: the contract that will be written, from whose folder files are seen.
        asked: what is not to be guessed.
        settings: addresses and credentials of the sources.
        progress: told what is being read.

    Raises:
        HoldfastError: nothing can be read, or no history be made of it.
    """
    from holdfast.contract.guess.history import (  # noqa: PLC0415 - help must not wait for it
        infer_history,
        name_tables,
    )
    from holdfast.contract.history import ChurnEvent  # noqa: PLC0415 - help must not wait for it
    from holdfast.contract.write import relative  # noqa: PLC0415 - help must not wait for it

    root, listed, settings = _listed(place, settings)
    called = name_tables(listed)
    frames, rows, partly, foreign = {}, {}, {}, {}
    for source, name in called.items():
        frames[name], rows[name], foreign[name] = _read(source, root, settings, progress)
        if frames[name].height < rows[name]:
            partly[name] = frames[name].height
    progress.start("Looking at the tables", None)
    local = ":" not in place
    guessed = infer_history(
        frames,
        sources={name: relative(root / source, out) if local else source for source, name in called.items()},
        name=_name(place),
        churn=ChurnEvent(asked.churn) if asked.churn else None,
        horizon_days=asked.horizon_days,
        time_zone=asked.time_zone,
        customer=asked.customer,
    )
    return Found(guessed, rows, partly, foreign, _is_database(place))


def _name(place: str) -> str:
    """What the business is called until somebody says better; of an address, only the end of its path."""
    path = Path(urlsplit(place).path if "://" in place else place)
    return (path if "://" in place else path.resolve()).name.partition(".")[0] or "history"


def _listed(place: str, settings: Settings) -> tuple[Path, list[str], Settings]:
    """The folder that tables are seen from, what each is called there, and the settings to read them with."""
    from holdfast.sources import list_tables  # noqa: PLC0415 - help must not wait for it

    if "://" in place:
        if _is_database(place):
            from pydantic import SecretStr  # noqa: PLC0415 - only for databases

            settings = settings.model_copy(update={"source_url": SecretStr(place)})
        return Path(), list_tables(place, settings), settings
    if Path(place).is_file():
        return Path(place).parent, [Path(place).name], settings
    return Path(place), list_tables(place, settings), settings


def _is_database(place: str) -> bool:
    return "://" in place and not place.startswith("s3://")


def _read(source: str, root: Path, settings: Settings, progress: Progress) -> tuple[pl.DataFrame, int, int]:
    """A table, or as much of it as is looked at, about how many rows it has, and lines in Windows-1252."""
    import polars as pl  # noqa: PLC0415 - help must not wait for it

    from holdfast.sources import open_source  # noqa: PLC0415 - help must not wait for it

    progress.start(f"Reading {source}", 1.0)
    with open_source(source, root, settings) as table:
        schema = table.schema()
        most = max(1, MOST_CELLS // max(1, len(schema)))
        batches, done, read, foreign = [], 0.0, 0, 0
        for batch in table.batches(limit=most + 1):
            batches.append(batch.frame)
            read += batch.frame.height + batch.malformed.height
            foreign += batch.windows_1252
            progress.advance(batch.done - done)
            done = batch.done
        known = table.rows()
    frame = pl.concat(batches) if batches else pl.DataFrame(schema=schema)
    return frame.head(most), max(read, known or 0), foreign


def looks_like_events(frame: pl.DataFrame) -> bool:
    """Whether a table without a label is a log of what customers did, rather than one row a customer."""
    from holdfast.contract.guess.history import infer_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.errors import HoldfastError  # noqa: PLC0415 - only needed here

    try:
        infer_history({"table": frame})
    except HoldfastError:
        return False
    return True


def document(found: Found, out: Path) -> dict[str, object]:
    """What was found, for machines."""
    history = found.guessed.history
    return {
        "contract": str(out),
        "tables": {name: _facts(table, found.rows[name]) for name, table in history.tables.items()},
        "left_out": found.guessed.left_out,
        "churn": history.churn.model_dump(mode="json", exclude_defaults=True),
        "clock": history.clock.model_dump(mode="json"),
        "excluded": found.guessed.excluded,
        "notes": [{"key": list(path), "note": note} for path, note in found.guessed.notes.items()],
        "windows_1252": found.windows_1252,
    }


def _facts(table: Table, rows: int) -> dict[str, object]:
    keys = {"kind", "source", "customer", "id", "time", "begin", "end", "known"}
    said = {key: value for key, value in table.model_dump(mode="json", include=keys).items() if value}
    return {**said, "rows": rows, "inputs": {name: str(column.kind) for name, column in table.used.items()}}


def words(found: Found, out: Path) -> Iterator[RenderableType]:
    """What was found, for people."""
    from rich.table import Table as Shown  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    guessed = found.guessed
    churn = guessed.history.churn
    shown = Shown(box=None, pad_edge=False)
    for head in ("Table", "Kind", "Rows", "Customer", "When", "Known", "Inputs"):
        shown.add_column(head, justify="right" if head in ("Rows", "Inputs") else "left")
    for name, table in guessed.history.tables.items():
        when = " to ".join(filter(None, (table.time or table.begin, table.end))) or "always"
        cells = (
            name,
            str(table.kind),
            f"{found.rows[name]:,}",
            table.customer,
            when,
            table.known or "at once",
        )
        shown.add_row(*map(Text, cells), Text(str(len(table.used))))
    yield shown
    where = "".join(f", {column} {' or '.join(levels)}" for column, levels in churn.where.items())
    where += "".join(f", {column} above {bound:g}" for column, bound in churn.above.items())
    yield Text(
        f"Churn: {churn.event} in {churn.table}{where} within {churn.horizon_days} days; "
        f"snapshots {_snapshots(guessed)}, time zone {guessed.history.clock.time_zone}."
    )
    for key, note in _said(guessed.notes):
        yield Text(f"  {key}: {note}.")
    yield from (Text(f"Left out: {name}: {why.rstrip('.')}.") for name, why in guessed.left_out.items())
    yield from (Text(f"Note: {note}") for note in _notes(found))
    excluded = guessed.excluded
    if excluded:
        yield Text("Columns left out:")
        listed = Shown(box=None, pad_edge=False, show_header=False)
        for name, reason in list(excluded.items())[:MOST_SHOWN]:
            listed.add_row(Text(f"  {name}"), Text(reason))
        yield listed
    if len(excluded) > MOST_SHOWN:
        yield Text(f"  and {len(excluded) - MOST_SHOWN:,} more")
    yield Text(
        f"Every guess and its reason is in {out}. Read it, correct it, then: holdfast check {typed(out)}"
    )


def _notes(found: Found) -> Iterator[str]:
    """What was not as one may expect, table by table."""
    from holdfast.sources import said_of_encoding  # noqa: PLC0415 - only when something is shown

    for name, rows in found.partly.items():
        yield f"{name}: only the first {rows:,} rows were looked at."
    for name, lines in found.windows_1252.items():
        encoding = said_of_encoding(lines)
        if encoding is not None:
            yield f"{name}: {encoding}"
    if found.database:
        yield "the contract has no address: set HOLDFAST_SOURCE_URL to that of the database."


def _snapshots(guessed: InferredHistory) -> str:
    given = guessed.history.clock.snapshots
    return given if isinstance(given, str) else f"on {len(given):,} days"


def _said(notes: Mapping[tuple[str, ...], str]) -> Iterator[tuple[str, str]]:
    """Notes about churn, the clock, whole tables and a guessed order of day and month.

    Those about columns are many, and in the file.
    """
    for path, note in notes.items():
        whole = path[0] == "tables" and (not path[2:] or path[-1] == "day_first")
        if path[0] == "churn" or path == ("clock", "first") or whole:
            yield ".".join(path[1:]), note
