"""``holdfast simulate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from holdfast.cli.inputs import typed
from holdfast.cli.session import Session, command


class Format(StrEnum):
    """How the table is written."""

    CSV = "csv"
    PARQUET = "parquet"


@command("holdfast simulate --customers 10000 --seed 7 --out demo", panel="Prepare")
def simulate(
    session: Session,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files.")],
    customers: Annotated[int, typer.Option(help="How many customers.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 7,
    format: Annotated[Format, typer.Option(help="Format of the table.")] = Format.CSV,  # noqa: A002 - the option's name
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Make up telco customers whose true churn probability is known.

    Writes the table of customers, and an oracle (oracle.parquet) with the probability behind each label, to
    judge a model by. Holdfast refuses to train on the oracle.
    """
    from holdfast.simulator import simulate as draw  # noqa: PLC0415 - help must not wait for it
    from holdfast.simulator import write  # noqa: PLC0415 - help must not wait for it

    with session.progress() as progress:
        world = draw(customers, seed)  # a million in a second; the files take as long
        progress.start(f"Writing {customers:,} customers", None)
        table, oracle = write(world, out, suffix=format.value, overwrite=force)
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
