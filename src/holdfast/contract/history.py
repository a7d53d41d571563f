"""The contract of a history: customers and event tables with times, and what churn means in them.

A snapshot's contract (`holdfast.contract.types.Contract`) describes one table whose label is a column. A
history's describes several tables with times; who was a customer when, who then churned and what was known
at that moment follow from it (`holdfast.history`). What comes out is a table of (customer, as_of) with
features and a label, described by a `Contract` again: from there on nothing knows the difference.

One rule holds for all edges: what happens exactly at a moment belongs to its future. So as of ``as_of`` an
event counts if ``time < as_of`` and ``known <= as_of``, and the label looks at
``[as_of + lead, as_of + lead + horizon)``.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date  # noqa: TC003 - Pydantic reads it
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, PrivateAttr, StrictBool, model_validator

from holdfast.contract.types import FEW_LEVELS, NUMERIC, Column, Economics, Frozen, Kind, Misfit, Name
from holdfast.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESERVED = frozenset({"moments", "spine", "labels", "leavings"})
"""Names of tables that queries make themselves."""

WINDOWS = (7, 30, 90, 180, 365)
"""Days that features look back, unless the contract says otherwise."""

ENDLESS = 2200
"""An end in this year or later stands for none, such as 9999-12-31."""

Days = Annotated[int, Field(ge=0, le=3_650, strict=True)]
SomeDays = Annotated[int, Field(ge=1, le=3_650, strict=True)]

Levels = Annotated[tuple[str, ...], Field(min_length=1)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'"{name}" is no time zone; write one such as "Europe/Berlin" or "UTC"') from error
    return name


def has_too_many_levels(column: Column) -> bool:
    """Whether it is a category with so many levels that a table of events makes no features of it."""
    return column.kind is Kind.CATEGORY and not 0 < len(column.levels or ()) <= FEW_LEVELS


class TableKind(StrEnum):
    """What a row of a table is."""

    CUSTOMERS = "customers"
    """A customer: what does not change, or is not said to. The first such table is the register: whoever is
    not in it is unknown, and it may have a begin and an end. Others say more about the same customers."""
    EVENTS = "events"
    """Something that happened at one time."""
    INTERVALS = "intervals"
    """Something that was so from ``begin`` until ``end``, such as a subscription or an address."""


class Table(Frozen):
    """One table of a history and its clocks.

    Times are dates or times of day; those without a zone are in the history's zone.
    """

    kind: TableKind
    source: str
    """A file or a folder of files seen from the contract's folder, ``s3://bucket/key``, or ``table:NAME``
    in the database that the settings name."""
    customer: str
    """The column that says whose row it is."""
    id: str | None = None
    """The column that says which fact it is. Rows with one id are versions: the latest known counts."""
    time: str | None = None
    """Events: when it happened."""
    begin: str | None = None
    """Intervals: from when on; customers: when they joined."""
    end: str | None = None
    """Intervals, customers: until when; missing means it goes on. As of a moment, an end that is not yet
    past is not known, whatever the row says: rows are often updated in place."""
    ongoing: tuple[str, ...] = ()
    """Words in ``end`` that mean that it goes on, such as "No", beside a missing value."""
    day_first: StrictBool | None = None
    """Whether a time such as 03/04/2024 is in April. Absent means the month comes first."""
    known: str | None = None
    """When the row became known. Without it a row is known once it happened (events) or began."""
    failures: dict[str, Levels] = Field(default_factory=dict)
    """Events: column to its levels that mean that something failed, such as a payment."""
    columns: dict[str, Column] = Field(default_factory=dict)
    """What else to read. A column with ``exclude`` is known and not used."""

    @model_validator(mode="after")
    def _clocks_fit(self) -> Self:
        if self.kind is TableKind.EVENTS:
            if self.time is None:
                raise Misfit("an events table needs time, the column that says when it happened", "time")
            if self.begin is not None or self.end is not None:
                raise Misfit("begin and end belong to intervals; an event has one time", "begin")
        elif self.time is not None:
            raise Misfit(f'time belongs to events; kind "{self.kind}" has begin and end', "time")
        if self.kind is TableKind.INTERVALS and self.begin is None:
            raise Misfit("an intervals table needs begin, the column that says from when on", "begin")
        if self.ongoing and self.end is None:
            raise Misfit("ongoing belongs to end, and there is none", "ongoing")
        return self

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        if self.failures and self.kind is not TableKind.EVENTS:
            raise Misfit("failures belong to events", "failures")
        for column, levels in self.failures.items():
            if column not in self.columns or self.columns[column].kind is not Kind.CATEGORY:
                raise Misfit(f'"{column}" is no category under columns', "failures", column)
            self.insist_listed(column, levels, "failures", column)
        twice = [name for name in self.clocks if name in self.columns]
        if twice:
            raise Misfit(
                f'"{twice[0]}" is a key or a time of the table and listed under columns', "columns", twice[0]
            )
        return self

    def insist_listed(self, column: str, levels: Sequence[str], *at: str) -> None:
        """Refuse levels that a column which lists its own does not have in any spelling.

        Raises:
            Misfit: names the first of them, at the key ``at``.
        """
        listed = self.columns[column].levels
        strange = [level for level in levels if listed is not None and level not in listed]
        if listed is None or not strange:
            return
        from holdfast.contract.parse import key_of  # noqa: PLC0415 - parse needs this module's types

        keys = {key_of(level) for level in listed}
        strange = [level for level in strange if key_of(level) not in keys]
        if strange:
            raise Misfit(f'"{strange[0]}" is no level of "{column}". {nearest(strange[0], listed)}', *at)

    @property
    def clocks(self) -> tuple[str, ...]:
        """Names of the key and time columns that the table has, each once."""
        named = (self.customer, self.id, self.time, self.begin, self.end, self.known)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def inputs(self) -> dict[str, Column]:
        """The columns that features may use."""
        unusable = {Kind.ID, Kind.TEXT}
        return {n: c for n, c in self.columns.items() if not c.exclude and c.kind not in unusable}

    @property
    def used(self) -> dict[str, Column]:
        """The inputs of which features are made: of events no category with too many levels for shares."""
        if self.kind is not TableKind.EVENTS:
            return self.inputs
        return {n: c for n, c in self.inputs.items() if n in self.failures or not has_too_many_levels(c)}


class ChurnEvent(StrEnum):
    """What counts as leaving."""

    END = "end"
    """The last of a customer's intervals ends (``end`` of an intervals table or of the customers)."""
    CANCELLATION = "cancellation"
    """An event of a table."""
    INACTIVITY = "inactivity"
    """No event of a table in the whole horizon."""


