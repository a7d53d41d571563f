"""All features of one contract as one set of Polars expressions over a conformed frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import Kind
from holdfast.features.columns import FLAG_MARK, Columns
from holdfast.features.custom import custom_expression
from holdfast.features.record import RECORD_FEATURES
from holdfast.features.units import PLAIN, unit_of

if TYPE_CHECKING:
    from holdfast.contract import Contract


class FeatureProgram:
    """What one contract's customers look like to a model: input columns, record features, own features.

    Args:
        contract: the contract whose meanings switch features on.
        record: whether the record features are among them; training leaves them out where they do not help.

    Attributes:
        expressions: name to expression over a conformed frame, inputs first.
        risks: names of the features whose levels are turned into a churn rate learned in training.
        thirds: names of the features that are cut into low, medium and high, learned in training.
        units: what each feature's values are measured in.
    """

    def __init__(self, contract: Contract, *, record: bool = True) -> None:
        self.contract = contract
        self.record = record
        columns = Columns(contract)
        self.expressions: dict[str, pl.Expr] = {
            name: _days(name) if column.kind is Kind.DATE else pl.col(name)
            for name, column in contract.inputs.items()
        }
        switched = RECORD_FEATURES if record else {}
        taken = {*self.expressions, *contract.features}
        built = {n: f.build(columns) for n, f in switched.items() if n not in taken}
        present = {name: expr for name, expr in built.items() if expr is not None}
        self.risks = [name for name in present if RECORD_FEATURES[name].kind == "risk"]
        self.thirds = [name for name in present if RECORD_FEATURES[name].kind == "thirds"]
        self.units = dict.fromkeys(contract.features, PLAIN)
        self.units |= {name: RECORD_FEATURES[name].unit for name in present}
        self.units |= {name: unit_of(column) for name, column in contract.inputs.items()}
        self.expressions |= {name: expr.alias(name) for name, expr in present.items()}
        for name, sql in contract.features.items():
            self.expressions[name] = custom_expression(name, sql, contract)
        self._flags = list(columns.flags.values())

    @property
    def names(self) -> list[str]:
        """Every feature, inputs first, then record features, then the user's own."""
        return list(self.expressions)

    def made_of(self, feature: str) -> set[str]:
        """The columns that ``feature`` is computed from."""
        return {root.split(FLAG_MARK, 1)[0] for root in self.expressions[feature].meta.root_names()}

    def told_as(self, feature: str) -> str:
        """What a person would call ``feature``: its column, where it is made of one; else its own name."""
        columns = self.made_of(feature)
        return columns.pop() if len(columns) == 1 else feature

    def frame(self, conformed: pl.DataFrame) -> pl.DataFrame:
        """The features of each row of a conformed frame, one column a feature, same height and order."""
        return conformed.with_columns(self._flags).select(self.expressions.values())


def _days(name: str) -> pl.Expr:
    """A date as whole days since 1970-01-01."""
    return pl.col(name).cast(pl.Int32).alias(name)
