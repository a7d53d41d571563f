"""How long PostgreSQL takes to build the features of one customer among many.

    HOLDFAST_SOURCE_URL=postgresql://… python benchmarks/live.py churn-database.toml

The tables are those of ``holdfast simulate --world telco --into``, with the indexes of ``holdfast db index``.
Each question is about another customer, chosen by chance, so that little of it lies in memory by luck alone.
"""

from __future__ import annotations

import argparse
import random
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from holdfast.contract.load import load_history
from holdfast.history.live import LiveFeatures
from holdfast.history.live_medians import PendingError
from holdfast.settings import load_settings


def main() -> None:
    """Measure, and print one line a number of customers."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("contract", type=Path)
    asked.add_argument("--questions", type=int, default=1_000)
    asked.add_argument("--explain", action="store_true", help="show PostgreSQL's plan for one customer")
    given = asked.parse_args()
    history, settings = load_history(given.contract), load_settings()
    if settings.source_url is None:
        raise SystemExit("Set HOLDFAST_SOURCE_URL.")
    with psycopg.connect(settings.source_url.get_secret_value()) as connection:
        rows = {
            name: connection.execute(_of("SELECT count(*) FROM {}", table.source)).fetchone()[0]  # type: ignore[index]
            for name, table in history.tables.items()
        }
        register = history.tables[history.customers or next(iter(history.tables))]
        chosen = sql.SQL("SELECT {} FROM {} TABLESAMPLE SYSTEM (50)").format(
            sql.Identifier(register.customer), _table(register.source)
        )
        customers = [str(row[0]) for row in connection.execute(chosen)]
    print(", ".join(f"{count:,} {name}" for name, count in rows.items()))
    until = history.clock.until
    zone = ZoneInfo(history.clock.time_zone)
    as_of = datetime.now(zone) if until is None else datetime(until.year, until.month, until.day, tzinfo=zone)
    as_of -= timedelta(days=1)
    chance = random.Random(7)  # noqa: S311 - no secret
    with closing(LiveFeatures(history, settings)) as live:
        print(f"the first answer of a day after {_first(live, customers[0], as_of):.1f} s")
        if given.explain:
            live.build(customers[:1], as_of)
            print(live.explained(chance.sample(customers, 1), as_of))
        for several, times in (
            (1, given.questions),
            (10, given.questions // 10),
            (100, given.questions // 50),
        ):
            live.records(chance.sample(customers, several), as_of)
            seconds, built = [], 0
            for _ in range(times):
                names = chance.sample(customers, several)
                began = time.perf_counter()
                built += len(live.records(names, as_of))
                seconds.append(time.perf_counter() - began)
            cuts = [1_000 * cut for cut in quantiles(seconds, n=100)]
            share = f"{built / (times * several):.0%} eligible"
            told = ", ".join(f"p{at} {cuts[at - 1]:.1f} ms" for at in (50, 95, 99))
            print(f"{several:>4} at a time: {told} ({share})")


def _first(live: LiveFeatures, customer: str, as_of: datetime) -> float:
    """Seconds until the medians of everybody on that day are there, and the statement is planned."""
    began = time.perf_counter()
    while True:
        try:
            live.records([customer], as_of)
        except PendingError:
            time.sleep(0.1)
        else:
            return time.perf_counter() - began


def _table(source: str) -> sql.Identifier:
    return sql.Identifier(*source.removeprefix("table:").split("."))


def _of(query: str, source: str) -> sql.Composed:
    return sql.SQL(query).format(_table(source))


if __name__ == "__main__":
    main()
