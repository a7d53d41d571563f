"""Features of a few customers from tables that are files: the batch's own SQL over what was prepared last.

A home keeps the tables as they were when a command last read them. They tell of nothing later, so that a
customer is described as of their end, and a command that reads them anew brings the answers up to date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from holdfast.history.build import folder_of, joined_sql
from holdfast.history.catalogue import catalogue
from holdfast.history.moments import moments
from holdfast.history.of_peers import PEERS, peers_sql, with_peers
from holdfast.history.own import own_sql
from holdfast.history.prepared import last_prepared, opened
from holdfast.history.problems import HistoryError
from holdfast.history.settle import quoted
from holdfast.history.spine import spine_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import polars as pl

    from holdfast.contract.history import History
    from holdfast.history.engines.duck import Duck
    from holdfast.history.prepared import Prepared

DAYS = 4
"""Days whose medians of everybody are kept."""


class FileFeatures:
    """As `holdfast.history.live.LiveFeatures`, which says what its methods do.

    Args:
        history: the contract of the tables.
        home: where they were prepared.
        names: of the features that are wanted.

    Raises:
        HistoryError: nothing is prepared there by this contract.
        ContractError: a feature of one's own cannot be used.
    """

    def __init__(self, history: History, home: Path, names: Collection[str]) -> None:
        self._history = history
        self._folder = folder_of(home, history)
        self._features = tuple(one for one in catalogue(history) if one.name in names)
        self._beside = with_peers(self._features)
        self._medians: dict[tuple[str, datetime], pl.DataFrame] = {}
        self._spine = spine_sql(history)
        self._query = joined_sql(history, self._features, labels=False)
        self.now()

    def close(self) -> None:
        """There is nothing to let go of."""

    def begin_day(self) -> None:
        """Nothing: tables that are at hand are looked at when somebody asks."""

    def now(self) -> datetime:
        """The end of what the tables tell; aware."""
        return self._prepared().until.replace(tzinfo=UTC)

    def moment(self, as_of: datetime) -> datetime:
        """A moment, aware or by the clock of the history's zone, as an aware one."""
        zone = ZoneInfo(self._history.clock.time_zone)
        return as_of if as_of.tzinfo is not None else as_of.replace(tzinfo=zone)

    def records(self, customers: Sequence[str], as_of: datetime) -> list[dict[str, Any]]:
        """One row a customer who is eligible then: ``customer``, ``as_of`` (naive UTC) and the features."""
        looks = moments(self._history, [as_of])
        prepared = self._prepared()
        with opened(prepared, threads=1) as engine:
            engine.store("moments", looks)
            if self._beside:
                engine.store(PEERS, self._of_everybody(engine, (prepared.made, looks["day"].item())))
            engine.show(customers)
            engine.run(f"CREATE TABLE spine AS {self._spine}")
            for feature in self._features:
                if feature.query is not None:
                    query = own_sql(self._history, feature, looks.to_dicts())
                    engine.run(f"CREATE TABLE {quoted(f'_own_{feature.name}')} AS {query}")
            return engine.query(self._query).to_dicts()

    def known(self, customers: Sequence[str], _: datetime) -> set[str]:
        """Those of the customers of whom the tables know, the register of customers if there is one."""
        register = self._history.customers
        tables = [register] if register is not None else list(self._history.tables)
        with opened(self._prepared(), threads=1) as engine:
            engine.show(customers)
            every = " UNION ".join(f"SELECT _customer FROM {quoted(name)}" for name in tables)
            return set(engine.query(every)["_customer"])

    def _of_everybody(self, engine: Duck, key: tuple[str, datetime]) -> pl.DataFrame:
        """The medians, which are the same as long as tables and day are; the engine shows everybody."""
        found = self._medians.get(key)
        if found is None:
            found = engine.query(peers_sql(self._history, self._beside))
            # Another thread sees the one dictionary or the other, and neither while it changes.
            self._medians = dict([*self._medians.items(), (key, found)][-DAYS:])
        return found

    def _prepared(self) -> Prepared:
        found = last_prepared(self._history, self._folder)
        if found is None:
            raise HistoryError(
                "No tables are prepared by the contract that the model learned from.",
                where=str(self._folder),
                hint="Run holdfast score churn.toml, which prepares them.",
            )
        return found
