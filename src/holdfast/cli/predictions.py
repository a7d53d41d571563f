"""``holdfast predictions``: what was answered, to look at, to export and to archive."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.session import Group, Session, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from holdfast.predictions.listing import Wanted

predictions = Group("Show, export and archive what was answered. Alone, it shows the newest predictions.")

Customer = Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Not before this, such as 2026-01-31 or 2026-01-31T12:00Z.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this; UTC unless it has a zone.")]
Version = Annotated[str | None, typer.Option("--model-version", metavar="V", help="Such as v3.")]
WillChurn = Annotated[
    bool | None, typer.Option("--will-churn/--will-stay", help="Only this decision.", show_default=False)
]
MinProbability = Annotated[float | None, typer.Option(min=0, max=1, help="At least this.")]
Key = Annotated[str | None, typer.Option(metavar="CALLER", help="Only this caller's, such as key:4f2a.")]


@command("holdfast predictions list", "holdfast predictions list --customer C-17 --since 2026-01-31")
def list_(
    session: Session,
    *,
    customer: Customer = None,
    since: Since = None,
    until: Until = None,
    version: Version = None,
    will_churn: WillChurn = None,
    min_probability: MinProbability = None,
    key: Key = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many at most.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="What the page before said.")] = None,
) -> None:
    """Show predictions, newest first. Those that were archived are not shown."""
    from holdfast.predictions.listing import page  # noqa: PLC0415 - help must not wait for it

    wanted = _wanted(
        since=since,
        until=until,
        customer=customer,
        version=version,
        will_churn=will_churn,
        min_probability=min_probability,
        key=key,
    )
    with session.database(existing=True) as database:
        found = page(database, wanted, cursor=cursor, limit=limit)
    if found.next:
        session.note(f"There are more: --cursor {found.next}")
    shown = _table(found.predictions) if found.predictions else "Nothing such was answered."
    session.answer({"predictions": found.predictions, "next": found.next}, shown)


@command("holdfast predictions show 019c13ec-9e00-7abc-8abc-0123456789ab")
def show(
    session: Session,
    prediction_id: Annotated[str, typer.Argument(metavar="ID", help="What the answer gave.")],
) -> None:
    """Show one prediction with the record that was scored."""
    from rich.pretty import Pretty  # noqa: PLC0415 - only when something is shown

    from holdfast.predictions.listing import one  # noqa: PLC0415 - help must not wait for it

    with session.database(existing=True) as database:
        found = one(database, prediction_id.strip().lower())
    if found is None:
        raise UsageError(
            "The log holds no such prediction.", hint="holdfast predictions list; old ones are archived."
        )
    session.answer({"prediction": found}, Pretty(found))


@command("holdfast predictions export", "holdfast predictions export july.parquet --since 2026-07-01")
def export(
    session: Session,
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]",
            help="A file ending in .csv, .parquet or .ndjson; unless given, a new CSV in the home folder.",
        ),
    ] = None,
    *,
    customer: Customer = None,
    since: Since = None,
    until: Until = None,
    version: Version = None,
    will_churn: WillChurn = None,
    min_probability: MinProbability = None,
    key: Key = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT if it is there.")] = False,
) -> None:
    """Write predictions to a file, newest first, in flat memory.

    An export in the home folder is found by `holdfast erase`; one elsewhere is yours to look after.
    """
    from holdfast.predictions.exports import export_file  # noqa: PLC0415 - help must not wait for it

    wanted = _wanted(
        since=since,
        until=until,
        customer=customer,
        version=version,
        will_churn=will_churn,
        min_probability=min_probability,
        key=key,
    )
    with session.database(existing=True) as database, session.progress() as progress:
        written = export_file(
            database, session.home, wanted, out, actor=session.actor, overwrite=force, progress=progress
        )
    session.answer({"out": str(written)}, f"Predictions: {written}")


@command("holdfast predictions archive", "holdfast predictions archive --days 30")
def archive(
    session: Session,
    *,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="Leave so many in the log; HOLDFAST_RETENTION_DAYS unless given."),
    ] = None,
) -> None:
    """Move old predictions to the archive: one Parquet file a day, in the home folder.

    A running server does this by itself once an hour.
    """
    from holdfast.predictions.archive import archive as move  # noqa: PLC0415 - help must not wait for it
    from holdfast.predictions.archive import keeping, retained_from  # noqa: PLC0415 - as above

    before = retained_from(days or session.settings.retention_days)
    with session.database(existing=True) as database, keeping(session.home), session.progress() as progress:
        done = move(database, session.home, before, session.actor, progress)
    words = f"{done.predictions:,} predictions of {len(done.days)} days, all from before {before:%Y-%m-%d}."
    session.answer(done.as_dict() | {"before": before.isoformat()}, f"Archived: {words}")


list_.add_to(predictions, "list")
for _command in (show, export, archive):
    _command.add_to(predictions)
predictions.alone = list_


def _wanted(*, since: str | None, until: str | None, **others: Any) -> Wanted:
    """The predictions that the options ask for."""
    from holdfast.predictions.listing import Wanted  # noqa: PLC0415 - help must not wait for it

    return Wanted(since=_time(since), until=_time(until), **others)


def _time(text: str | None) -> datetime | None:
    """The time that a person wrote; UTC unless it has a zone.

    >>> _time("2026-01-31"), _time(None)
    (datetime.datetime(2026, 1, 31, 0, 0, tzinfo=datetime.timezone.utc), None)
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f'"{text}" is no time.', hint="Write it like 2026-01-31 or 2026-01-31T12:00Z."
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _table(found: Sequence[dict[str, Any]]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    table = Table(box=None, pad_edge=False)
    for heading in ("when (UTC)", "customer", "probability", "decision", "version", "id"):
        table.add_column(heading, justify="right" if heading == "probability" else "left", no_wrap=True)
    for one in found:
        decision = "will churn" if one["will_churn"] else "stays"
        when = one["timestamp"][:19].replace("T", " ")
        words = (when, one["customer_id"] or "", f"{one['churn_probability']:.4f}", decision)
        table.add_row(*map(Text, (*words, one["version"], one["prediction_id"])))
    return table
