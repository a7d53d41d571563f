"""From JSON records to a table: the request schema that a contract generates, and what it lets through."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from holdfast.api import fields
from holdfast.contract import Kind
from holdfast.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.contract import Column, Contract

CUSTOMER_ID = "customer_id"
"""Field that a record may carry where the contract has no id column; it comes back with the answer."""

LONGEST_SHOWN = 80
MOST_HINTS = 20
"""After so many rejects, unknown fields are named without the nearest known, which takes time to find."""
MOST_DETAILS = 2_000
"""After so many rejects, further records are told only how many of their fields are wrong."""
MOST_UNKNOWN = 10
"""So many unknown fields of one record are named."""

_DTYPES = {Kind.NUMBER: pl.Float64(), Kind.INTEGER: pl.Int64(), Kind.BOOLEAN: pl.Boolean()}


@dataclass(frozen=True, slots=True)
class Reject:
    """One reason why the record at ``index`` of a request cannot be scored."""

    index: int
    column: str | None
    value: str | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """For an answer about a batch."""
        return asdict(self)

    def as_field(self) -> dict[str, Any]:
        """For a problem about one record."""
        found = {"field": self.column, "value": self.value, "reason": self.reason}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Taken:
    """The records of a request that have the right form, as a table, and those that have not.

    ``indexes``, ``records``, ``inputs`` and ``ids`` have one entry for each row of ``table``. ``ids`` are
    those that records may carry without having to; none where the contract requires an id, which then is a
    column of ``table``.
    """

    table: pl.DataFrame
    indexes: list[int]
    records: list[dict[str, Any]]
    """The records, with the fields that count only."""
    inputs: list[tuple[Any, ...]]
    """What is scored of each record, in the contract's order: equal ones get equal answers."""
    ids: list[str | None] | None
    rejects: list[Reject]
    id_column: str | None
    """The column of ``table`` that holds the required ids, if they are required."""
    ignored: dict[int, list[str]]
    """Fields that were there but are no input: the label, columns that the contract excludes."""


