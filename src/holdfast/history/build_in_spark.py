"""Builds the table of (customer, as_of) in Spark, from the prepared tables; see `build`.

Spark takes all customers at once and spreads them over its executors; each table is read from the one Parquet
file that `holdfast.history.prepare` wrote, which all machines of a cluster must see. The sums are exact
whatever the order in which executors add (`holdfast.history.expressions`).
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import duckdb

from holdfast.disk import scratch
from holdfast.history.build import Built, as_said, joined_sql, nobody, record_contract
from holdfast.history.build_in_place import schema_of
from holdfast.history.catalogue import catalogue
from holdfast.history.engines.duck import limit_mib, told
from holdfast.history.engines.postgres import moments_sql
from holdfast.history.labels import labels_sql
from holdfast.history.moments import built_moments
from holdfast.history.of_peers import PEERS, peers_sql, with_peers
from holdfast.history.own import own_sql
from holdfast.history.own_checks import QueryError
from holdfast.history.settle import literal, quoted
from holdfast.history.spine import spine_sql
from holdfast.history.translate import translated
from holdfast.progress import NullProgress
from holdfast.spark import file_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import polars as pl
    from pyspark.sql import SparkSession

    from holdfast.contract.history import History
    from holdfast.history.feature import HistoryFeature
    from holdfast.history.prepared import Prepared
    from holdfast.progress import Progress
    from holdfast.spark import Spark

PIECE = 1_000_000
"""Rows of the tables, times the moments, that one task looks at, about."""


def build_in_spark(
    history: History,
    prepared: Prepared,
    out: Path,
    *,
    spark: Spark,
    as_of: Sequence[datetime] | None = None,
    labels: bool = True,
    memory_mib: int | None = None,
    progress: Progress | None = None,
) -> Built:
    """What `holdfast.history.build.build` gives.

    Args:
        history: the contract.
        prepared: its tables.
        out: the Parquet file to write; replaced if it is there.
        spark: the session.
        as_of: moments; all snapshots of the contract, unless given.
        labels: whether to say what became of each.
        memory_mib: what putting the rows in order may use before it spills to disk.
        progress: told of each step.

    Raises:
        HistoryError: as ``build``.
        ContractError: as ``build``.
        SparkError: Spark failed; what was at ``out`` is still there.
        EngineError: there is not enough memory or disk to put the rows in order.
        OSError: ``out`` cannot be written.
    """
    shown = progress or NullProgress()
    chosen, looks = built_moments(history, prepared.since, prepared.until, as_of)
    features = tuple(catalogue(history))
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch(out.parent, ".building-") as work:
        shown.start(f"Building {len(features):,} features at {as_said(chosen)} in Spark", None)
        tables = _Tables(history, prepared, spark, looks)
        if labels:
            tables.view("labels", labels_sql(history, prepared.until))
        if beside := with_peers(features):
            tables.view(PEERS, peers_sql(history, beside), kept=True)
        for feature in features:
            if feature.query is not None:
                tables.own(feature)
        query = translated(joined_sql(history, features, labels=labels, ordered=False), "spark")
        parts = work / "parts"
        spark.run(lambda: tables.session.sql(query).write.parquet(f"file://{parts.resolve()}"), shown)
        shown.start("Putting the rows in order", None)
        made = work / "built.parquet"
        rows = _in_order(parts, made, schema_of(features, labels=labels), memory_mib)
        if not rows:
            raise nobody(chosen)
        made.replace(out)
    return Built(out, rows, chosen, features, record_contract(history))


class _Tables:
    """The tables of one build as views of a session of its own."""

    def __init__(self, history: History, prepared: Prepared, spark: Spark, looks: pl.DataFrame) -> None:
        self._history = history
        self._spark = spark
        self._looks = looks
        self.session: SparkSession = spark.session()
        # As many tasks as processors, and more where one would have too much to look at.
        looked_at = sum(prepared.counts[name].kept for name in history.tables) * looks.height
        parts = max(self.session.sparkContext.defaultParallelism, math.ceil(looked_at / PIECE))
        self.session.conf.set("spark.sql.shuffle.partitions", str(parts))
        for name in history.tables:
            file = file_address(prepared.file(name))
            spark.run(partial(self.session.read.parquet, file)).createOrReplaceTempView(name)
        self.view("moments", moments_sql(looks))
        self.view("spine", spine_sql(history), kept=True)

    def view(self, name: str, sql: str, *, kept: bool = False) -> None:
        """Make a view of a query in DuckDB's dialect; ``kept`` where several read it."""
        with self._spark.told():
            frame = self.session.sql(translated(sql, "spark"))
            (frame.persist() if kept else frame).createOrReplaceTempView(name)

    def own(self, feature: HistoryFeature) -> None:
        """Make the view of a user's own query; refuse one that gives a customer several rows."""
        name = f"_own_{feature.name}"
        place = self._history.files.get(feature.name, f"[features], {feature.name}")
        twice = f"SELECT _customer FROM {name} GROUP BY _customer, as_of HAVING COUNT(*) > 1 LIMIT 1"
        with self._spark.told(place):
            query = own_sql(self._history, feature, self._looks.to_dicts(), dialect="spark")
            self.session.sql(query).persist().createOrReplaceTempView(name)
            found = self._spark.run(lambda: self.session.sql(twice).collect(), where=place)
        if found:
            raise QueryError(
                f'The query gives several rows for one customer, such as "{found[0][0]}".',
                where=place,
                hint="Aggregate to one row a customer: GROUP BY the customer column.",
            )


def _in_order(parts: Path, made: Path, schema: Mapping[str, pl.DataType], memory_mib: int | None) -> int:
    """Put the rows that executors wrote into one file, by customer and moment; how many there are.

    DuckDB does it, because it sorts more than fits into memory. Spark would work everything out twice, the
    first time for a sample.
    """
    columns = ", ".join(quoted(name) for name in schema)
    files = ", ".join(literal(str(path)) for path in sorted(parts.glob("*.parquet")))
    with told(), duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{limit_mib(memory_mib)}MiB'")
        db.execute(f"SET temp_directory = {literal(str(parts.parent / 'spill'))}")
        done = db.execute(
            f"COPY (SELECT {columns} FROM read_parquet([{files}]) "
            f"ORDER BY customer, as_of) TO {literal(str(made))} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchone()
    return int(done[0]) if done else 0
