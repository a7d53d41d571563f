"""``holdfast check`` on a history: what its tables hold, what its definition leads to, and what leaks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from holdfast.cli.session import Session
    from holdfast.contract.history import History
    from holdfast.history.leak import Leak
    from holdfast.history.prepared import Prepared, TableCounts
    from holdfast.history.sensitivity import Sensitivity, Variant

MOST_REASONS = 6


def check_history(session: Session, contract: Path, *, out: Path | None, strict: bool) -> None:
    """Prepare the tables of a history, count what its definition leads to, and look for leaks.

    Raises:
        HistoryError: a table cannot be read, or nothing can be learned from it.
        QueryError: a feature of one's own cannot be used.
        Exit: with code 3, if ``strict`` and there are warnings or leaks.
    """
    from holdfast.cli.outputs import write_files  # noqa: PLC0415 - help must not wait for it
    from holdfast.contract.load import load_history  # noqa: PLC0415 - as above
    from holdfast.errors import DataError  # noqa: PLC0415 - as above
    from holdfast.history.build import folder_of  # noqa: PLC0415 - as above
    from holdfast.history.leaks import find_leaks  # noqa: PLC0415 - as above
    from holdfast.history.prepare import prepare  # noqa: PLC0415 - as above
    from holdfast.history.sensitivity import sensitivity  # noqa: PLC0415 - as above

    history = load_history(contract)
    settings = session.settings
    with session.progress() as progress:
        prepared = prepare(
            history,
            contract.parent,
            folder_of(session.home, history),
            settings=settings,
            progress=progress,
        )
        found = sensitivity(history, prepared, memory_mib=settings.memory_mib, progress=progress)
        leaks = find_leaks(
            history,
            prepared,
            contract.parent,
            settings=settings,
            memory_mib=settings.memory_mib,
            progress=progress,
        )
    rejects = prepared.rejects.read_text(encoding="utf-8")
    folder = out or session.home / "checks" / history.name
    files = write_files(folder, {"rejects.csv": rejects})
    refusal: DataError | None = None
    try:
        found.insist_on_examples()
    except DataError as error:
        refusal = error
    document = _document(history, prepared, found, leaks, files["rejects.csv"])
    if refusal is None or not session.json:  # with --json the error is the one document
        session.answer(document, *_words(prepared, found, leaks, files["rejects.csv"]))
    if refusal is not None:
        raise refusal
    if strict and not document["passed"]:
        raise typer.Exit(3)


def _document(
    history: History, prepared: Prepared, found: Sensitivity, leaks: Sequence[Leak], rejects: Path
) -> dict[str, object]:
    from holdfast.history.times import aware  # noqa: PLC0415 - help must not wait for it

    zone = history.clock.time_zone
    return {
        "name": history.name,
        "passed": not found.warnings and all(leak.harmless for leak in leaks),
        "since": aware(prepared.since, zone).isoformat(),
        "until": aware(prepared.until, zone).isoformat(),
        "tables": {table: asdict(counts) for table, counts in prepared.counts.items()},
        "snapshots": [
            asdict(snapshot) | {"as_of": aware(snapshot.as_of, zone).isoformat()}
            for snapshot in found.snapshots
        ],
        "definitions": [asdict(variant) | {"rate": variant.rate} for variant in found.variants],
        "share_of_customers": found.share,
        "warnings": list(found.warnings),
        "leaks": [asdict(leak) for leak in leaks],
        "files": {"rejects.csv": str(rejects)},
    }


def _words(
    prepared: Prepared, found: Sensitivity, leaks: Sequence[Leak], rejects: Path
) -> Iterator[RenderableType]:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    for name, counts in prepared.counts.items():
        yield from _of_table(name, counts)
    yield Text(f"Complete up to {prepared.until:%Y-%m-%d %H:%M} (UTC).")
    own = found.variants[0]
    some = f", counted on 1 customer in {round(1 / found.share):,}" if found.share < 1 else ""
    yield Text(f"\nWhat the definition and its neighbours lead to, over matured snapshots{some}:")
    table = Table(box=None, pad_edge=False)
    for heading in (
        "horizon",
        "lead",
        "grace",
        "snapshots",
        "eligible",
        "churned",
        "too late",
        "gone",
        "rate",
    ):
        table.add_column(heading, justify="right")
    for variant in found.variants:
        table.add_row(*_row(variant), style="bold" if variant is own else None)
    yield table
    for warning in found.warnings:
        yield Text(f"Note: {warning}")
    yield from _of_leaks(leaks)
    yield Text(f"Rejects: {rejects}")


def _of_table(name: str, counts: TableCounts) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    rejected = sum(counts.rejected.values())
    yield Text(f"{name}: {counts.read:,} rows, {counts.kept:,} usable, {rejected:,} rejected.")
    reasons = sorted(counts.rejected.items(), key=lambda item: -item[1])
    for reason, rows in reasons[:MOST_REASONS]:
        yield Text(f"  {rows:,} rejected: {reason}")
    if len(reasons) > MOST_REASONS:
        yield Text(f"  … and {len(reasons) - MOST_REASONS} more reasons")
    for what, rows in counts.notes.items():
        yield Text(f"  {rows:,} kept: {what}")


def _of_leaks(leaks: Sequence[Leak]) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    for leak in leaks:
        if leak.harmless:
            yield Text(f"Known too late to leak: {leak.place}. {leak.reason}. {leak.advice}")
        else:
            yield Text.assemble(("LEAK ", "bold red"), (leak.place, "bold"), f": {leak.reason}.")
            yield Text(f"  do: {leak.advice}")


def _row(variant: Variant) -> list[str]:
    def said(name: str, days: int) -> str:
        return f"→ {days}" if variant.changed == name else str(days)

    return [
        said("horizon_days", variant.horizon_days),
        said("lead_days", variant.lead_days),
        said("grace_days", variant.grace_days),
        *(
            f"{n:,}"
            for n in (variant.snapshots, variant.eligible, variant.churned, variant.too_late, variant.gone)
        ),
        "-" if variant.rate is None else f"{variant.rate:.1%}",
    ]
