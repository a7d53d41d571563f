"""``holdfast init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.inputs import typed
from holdfast.cli.session import Session, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from holdfast.contract.infer import Inferred
    from holdfast.sources import RawTable

MOST_MALFORMED = 3


@command("holdfast init customers.csv --label Churn", panel="Prepare")
def init(
    session: Session,
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="The table of customers, CSV or Parquet.")],
    *,
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="The column that says who left.")],
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
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the contract.")] = Path(
        "churn.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a contract that is there.")] = False,
) -> None:
    """Describe a table of customers in a contract, churn.toml, with a reason beside every guess.

    Finds out what each column is, what it means, which values are sensible, and which columns must be left
    out because they give the answer away. Read the file and correct it: everything else follows from it.
    """
    from holdfast.contract.infer import infer_contract  # noqa: PLC0415 - help must not wait for it
    from holdfast.contract.write import write_contract  # noqa: PLC0415 - help must not wait for it
    from holdfast.sources import read_table  # noqa: PLC0415 - help must not wait for it

    if out.exists() and not force:
        raise UsageError(
            "There is a contract already, perhaps edited by hand.",
            where=str(out),
            hint="Choose another file with --out, or overwrite it with --force.",
        )
    with session.progress() as progress:
        progress.start(f"Reading {table.name}", None)
        raw = read_table(table)
        progress.start("Looking at the columns", None)
        name = table.name.partition(".")[0]
        guessed = infer_contract(raw.frame, label=label, positive=positive, id_column=id_column, name=name)
        write_contract(guessed, out, table, overwrite=force)
    session.answer(_document(guessed, raw, out), *_words(guessed, raw, out))


def _document(guessed: Inferred, raw: RawTable, out: Path) -> dict[str, object]:
    contract = guessed.contract
    meanings = {name: str(column.meaning) for name, column in contract.inputs.items() if column.meaning}
    return {
        "contract": str(out),
        "format": raw.format,
        "rows": raw.frame.height,
        "malformed": raw.malformed.height,
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
