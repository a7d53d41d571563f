"""From what each matrix column added to reasons in the user's words and units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from holdfast.features.units import Measured, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.features import FeatureProgram, Slot
    from holdfast.features.units import Written


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

    def effects(self, contributions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Contributions, shape (n, slots), added up by reason: shape (n, len(names))."""
        effects = np.zeros((len(contributions), len(self.names)))
        np.add.at(effects.T, self._groups, contributions.T)
        return effects

    def values(self, conformed: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
        """Each reason's value of each row, a column each: the table's own or a feature's."""
        return pl.DataFrame(
            [conformed[name] if name in conformed.columns else features[name] for name in self.names]
        )

    def written(self, values: pl.DataFrame) -> Written:
        """Values of some reasons for people, each with its unit."""
        units, columns = self._program.units, self._program.contract.inputs
        return written(values, {name: Measured(units[name], columns.get(name)) for name in values.columns})

    def sentences(self, effects: NDArray[np.float64], values: pl.DataFrame, most: int) -> list[pl.Series]:
        """The ``most`` strongest reasons of each row as texts, strongest first.

        One reads ``tenure: 2 months (raises)``. What moves nothing is no reason.

        Args:
            effects: shape (n, r), in log-odds.
            values: from `values`, shape (n, r).
            most: how many columns to give.
        """
        order = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :most]
        order[np.take_along_axis(effects, order, axis=1) == 0] = -1
        says = np.full((len(effects), most), None, dtype=object)
        for at, name in enumerate(self.names):
            rows, ranks = np.nonzero(order == at)
            if len(rows):
                ways = pl.Series(np.where(effects[rows, at] > 0, " (raises)", " (lowers)"), dtype=pl.String)
                said = self.written(values.select(pl.col(name).gather(rows))).phrases
                says[rows, ranks] = (f"{name}: " + said + ways).to_numpy()
        return [pl.Series(f"reason_{rank + 1}", says[:, rank], dtype=pl.String) for rank in range(most)]
