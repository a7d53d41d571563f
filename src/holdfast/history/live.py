"""Features of a few customers as of now, from the tables of PostgreSQL: the batch's own SQL, for them alone.

The statement is prepared once a connection and reads by index (`holdfast.history.indexes`); it asks about as
many customers at a time as are wanted, as of one moment.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa

from holdfast.history.build import joined_sql
from holdfast.history.build_in_place import schema_of
from holdfast.history.catalogue import catalogue
from holdfast.history.engines.canonical import Scope, canonical_tables
from holdfast.history.engines.postgres import Postgres, held_tables, queries, with_queries
from holdfast.history.live_medians import DailyMedians
from holdfast.history.moments import moments
from holdfast.history.of_peers import PEERS, with_peers
from holdfast.history.own import own_sql, shown_types
from holdfast.history.own_alike import insist_alike
from holdfast.history.settle import quoted
from holdfast.history.spans import bound_of
from holdfast.history.translate import translated
from holdfast.sources import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from holdfast.contract.history import History
    from holdfast.history.engines.columns import Held
    from holdfast.settings import Settings

T = TypeVar("T")

RETRIES = 1
"""Whoever waits for an answer does not wait for a database that is away."""

AWAY_SECONDS = 2.0
"""After a failure nobody waits for the database for so long: others' answers wait behind them."""

_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_SETTINGS = (
    "SET default_transaction_read_only = on",
    "SET timezone = 'UTC'",
    "SET jit = off",
    "SET plan_cache_mode = force_generic_plan",  # planning takes ten times as long as the answer
    "SET enable_nestloop = off",  # or it aggregates anew for each customer, of whom it expects one
)
_CENTURY = 1_000
"""No history reaches back to it: years that stand for parameters until the text is translated."""


@dataclass(frozen=True)
class _Statement:
    """SQL, and the names of its parameters in order."""

    text: str
    parameters: tuple[str, ...]


