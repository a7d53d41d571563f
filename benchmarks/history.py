"""History features beside the same aggregates written by hand in DuckDB, in one run: `make bench-history`.

Simulated events of one table, 100 a customer, in the form that `holdfast.history.prepare` gives; both sides
read the same files with the same threads and memory, and write Parquet. Ratios are what to look at. A folder
of about 5 GB for 100 million events is made below --work and removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from holdfast.contract.history import History
from holdfast.history.build import build
from holdfast.history.catalogue import catalogue
from holdfast.history.engines.duck import EngineError
from holdfast.history.prepared import Prepared, TableCounts

THREADS = 2
MOST_MEMORY = 16_384
"""MiB that the query by hand may have, where it cannot do with what ours has."""

EVENTS_EACH = 100
AS_OF = datetime(2024, 12, 31, tzinfo=UTC)
HISTORY = History.model_validate(
    {
        "name": "bench",
        "clock": {"until": "2025-01-01"},
        "churn": {"event": "inactivity", "table": "events", "horizon_days": 30},
        "economics": {"customer_value": 100, "contact_cost": 1, "offer_cost": 5, "success_rate": 0.2},
        "tables": {
            "events": {
                "kind": "events", "source": "events.parquet", "customer": "id", "time": "at", "known": "seen",
                "failures": {"status": ["failed"]},
                "columns": {
                    "amount": {"kind": "number"},
                    "items": {"kind": "integer"},
                    "status": {"kind": "category", "levels": ["paid", "failed", "late"]},
                },
            }
        },
    }
)  # fmt: skip


def main() -> None:
    """Run all sizes, each side in a process of its own so that its peak memory is its own."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--millions", type=int, nargs="+", default=[1, 10, 100], help="events, in millions"
    )
    arguments.add_argument(
        "--memory", type=int, default=4_096, help="MiB that each side may use before it spills"
    )
    arguments.add_argument("--work", type=Path, default=None, help="folder to work in")
    arguments.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        side, folder, memory = given.child
        print(json.dumps(measured(side, Path(folder), int(memory))))
        return
    print(
        f"{len(catalogue(HISTORY))} features as of {AS_OF:%Y-%m-%d}, {THREADS} threads, {given.memory:,} MiB"
    )
    for millions in given.millions:
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=given.work) as folder:
            events(Path(folder), millions * 1_000_000)
            ours, hand, memory = child("ours", folder, given.memory), None, given.memory
            while hand is None and memory <= MOST_MEMORY:
                hand = child("hand", folder, memory)
                memory += 0 if hand else given.memory
            if ours is None or hand is None:
                raise SystemExit(f"{'Ours' if ours is None else 'By hand'}: out of memory.")
            print(
                f"{millions:>4} M events, {millions * 1_000_000 // EVENTS_EACH:>9,} customers: "
                f"ours {ours['seconds']:.1f} s (processor {ours['processor']:.1f} s), {ours['peak']:,} MiB; "
                f"by hand, with {memory:,} MiB, "
                f"{hand['seconds']:.1f} s ({hand['processor']:.1f} s), {hand['peak']:,} MiB; "
                f"ratio {ours['seconds'] / hand['seconds']:.2f} "
                f"(processor {ours['processor'] / hand['processor']:.2f})",
                flush=True,
            )


def events(folder: Path, rows: int) -> None:
    """The prepared table: two years of events, some known late, sorted as `prepare` sorts."""
    with duckdb.connect() as db:
        db.execute(f"SET threads = {THREADS}")
        db.execute("SET memory_limit = '4GiB'")
        db.execute(f"SET temp_directory = '{folder}'")
        step = 20_000_000
        parts = []
        for begin in range(
            0, rows, step
        ):  # customers follow one another, so parts are sorted among each other
            part = folder / f"part{begin:012}.parquet"
            parts.append(f"'{part}'")
            db.execute(
                f"COPY ({_rows(begin, min(rows, begin + step))} ORDER BY _customer, _time) TO '{part}'"
            )
        db.execute("SET preserve_insertion_order = true")
        db.execute(f"COPY (FROM read_parquet([{', '.join(parts)}])) TO '{folder / 'events.parquet'}'")
    for part in parts:
        Path(part.strip("'")).unlink()


def _rows(begin: int, end: int) -> str:
    at = "TIMESTAMP '2023-01-01' + to_microseconds((hash(i) % 63072000)::BIGINT * 1000000)"
    late = "CASE WHEN hash(i + 7) % 20 = 0 THEN (hash(i + 9) % 2592000)::BIGINT * 1000000 ELSE 0 END"
    return f"""
        SELECT 'C' || lpad((i // {EVENTS_EACH})::VARCHAR, 9, '0') AS _customer, {at} AS _time,
            {at} + to_microseconds({late}) AS _known, NULL::TIMESTAMP AS _superseded,
            round(exp((hash(i + 1) % 1000) / 200.0), 2) AS amount, (hash(i + 2) % 5)::BIGINT AS items,
            ['paid', 'failed', 'late', 'paid', 'paid'][(hash(i + 3) % 5)::INT + 1] AS status
        FROM range({begin}, {end}) t(i)"""


