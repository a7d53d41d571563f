"""``holdfast init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from holdfast.cli.inputs import typed
from holdfast.cli.session import Session, command
from holdfast.cli.tables import Asked, looks_like_events
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from holdfast.contract.infer import Inferred
    from holdfast.sources import RawTable

MOST_MALFORMED = 3
MOST_NAMES = 12


@command(
    "holdfast init customers.csv --label Churn",
    "holdfast init --tables data/",
    panel="Prepare",
)
def init(
    session: Session,
    table: Annotated[
        Path | None,
        typer.Argument(metavar="TABLE", help="The table of customers, CSV or Parquet.", show_default=False),
    ] = None,
    *,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="The column that says who left.")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="VALUE", help="Its value that means left; guessed, unless given."),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="COLUMN", help="The column that identifies a customer; guessed, unless given."
        ),
    ] = None,
    tables: Annotated[
        str | None,
        typer.Option(
            "--tables",
            metavar="PLACE",
            help="Instead of one table, a history: a folder of tables, one file of events, "
            "s3://bucket/prefix/ or the URL of a database.",
        ),
    ] = None,
    churn: Annotated[
        Literal["end", "cancellation", "inactivity"] | None,
        typer.Option("--churn", help="What counts as leaving in a history; guessed, unless given."),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            "--horizon",
            metavar="DAYS",
            min=1,
            max=3_650,
            help="How far ahead to look in a history; guessed, unless given.",
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            "--time-zone", metavar="ZONE", help="Of a history's times without one, such as Europe/Berlin."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the contract.")] = Path(
        "churn.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a contract that is there.")] = False,
) -> None:
    """Describe a table of customers, or tables of what happened to them, in a contract, churn.toml.

    Finds out what each column is, what it means, which values are sensible, and which columns must be left
    out because they give the answer away; of several tables, which are customers, events and intervals, what
    their times mean, and what counts as leaving. Beside every guess stands its reason. Read the file and
    correct it: everything else follows from it.
    """
    if out.exists() and not force:
        raise UsageError(
            "There is a contract already, perhaps edited by hand.",
            where=str(out),
            hint="Choose another file with --out, or overwrite it with --force.",
        )
    of_history = {"--churn": churn, "--horizon": horizon, "--time-zone": time_zone}
    if tables is not None:
        _only({"TABLE": table, "--label": label, "--positive": positive}, "belongs to a single table")
        _describe_history(session, tables, Asked(churn, horizon, time_zone, id_column), out, force=force)
        return
    _only(of_history, "belongs to a history")
    if table is None:
        raise UsageError(
            "A table of customers, or a place with tables, is needed.",
            hint="holdfast init customers.csv --label Churn, or holdfast init --tables FOLDER",
        )
    if table.is_dir():
        raise UsageError(
            "It is a folder: several tables are described as a history.",
            where=str(table),
            hint=f"holdfast init --tables {typed(table)}",
        )
    _describe_table(session, table, label, positive, id_column, out, force=force)


def _only(given: Mapping[str, object], why: str) -> None:
    """Refuse options that do not go together with what was asked for.

    Raises:
        UsageError: one of them is given.
    """
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} {why}.", where=option, hint="Leave it out, or see holdfast init --help."
            )


def _describe_history(session: Session, place: str, asked: Asked, out: Path, *, force: bool) -> None:
    from holdfast.cli import tables  # noqa: PLC0415 - its name is an option's here
    from holdfast.contract.write_history import write_history  # noqa: PLC0415 - help must not wait for it

    with session.progress() as progress:
        found = tables.find_tables(place, out, asked, session.settings, progress)
        write_history(found.guessed, out, overwrite=force)
    session.answer(tables.document(found, out), *tables.words(found, out))


def _describe_table(  # noqa: PLR0917 - what the command was given
    session: Session,
    table: Path,
    label: str | None,
    positive: str | None,
    id_column: str | None,
    out: Path,
    *,
    force: bool,
) -> None:
    from holdfast.contract.infer import infer_contract  # noqa: PLC0415 - help must not wait for it
    from holdfast.contract.write import write_contract  # noqa: PLC0415 - help must not wait for it
    from holdfast.sources import read_table  # noqa: PLC0415 - help must not wait for it

    with session.progress() as progress:
        progress.start(f"Reading {table.name}", None)
        raw = read_table(table)
        progress.start("Looking at the columns", None)
        name = table.name.partition(".")[0]
        if label is None:
            raise _no_label(table, raw)
        guessed = infer_contract(raw.frame, label=label, positive=positive, id_column=id_column, name=name)
        write_contract(guessed, out, table, overwrite=force)
    session.answer(_document(guessed, raw, out), *_words(guessed, raw, out))


def _no_label(table: Path, raw: RawTable) -> UsageError:
    """What to type instead: for a log of events another command."""
    if looks_like_events(raw.frame):
        return UsageError(
            "The table looks like a log of what customers did: they have several rows, with times.",
            where=str(table),
            hint=f"Describe it as a history: holdfast init --tables {typed(table)}; if a column says who "
            "left, name it with --label COLUMN.",
        )
    names = ", ".join(f'"{name}"' for name in raw.frame.columns[:MOST_NAMES])
    more = ", …" if raw.frame.width > MOST_NAMES else ""
    return UsageError(
        "The column that says who left must be named.",
        where=str(table),
        hint=f"Name it with --label COLUMN; the table has {names}{more}.",
    )


def _document(guessed: Inferred, raw: RawTable, out: Path) -> dict[str, object]:
    contract = guessed.contract
    meanings = {name: str(column.meaning) for name, column in contract.inputs.items() if column.meaning}
    return {
        "contract": str(out),
        "format": raw.format,
        "rows": raw.frame.height,
        "malformed": raw.malformed.height,
        "windows_1252": raw.windows_1252,
        "label": contract.churn.label,
        "positive": contract.churn.positive,
        "id": contract.id_column,
        "inputs": {name: str(column.kind) for name, column in contract.inputs.items()},
        "meanings": meanings,
        "excluded": guessed.excluded,
        "notes": [{"key": list(path), "note": note} for path, note in guessed.notes.items()],
    }


def _words(guessed: Inferred, raw: RawTable, out: Path) -> Iterator[RenderableType]:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    from holdfast.sources import said_of_encoding  # noqa: PLC0415 - only when something is shown

    contract, notes = guessed.contract, guessed.notes
    identity = f'id "{contract.id_column}"' if contract.id_column else "no id column (rows are numbered)"
    yield Text(
        f'{raw.frame.height:,} customers; "{contract.churn.label}" = "{contract.churn.positive}" means left; '
        f"{identity}; {len(contract.inputs)} columns to learn from."
    )
    yield from (Text(f"Churn: {note}.") for path, note in notes.items() if path[0] == "churn")
    for line in raw.malformed.head(MOST_MALFORMED).iter_rows(named=True):
        yield Text(f"Note: row {line['row']:,} cannot be read: {line['reason']}")
    if raw.malformed.height > MOST_MALFORMED:
        yield Text(f"Note: {raw.malformed.height - MOST_MALFORMED:,} more rows cannot be read.")
    encoding = said_of_encoding(raw.windows_1252)
    if encoding:
        yield Text(f"Note: {encoding}")
    if guessed.excluded:
        yield Text("Left out:")
        left_out = Table(box=None, pad_edge=False, show_header=False)
        for name, reason in guessed.excluded.items():
            left_out.add_row(Text(f"  {name}"), Text(reason))
        yield left_out
    yield from (
        Text(f"Note: {path[1]}: {note}.") for path, note in notes.items() if path[0] == "columns" == path[-2]
    )
    yield Text(
        f"Every guess and its reason is in {out}. Read it, correct it, then: holdfast check {typed(out)}"
    )
