"""``holdfast score``."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime  # noqa: TC003 - Typer reads the annotations
from pathlib import Path  # noqa: TC003 - as above
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.inputs import address, at_hand
from holdfast.cli.loading import ModelRef, load_model
from holdfast.cli.session import Session, command
from holdfast.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from holdfast.model import Model
    from holdfast.scoring import FileSummary
    from holdfast.spark import Spark

MOST_LISTED = 8
ENGINES = ("local", "spark")


@command(
    "holdfast score customers.csv",
    "holdfast score july.parquet -o july.scored.parquet --reasons 3",
    "holdfast score churn.toml --as-of 2024-06-01",
    "holdfast score july.parquet --engine spark",
    panel="Run",
)
def score(
    session: Session,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="The table of customers, CSV or Parquet, also at s3://bucket/key or as table:NAME; or a "
            "history's churn.toml.",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="Where to write the answers: .csv, .csv.gz or .parquet. "
            "IN's name with .scored before the ending, beside IN, unless given.",
        ),
    ] = None,
    model: ModelRef = "champion",
    reasons: Annotated[
        int, typer.Option("--reasons", min=0, max=20, metavar="K", help="Add each row's K strongest reasons.")
    ] = 0,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Of a history: describe customers as of this moment. The end of what the tables tell, "
            "unless given.",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine", help="local: this process; spark: executors where HOLDFAST_SPARK_MASTER says."
        ),
    ] = "local",
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT if it is there.")] = False,
) -> None:
    """Give every customer of a table a churn probability and say whom to act on.

    Tables of any length are read, scored and written in flat memory. Every row of IN is either in OUT, in
    the same order, or in OUT.rejects.csv with its row, column, value and reason; that file is only there if
    a row was rejected. OUT appears when all is done, or not at all. Exit code 3 if no row could be scored.

    Of a history, everyone eligible at one moment is scored by what was known then.
    """
    if engine not in ENGINES:
        raise UsageError(f'There is no engine "{engine}".', hint=nearest(engine, ENGINES))
    if table.suffix == ".toml":
        _history(session, table, out, model, engine=engine, reasons=reasons, as_of=as_of, force=force)
        return
    if as_of is not None:
        raise UsageError(
            "--as-of belongs to a history; a table says itself as of when it is.",
            hint="Leave it out, or give the history's churn.toml.",
        )
    from holdfast.scoring import destination, score_file  # noqa: PLC0415 - help must not wait for it

    elsewhere = address(table)
    if elsewhere is None:
        destination(
            table, out, overwrite=force
        )  # what is wrong with the command is said before a model loads
    elif out is None:
        raise UsageError("There is no place beside the table for the answers.", hint="Say where with --out.")
    scorer = load_model(session, model)
    with (
        _cluster(session, engine) as spark,
        session.progress() as progress,
        at_hand(table, session.settings, progress) as file,
    ):
        if spark is None:
            done = score_file(scorer, file, out, reasons=reasons, overwrite=force, progress=progress)
        else:
            from holdfast.scoring.in_spark import score_file_in_spark  # noqa: PLC0415 - needs an extra

            done = score_file_in_spark(
                scorer, file, out, spark=spark, reasons=reasons, overwrite=force, progress=progress
            )
    document = _document(done, scorer) | ({"source": elsewhere} if elsewhere else {})
    session.answer(document, *_words(done, scorer))
    if not done.scored:
        raise typer.Exit(DataError.exit_code)


def _history(
    session: Session,
    contract: Path,
    out: Path | None,
    ref: str,
    *,
    engine: str,
    reasons: int,
    as_of: datetime | None,
    force: bool,
) -> None:
    """Score everyone eligible at one moment of a history."""
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.scoring.history import score_history  # noqa: PLC0415 - as above

    given = load_history(contract)
    model = load_model(session, ref)
    with _cluster(session, engine) as spark, session.progress() as progress:
        done = score_history(
            model,
            given,
            contract,
            out,
            home=session.home,
            as_of=as_of,
            reasons=reasons,
            overwrite=force,
            settings=session.settings,
            spark=spark,
            progress=progress,
        )
    levels = ", ".join(f"{name} {count:,}" for name, count in done.risk_levels.items())
    session.answer(
        {"model": model.name, "threshold": model.threshold} | done.as_dict(),
        Text(
            f"{done.scored:,} customers as of {done.as_of:%Y-%m-%d %H:%M %Z} by {model.name} {model.version}"
        ),
        Text(f"To act on: {_share(done.will_churn, done.scored)}, threshold {model.threshold:.3f}"),
        Text(f"Expected to leave: {_share(round(done.expected_churners), done.scored)}; risk: {levels}"),
        Text(f"Answers: {done.out}"),
    )


@contextmanager
def _cluster(session: Session, engine: str) -> Iterator[Spark | None]:
    """Spark, if it is what scores."""
    if engine == "local":
        yield None
        return
    from holdfast.history.engines.duck import limit_mib  # noqa: PLC0415 - help must not wait for it
    from holdfast.spark import Spark  # noqa: PLC0415 - as above

    with Spark(session.settings, memory_mib=limit_mib(session.settings.memory_mib)) as spark:
        yield spark


def _document(done: FileSummary, model: Model) -> dict[str, object]:
    return {"model": model.name, "threshold": model.threshold} | done.as_dict()


def _words(done: FileSummary, model: Model) -> Iterator[RenderableType]:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    levels = ", ".join(f"{name} {count:,}" for name, count in done.risk_levels.items())
    facts = {
        "model": f"{model.name} {model.version}",
        "rows": f"{done.rows_in:,} read, {done.scored:,} scored, {done.rejected:,} rejected",
        "to act on": f"{_share(done.will_churn, done.scored)}, threshold {model.threshold:.3f}",
        "expected to leave": _share(round(done.expected_churners), done.scored),
        "risk": levels or "none",
        "took": f"{done.seconds:,.1f} s ({done.rows_per_second:,.0f} rows a second)",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, fact in facts.items():
        table.add_row(name, Text(fact))
    yield table
    yield from (Text(f"Note: {note}") for note in _notes(done))
    yield Text(f"Answers: {done.out}")
    if done.rejects:
        yield Text(f"Rejects: {done.rejects}")


def _share(part: float, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"


def _notes(done: FileSummary) -> Iterator[str]:
    """What was not as the contract describes it."""
    from holdfast.sources import said_of_encoding  # noqa: PLC0415 - only when something is shown

    encoding = said_of_encoding(done.windows_1252)
    if encoding:
        yield encoding
    if done.malformed:
        yield f"{done.malformed:,} of the rejected rows are lines that cannot be split into columns."
    if done.counts.absent_columns:
        yield f"optional columns that the table lacks count as missing: {_some(done.counts.absent_columns)}."
    if done.counts.ignored_columns:
        yield f"columns that the contract does not know were ignored: {_some(done.counts.ignored_columns)}."
    if done.reordered:
        yield "the columns are in another order than in the contract; they were matched by name."
    if done.counts.unseen:
        counted = [f"{name} ({count:,})" for name, count in done.counts.unseen.items()]
        yield f"levels that the contract does not list count as missing: {_some(counted)}."
    if done.counts.repairs:
        counted = [f"{name} ({count:,})" for name, count in done.counts.repairs.items()]
        yield f"repaired cells: {_some(counted)}."
    if done.repeated_ids:
        about = "" if done.repeated_ids_exact else "about "
        yield f"{about}{done.repeated_ids:,} rows repeat an earlier row's customer id; each was scored."


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
