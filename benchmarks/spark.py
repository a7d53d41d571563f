"""Features and scoring in Spark, with one executor and with two, beside this process: `make bench-spark`.

A standalone cluster on this machine, each executor with one processor; before each figure a twentieth of the
work makes Java warm. Seconds of processors, of Java and Python alike, are what to look at: they tell what a
core does whatever else the machine is doing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.infer import infer_contract
from holdfast.history.build import build
from holdfast.history.build_in_spark import build_in_spark
from holdfast.history.catalogue import catalogue
from holdfast.history.prepared import Prepared, TableCounts
from holdfast.scoring import score_file
from holdfast.scoring.in_spark import score_file_in_spark
from holdfast.settings import Settings
from holdfast.simulator import simulate
from holdfast.spark import Spark
from holdfast.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "parts"))
from real_spark import RealSpark

from history import AS_OF, HISTORY, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.model import Model

MEMORY_MIB = 2_048
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Took:
    """Seconds of a clock, of this process's processors, and of those of the workers."""

    wall: float
    here: float
    there: float


def main() -> None:
    """Measure each, one after the other, and print a line a figure."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--events", type=float, default=2, help="millions")
    asked.add_argument("--rows", type=float, default=1, help="millions to score")
    asked.add_argument("--work", type=Path, default=None, help="folder to work in")
    given = asked.parse_args()
    count, rows = int(given.events * 1e6), int(given.rows * 1e6)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=given.work) as name:
        folder = Path(name)
        model, table = trained(folder), customers_file(folder / "customers.parquet", rows)
        little = customers_file(folder / "few.parquet", rows // 20)
        prepared, few = tables(folder / "all", count), tables(folder / "warm", count // 20)
        print(f"{len(catalogue(HISTORY))} features of {count:,} events; {rows:,} rows of 21 columns to score")
        out, scored = folder / "features.parquet", folder / "scored.parquet"
        asked_for = {"as_of": [AS_OF], "labels": False}
        took = measured(lambda: build(HISTORY, prepared, out, memory_mib=MEMORY_MIB, **asked_for), None)
        said("features, DuckDB", took, count)
        took = measured(lambda: score_file(model, table, folder / "here.parquet", workers=1), None)
        said("scoring, this process, one thread", took, rows)
        for executors in (1, 2):
            with cluster(folder, executors) as (workers, spark):
                build_here = partial(build_in_spark, HISTORY, out=out, spark=spark, **asked_for)
                build_here(few)
                took = measured(partial(build_here, prepared), workers)
                said(f"features, Spark, {executors} executor(s)", took, count)
                score = partial(score_file_in_spark, model, out=scored, spark=spark, overwrite=True)
                score(little)
                took = measured(partial(score, table), workers)
                said(f"scoring, Spark, {executors} executor(s)", took, rows)
        same = pl.read_parquet(folder / "here.parquet").equals(pl.read_parquet(scored))
        print(f"The answers are {'the same' if same else 'NOT THE SAME'}.")


def trained(folder: Path) -> Model:
    """A model of boosted trees."""
    customers = simulate(5_000, seed=3).customers
    inferred = infer_contract(customers, label="Churn")
    done = train(customers, inferred.contract, budget=5.0, models=["catboost"], seed=1, home=folder / "home")
    return done.model


def customers_file(path: Path, rows: int) -> Path:
    """A table to score, as Parquet."""
    customers = simulate(min(rows, 100_000), seed=4).customers
    whole = pl.concat([customers] * -(-rows // customers.height)).head(rows)
    whole.write_parquet(path, row_group_size=100_000)
    return path


def tables(folder: Path, count: int) -> Prepared:
    """A folder with so many events as a prepared table."""
    folder.mkdir()
    events(folder, count)
    span = pl.scan_parquet(folder / "events.parquet").select(since=pl.col("_time").min()).collect()
    until = AS_OF.replace(tzinfo=None)
    return Prepared(folder, {"events": TableCounts(count, count)}, folder / "r.csv", span["since"][0], until)


@contextmanager
def cluster(folder: Path, executors: int) -> Iterator[tuple[list[int], Spark]]:
    """A cluster of so many executors, their sessions' ids, and a session of Spark."""
    real = RealSpark(workers=executors, memory_mib=MEMORY_MIB, quick=False)
    os.environ["SPARK_CONF_DIR"] = str(real.conf)
    try:
        settings = Settings(home=folder / "home", spark_master=real.url)
        with Spark(settings, memory_mib=MEMORY_MIB) as spark:
            yield [worker.pid for worker in real.workers], spark
    finally:
        real.remove()


def measured(work: Callable[[], None], workers: list[int] | None) -> Took:
    """How long some work takes."""
    began, here, there = time.perf_counter(), time.process_time(), _spent(workers)
    work()
    return Took(time.perf_counter() - began, time.process_time() - here, _spent(workers) - there)


def _spent(sessions: list[int] | None) -> float:
    """Processor seconds of all processes of some sessions that still run."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(words[3]) in (sessions or []):
            total += int(words[11]) + int(words[12])
    return total / _TICKS


def said(what: str, took: Took, many: int) -> None:
    """Print a figure."""
    cores = took.there or took.here
    beside = f", and {took.here:.1f} s here" if took.there else ""
    print(
        f"{what}: {took.wall:.1f} s, {many / took.wall:,.0f} a second; "
        f"{cores:.1f} s of processors{beside}: {many / cores:,.0f} a second and core",
        flush=True,
    )


if __name__ == "__main__":
    main()