class HistoryChurn(Frozen):
    """What counts as churn in a history. With A = as_of + lead, churn is what happens in [A, A + horizon)."""

    event: ChurnEvent
    table: str
    """Where it is seen."""
    where: dict[str, Levels] = Field(default_factory=dict)
    """Cancellation and inactivity: only events whose column has one of these levels."""
    above: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    """Likewise: only events whose number is above this one, such as purchases among purchases and returns."""
    horizon_days: SomeDays
    """How far ahead. For inactivity: how long without an event is churn."""
    lead_days: Days = 0
    """Days needed to act. Who leaves within them is neither churned nor stayed: too late to act on."""
    grace_days: Days = 0
    """A customer who is back within so many days has not churned."""
    min_tenure_days: Days = 0
    """Customers for less than this are not eligible."""
    returns: str | None = None
    """Cancellation: the table whose events, or begins, show that a customer is back."""
    active_days: SomeDays | None = None
    """Inactivity: eligible is who had an event in the last so many days; without it, whoever had one ever."""
    cause: str | None = None
    """The column of the table that says why a customer left."""
    causes: Levels | None = None
    """Only these causes count; who leaves for another has not churned."""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for name in ("where", "above"):
            if self.event is ChurnEvent.END and getattr(self, name):
                raise Misfit(f"{name} selects events; an end has none", name)
        if self.returns is not None and self.event is not ChurnEvent.CANCELLATION:
            raise Misfit("returns belongs to cancellations; intervals say themselves who is back", "returns")
        if self.event is ChurnEvent.CANCELLATION and self.grace_days and self.returns is None:
            raise Misfit("a grace needs returns, the table that shows who is back", "grace_days")
        if self.active_days is not None and self.event is not ChurnEvent.INACTIVITY:
            raise Misfit("active_days belongs to inactivity", "active_days")
        if self.event is ChurnEvent.INACTIVITY and (self.grace_days or self.cause):
            raise Misfit("inactivity has no grace and no cause", "grace_days" if self.grace_days else "cause")
        if (self.causes is None) is not (self.cause is None):
            raise Misfit(
                "cause names the column and causes the levels that count; give both or none", "causes"
            )
        return self


