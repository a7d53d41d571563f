"""``holdfast evaluate``."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - Typer reads the annotations
from pathlib import Path  # noqa: TC003 - as above
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.inputs import address, at_hand
from holdfast.cli.loading import ModelRef, load_model
from holdfast.cli.session import Session, command
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from holdfast.model import Model
    from holdfast.training import Evaluation

_MEANS = {
    "roc_auc": ("AUC", "chance that a leaver is put above a stayer"),
    "pr_auc": ("PR AUC", "precision, averaged over recall"),
    "log_loss": ("log loss", "less is better"),
    "brier": ("Brier score", "mean squared error of the probability; less is better"),
    "calibration_error": ("calibration error", "mean gap between predicted and seen share; less is better"),
    "lift_top_decile": ("lift, top tenth", "times its share of the leavers"),
    "accuracy": ("accuracy", "at the threshold"),
    "precision": ("precision", "share of those acted on who leave"),
    "recall": ("recall", "share of the leavers who are acted on"),
    "f1": ("F1", "of the two"),
    "profit_per_customer": ("profit a customer", "in your money, acting from the threshold on"),
}


@command(
    "holdfast evaluate labelled.csv",
    "holdfast evaluate labelled.parquet --model challenger",
    "holdfast evaluate churn.toml --as-of 2024-06-01",
    panel="Run",
)
def evaluate(
    session: Session,
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A table that says who left; or a history's churn.toml.")
    ],
    *,
    model: ModelRef = "champion",
    resamples: Annotated[
        int, typer.Option("--resamples", min=100, max=100_000, help="Bootstrap resamples for the intervals.")
    ] = 1_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resampling.")] = 42,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Of a history: judge the predictions of this moment. The newest snapshot whose labels are "
            "known, unless given.",
        ),
    ] = None,
) -> None:
    """Measure any version on any table that says who left.

    Gives each figure with its 95 % interval over resampled customers, and warns if the version was trained
    on this very table. Of a history, customers are described as of one moment and judged by who then left.
    """
    if table.suffix == ".toml":
        _history(session, table, model, as_of, resamples=resamples, seed=seed)
        return
    if as_of is not None:
        raise UsageError(
            "--as-of belongs to a history; a table says itself as of when it is.",
            hint="Leave it out, or give the history's churn.toml.",
        )
    from holdfast.sources import read_table  # noqa: PLC0415 - help must not wait for it
    from holdfast.training import evaluate as measure  # noqa: PLC0415 - help must not wait for it

    judged = load_model(session, model)
    with session.progress() as progress:
        with at_hand(table, session.settings, progress) as file:
            raw = read_table(file)
        found = measure(judged, raw, seed=seed, resamples=resamples, progress=progress)
    _answer(session, found, judged, table, malformed=raw.malformed.height)


def _history(
    session: Session, contract: Path, ref: str, as_of: datetime | None, *, resamples: int, seed: int
) -> None:
    """Measure a version on one moment of a history."""
    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.training.evaluate import evaluate_history  # noqa: PLC0415 - as above

    given = load_history(contract)
    judged = load_model(session, ref)
    with session.progress() as progress:
        found, moment = evaluate_history(
            judged,
            given,
            contract.parent,
            home=session.home,
            as_of=as_of,
            settings=session.settings,
            seed=seed,
            resamples=resamples,
            progress=progress,
        )
    _answer(session, found, judged, contract, as_of=moment.isoformat())


def _answer(
    session: Session,
    found: Evaluation,
    judged: Model,
    table: Path,
    *,
    malformed: int = 0,
    **more: str,
) -> None:
    document = {
        "model": {"name": judged.name, "version": judged.version, "threshold": judged.threshold},
        "data": address(table) or str(table),
        "malformed": malformed,
        **more,
        **found.as_dict(),
    }
    session.answer(document, *_words(found, judged, table, malformed))


def _words(found: Evaluation, model: Model, path: Path, malformed: int) -> Iterator[RenderableType]:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    out = found.rejected + malformed
    left_out = f"; {out:,} rows left out" if out else ""
    yield Text(f"{model.name} {model.version} on {found.rows:,} customers of {path.name}{left_out}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("")
    for name, figure in found.metrics.items():
        words, means = _MEANS.get(name, (name, ""))
        interval = ""
        if figure["low"] is not None and figure["high"] is not None:
            interval = f"{figure['low']:,.4f} to {figure['high']:,.4f}"
        value = "" if figure["value"] is None else f"{figure['value']:,.4f}"
        table.add_row(words, value, interval, Text(means, style="dim"))
    yield table
    confusion = found.confusion
    yield Text(
        f"From {model.threshold:.3f} on: {confusion['tp']:,} leavers acted on, {confusion['fn']:,} missed; "
        f"{confusion['fp']:,} stayers acted on, {confusion['tn']:,} left alone."
    )
    yield from (Text(f"Note: {warning}", style="yellow") for warning in found.warnings)
