"""The sections of a guessed history: one a table, and when to look."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from holdfast.contract.history import WINDOWS, Clock, Table, TableKind
from holdfast.contract.meanings import Meaning

if TYPE_CHECKING:
    from holdfast.contract.guess.clocks import Times
    from holdfast.contract.guess.dates import Order
    from holdfast.contract.guess.fields import Fields
    from holdfast.contract.guess.leaving import Leaving

_FEW_SNAPSHOTS = 6
"""Months; with fewer to look at, snapshots are weekly."""


def monthly_charge(everything: list[Fields]) -> tuple[float | None, str | None]:
    """The median of the column that is a customer's monthly charge, and its name, if there is one."""
    for fields in everything:
        for name, verdict in fields.verdicts.items():
            if verdict.column.meaning is Meaning.MONTHLY_CHARGE and verdict.is_in:
                return verdict.median, name
    return None, None


def clock_section(
    everything: list[Fields], leaving: Leaving, until: date, time_zone: str | None, *, by_ends: bool
) -> tuple[Clock, dict[str, str]]:
    """When to look, and why then."""
    begins = [(one.placed.kind, one.placed.clocks.time) for one in everything]
    dated = [(kind, time.days.min()) for kind, time in begins if time is not None]
    firsts = [(kind is TableKind.CUSTOMERS, day) for kind, day in dated if isinstance(day, date)]
    # Customers may have joined long before anything that the tables tell of.
    span = (until - min(firsts, default=(True, until))[1]).days
    notes = {"time_zone": "of times without one, and of midnights" if time_zone is None else "as asked for"}
    settings: dict[str, object] = {"time_zone": time_zone or "UTC"}
    left = span - WINDOWS[2] - leaving.churn.horizon_days - leaving.churn.grace_days
    if left < _FEW_SNAPSHOTS * 30:
        settings["snapshots"] = "weekly"
        notes["snapshots"] = f"{span:,} days of data give few months to look at"
    windows = tuple(days for days in WINDOWS if days <= max(span, WINDOWS[1]))
    if windows != WINDOWS:
        settings["windows"] = windows
        notes["windows"] = f"the data go back {span:,} days"
    if leaving.first is not None:
        settings["first"] = leaving.first
        notes["first"] = leaving.first_note
    known = [one.placed.clocks.known for one in everything]
    later = [day for one in known if one is not None and isinstance(day := one.days.max(), date)]
    if by_ends:
        notes["until"] = "ends go on after the last begin, so the tables tell of the days up to the last end"
    elif max(later, default=until) > until + timedelta(days=1):
        notes["until"] = f"nothing happened later, though rows became known until {max(later)!s}"
    if "until" in notes:
        settings["until"] = until + timedelta(days=1)
    return Clock.model_validate(settings), notes


def register_note(everything: list[Fields], table: str) -> str | None:
    """What to say where customers of the table in which leaving shows are not in the register.

    Args:
        everything: all tables, the register first if there is one.
        table: where leaving is seen.
    """
    register, seen = (
        everything[0].placed,
        next(one.placed for one in everything if one.placed.look.name == table),
    )
    if register.kind is not TableKind.CUSTOMERS or register is seen:
        return None
    whose = seen.look.customers.drop_nulls().unique()
    unknown = len(whose) - int(whose.is_in(register.look.customers.unique().implode()).sum())
    if not unknown:
        return None
    return (
        f'{unknown:,} of {len(whose):,} customers of "{table}" are not in it: their rows will be rejected. '
        "If customers who left were deleted from it, leave the table out, for nobody in it has ever left"
    )


def table_section(fields: Fields, source: str) -> tuple[Table, dict[tuple[str, ...], str]]:
    """One table's section and its notes."""
    placed, look = fields.placed, fields.placed.look
    clocks, spans = placed.clocks, placed.kind is not TableKind.EVENTS
    stated = [one for one in (clocks.time, clocks.end, clocks.known) if one is not None]
    begin = clocks.time.name if clocks.time else None
    day_first, guessed = _day_first(stated)
    if not any(one.order for one in stated):
        _say_orders(fields)
    table = Table(
        kind=placed.kind,
        source=source,
        customer=look.key.name,
        id=placed.id,
        time=None if spans else begin,
        begin=begin if spans else None,
        end=clocks.end.name if clocks.end else None,
        ongoing=clocks.end.spoken if clocks.end else (),
        day_first=day_first,
        known=clocks.known.name if clocks.known else None,
        failures=fields.failures,
        columns={name: verdict.column for name, verdict in fields.verdicts.items()},
    )
    notes: dict[tuple[str, ...], str] = {
        ("kind",): placed.why,
        (
            "customer",
        ): f"{look.customers.drop_nulls().n_unique():,} different values in {look.frame.height:,} rows",
    }
    if guessed is not None:
        notes["day_first",] = guessed
    missing = look.customers.null_count()
    if clocks.time is not None:
        days = clocks.time.days.drop_nulls()
        notes["begin" if spans else "time",] = f"{days.min()!s} to {days.max()!s}"
    if clocks.end is not None:
        words = " or ".join(f'"{word}"' for word in clocks.end.spoken)
        ended = len(clocks.end.days) - clocks.end.days.null_count()
        notes["end",] = f"{ended:,} have one" + (f"; {words} means that it goes on" if words else "")
    if clocks.known is not None:
        notes["known",] = "taken for when the row became known, which is never before its time"
    if placed.id is not None:
        notes["id",] = (
            "rows with one id are versions of one fact" if placed.versions else "each row has its own"
        )
    about = list(clocks.notes)
    if missing:
        share = missing / look.frame.height
        about.append(f'{missing:,} rows ({share:.1%}) have no "{look.key.name}": nobody\'s, so rejected')
    if about:
        notes[()] = "; ".join(about)
    for name, verdict in fields.verdicts.items():
        notes |= {("columns", name, *path): note for path, note in verdict.notes.items()}
    return table, notes


def _day_first(stated: list[Times]) -> tuple[bool | None, str | None]:
    """What a table's section says of the order of day and month, and if that is a guess, on what ground."""
    orders = [one.order for one in stated if one.order is not None]
    shown = [order for order in orders if order.ground is None]
    if any(order.day_first for order in shown):
        return True, None
    if shown:  # a few such dates among others are read only where the contract says how
        return (None if all(order.usual for order in shown) else False), None
    if not orders:
        return None, None
    return orders[0].day_first, _guessed(orders[0], [one.name for one in stated if one.order is not None])


def _say_orders(fields: Fields) -> None:
    """Write the guessed order of day and month into the columns that need one."""
    for name, verdict in fields.verdicts.items():
        order = fields.placed.look.kinds[name].order
        if order is not None and order.ground and verdict.is_in:
            verdict.set(_guessed(order, [name]), day_first=order.day_first)


def _guessed(order: Order, names: list[str]) -> str:
    """What to say of a guessed order of day and month."""
    listed = " and ".join(f'"{name}"' for name in names)
    month = "April" if order.day_first else "March"
    return (
        f"a guess, {order.ground}: no value of {listed} shows which of day and month comes first. "
        f"Look whether 03/04 is in {month} there"
    )
