"""``holdfast simulate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from holdfast.cli.inputs import typed
from holdfast.cli.session import Session, command
from holdfast.errors import UsageError

MONTHS = 24


class Format(StrEnum):
    """How tables are written."""

    CSV = "csv"
    PARQUET = "parquet"


class Kind(StrEnum):
    """What is made up."""

    SNAPSHOT = "snapshot"
    TELCO = "telco"


@command(
    "holdfast simulate --customers 10000 --seed 7 --out demo",
    "holdfast simulate --world telco --customers 100000 --months 24 --out telco",
    panel="Prepare",
)
def simulate(
    session: Session,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files.")],
    world: Annotated[
        Kind,
        typer.Option(help="snapshot: one table of customers. telco: customers and what happens to them."),
    ] = Kind.SNAPSHOT,
    customers: Annotated[int, typer.Option(help="How many customers.")] = 10_000,
    months: Annotated[
        int | None, typer.Option(help=f"How many months a telco lasts: {MONTHS}, unless given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 7,
    format: Annotated[  # noqa: A002 - the option's name
        Format | None,
        typer.Option(help="Format of the tables: csv for a snapshot, parquet for a telco, unless given."),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            "--into", metavar="URL", help="Also copy a telco's tables to postgresql://USER@HOST/NAME."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files, or tables, that are there.")
    ] = False,
) -> None:
    """Make up telco customers whose true churn probability is known.

    Writes tables, and an oracle with the probability behind each label, to judge a model by. Holdfast refuses
    to train on the oracle.
    """
    if world is Kind.TELCO:
        size = {"customers": customers, "months": MONTHS if months is None else months, "seed": seed}
        _telco(session, out, size, format or Format.PARQUET, into, force=force)
        return
    if months is not None or into is not None:
        raise UsageError(
            f"A snapshot has no {'--months' if months is not None else '--into'}.",
            hint="Add --world telco, or leave it out.",
        )
    _snapshot(session, out, customers, seed, format or Format.CSV, force=force)


def _snapshot(session: Session, out: Path, customers: int, seed: int, kind: Format, *, force: bool) -> None:
    from holdfast.simulator import simulate as draw  # noqa: PLC0415 - help must not wait for it
    from holdfast.simulator import write  # noqa: PLC0415 - as above

    with session.progress() as progress:
        world = draw(customers, seed)  # a million in a second; the files take as long
        progress.start(f"Writing {customers:,} customers", None)
        table, oracle = write(world, out, suffix=kind.value, overwrite=force)
    rate = float((world.customers["Churn"] == "Yes").to_numpy().mean())
    session.answer(
        {
            "table": str(table),
            "oracle": str(oracle),
            "customers": customers,
            "seed": seed,
            "churn_rate": rate,
        },
        f"{customers:,} customers, {rate:.1%} of whom left: {table}",
        f"The truth about them: {oracle}",
        f"Next: holdfast init {typed(table)} --label Churn",
    )


def _telco(
    session: Session, out: Path, size: dict[str, int], kind: Format, into: str | None, *, force: bool
) -> None:
    from holdfast.simulator.telco import (  # noqa: PLC0415 - as above
        COPIED,
        World,
        copy_into,
        expect_room,
        write_world,
    )

    if into is not None:
        expect_room(into, overwrite=force)
    with session.progress() as progress:
        written = write_world(World(**size), out, suffix=kind.value, overwrite=force, progress=progress)
        place = None if into is None else copy_into(written, into, overwrite=force, progress=progress)
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in written.rows.items())
    shown = [
        f"{rows}: {out}",
        f"{written.monthly_rate:.2%} of the customers left in an average month.",
        f"The truth about them: {written.oracle}",
    ]
    if place is not None:
        shown.append(f"The same tables: {place}; {written.contract.with_name(COPIED)} is about those.")
    session.answer(
        {
            "tables": {name: str(path) for name, path in written.tables.items()},
            "rows": written.rows,
            "contract": str(written.contract),
            "oracle": str(written.oracle),
            **size,
            "monthly_churn_rate": written.monthly_rate,
            "database": place,
        },
        *shown,
        f"Next: holdfast check {typed(written.contract)}",
    )
