"""``holdfast check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.inputs import ContractFile, DataFile, address, at_hand, training_data
from holdfast.cli.session import Session, command
from holdfast.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from holdfast.contract import Contract
    from holdfast.quality.conform import Conformed
    from holdfast.quality.findings import QualityReport

MOST_WARNINGS = 8


@command("holdfast check churn.toml", "holdfast check churn.toml --data july.csv --strict", panel="Prepare")
def check(
    session: Session,
    contract: ContractFile = Path("churn.toml"),
    *,
    data: DataFile = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for the report; one below the home, unless given."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A gate that fails is exit code 3.")] = False,
) -> None:
    """Hold a table, or the tables of a history, against their contract, and describe what is in them.

    Writes quality.html (to look at), quality.json (the same for machines) and rejects.csv (each rejected cell
    with its row and reason). Exit code 3 if a model cannot be trained on the table; rejected rows and, unless
    --strict is given, failed gates are only warned of.

    Of a history it says what each table holds, and how many churn by its definition and by neighbouring ones;
    rejects.csv has the rejected rows.
    """
    from holdfast.cli.outputs import write_files  # noqa: PLC0415 - help must not wait for it
    from holdfast.contract.load import is_history, load_contract  # noqa: PLC0415 - help must not wait for it
    from holdfast.features.custom import check_features  # noqa: PLC0415 - help must not wait for it
    from holdfast.quality.render import render_html  # noqa: PLC0415 - help must not wait for it
    from holdfast.quality.report import explore  # noqa: PLC0415 - help must not wait for it
    from holdfast.quality.table import clean_table  # noqa: PLC0415 - help must not wait for it
    from holdfast.sources import read_table  # noqa: PLC0415 - help must not wait for it

    if is_history(contract):
        from holdfast.cli.check_history import check_history  # noqa: PLC0415 - only for histories

        if data is not None:
            raise UsageError(
                "A history has several tables; --data names one.",
                where=str(data),
                hint="Say in the contract where each table is, under [tables].",
            )
        check_history(session, contract, out=out, strict=strict)
        return
    terms = load_contract(contract)
    table = training_data(terms, contract, data)
    with session.progress() as progress:
        with at_hand(table, session.settings, progress) as file:
            raw = read_table(file)
        progress.start("Checking the features of the contract", None)
        found = clean_table(raw, terms)
        check_features(terms, found.frame)
        progress.start("Exploring", None)
        report = explore(raw, terms)
        progress.start("Drawing the report", None)
        contents = {
            "quality.json": report.model_dump_json(indent=2),
            "rejects.csv": found.rejects.write_csv(),
            "quality.html": render_html(report),
        }
    files = write_files(out or session.home / "checks" / terms.name, contents)
    paths = {name: str(path) for name, path in files.items()}
    refusal = _refusal(found, terms)
    if refusal is None or not session.json:  # with --json the error is the one document
        session.answer(_document(report, table, paths), *_words(report, table, paths))
    if refusal is not None:
        raise refusal
    if strict and not report.passed:
        raise typer.Exit(3)


def _refusal(found: Conformed, terms: Contract) -> DataError | None:
    """Why training would refuse the table, if it would."""
    from holdfast.quality.enough import insist_on_enough  # noqa: PLC0415 - help must not wait for it
    from holdfast.quality.table import insist_on_outcomes  # noqa: PLC0415 - help must not wait for it

    try:
        insist_on_outcomes(found, terms)
        insist_on_enough(found, terms)
    except DataError as error:
        return error
    return None


def _document(report: QualityReport, table: Path, files: dict[str, str]) -> dict[str, object]:
    """The short of the report; the whole is in quality.json."""
    full = report.as_dict()
    short = ("name", "rows", "kept", "rejected", "malformed", "left", "stayed", "gates", "warnings")
    return (
        {"data": address(table) or str(table), "passed": report.passed}
        | {name: full[name] for name in short}
        | {"files": files}
    )


def _words(report: QualityReport, table: Path, files: dict[str, str]) -> Iterator[RenderableType]:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    rate = f"{report.churn.rate:.1%} of whom left" if report.churn.rate is not None else "none usable"
    yield Text(
        f"{table.name}: {report.rows:,} rows, {report.kept:,} usable, {rate}; "
        f"{report.rejected:,} rejected, {report.malformed:,} unreadable."
    )
    gates = Table(box=None, pad_edge=False, show_header=False)
    for gate in report.gates:
        gates.add_row(
            "passed" if gate.passed else "[bold red]FAILED[/]", gate.name, gate.limit, Text(gate.found)
        )
    yield gates
    if report.repairs:
        repaired = ", ".join(f"{change.column} ({change.cells:,})" for change in report.repairs)
        yield Text(f"Repaired cells: {repaired}.")
    for warning in report.warnings[:MOST_WARNINGS]:
        yield Text(f"Note: {warning}")
    if len(report.warnings) > MOST_WARNINGS:
        yield Text(f"… and {len(report.warnings) - MOST_WARNINGS} more notes in the report.")
    yield Text(f"Report: {files['quality.html']}")
    yield Text(f"Rejects: {files['rejects.csv']}")
