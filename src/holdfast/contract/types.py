"""The contract's types: one immutable description of a business's customer table.

Everything else derives from it: validation, features, the API's request schema, the drift baseline and
the cost of a mistake. Loading and writing the file is `holdfast.contract.load` and `.write`; guessing it
from data is `.infer`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from holdfast.contract.meanings import REPEATABLE, Meaning

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import polars as pl

MAX_COLUMNS = 2_000
"""More columns than this is a matrix, not a customer table; the doors refuse it in one sentence."""

OPEN_LEVELS = 50
"""A category with more levels than this is *open*: its levels are learned in training, not listed here."""

FEW_LEVELS = 8
"""Events have features of a category with at most so many levels, all of them listed: the share of each."""


class Kind(StrEnum):
    """How a column's values are read."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATE = "date"
    TEXT = "text"
    ID = "id"


NUMERIC = frozenset({Kind.NUMBER, Kind.INTEGER})


StrictNumber = Annotated[float, Field(strict=True)]
"""Whole or not, but never text that looks like a number."""


class Misfit(ValueError):  # noqa: N818 - Pydantic turns it into its own error
    """Two keys that do not go together.

    Attributes:
        at: the key, within what is being checked, that has to change.
    """

    def __init__(self, message: str, *at: str) -> None:
        super().__init__(message)
        self.at = at


class Frozen(BaseModel):
    """Part of a contract: immutable, and no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Column(Frozen):
    """One column of the customer table.

    A column with ``exclude`` (the reason, in words) is known but never a feature. ``required`` columns must
    be present in every table and request; their single values may still be missing.
    """

    kind: Kind
    meaning: Meaning | None = None
    required: StrictBool = True
    min: StrictNumber | None = None
    max: StrictNumber | None = None
    levels: tuple[str, ...] | None = None
    true: str | None = None
    """For a boolean: the spelling in the file that means yes (reports use it); others are recognised too."""
    false: str | None = None
    decimal: Literal[",", "."] | None = None
    """For numbers and integers written as text: the decimal mark. Absent means a point."""
    day_first: StrictBool | None = None
    """For dates such as 03/04/2024: whether the day comes first. Absent means the month does."""
    exclude: str | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.min is not None or self.max is not None) and self.kind not in NUMERIC:
            raise ValueError(f'min and max belong to numbers and integers, not to kind "{self.kind}"')
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is above max ({self.max:g})")
        if self.levels is not None:
            if self.kind is not Kind.CATEGORY:
                raise ValueError(f'levels belong to categories, not to kind "{self.kind}"')
            repeated = [level for level, count in Counter(self.levels).items() if count > 1]
            if repeated:
                raise ValueError(f'level "{repeated[0]}" is listed twice')
            if not self.levels:
                raise ValueError("levels is empty; leave it out for an open category")
        if (self.true is not None or self.false is not None) and self.kind is not Kind.BOOLEAN:
            raise ValueError(f'true and false belong to booleans, not to kind "{self.kind}"')
        if self.decimal is not None and self.kind not in NUMERIC:
            raise ValueError(f'decimal belongs to numbers and integers, not to kind "{self.kind}"')
        if self.day_first is not None and self.kind is not Kind.DATE:
            raise ValueError(f'day_first belongs to dates, not to kind "{self.kind}"')
        return self


class Churn(Frozen):
    """What counts as churn in a snapshot table: a label column and the value that means *left*."""

    label: str
    positive: str
    negative: str | None = None
    """The value that means *stayed*. Without it every other value that is not missing counts as stayed."""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        from holdfast.contract.parse import key_of  # noqa: PLC0415 - parse needs this module's types

        if self.negative is not None and key_of(self.negative) == key_of(self.positive):
            raise Misfit(
                f'"{self.negative}" is read the same as positive ("{self.positive}"), '
                "but one means left and the other stayed",
                "negative",
            )
        return self


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
"""What a contract, and the models from it, may be called."""

Positive = Annotated[float, Field(gt=0, strict=True)]
NonNegative = Annotated[float, Field(ge=0, strict=True)]
Share = Annotated[float, Field(gt=0, le=1, strict=True)]


class Economics(Frozen):
    """What a mistake costs, in the business's own money. See `holdfast.decisions` for the formulas."""

    customer_value: Positive
    """What the business keeps when a customer who was about to leave stays (money)."""
    contact_cost: NonNegative
    """Cost of contacting one customer (money)."""
    offer_cost: NonNegative
    """Cost of the offer, paid when a customer takes it (money)."""
    success_rate: Share
    """Chance that a customer about to leave stays because of the offer."""
    capacity: Share | None = None
    """Largest share of customers that can be contacted; none means no limit."""


class Contract(Frozen):
    """The whole of `churn.toml`, checked.

    ``columns`` keeps the file's order. Column names are the file's own, blanks and all.
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1
    name: Name
    data: str | None = None
    """Where the training table is, relative to the contract's own folder."""
    churn: Churn
    economics: Economics
    columns: dict[str, Column]
    features: dict[str, str] = Field(default_factory=dict)
    """A user's own features: name to Polars SQL expression over the columns."""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if len(self.columns) > MAX_COLUMNS:
            raise Misfit(f"{len(self.columns):,} columns; at most {MAX_COLUMNS:,} are allowed", "columns")
        label = self.churn.label
        if label in self.columns:
            raise Misfit(f'the label "{label}" is also listed under [columns]', "columns", label)
        ids = [name for name, column in self.columns.items() if column.kind is Kind.ID and not column.exclude]
        if len(ids) > 1:
            two = f'two id columns, "{ids[0]}" and "{ids[1]}"; give all but one an exclude'
            raise Misfit(two, "columns", ids[1])
        given = set[Meaning]()
        for name, column in self.columns.items():
            if column.meaning is None or column.exclude or column.meaning in REPEATABLE:
                continue
            if column.meaning in given:
                twice = f'meaning "{column.meaning}" is given to more than one column'
                raise Misfit(twice, "columns", name, "meaning")
            given.add(column.meaning)
        clash = [name for name in self.features if name in self.columns or name == self.churn.label]
        if clash:
            raise Misfit(f'feature "{clash[0]}" has the name of a column', "features", clash[0])
        if not self.inputs:
            raise Misfit("no column is left to learn from; every one is excluded, text or an id", "columns")
        return self

    @property
    def id_column(self) -> str | None:
        """Name of the column that identifies a customer, if the table has one."""
        for name, column in self.columns.items():
            if column.kind is Kind.ID and not column.exclude:
                return name
        return None

    @property
    def inputs(self) -> dict[str, Column]:
        """The columns a model may see, in the file's order: not excluded, not text, not the id."""
        unusable = {Kind.ID, Kind.TEXT}
        return {n: c for n, c in self.columns.items() if not c.exclude and c.kind not in unusable}

    def canonical(self) -> dict[str, Any]:
        """The contract as plain JSON types, defaults left out; equal contracts give equal results."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical contract."""
        text = json.dumps(self.canonical(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Contract:
        """Read and check a contract file. See `holdfast.contract.load.load_contract`."""
        from holdfast.contract.load import load_contract  # noqa: PLC0415 - load needs this module's types

        return load_contract(path)

    @classmethod
    def infer(
        cls,
        table: pl.DataFrame | pd.DataFrame,
        *,
        label: str,
        positive: str | None = None,
        id_column: str | None = None,
    ) -> Contract:
        """Guess a contract from a table. See `holdfast.contract.infer.infer_contract`."""
        from holdfast.contract.infer import infer_contract  # noqa: PLC0415 - infer needs this module's types

        return infer_contract(table, label=label, positive=positive, id_column=id_column).contract
