"""From what each matrix column added to reasons in the user's words and units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.contract import Meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.features import FeatureProgram, Slot

UNITS = {
    Meaning.TENURE_MONTHS: "months",
    Meaning.MONTHLY_CHARGE: "a month",
    Meaning.TOTAL_CHARGE: "in total",
    Meaning.SUPPORT_CALLS: "calls",
    Meaning.LATE_PAYMENTS: "payments",
    Meaning.BILLING_ISSUES: "issues",
    Meaning.PHONE_USAGE: "minutes",
    Meaning.AGE: "years",
}


class Reasons:
    """Adds up contributions by what a person would call one thing, and words them.

    A feature made of a single column (``tenure_years`` of ``tenure``) is told as that column: a person wants
    to read once that tenure speaks, not five times. A feature of several columns is told by its own name.

    Args:
        program: the features.
        slots: the matrix's columns.

    Attributes:
        names: what a reason can be about, in the contract's order.
    """

    def __init__(self, program: FeatureProgram, slots: Sequence[Slot]) -> None:
        self._program = program
        told = [program.told_as(slot.feature) for slot in slots]
        order = {name: position for position, name in enumerate(program.names)}
        self.names = sorted(set(told), key=order.__getitem__)
        position = {name: at for at, name in enumerate(self.names)}
        self._groups = np.array([position[name] for name in told], dtype=np.int64)

    def unit(self, name: str) -> str:
        """Unit of a reason's value, or nothing."""
        column = self._program.contract.inputs.get(name)
        if column is not None:
            return UNITS.get(column.meaning, "") if column.meaning is not None else ""
        return self._program.units.get(name, "")

    def effects(self, contributions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Contributions, shape (n, slots), added up by reason: shape (n, len(names))."""
        effects = np.zeros((len(contributions), len(self.names)))
        np.add.at(effects.T, self._groups, contributions.T)
        return effects

    def values(self, conformed: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
        """Each reason's value of each row as text: the user's own level or number, short."""
        texts = []
        for name in self.names:
            column = conformed[name] if name in conformed.columns else features[name]
            texts.append(_text(column, self._program.contract.inputs.get(name)).alias(name))
        return pl.DataFrame(texts)


def _text(column: pl.Series, declared: object) -> pl.Series:
    """Values for people: yes / no, at most four significant decimals, "missing"."""
    if column.dtype == pl.Boolean:
        kinds = getattr(declared, "true", None) or "yes", getattr(declared, "false", None) or "no"
        text = pl.select(pl.when(column).then(pl.lit(kinds[0])).otherwise(pl.lit(kinds[1]))).to_series()
        text = pl.select(pl.when(column.is_not_null()).then(text)).to_series()
    elif column.dtype.is_float():
        text = column.round_sig_figs(6).cast(pl.String).str.strip_suffix(".0")
    else:
        text = column.cast(pl.String)
    return text.fill_null("missing")


def reason_sentences(
    effects: NDArray[np.float64], values: pl.DataFrame, names: Sequence[str], units: Sequence[str], most: int
) -> list[pl.Series]:
    """The ``most`` strongest reasons of each row as texts, strongest first: ``tenure 2 months (raises)``.

    Args:
        effects: shape (n, r), in log-odds.
        values: shape (n, r) of texts.
        names: of the reasons.
        units: of the reasons.
        most: how many columns to give.
    """
    n, kinds = effects.shape
    order = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :most]
    labels = [
        pl.concat_str(pl.lit(f"{name} "), pl.col(name), pl.lit(f" {unit}" if unit else ""))
        for name, unit in zip(names, units, strict=True)
    ]
    flat = values.select(expr.alias(f"r{at}") for at, expr in enumerate(labels)).to_numpy().reshape(-1)
    rows = np.arange(n)
    columns = []
    for rank in range(most):
        if rank >= kinds:
            columns.append(pl.Series(f"reason_{rank + 1}", [None] * n, dtype=pl.String))
            continue
        chosen = order[:, rank]
        says = pl.Series(flat[rows * kinds + chosen], dtype=pl.String)
        effect = effects[rows, chosen]
        way = pl.Series(np.where(effect > 0, " (raises)", " (lowers)"), dtype=pl.String)
        text = pl.select(pl.when(pl.Series(effect != 0)).then(says + way)).to_series()
        columns.append(text.alias(f"reason_{rank + 1}"))
    return columns
