"""``holdfast train`` on a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from holdfast.cli.session import Session
    from holdfast.training.byperiod import Backtest
    from holdfast.training.findings import Findings


def train_history(
    session: Session, contract: Path, *, budget: float, models: Sequence[str] | None, seed: int
) -> None:
    """Prepare, build, backtest, measure, register, and say how it went by period.

    Raises:
        HoldfastError: the tables cannot be read or learned from.
    """
    from holdfast.cli.inputs import typed  # noqa: PLC0415 - help must not wait for it
    from holdfast.cli.train import document_of, words_of  # noqa: PLC0415 - it imports this module
    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.history.own import own_features  # noqa: PLC0415 - as above

    history = load_history(contract)
    own_features(history)  # a query that cannot be used is told before tables are read for minutes
    with session.progress() as progress:
        from holdfast.training.history import train_history as learn  # noqa: PLC0415 - slow to import

        done = learn(
            history,
            contract.parent,
            home=session.home,
            settings=session.settings,
            budget=budget,
            models=models,
            seed=seed,
            actor=session.actor,
            progress=progress,
        )
    found = done.findings
    document = document_of(done, 0) | _more(found)
    score = f"holdfast score {typed(contract)}"
    between = [] if found.backtest is None else [_periods(found.backtest)]
    session.answer(document, *words_of(done, score, *between))


def _more(found: Findings) -> dict[str, Any]:
    """What a history adds to the answer."""
    backtest = None if found.backtest is None else found.backtest.as_dict()
    return {"backtest": backtest, "survival": None if found.survival is None else found.survival.metrics}


def _periods(backtest: Backtest) -> Table:
    """The backtest by period, the model beside what knows less."""
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    from holdfast.training.byperiod import BASE_RATE, PIPELINE  # noqa: PLC0415 - help must not wait for it
    from holdfast.training.phrases import model_name  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="dim", title="\nBy period", title_justify="left")
    headings = ("as of", "customers", "left", "predicted", "AUC", "log loss", "base rate", "rule", "slope")
    for heading in (*headings, "lift", "profit a customer"):
        table.add_column(heading, justify="right")
    table.add_column("model", overflow="fold")
    losses = {(row["period"], row["who"]): row["log_loss"] for row in backtest.periods.iter_rows(named=True)}
    for row in backtest.of(PIPELINE).iter_rows(named=True):
        rule = losses.get((row["period"], backtest.rule_name), float("nan"))
        table.add_row(
            row["period"],
            f"{row['rows']:,}",
            f"{row['base_rate']:.1%}",
            f"{row['mean_predicted']:.1%}",
            _figure(row["roc_auc"], 3),
            _figure(row["log_loss"], 4),
            _figure(losses[row["period"], BASE_RATE], 4),
            _figure(rule, 4),
            _figure(row["calibration_slope"], 2),
            _figure(row["lift_top_decile"], 2),
            _figure(row["profit_per_customer"], 2),
            Text(model_name(row["chosen"]) + (" (last, untouched until now)" if row["last"] else "")),
            style="bold" if row["last"] else None,
        )
    rule = "" if backtest.rule is None else f"; rule: a curve of {backtest.rule} alone"
    table.caption = (
        f"log loss of the model, of the base rate so far and of a rule{rule}\n"
        "each period is predicted by what was known when it began"
    )
    table.caption_justify = "left"
    return table


def _figure(value: float | None, decimals: int) -> str:
    return "" if value is None or value != value else f"{value:,.{decimals}f}"  # noqa: PLR0124 - NaN is not itself
