"""``holdfast explain``."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - Typer reads the annotations
from pathlib import Path  # noqa: TC003 - as above
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.loading import ModelRef, load_model
from holdfast.cli.session import Session, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from holdfast.model import Model
    from holdfast.scoring import Explained, Found

BAR = 24
"""Characters of the longest bar."""


@command(
    "holdfast explain 7590-VHVEG --data customers.csv",
    "holdfast explain --row 12 --data customers.csv --plot why.svg",
    "holdfast explain C00000003 --data churn.toml --as-of 2024-06-01",
    panel="Run",
)
def explain(
    session: Session,
    customer: Annotated[
        str | None, typer.Argument(metavar="[CUSTOMER_ID]", help="The customer's id, as in the table.")
    ] = None,
    *,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="FILE",
            help="The table that holds the customer, CSV or Parquet; or a history's churn.toml.",
        ),
    ],
    row: Annotated[
        int | None,
        typer.Option("--row", metavar="N", help="Instead of an id: the number of the row, from 1."),
    ] = None,
    model: ModelRef = "champion",
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Of a history: describe the customer as of this moment. The end of what the tables tell, "
            "unless given.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="K", help="Reasons to show each way.")] = 6,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Also draw them: a file ending in .svg or .png."),
    ] = None,
) -> None:
    """Say how likely one customer is to leave, and what speaks for it and against it.

    Each reason is one of the table's own columns or a feature made of them, with the customer's value. Its
    points say how much higher (or lower) the probability is than it would be without that reason.

    Of a history, the customer is described by what was known at one moment.
    """
    from holdfast.scoring import draw, explain_found  # noqa: PLC0415 - help must not wait

    if (customer is None) == (row is None):
        raise UsageError("Name one customer: either an id or --row N.", hint="See holdfast explain --help")
    of_history = data.suffix == ".toml"
    if of_history and row is not None:
        raise UsageError("A history's customer has no row.", where=str(data), hint="Give the customer's id.")
    if not of_history and as_of is not None:
        raise UsageError(
            "--as-of belongs to a history; a table says itself as of when it is.",
            hint="Leave it out, or give the history's churn.toml.",
        )
    if plot is not None and plot.suffix.lower() not in {".svg", ".png"}:
        raise UsageError(
            "How to draw follows from the ending.", where=str(plot), hint="Give it .svg or .png."
        )
    explainer = load_model(session, model)
    if of_history and customer is not None:
        found = _in_history(session, explainer, data, customer, as_of)
    else:
        found = _in_table(session, explainer, data, customer, row)
    if found.others:
        session.note(f"Note: {found.others:,} further rows have this id; this is row {found.row:,}.")
    why = explain_found(explainer, found, data)
    if plot is not None:
        draw(why, plot, most=top)
    session.answer(_document(why, data, plot), *_words(why, top, plot))


def _in_table(session: Session, model: Model, data: Path, customer: str | None, row: int | None) -> Found:
    from holdfast.scoring import find_customer, find_row  # noqa: PLC0415 - help must not wait

    with session.progress() as progress:
        progress.start(f"Looking for the customer in {data.name}", None)
        if customer is not None:
            return find_customer(data, model.contract, customer)
        return find_row(data, row or 0)


def _in_history(
    session: Session, model: Model, contract: Path, customer: str, as_of: datetime | None
) -> Found:
    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait
    from holdfast.scoring.history import find_described  # noqa: PLC0415 - as above

    given = load_history(contract)
    with session.progress() as progress:
        return find_described(
            model,
            given,
            contract,
            customer,
            home=session.home,
            as_of=as_of,
            settings=session.settings,
            progress=progress,
        )


def _document(why: Explained, data: Path, plot: Path | None) -> dict[str, Any]:
    return {"data": str(data), **why.as_dict(), "plot": str(plot) if plot else None}


def _words(why: Explained, top: int, plot: Path | None) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    acts = "at or above" if why.will_churn else "below"
    place = f"(row {why.row:,})" if why.as_of is None else f"as of {why.as_of:%Y-%m-%d %H:%M %Z}"
    yield Text(
        f"Customer {why.customer_id} {place}: {why.probability:.1%} likely to leave, "
        f"{why.risk_level} risk; {acts} the threshold of {why.threshold:.1%}."
    )
    yield Text(f"{why.recommendation}.")
    if why.stay:
        from holdfast.scoring.stay import CURVE, EXPECTED  # noqa: PLC0415 - help must not wait

        chances = ", ".join(f"{why.stay[name]:.0%} in {month} months" for name, month in CURVE.items())
        yield Text(f"Still there: {chances}; {why.stay[EXPECTED]:.0f} months to be expected.")
    if any(reason["direction"] != "none" for reason in why.reasons):
        yield _bars(why.reasons, top)
    else:
        yield Text("Nothing sets this customer apart from the average one.")
    yield Text(f"\nPoints: how far each moves the probability. Model: {why.model} {why.version}", style="dim")
    if plot:
        yield Text(f"Plot: {plot}")


def _bars(reasons: list[dict[str, Any]], top: int) -> Table:
    """The strongest reasons each way, one below the other in the same columns."""
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    from holdfast.features.units import phrase  # noqa: PLC0415 - help must not wait for Polars
    from holdfast.pages import count  # noqa: PLC0415 - as above
    from holdfast.scoring import in_points  # noqa: PLC0415 - as above

    longest = max(abs(reason["points"]) for reason in reasons)
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(2):
        table.add_column(max_width=40, overflow="ellipsis", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for direction, title, colour in (("up", "Raises it", "red"), ("down", "Lowers it", "green")):
        shown = [reason for reason in reasons if reason["direction"] == direction]
        if shown:
            table.add_row()
            table.add_row(Text(title, style="bold"))
        for reason in shown[:top]:
            value = phrase(reason["value"], reason["unit"])
            points = f"{in_points(reason['points'])} points"
            length = round(BAR * abs(reason["points"]) / longest) if longest else 0
            bar = Text("█" * length or "▏", style=colour)
            table.add_row(Text(f"  {reason['feature']}"), Text(value), points, bar)
        if len(shown) > top:
            weaker = count(len(shown) - top, "weaker one")
            table.add_row(Text(f"  … and {weaker}", style="dim"))
    return table