class Intake:
    """The request schema of one contract.

    Attributes:
        model: a record, as pydantic model: fields by the contract's column names, wrong types refused.
        example: a record that the contract accepts.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._columns: dict[str, Column] = dict(contract.inputs)
        own = contract.id_column
        known = {*contract.columns, contract.churn.label}
        self._free_id = own or (None if CUSTOMER_ID in known else CUSTOMER_ID)
        if own is not None and contract.columns[own].required:
            self._columns = {own: contract.columns[own], **self._columns}
            self._free_id = None
        self._names = [*self._columns, *([self._free_id] if self._free_id else [])]
        self._fields = frozenset(self._names)
        self._unused = frozenset(known - self._fields)
        self._schema = {name: _DTYPES.get(column.kind, pl.String()) for name, column in self._columns.items()}
        self._getters = [itemgetter(name) for name in self._names]
        self._plain = [*map(fields.plain_reader, self._columns.values())]
        self._plain += [fields.plain_text] if self._free_id else []
        self._id_column = own if own in self._columns else None
        self._inputs = slice(int(own in self._columns), len(self._columns))
        self.model = self._build()
        self.example = {name: fields.example(column) for name, column in self._columns.items()}

    def _build(self) -> type[BaseModel]:
        kept: dict[str, Any] = {}
        for at, (name, column) in enumerate(self._columns.items()):
            # Fields have plain names and the columns' names as aliases: a column may be called anything.
            needed: Any = ... if column.required else None
            kept[f"c{at}"] = (fields.field_type(column), Field(needed, alias=name, title=name))
        if self._free_id:
            said = {
                "type": ["string", "integer", "null"],
                "description": "Comes back with the answer; not scored.",
            }
            id_field = fields.free_text(said)
            kept[f"c{len(self._columns)}"] = (id_field, Field(None, alias=self._free_id, title=self._free_id))
        strict = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
        return create_model("Customer", __config__=strict, **kept)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a record."""
        said = self.model.model_json_schema(by_alias=True)
        said["description"] = f'One row of "{self.contract.name}", by the contract\'s own column names.'
        said["examples"] = [self.example]
        for described in said["properties"].values():
            described.pop("default", None)
        return said

    def take(self, records: Sequence[object], starts: Sequence[int] = ()) -> Taken:
        """Check the form of each record for itself; a bad one does not touch its neighbours.

        Args:
            records: as parsed from JSON.
            starts: where, among the records of several requests, each but the first request begins. How much
                is said about a request's rejects depends on that request alone.
        """
        columns = self._plainly(records)
        if columns is not None:
            every: Any = records
            return self._taken(columns, list(range(len(records))), list(every), [], {})
        rows: list[tuple[Any, ...]] = []
        indexes: list[int] = []
        kept: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        before = 0
        ignored: dict[int, list[str]] = {}
        validate = self.model.__pydantic_validator__.validate_python
        for index, record in enumerate(records):
            if index in starts:
                before = len(rejects)
            if not isinstance(record, dict):
                rejects.append(
                    Reject(index, None, None, f"an object is needed, not {fields.json_type(record)}")
                )
                continue
            known, unknown, unused = self._sorted(record, index, named=len(rejects) - before < MOST_HINTS)
            if unused:
                ignored[index] = unused
            try:
                found = validate(known).__dict__
            except ValidationError as error:
                rejects += unknown + _explained(index, error, briefly=len(rejects) - before > MOST_DETAILS)
                continue
            if unknown:
                rejects += unknown
                continue
            rows.append(tuple(found.values()))  # pydantic keeps the fields' order
            indexes.append(index)
            kept.append(known)
        columns = [*zip(*rows, strict=True)] if rows else [()] * len(self._names)
        return self._taken(columns, indexes, kept, rejects, ignored)

    def _plainly(self, records: Sequence[Any]) -> list[Sequence[Any]] | None:
        """The columns of records that all are as the schema says and need no closer look, which most are.

        A column at a time, so that a record costs a fraction of its validation by `model`. What comes out is
        what that would give (a property test holds the two equal); None sends all records there.
        """
        fields_needed = self._fields
        for record in records:
            if type(record) is not dict or record.keys() != fields_needed:
                return None
        read: list[Sequence[Any]] = []
        for get, reader in zip(self._getters, self._plain, strict=True):
            values = reader([*map(get, records)])
            if values is None:
                return None
            read.append(values)
        return read or None

    def _taken(
        self,
        columns: Sequence[Sequence[Any]],
        indexes: list[int],
        records: list[dict[str, Any]],
        rejects: list[Reject],
        ignored: dict[int, list[str]],
    ) -> Taken:
        series = [
            pl.Series(name, values, dtype=dtype, strict=True)
            for (name, dtype), values in zip(self._schema.items(), columns, strict=False)
        ]
        inputs = [*zip(*columns[self._inputs], strict=True)] if indexes else []
        ids = list(columns[-1]) if self._free_id else None
        return Taken(pl.DataFrame(series), indexes, records, inputs, ids, rejects, self._id_column, ignored)

    def _sorted(
        self, record: dict[str, Any], index: int, *, named: bool
    ) -> tuple[dict[str, Any], list[Reject], list[str]]:
        """The fields that count, those that nobody knows, and those that are known but not used."""
        extra = record.keys() - self._fields
        if not extra:
            return record, [], []
        unused = sorted(extra & self._unused)
        unknown = sorted(extra - self._unused)
        rejects = [
            Reject(index, _shown(name), None, self._unknown(_shown(name), named=named))
            for name in unknown[:MOST_UNKNOWN]
        ]
        if len(unknown) > MOST_UNKNOWN:
            rejects.append(Reject(index, None, None, f"{len(unknown) - MOST_UNKNOWN:,} more unknown fields"))
        return {name: value for name, value in record.items() if name in self._fields}, rejects, unused

    def _unknown(self, name: str, *, named: bool) -> str:
        return "not in the contract" + (f". {nearest(name, self._names, most=1)}" if named else "")


def _explained(index: int, error: ValidationError, *, briefly: bool) -> list[Reject]:
    """What is wrong with one record, field by field unless the request is hopeless."""
    if briefly:
        return [Reject(index, None, None, f"{error.error_count():,} fields break the contract")]
    return [_reject(index, detail) for detail in error.errors(include_url=False)]


def _reject(index: int, detail: Any) -> Reject:
    """A pydantic error in our words."""
    place = detail["loc"]
    name = str(place[0]) if place else None
    given = detail["input"]
    reasons = {
        "missing": "required by the contract, but not there",
        "finite_number": "infinite or not a number",
        "float_type": "too large for a number"
        if type(given) is int
        else f"a number is needed, not {fields.json_type(given)}",
        "string_type": f"text is needed, not {fields.json_type(given)}",
    }
    reason = reasons.get(detail["type"], detail["msg"])
    value = None if detail["type"] == "missing" or isinstance(given, dict | list) else _shown(_spelled(given))
    return Reject(index, name, value, reason)


def _spelled(given: object) -> str:
    if isinstance(given, int) and not isinstance(given, bool) and given.bit_length() > 256:  # noqa: PLR2004 - Python refuses to write very long ones
        return f"(a number of about {int(given.bit_length() * 0.30103):,} digits)"
    return {True: "true", False: "false"}[given] if isinstance(given, bool) else str(given)


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
