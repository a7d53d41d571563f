"""Guess the contract of a history from its tables, with a reason for every guess.

Deterministic: the same tables give the same contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
from pydantic import ValidationError

from holdfast.contract.complaints import complaints_of, refusal
from holdfast.contract.guess.churn import guess_leaving
from holdfast.contract.guess.clocks import find_times
from holdfast.contract.guess.dates import guess_orders
from holdfast.contract.guess.fields import finish, look_at, set_leaks
from holdfast.contract.guess.kind import guess_kinds
from holdfast.contract.guess.money import guess_by_spending, guess_economics
from holdfast.contract.guess.names import without_accents
from holdfast.contract.guess.owners import candidate_keys, choose_owner, shared_codes
from holdfast.contract.guess.profile import Profile
from holdfast.contract.guess.roles import Look, place
from holdfast.contract.guess.sections import clock_section, monthly_charge, register_note, table_section
from holdfast.contract.guess.spending import yearly_spending
from holdfast.contract.guess.unusable import no_times, not_owned
from holdfast.contract.history import RESERVED, Clock, History, TableKind
from holdfast.contract.infer import tidy
from holdfast.contract.table import as_table
from holdfast.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    import pandas as pd

    from holdfast.contract.guess.fields import Fields
    from holdfast.contract.guess.leaving import Leaving
    from holdfast.contract.guess.roles import Placed
    from holdfast.contract.history import ChurnEvent
    from holdfast.contract.infer import NotePath
    from holdfast.contract.types import Economics

_ZONES = 'Write one such as "Europe/Berlin" or "UTC".'

MOST_PLANNED = 0.1
"""Share of ends that may lie beyond the last event or begin and still be plans."""


@dataclass(frozen=True)
class InferredHistory:
    """A guessed history and the reasons for it."""

    history: History
    notes: dict[NotePath, str] = field(default_factory=dict)
    """Path of a key in the contract, such as ``("tables", "orders", "time")``, to a sentence about it."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Tables that the history cannot use, each with the reason."""

    @property
    def excluded(self) -> dict[str, str]:
        """Columns that the contract leaves out, as ``table.column``, each with the reason."""
        return {
            f"{table}.{name}": column.exclude
            for table, found in self.history.tables.items()
            for name, column in found.columns.items()
            if column.exclude
        }


def infer_history(
    tables: Mapping[str, pl.DataFrame | pd.DataFrame],
    *,
    sources: Mapping[str, str] | None = None,
    name: str = "customers",
    churn: ChurnEvent | None = None,
    horizon_days: int | None = None,
    time_zone: str | None = None,
    customer: str | None = None,
) -> InferredHistory:
    """Guess which table is what, keys, times, columns and a definition of churn.

    Args:
        tables: name to rows: text as `holdfast.sources` gives it, or typed; of a long table a sample.
        sources: name to what the contract says of where the table is; the name itself, unless given.
        name: what to call the contract.
        churn: what counts as leaving; guessed if not given.
        horizon_days: how far ahead to look; guessed if not given.
        time_zone: of times that have none; UTC if not given.
        customer: the column that says whose row it is; guessed if not given.

    Raises:
        UsageError: what is asked for is not in the tables.
        DataError: no table says when anything happened, or whose row it is.
    """
    if time_zone is not None:
        _insist_on_zone(time_zone)
    called = name_tables(tables)
    left_out: dict[str, str] = {}
    frames = _frames(tables, called, left_out)
    looks = _looks(frames, customer, left_out)
    placed, without_time = place(looks)
    left_out |= without_time
    if not any(one.kind is TableKind.EVENTS or one.clocks.end is not None for one in placed):
        raise no_times(frames, looks, placed, left_out)
    until, by_ends = _last_day(placed)
    everything = [look_at(one, until=until) for one in placed]
    leaving = guess_leaving(everything, until=until, asked=churn, horizon=horizon_days)
    for fields in everything:
        if fields.placed.kind is not TableKind.EVENTS:
            set_leaks(fields, leaving.left, "leaving")
    finish(everything)
    wanted = {called[given]: said for given, said in (sources or {}).items()}
    clock, clock_notes = clock_section(everything, leaving, until, time_zone, by_ends=by_ends)
    history, notes = _put_together({"name": tidy(name), "clock": clock}, everything, leaving, until, wanted)
    return InferredHistory(
        history, {("clock", key): note for key, note in clock_notes.items()} | notes, left_out
    )


def _insist_on_zone(name: str) -> None:
    try:
        Clock(time_zone=name)
    except ValidationError as error:
        raise UsageError(f'"{name}" is no time zone.', where="--time-zone", hint=_ZONES) from error


def name_tables(tables: Iterable[str]) -> dict[str, str]:
    """What a contract calls each table or file: small letters, digits and underscores.

    >>> name_tables(["Orders 2024.csv", "table:crm.people", "2019.parquet"])
    {'Orders 2024.csv': 'orders_2024', 'table:crm.people': 'people', '2019.parquet': 'table_2019'}
    """
    called: dict[str, str] = {}
    for given in tables:
        last = given.rstrip("/").rpartition("/")[2]
        own = last.rpartition(".")[2] if last.startswith("table:") else last.partition(".")[0]
        plain = re.sub(r"[^a-z0-9]+", "_", without_accents(own.removeprefix("table:")).lower()).strip("_")
        ours = plain in RESERVED or not plain[:1].isalpha()
        plain = (f"table_{plain}" if ours else plain)[:36].rstrip("_")
        number = sum(one == plain or one.startswith(f"{plain}_v") for one in called.values())
        called[given] = f"{plain}_v{number + 1}" if number else plain
    return called


