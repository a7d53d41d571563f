"""``holdfast train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.inputs import ContractFile, DataFile, at_hand, training_data, typed
from holdfast.cli.session import Session, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from holdfast.training import Trained

BASE_RATE = "base rate"


@command(
    "holdfast train churn.toml",
    "holdfast train churn.toml --budget 30s --models logistic_regression,catboost",
    panel="Prepare",
)
def train(
    session: Session,
    contract: ContractFile = Path("churn.toml"),
    *,
    data: DataFile = None,
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            metavar="TIME",
            help="Time to search in, such as 30s, 5m or 1h; reading, building and the report come on top.",
        ),
    ] = "3m",
    models: Annotated[
        str | None,
        typer.Option("--models", metavar="A,B,…", help="Candidates to try; all of them, unless given."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**31 - 1, help="The same seed and data give the same model.")
    ] = 42,
) -> None:
    """Find the model that suits a table best, measure it, explain it and register it.

    Candidates are compared by cross-validation; the simplest within noise of the best is calibrated, and
    measured on a fifth of the customers that it never saw. The first version becomes champion, a later one
    challenger until it is promoted. Stopped half-way, nothing is registered.

    Of a history the tables are prepared and the examples built first. Candidates are then compared in time:
    each period is judged by what was known when it began, and the last one is touched only at the end. A
    smaller budget compares fewer of them, or on fewer rows; a note says what was left out.
    """
    from holdfast.cli.durations import parse_duration  # noqa: PLC0415 - help must not wait for it
    from holdfast.contract.load import is_history, load_contract  # noqa: PLC0415 - help must not wait for it
    from holdfast.sources import read_table  # noqa: PLC0415 - help must not wait for it

    seconds = parse_duration(budget)
    names = None if models is None else [name.strip() for name in models.split(",") if name.strip()]
    if is_history(contract):
        from holdfast.cli.train_history import train_history  # noqa: PLC0415 - only for histories

        if data is not None:
            raise UsageError(
                "A history has several tables; --data names one.",
                where=str(contract),
                hint="The contract says where its tables are.",
            )
        writable(session.home)
        usable_database(session)
        train_history(session, contract, budget=seconds, models=names, seed=seed)
        return
    terms = load_contract(contract)
    table = training_data(terms, contract, data)
    writable(session.home)
    usable_database(session)
    with session.progress() as progress:
        with at_hand(table, session.settings, progress) as file:
            raw = read_table(file)
        from holdfast.training import train as learn  # noqa: PLC0415 - help must not wait for it

        done = learn(
            raw,
            terms,
            budget=seconds,
            models=names,
            seed=seed,
            home=session.home,
            actor=session.actor,
            progress=progress,
        )
    session.answer(document_of(done, raw.malformed.height), *words_of(done, f"holdfast score {typed(table)}"))


def writable(home: Path) -> None:
    """Say before the work, not after it, that its result cannot be kept."""
    place = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UsageError("Cannot write to the home folder.", where=str(home), hint="Choose another --home.")


def usable_database(session: Session) -> None:
    """As above: a database that cannot be reached, or has another schema."""
    from holdfast.store import open_store, store_exists  # noqa: PLC0415 - help must not wait for it

    if store_exists(session.home):
        open_store(session.home).dispose()


def document_of(done: Trained, malformed: int) -> dict[str, Any]:
    """The answer of a training as plain JSON types."""
    found, version = done.findings, _version(done)
    board = found.leaderboard.with_columns(_no_nan())
    return {
        "model": version.as_dict(),
        "chosen": found.chosen,
        "why": found.why,
        "threshold": found.threshold,
        "threshold_why": found.threshold_why,
        "rows": {**found.rows, "malformed": malformed},
        "test": found.test,
        "test_intervals": {name: list(ends) for name, ends in found.intervals.items()},
        "leaderboard": board.to_dicts(),
        "features": found.features_note,
        "importance": found.importance,
        "warnings": list(found.warnings),
        "seed": found.seed,
        "budget": found.budget,
        "seconds": round(found.seconds, 3),
        "files": {name: str(path) for name, path in _files(done).items()},
    }


def _no_nan() -> Any:
    """An expression that makes not-a-number null, which JSON can say."""
    import polars.selectors as cs  # noqa: PLC0415 - help must not wait for it

    return cs.float().fill_nan(None)


def _version(done: Trained) -> Any:
    if done.version is None:  # pragma: no cover - a home was given
        raise HoldfastError("The model was not registered.")
    return done.version


def _files(done: Trained) -> dict[str, Path]:
    folder: Path = _version(done).path
    return {"report": folder / "report.html", "model_card": folder / "model_card.md", "artefact": folder}


def words_of(done: Trained, score: str, *between: RenderableType) -> Iterator[RenderableType]:
    """The answer of a training for people.

    Args:
        done: the training.
        score: the command that scores customers with it.
        between: what to show after the leaderboard.
    """
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    found, version = done.findings, _version(done)
    yield _leaderboard(done)
    yield from between
    yield Text(f"\nChosen: {found.why}", style="bold")
    yield from (Text(line) for line in _headline(done))
    yield from (Text(f"Note: {warning}", style="yellow") for warning in found.warnings)
    files = _files(done)
    yield Text(f"\n{version.label} is {version.status}; it took {_minutes(found.seconds)}.")
    yield Text(f"Report: {files['report']}")
    yield Text(f"Model card: {files['model_card']}")
    next_steps = [score, "holdfast serve"]
    if version.status != "champion":
        next_steps = [f"holdfast models promote {version.label}", f"{score} --model {version.label}"]
    yield Text("Next: " + "   or   ".join(next_steps))


def _leaderboard(done: Trained) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    from holdfast.training.phrases import model_name  # noqa: PLC0415 - help must not wait for it

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("model")
    headings = ("log loss", "AUC", "PR AUC", "calibration error", "profit a customer", "fit s", "µs a row")
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("note", overflow="fold")
    for row in done.leaderboard.iter_rows(named=True):
        mark = "→" if row["chosen"] else "≈" if row["within_noise"] else ""
        figures = [row[name] for name in ("log_loss", "roc_auc", "pr_auc", "calibration_error")]
        style = "bold" if row["chosen"] else "dim" if row["model"] == BASE_RATE else None
        table.add_row(
            mark,
            Text(model_name(str(row["model"]))),
            *(_figure(value) for value in figures),
            _figure(row["profit_per_customer"], 2),
            _figure(row["fit_seconds"], 1),
            _figure(row["score_us_per_row"], 1),
            Text(model_name(row["note"] or "")),
            style=style,
        )
    folds = "out of fold" if done.findings.backtest is None else "of the backtest before the last period"
    table.caption = f"→ chosen   ≈ within noise of the best   figures {folds}"
    table.caption_justify = "left"
    return table


def _headline(done: Trained) -> Iterator[str]:
    """What the model reached on the customers set aside, in plain words."""
    found = done.findings
    test, ends = found.test, found.intervals
    confusion = test["confusion"]
    left, acted = confusion["tp"] + confusion["fn"], confusion["tp"] + confusion["fp"]
    rows = found.rows["test"]
    if found.backtest is None:
        yield f"\nOn {rows:,} customers that it never saw, {left:,} of whom left:"
    else:
        # of a month with several snapshots customers count several times
        who = "customers" if found.backtest.last.count("-") > 1 else "examples"
        yield (
            f"\nOn {rows:,} {who} as of {found.backtest.last}, {left:,} of whom left, by a model that "
            "learned only what was known by then:"
        )
    if test["roc_auc"] is not None:
        yield (
            f"  It puts a leaver above a stayer {test['roc_auc']:.1%} of the time"
            f" (AUC{_between(ends.get('roc_auc'), 3)})."
        )
    base = _base_rate_loss(done)
    beside = "" if base is None else f"; knowing the churn rate alone gives {base:.4f}"
    yield f"  Its log loss is {test['log_loss']:.4f}{_between(ends.get('log_loss'), 4)}{beside}."
    yield f"  Its probabilities are off by {100 * test['calibration_error']:.1f} points on average."
    if test["lift_top_decile"] is not None:
        yield f"  The tenth it fears most for holds {test['lift_top_decile']:.1f} times its share of leavers."
    yield (
        f"  Acting from {found.threshold:.3f} on means {acted:,} contacts that reach {confusion['tp']:,} of "
        f"the {left:,} leavers: {test['profit_per_customer']:,.2f} a customer in your money."
    )


def _base_rate_loss(done: Trained) -> float | None:
    """The log loss of saying the same of everyone."""
    backtest = done.findings.backtest
    if backtest is not None:
        from holdfast.training.byperiod import BASE_RATE as SO_FAR  # noqa: PLC0415 - help must not wait for it

        return float(backtest.of(SO_FAR)["log_loss"][-1])
    rows = done.leaderboard.iter_rows(named=True)
    return next((row["log_loss"] for row in rows if row["model"] == BASE_RATE), None)


def _between(ends: tuple[float, float] | None, decimals: int) -> str:
    return f", 95 % between {ends[0]:.{decimals}f} and {ends[1]:.{decimals}f}" if ends else ""


def _figure(value: float | None, decimals: int = 4) -> str:
    return "" if value is None or value != value else f"{value:,.{decimals}f}"  # noqa: PLR0124 - NaN is not itself


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"  # noqa: PLR2004 - a minute