class Clock(Frozen):
    """When to look: the moments ``as_of`` at which customers are described and judged."""

    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Of times that have none, and of the midnights at which days begin."""
    snapshots: Literal["monthly", "weekly"] | Annotated[tuple[date, ...], Field(min_length=1)] = "monthly"
    """The first of each month, each Monday, or these dates."""
    first: date | None = None
    """No snapshot before it; without it, there are 90 days of events before the first."""
    last: date | None = None
    """No snapshot after it; without it, the last is the newest that is not after ``until``."""
    until: date | None = None
    """All that happened before this day is in the tables; without it, up to the last event, or the end of its
    day where that is a day alone. Of a day that still goes on, what happened until now is known."""
    windows: Annotated[tuple[SomeDays, ...], Field(min_length=1, max_length=12)] = WINDOWS
    """Days that features look back."""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if list(self.windows) != sorted(set(self.windows)):
            raise Misfit("windows must be in order, each once", "windows")
        if self.first and self.last and self.first > self.last:
            raise Misfit("first is after last", "first")
        return self


class _Files(dict[str, str]):
    """Where the query of each feature was read from: contracts are equal wherever their text was."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Files)


class History(Frozen):
    """The whole of a history's `churn.toml`, checked.

    ``features`` are a user's own: name to the text of one SQL query (in the file, to the name of a ``.sql``
    file beside it).
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1
    name: Name
    clock: Clock = Clock()
    churn: HistoryChurn
    economics: Economics
    tables: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], Table], Field(min_length=1)
    ]
    features: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")], str] = Field(
        default_factory=dict
    )
    generated: StrictBool = True
    """Whether features are generated from the tables, beside one's own."""
    _files: _Files = PrivateAttr(default_factory=_Files)

    @model_validator(mode="after")
    def _names_free(self) -> Self:
        for name in RESERVED.intersection(self.tables):
            raise Misfit(
                f'"{name}" is the name of a table that is made here; call yours "table_{name}"',
                "tables",
                name,
            )
        return self

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for name, table in self.tables.items():
            more = table.kind is TableKind.CUSTOMERS and name != self.customers
            if more and (table.begin is not None or table.end is not None):
                raise Misfit(
                    f'begin and end belong to the first table of customers, "{self.customers}"; '
                    "with times of its own this one is of intervals",
                    "tables",
                    name,
                    "kind",
                )
        if self.churn.table not in self.tables:
            raise Misfit(f'there is no table "{self.churn.table}"', "churn", "table")
        if self.churn.returns is not None and self.churn.returns not in self.tables:
            raise Misfit(f'there is no table "{self.churn.returns}"', "churn", "returns")
        seen = self.tables[self.churn.table]
        if self.churn.event is ChurnEvent.END:
            if seen.end is None:
                raise Misfit(f'table "{self.churn.table}" has no end', "churn", "table")
        elif seen.kind is not TableKind.EVENTS:
            raise Misfit(
                f'{self.churn.event} is seen in events; "{self.churn.table}" has none', "churn", "table"
            )
        self._selects(seen)
        return self

    def _selects(self, seen: Table) -> None:
        """What selects events, or says why customers left, are columns that can."""
        churn = self.churn
        levels = {"where": churn.where, "cause": {churn.cause} - {None}}
        for key, columns in {**levels, "above": churn.above}.items():
            for column in columns:
                if column not in seen.columns:
                    raise Misfit(f'table "{churn.table}" has no column "{column}"', "churn")
                kind = seen.columns[column].kind
                place = (key, column) if key != "cause" else (key,)
                if key == "above" and kind not in NUMERIC:
                    raise Misfit(f'above takes numbers, and "{column}" is of kind {kind}', "churn", *place)
                if key != "above" and kind is Kind.DATE:
                    raise Misfit(f'{key} takes levels, and "{column}" is a date', "churn", *place)
        for column, some in churn.where.items():
            seen.insist_listed(column, some, "churn", "where", column)
        if churn.cause is not None:
            seen.insist_listed(churn.cause, churn.causes or (), "churn", "causes")

    @property
    def files(self) -> dict[str, str]:
        """Where the query of each feature was read from, to be named in errors; empty if not from files."""
        return self._files

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read and check a contract file. See `holdfast.contract.load.load_history`."""
        from holdfast.contract.load import load_history  # noqa: PLC0415 - load needs this module's types

        return load_history(path)

    @property
    def customers(self) -> str | None:
        """Name of the register, the first table of customers, if there is one."""
        for name, table in self.tables.items():
            if table.kind is TableKind.CUSTOMERS:
                return name
        return None

    def canonical(self) -> dict[str, Any]:
        """The contract as plain JSON types, defaults left out; equal contracts give equal results."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical contract and of which table is the register, which order decides."""
        said = [self.canonical(), self.customers]
        text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
