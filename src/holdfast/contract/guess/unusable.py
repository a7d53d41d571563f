"""Why a table has no part in a history, and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract import text
from holdfast.contract.guess import clocks as clock
from holdfast.contract.guess.identity import is_key
from holdfast.contract.guess.names import words
from holdfast.contract.guess.owners import spelled_alike
from holdfast.contract.types import Kind
from holdfast.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.contract.guess.owners import Key
    from holdfast.contract.guess.profile import Profile
    from holdfast.contract.guess.roles import Look, Placed

LABEL = frozenset({"churn", "churned", "attrition", "exited", "left"})
"""Words in the name of a column that says who left."""

_TIMES = frozenset({"date", "time", "timestamp", "datetime", "day"})
"""Words in the name of a column of times."""

_DATED = 0.5
"""Share of the values of a column that are dates, however written, from which it is meant to hold dates."""

_MOST_SHOWN = 20


def not_owned(frames: Mapping[str, pl.DataFrame], table: str, owners: Mapping[str, Key]) -> str:
    """Why a table is left out, with the column by which it could be joined, if there is one."""
    other = next(iter(owners.values()))
    if other.name in frames[table].columns:
        return _strangers(frames[table], other)
    why = f'no column says whose row it is, as "{other.name}" does in "{other.table}"'
    for owner, key in owners.items():
        shared = [
            name for name in frames[table].columns if name in frames[owner].columns and is_key(words(name))
        ]
        if shared:
            return f'{why}; join it to "{owner}" on "{shared[0]}" to get "{key.name}"'
    return why


def _strangers(frame: pl.DataFrame, key: Key) -> str:
    """What to say of a table whose customers are not those of another, by a column of the same name."""
    others = key.values
    column = frame.get_column(key.name).drop_nulls().cast(pl.String)
    why = f'its "{key.name}" has hardly a value of "{key.name}" of "{key.table}"'
    if not len(column):
        return f"{why}: both must name customers in the same way"
    alike = spelled_alike(column, others)
    one, other = alike or (column[0], others.sort()[0])
    why += f', such as "{one}" and "{other}"'
    if alike is None:
        return f"{why}: both must name customers in the same way"
    if one.lower() == other.lower():
        return f"{why}: write small letters in both, or capitals"
    return f"{why}: write leading zeros in both, or in neither"


def unread_times(look: Look) -> str:
    """What to say of the first column that is meant to hold times and cannot be read; empty if none is."""
    for name, profile in look.profiles.items():
        if look.kinds[name].kind is Kind.INTEGER and clock.counts_from_1970(profile):
            return f'; "{name}" seems to count from 1970: write it as times, such as 2024-03-05T14:30:00Z'
        if look.kinds[name].kind is Kind.CATEGORY and profile.is_text and name not in look.times:
            said = _unread_dates(profile)
            if said:
                return f'; "{name}" {said}: write all of them in one way, such as 2024-03-05 14:30'
    return ""


def _unread_dates(profile: Profile) -> str:
    """What keeps a column that is meant to hold dates from being read; empty if it is not."""
    levels = profile.levels.filter(~pl.col("level").str.to_lowercase().is_in(sorted(text.SAID_MISSING)))
    month, day = (text.dates(levels["level"], day_first=first).is_not_null() for first in (False, True))
    rows = {
        which: (levels.filter(some)["level"], int(levels.filter(some)["count"].sum()))
        for which, some in {"month": month & ~day, "day": day & ~month, "none": ~(month | day)}.items()
    }
    if rows["month"][1] and rows["day"][1]:
        both = [
            f'with the {which} first in {rows[which][1]:,} rows, such as "{rows[which][0][0]}"'
            for which in ("month", "day")
        ]
        return f"holds dates {both[0]}, and {both[1]}"
    unread, count = rows["none"]
    dated = 1 - count / max(1, int(levels["count"].sum()))
    if not count or not (dated >= _DATED or _TIMES.intersection(profile.words)):
        return ""
    return f'seems to hold dates, but {count:,} rows cannot be read as such, for example "{unread[0][:40]}"'


def no_times(
    frames: Mapping[str, pl.DataFrame],
    looks: Sequence[Look],
    placed: Sequence[Placed],
    left_out: Mapping[str, str],
) -> DataError:
    """The refusal of tables none of which says when anything happened, with the reason of each.

    Args:
        frames: the tables.
        looks: those that say whose rows they hold.
        placed: those that have a part: all of them customers, without an end.
        left_out: the others, each with the reason.
    """
    why = {one.look.name: f"{_without_end(one)}{unread_times(one.look)}" for one in placed} | dict(left_out)
    told = [f"{table}: {why[table].rstrip('.')}." for table in (*frames, *(set(why) - set(frames)))]
    if len(told) > _MOST_SHOWN:
        told[_MOST_SHOWN:] = [f"… and {len(told) - _MOST_SHOWN} more"]
    listed = "\n  ".join(told)
    return DataError(
        "No table says when anything happened: no event has a time, and no customer an end.\n  " + listed,
        where=", ".join(frames),
        hint=_advice(frames, looks, placed),
    )


def _without_end(one: Placed) -> str:
    time = one.clocks.time
    joined = f'"{time.name}" says when they joined, but ' if time is not None else ""
    return f"a row a customer; {joined}no column says when they left"


def _advice(frames: Mapping[str, pl.DataFrame], looks: Sequence[Look], placed: Sequence[Placed]) -> str:
    """To mend what cannot be read or does not match; else what goes without times, if anything does."""
    owned = {look.name for look in looks}
    strangers = any(looks[0].key.name in frames[table].columns for table in frames if table not in owned)
    if strangers or any(map(unread_times, looks)):
        return "Mend what is said of the tables, then describe them again."
    if not placed:
        return "Give the tables a column that says when each row happened, then describe them again."
    columns = ((one.look.name, name) for one in placed for name in one.look.frame.columns)
    table, label = next((found for found in columns if LABEL.intersection(words(found[1]))), ("", "Churn"))
    where = f' ("{label}" of "{table}" seems to)' if table else ""
    name = f"name the column that says who left{where}: holdfast init"
    if len(placed) == 1:
        return f'Describe "{placed[0].look.name}" alone, and {name} FILE --label "{label}"'
    return (
        f'Join them on "{looks[0].key.name}" into one table with a row a customer, and {name} joined.csv '
        f'--label "{label}"'
    )