def child(side: str, folder: str, memory: int) -> dict[str, float] | None:
    """One side in a process of its own; none if the memory is too little for it."""
    line = [sys.executable, __file__, "--child", side, folder, str(memory)]
    done = subprocess.run(
        line, capture_output=True, text=True, check=True, env=os.environ | {"POLARS_MAX_THREADS": "2"}
    )
    found: dict[str, float] | None = json.loads(done.stdout)
    return found


def measured(side: str, folder: Path, memory: int) -> dict[str, float] | None:
    """Seconds, processor seconds and peak memory of one side."""
    began, spent = time.perf_counter(), time.process_time()
    try:
        {"ours": ours, "hand": by_hand}[side](folder, memory)
    except (duckdb.OutOfMemoryException, EngineError):
        return None
    return {
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - spent,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
    }


def ours(folder: Path, memory: int) -> None:
    """Spine and features, as `holdfast features build --no-labels` does after preparing."""
    rows = pl.scan_parquet(folder / "events.parquet").select(pl.len()).collect().item()
    counts = {"events": TableCounts(rows, rows)}
    since, until = datetime(2023, 1, 1), datetime(2025, 1, 1)  # noqa: DTZ001 - naive UTC is the canonical form
    prepared = Prepared(folder, counts, folder / "rejects.csv", since, until)
    build(HISTORY, prepared, folder / "ours.parquet", as_of=[AS_OF], labels=False, memory_mib=memory)


def by_hand(folder: Path, memory: int) -> None:
    """The same aggregates as an analyst would write them: plain sums, one pass, windows for the order."""
    with duckdb.connect() as db:
        db.execute(f"SET threads = {os.cpu_count()}")
        db.execute(f"SET memory_limit = '{memory}MiB'")
        db.execute(f"SET temp_directory = '{folder}'")
        db.execute("SET preserve_insertion_order = false")
        db.execute(f"COPY ({hand_sql(folder)}) TO '{folder / 'hand.parquet'}' (COMPRESSION zstd)")


def hand_sql(folder: Path) -> str:
    """The hand-written query."""
    as_of = "TIMESTAMP '2024-12-31'"
    edges = {days: f"TIMESTAMP '{AS_OF - timedelta(days=days):%Y-%m-%d}'" for days in (7, 30, 90, 180, 365)}
    columns = ["count(*) AS count_ever", "min(_time) AS first", "max(_time) AS last"]
    columns += ["count(*) FILTER (status = 'failed') AS failed_ever"]
    columns += ["max(_time) FILTER (status = 'failed') AS failed_last"]
    columns += ["stddev_samp(gap) AS gap_sd", "min(gap) FILTER (newest = 1) AS gap_last"]
    columns += ["count(*) FILTER (gap IS NULL OR gap >= 0.5) AS visits"]
    for days, edge in edges.items():
        within = f"FILTER (_time >= {edge})"
        columns += [f"count(*) {within} AS count_{days}"]
        columns += [f"avg((status = 'failed')::INT) {within} AS failed_{days}"] if days > 7 else []
        for value in ("amount", "items"):
            columns += [
                f"sum({value}) {within} AS {value}_sum_{days}",
                f"avg({value}) {within} AS {value}_mean_{days}",
            ]
            if days >= 90:
                columns += [f"stddev_samp({value}) {within} AS {value}_sd_{days}"]
                columns += [f"quantile_cont({value}, 0.5) {within} AS {value}_median_{days}"]
                columns += [f"quantile_cont({value}, 0.9) {within} AS {value}_p90_{days}"]
        if days >= 90:
            columns += [
                f"avg((status = '{s}')::INT) {within} AS {s}_{days}" for s in ("paid", "failed", "late")
            ]
    for value in ("amount", "items"):
        columns += [f"sum({value}) AS {value}_sum", f"max({value}) AS {value}_max"]
        columns += [f"avg({value}) FILTER (newest <= 30) AS {value}_mean_last30"]
        columns += [f"avg({value}) FILTER (newest = 1) AS {value}_last"]
    return f"""
        SELECT _customer, {", ".join(columns)}
        FROM (
            SELECT *, rank() OVER w AS newest,
                (epoch_us(_time) - epoch_us(lead(_time) OVER w)) / 86400e6 AS gap
            FROM read_parquet('{folder / "events.parquet"}')
            WHERE _time < {as_of} AND _known <= {as_of} AND (_superseded IS NULL OR _superseded > {as_of})
            WINDOW w AS (PARTITION BY _customer ORDER BY _time DESC)
        )
        GROUP BY _customer"""


if __name__ == "__main__":
    main()
