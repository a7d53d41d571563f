"""What a leak in a history is, and the scene in which one is looked for.

A leak is known only because a customer left, or is about to: a model that uses it shines in the backtest and
fails in service. Two clocks keep out what is dated honestly; what is found here was dated, or overwritten,
so that they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.contract.history import ChurnEvent
from holdfast.history.clocks import chosen, instant, latest
from holdfast.history.labels import labels_sql
from holdfast.history.moments import moments, snapshots
from holdfast.history.settle import quoted
from holdfast.history.spine import spine_sql

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.contract.history import History
    from holdfast.history.engines.duck import Duck
    from holdfast.history.prepared import Prepared

FEWEST = 20
"""Customers that must show a thing before it is said."""

PURE = 0.97
"""Share of customers with a thing that left, from which it happens to nobody else."""

CHANCE = 1e-6
"""That so many left by chance, at the rate of all others, must be less likely than this."""


@dataclass(frozen=True)
class Leak:
    """Something in the tables that is known only because a customer left."""

    table: str
    column: str | None
    """None if the table's very rows are the leak."""
    level: str | None
    """Of a category or boolean, if it is one level alone."""
    reason: str
    advice: str
    harmless: bool = False
    """Whether it only shows once the customer has left, when nobody looks any more."""

    @property
    def place(self) -> str:
        """Table, column and level, as one writes them."""
        named = f"{self.table}.{self.column}" if self.column else self.table
        return named if self.level is None else f'{named} = "{self.level}"'


def rest_left(holders: int, left: int, people: int, gone: int) -> float | None:
    """The share of all others that left, if those who hold a thing left nearly all, and not by chance.

    Args:
        holders: customers with the thing.
        left: of them left later.
        people: all customers.
        gone: of them left later.
    """
    others = people - holders
    if holders < FEWEST or others < FEWEST or left < PURE * holders:
        return None
    rate = (gone - left) / others
    return rate if rate**left < CHANCE else None


def excluded(table: str, column: str, why: str) -> str:
    """The advice to exclude a column."""
    return f'If so, give {column} under [tables.{table}.columns]  exclude = "leak: {why}".'


@dataclass(frozen=True)
class Scene:
    """A history in an engine, with what became of everybody.

    The engine has ``_people`` (everyone ever eligible: ``_customer``, ``_gone``: 1 if they left later),
    ``_leavings`` (``_customer``, ``_left``, all that are final) and ``_labels`` of every snapshot.
    """

    history: History
    prepared: Prepared
    engine: Duck
    as_of: tuple[datetime, ...]
    """Moments whose labels have matured (naive UTC), in order."""

    @property
    def early(self) -> datetime:
        """A moment with a past behind it and most of the history still to come."""
        return self.as_of[len(self.as_of) // 3]


def set_scene(history: History, prepared: Prepared, engine: Duck) -> Scene | None:
    """Label every snapshot in an engine that shows the tables; None if no label has matured."""
    looks = moments(history, snapshots(history.clock, prepared.since, prepared.until))
    mature = looks.filter(looks["label_known"] <= prepared.until)["as_of"].sort().to_list()
    if not mature:
        return None
    engine.store("moments", looks)
    engine.run(f"CREATE OR REPLACE TABLE spine AS {spine_sql(history)}")
    engine.run(f"CREATE OR REPLACE TABLE _labels AS {labels_sql(history, prepared.until)}")
    engine.run(f"CREATE OR REPLACE TABLE _leavings AS {_leavings(history, prepared)}")
    engine.run(
        "CREATE OR REPLACE TABLE _people AS SELECT s._customer, s._since, "
        "CAST(max(CASE WHEN l._left >= s._since THEN 1 ELSE 0 END) AS INTEGER) AS _gone "
        "FROM (SELECT _customer, min(as_of) AS _since FROM spine GROUP BY _customer) AS s "
        "LEFT JOIN _leavings AS l ON l._customer = s._customer GROUP BY s._customer, s._since"
    )
    return Scene(history, prepared, engine, tuple(mature))


def _leavings(history: History, prepared: Prepared) -> str:
    churn = history.churn
    if churn.event is not ChurnEvent.INACTIVITY:
        return "SELECT DISTINCT _customer, left_at AS _left FROM _labels WHERE left_at IS NOT NULL"
    table = history.tables[churn.table]
    days = churn.lead_days + churn.horizon_days
    return (
        f"SELECT e._customer, max(e._time) AS _left FROM {quoted(churn.table)} AS e "
        f"WHERE {latest(table, 'e')} AND {chosen(table, churn, 'e')} GROUP BY e._customer "
        f"HAVING max(e._time) + INTERVAL '{days}' DAY <= {instant(prepared.until)}"
    )