def _frames(
    tables: Mapping[str, pl.DataFrame | pd.DataFrame], called: Mapping[str, str], left_out: dict[str, str]
) -> dict[str, pl.DataFrame]:
    frames = {}
    for given, table in tables.items():
        try:
            frames[called[given]] = as_table(table)
        except DataError as error:
            left_out[called[given]] = error.message
            continue
        if not any(one.isalpha() for name in frames[called[given]].columns for one in name):
            shown = ", ".join(f'"{name}"' for name in frames.pop(called[given]).columns[:3])
            left_out[called[given]] = f"its first line, {shown}, has no names: put those of the columns there"
    if not frames:
        raise DataError(
            "None of the tables can be read.", hint="; ".join(f"{k}: {why}" for k, why in left_out.items())
        )
    return frames


def _looks(frames: Mapping[str, pl.DataFrame], asked: str | None, left_out: dict[str, str]) -> list[Look]:
    profiles = {
        table: {column: Profile(frame.get_column(column)) for column in frame.columns}
        for table, frame in frames.items()
    }
    orders = guess_orders(profiles)
    kinds = {table: guess_kinds(found, orders[table]) for table, found in profiles.items()}
    times = {table: find_times(found, kinds[table], orders[table]) for table, found in profiles.items()}
    keys = {
        table: [
            key
            for key in candidate_keys(table, found, kinds[table], asked=asked)
            if key.name not in times[table]
        ]
        for table, found in profiles.items()
    }
    owners = choose_owner({table: some for table, some in keys.items() if some})
    if asked is not None and not any(key.name == asked for key in owners.values()):
        every = [column for found in profiles.values() for column in found]
        raise UsageError(f'No table has a column "{asked}".', where="--id", hint=nearest(asked, every))
    if not owners:
        several = shared_codes(keys)
        perhaps = f', perhaps --id "{several}"' if several else ""
        raise DataError(
            "No table has a column that says whose row it is.",
            where=", ".join(frames),
            hint=f"Name it with --id COLUMN{perhaps}.",
        )
    for table in frames:
        if table not in owners:
            left_out[table] = not_owned(frames, table, owners)
    return [
        Look(table, frames[table], profiles[table], kinds[table], times[table], owners[table])
        for table in frames
        if table in owners
    ]


def _last_day(placed: list[Placed]) -> tuple[date, bool]:
    """The last day on which anything happened, and whether only ends say so.

    A few rows in the far future do not count. Ends beyond all else are plans if they are few; if they are
    many, nothing began in the last days of the data.
    """
    clocks = [one.clocks for one in placed]
    begun = [_nearly_last(one.time.days) for one in clocks if one.time is not None]
    last = max((day for day in begun if day is not None), default=None)
    ends = [one.end.days.drop_nulls() for one in clocks if one.end is not None and one.end.goes_on]
    ended = pl.concat(ends).sort() if ends else pl.Series(dtype=pl.Date)
    if len(ended) and (last is None or int((ended > last).sum()) > MOST_PLANNED * len(ended)):
        return max(day for day in (_nearly_last(ended), last) if day is not None), True
    if last is None:
        raise DataError("No table holds a date.", hint="Give a table that says when things happened.")
    return last, False


def _nearly_last(days: pl.Series) -> date | None:
    """The last day but for one in a thousand that lie a month or more behind the others."""
    there = days.drop_nulls().sort()
    if not len(there):
        return None
    most: date = there[len(there) - 1 - len(there) // 1_000]
    return there.filter(there <= most + timedelta(days=31)).max()  # type: ignore[return-value]


def _put_together(
    history: Mapping[str, object],
    everything: list[Fields],
    leaving: Leaving,
    until: date,
    sources: Mapping[str, str],
) -> tuple[History, dict[NotePath, str]]:
    """The whole contract and its notes; ``history`` has the keys that are already known."""
    economics, money = _economics(everything, leaving, until)
    notes: dict[NotePath, str] = {("churn", *key.split(".", 1)): note for key, note in leaving.notes.items()}
    notes |= {("economics", key): note for key, note in money.items()}
    tables = {}
    for fields in everything:
        table = fields.placed.look.name
        tables[table], said = table_section(fields, sources.get(table, table))
        notes |= {("tables", table, *path): note for path, note in said.items()}
    unknown = register_note(everything, leaving.churn.table)
    if unknown is not None:
        register = ("tables", everything[0].placed.look.name)
        notes[register] = "; ".join(filter(None, [notes.get(register), unknown]))
    document = {**history, "churn": leaving.churn, "economics": economics, "tables": tables}
    try:
        return History.model_validate(document), notes
    except ValidationError as error:
        lines: dict[NotePath, int] = {}
        raise refusal("the guessed contract", complaints_of(error, History, lines)) from error


def _economics(everything: list[Fields], leaving: Leaving, until: date) -> tuple[Economics, dict[str, str]]:
    """A customer is worth a year of the monthly charge, else of what one spends where leaving is seen."""
    monthly, column = monthly_charge(everything)
    if monthly is None:
        seen = next(one for one in everything if one.placed.look.name == leaving.churn.table)
        spending = yearly_spending(seen, until) if seen.placed.kind is TableKind.EVENTS else None
        if spending is not None:
            return guess_by_spending(*spending)
    return guess_economics(monthly, column)