class LiveFeatures:
    """Builds features as of any moment up to now. Connects at the first question.

    Args:
        history: the contract of the tables.
        settings: with the address of the database.
        names: of the features that are wanted; all unless given.

    Raises:
        UsageError: the tables are not in PostgreSQL, or the settings do not say where it is.
        ContractError: a feature of one's own cannot be used.
    """

    def __init__(self, history: History, settings: Settings, names: Collection[str] | None = None) -> None:
        self._history = history
        self._features = tuple(one for one in catalogue(history) if names is None or one.name in names)
        for one in self._features:  # told when the model is taken up, not to whoever asks first
            if one.query is not None:
                place = history.files.get(one.name, f"[features], {one.name}")
                insist_alike(one.query, "postgres", place, shown_types(history))
        few = settings.model_copy(update={"source_retries": min(RETRIES, settings.source_retries)})
        self._postgres = Postgres(history, few)
        self._schema = schema_of(self._features, labels=False)
        beside = with_peers(self._features)
        self._medians = DailyMedians(history, few, beside) if beside else None
        seconds = settings.request_seconds
        self._said = (*_SETTINGS, f"SET statement_timeout = {int(1_000 * seconds)}")
        self._away: tuple[float, SourceError] | None = None
        sa.event.listen(self._postgres.database.engine, "connect", self._connected)

    def close(self) -> None:
        """Let go of the connections."""
        self._postgres.close()

    def now(self) -> datetime:
        """The moment as of which features are built, unless another is asked for; aware."""
        return datetime.now(UTC)

    def begin_day(self) -> None:
        """Begin with what today's answers need of everybody, before anybody asks; waits for nothing."""
        if self._medians is not None:
            self._medians.begin(moments(self._history, [self.now()]).row(0, named=True)["day"])

    def moment(self, as_of: datetime) -> datetime:
        """A moment, aware or by the clock of the history's zone, as an aware one."""
        return (
            as_of
            if as_of.tzinfo is not None
            else as_of.replace(tzinfo=ZoneInfo(self._history.clock.time_zone))
        )

    def build(self, customers: Sequence[str], as_of: datetime) -> pl.DataFrame:
        """One row a customer who is eligible then: ``customer``, ``as_of`` (naive UTC) and the features.

        Args and Raises: as `records`.
        """
        rows = self._rows(self._statement, customers, as_of)
        return pl.DataFrame(rows, schema=self._schema, orient="row")

    def records(self, customers: Sequence[str], as_of: datetime) -> list[dict[str, Any]]:
        """As `build`, each row by its names; for a few customers that is much quicker.

        Args:
            customers: ids as `customer_key` writes them.
            as_of: the moment.

        Raises:
            SourceError: the database failed, or still works out what all customers have on that day.
            HistoryError: a table or column is not there any more.
        """
        rows = self._rows(self._statement, customers, as_of)
        return [dict(zip(self._schema, row, strict=True)) for row in rows]

    def known(self, customers: Sequence[str], as_of: datetime) -> set[str]:
        """Those of the customers of whom the tables know, the register of customers if there is one."""
        return {row[0] for row in self._asked(self._known, self._values(customers, as_of))}

    def explained(self, customers: Sequence[str], as_of: datetime) -> str:
        """What PostgreSQL says of how it finds the features: ``EXPLAIN (ANALYZE, BUFFERS)``."""
        explain = replace(self._statement, text=f"EXPLAIN (ANALYZE, BUFFERS) {self._statement.text}")
        rows = self._rows(explain, customers, as_of)
        return "\n".join(row[0] for row in rows)

    def _rows(self, asked: _Statement, customers: Sequence[str], as_of: datetime) -> list[tuple[Any, ...]]:
        """What a statement about features answers."""
        values = self._values(customers, as_of)
        if self._medians is not None:
            found = self._unless_away(partial(self._medians.of, values["day"]))
            values |= {"peers": [row[0] for row in found], "levels": [row[2] for row in found]}
            values["medians"] = [row[3] for row in found]
        return self._asked(asked, values)

    def _asked(self, asked: _Statement, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        from psycopg import RawCursor  # noqa: PLC0415 - an extra, which is there by now

        given = [values[name] for name in asked.parameters]
        database = self._postgres.database

        def ask() -> Iterator[tuple[Any, ...]]:
            with database.engine.connect() as connection:
                raw: Any = connection.connection.driver_connection
                with RawCursor(raw) as cursor:
                    cursor.execute(asked.text, given, prepare=True, binary=True)
                    yield from cursor.fetchall()

        return self._persistently(ask)

    def _persistently(self, ask: Callable[[], Iterable[T]]) -> list[T]:
        """What the database answers."""
        database = self._postgres.database
        return self._unless_away(lambda: list(database.persistently(ask, f"the tables of {database.place}")))

    def _unless_away(self, ask: Callable[[], T]) -> T:
        """The answer; for some time after the database failed, that failure at once."""
        if self._away is not None and time.monotonic() < self._away[0]:
            raise self._away[1]
        try:
            return ask()
        except SourceError as error:
            self._away = (time.monotonic() + AWAY_SECONDS, error)
            raise

    def _connected(self, connection: Any, _record: Any) -> None:
        """Say once a connection what holds for all that is asked.

        Each question is one statement and needs no transaction; at the end of one that was rolled back, the
        driver would forget what it has prepared.
        """
        connection.autocommit = True
        for statement in self._said:
            connection.execute(statement)

    def _values(self, customers: Sequence[str], as_of: datetime) -> dict[str, Any]:
        now = datetime.now(UTC).replace(tzinfo=None)
        looks = moments(self._history, [as_of]).row(0, named=True)
        until = bound_of(self._history, now)
        # Of a moment that the contract's until covers, what lies after it is not looked at, as in a build.
        return looks | {
            "customers": list(customers),
            "bound": until if looks["as_of"] <= until else now,
            "now": now,
        }

    @cached_property
    def _held(self) -> dict[str, Held]:
        database = self._postgres.database

        def ask() -> Iterator[dict[str, Held]]:
            with database.engine.connect() as connection:
                yield held_tables(self._history, database, connection)

        [held] = self._persistently(ask)
        return held

    @cached_property
    def _tables(self) -> list[tuple[str, str]]:
        scope = Scope(
            bound=_parameter("bound", "timestamp"),
            now=_parameter("now", "timestamp"),
            within=lambda customer: f"{customer} = ANY({_parameter('customers', 'text[]')})",
            among=lambda column, query: f"{column} = ANY(ARRAY({query}))",
        )
        return list(canonical_tables(self._history, self._held, scope))

    @cached_property
    def _statement(self) -> _Statement:
        history = self._history
        looks = moments(history, [self.now()])
        listed = ", ".join(f"{_parameter(name, 'timestamp')} AS {name}" for name in looks.columns)
        named = queries(history, self._tables, f"SELECT {listed}")
        if self._medians is not None:
            named.append((PEERS, _PEERS))
        for one in self._features:
            if one.query is not None:
                text = own_sql(history, one, [_stand_ins(looks)], dialect="postgres")
                named.append((quoted(f"_own_{one.name}"), _with_parameters(text, looks)))
        query = translated(joined_sql(history, self._features, labels=False), "postgres")
        return _filled(with_queries(named, query))

    @cached_property
    def _known(self) -> _Statement:
        register = self._history.customers
        tables = [register] if register is not None else list(self._history.tables)
        query = " UNION ".join(f"SELECT _customer FROM {quoted(name)}" for name in tables)
        return _filled(with_queries(self._tables, query))


def customer_key(given: str) -> str:
    """An id as tables have it: without blanks around it, a whole number without a fraction.

    >>> customer_key(" 17.0 ")
    '17'
    """
    bare = given.strip()
    whole = _WHOLE.fullmatch(bare)
    return whole[1] if whole else bare


def _parameter(name: str, kind: str) -> str:
    return f"\x00{name}\x01::{kind}"


def _filled(text: str) -> _Statement:
    """The text with its parameters as PostgreSQL numbers them: the driver need not read through it then."""
    names = tuple(dict.fromkeys(re.findall("\x00(\\w+)\x01", text)))
    return _Statement(re.sub("\x00(\\w+)\x01", lambda found: f"${names.index(found[1]) + 1}", text), names)


_PEERS = (
    f"SELECT p._feature, {_parameter('day', 'timestamp')} AS _day, p._level, p._median "
    f"FROM unnest({_parameter('peers', 'text[]')}, {_parameter('levels', 'text[]')}, "
    f"{_parameter('medians', 'double precision[]')}) AS p(_feature, _level, _median)"
)
"""The medians of everybody on the day, as parameters."""


def _stand_ins(looks: pl.DataFrame) -> dict[str, datetime]:
    """Moments in the place of parameters, which SQL that is translated cannot have."""
    first = datetime(_CENTURY, 1, 1)  # noqa: DTZ001 - as all moments of SQL
    return {name: first + timedelta(days=366 * at) for at, name in enumerate(looks.columns)}


def _with_parameters(text: str, looks: pl.DataFrame) -> str:
    for name, moment in _stand_ins(looks).items():
        text = re.sub(
            rf"CAST\('{moment:%Y-%m-%d} [0-9:.]+' AS TIMESTAMP\)", _parameter(name, "timestamp"), text
        )
    return text
