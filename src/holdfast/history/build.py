"""Builds the table of (customer, as_of): features, and what became of each customer.

Customers are taken in pieces, each with all of its snapshots, so that memory stays flat however many there
are. A customer's row depends on that customer's rows, and on medians of everybody's that are worked out
before: so pieces change nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from pyarrow import parquet

from holdfast.contract.types import Churn, Column, Contract, Kind
from holdfast.disk import scratch
from holdfast.history.catalogue import catalogue
from holdfast.history.compile import features_sql
from holdfast.history.engines.duck import EngineError, limit_mib
from holdfast.history.labels import OUTCOMES, labels_sql
from holdfast.history.moments import built_moments
from holdfast.history.of_peers import PEERS, peers_sql, with_peers
from holdfast.history.own import own_sql
from holdfast.history.own_alone import insist_same, tried_sql
from holdfast.history.own_checks import QueryError
from holdfast.history.prepared import opened
from holdfast.history.problems import HistoryError
from holdfast.history.settle import quoted
from holdfast.history.spine import spine_sql
from holdfast.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from holdfast.contract.history import History
    from holdfast.history.engines.duck import Duck
    from holdfast.history.feature import HistoryFeature
    from holdfast.history.prepared import Prepared
    from holdfast.progress import Progress

PIECE = 10_000_000
"""Rows that one piece looks at, about: those of the tables, times the snapshots. Less with less memory."""

_MIB, _FEATURES = 4_096, 100
"""With this memory and so many features, a piece of that size spills little."""

BATCH_ROWS = 50_000
_Bounds = tuple[str | None, str | None]

LABEL = Churn(label="churned", positive="1", negative="0")


@dataclass(frozen=True)
class Built:
    """A table of (customer, as_of) as Parquet.

    Columns: ``customer``; ``as_of`` (naive UTC); the features; and with labels ``churned`` (1, 0 or null),
    ``outcome`` (`holdfast.history.labels.OUTCOMES`) and ``left_at``. Rows are sorted by customer and as_of.
    """

    path: Path
    rows: int
    as_of: tuple[datetime, ...]
    """Aware, in the history's zone."""
    features: tuple[HistoryFeature, ...]
    contract: Contract
    """Describes the table, as `record_contract` does."""

    def outcomes(self) -> dict[str, int]:
        """How many rows have each outcome; none without labels."""
        lazy = pl.scan_parquet(self.path, glob=False)
        if "outcome" not in lazy.collect_schema():
            return {}
        found = dict(lazy.group_by("outcome").len().collect().iter_rows())
        return {outcome: found[outcome] for outcome in OUTCOMES if outcome in found}

    def frame(self) -> pl.DataFrame:
        """The whole table in memory."""
        return pl.read_parquet(self.path, glob=False)


def build(
    history: History,
    prepared: Prepared,
    out: Path,
    *,
    as_of: Sequence[datetime] | None = None,
    labels: bool = True,
    memory_mib: int | None = None,
    progress: Progress | None = None,
) -> Built:
    """Build features, and labels, of everyone eligible at each moment.

    Args:
        history: the contract.
        prepared: its tables.
        out: the Parquet file to write; replaced if it is there.
        as_of: moments, aware or wall-clock ones of the history's zone; all snapshots of the contract, unless
            given.
        labels: whether to say what became of each.
        memory_mib: what DuckDB may use before it spills to disk; half of the machine's unless given.
        progress: told of each piece.

    Raises:
        HistoryError: nobody is eligible at these moments, or one lies beyond the tables.
        ContractError: a feature of one's own cannot be used.
        EngineError: there is not enough memory or disk.
        OSError: ``out`` cannot be written.
    """
    shown = progress or NullProgress()
    chosen, looks = built_moments(history, prepared.since, prepared.until, as_of)
    features = tuple(catalogue(history))
    own = [feature for feature in features if feature.query is not None]
    contract = record_contract(history)
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        scratch(out.parent, ".building-") as work,
        opened(prepared, memory_mib=memory_mib) as engine,  # spills in the home
    ):
        engine.store("moments", looks)
        if beside := with_peers(features):  # of everybody, before customers are taken in pieces
            engine.run(f"CREATE TABLE {PEERS} AS {peers_sql(history, beside)}")
        piece = _piece(memory_mib, len(features))
        bounds = _bounds(engine, history, prepared, len(chosen), piece)
        shown.start(f"Building {len(features):,} features at {as_said(chosen)}", len(bounds))
        rows, made = 0, work / "built.parquet"
        writer = None
        for first, before in bounds:
            engine.narrow(first, before)
            engine.run(f"CREATE OR REPLACE TABLE spine AS {spine_sql(history)}")
            if labels:
                engine.run(f"CREATE OR REPLACE TABLE labels AS {labels_sql(history, prepared.until)}")
            for feature in own:
                _run_own(engine, history, feature, looks)
            if own:
                _insist_alone(engine, history, own, looks, (first, before))
            for batch in engine.batches(joined_sql(history, features, labels=labels), BATCH_ROWS):
                writer = writer or parquet.ParquetWriter(made, batch.schema, compression="zstd")
                writer.write_batch(batch)
                rows += batch.num_rows
            shown.advance()
        if writer is None or not rows:
            raise nobody(chosen)
        writer.close()
        made.replace(out)
    return Built(out, rows, chosen, features, contract)


def folder_of(home: Path, history: History) -> Path:
    """Where a home keeps what is prepared and built of a history."""
    return home / "histories" / history.name


def record_contract(history: History) -> Contract:
    """The contract of the built table, from the history's contract alone.

    The id is ``customer``, the label ``churned``; each feature is a column that may be missing.
    """
    columns = {
        "customer": Column(kind=Kind.ID),
        "as_of": Column(
            kind=Kind.DATE, required=False, exclude="the moment at which the customer is described"
        ),
    }
    for feature in catalogue(history):
        columns[feature.name] = Column(kind=feature.kind, levels=feature.levels, required=False)
    columns["outcome"] = Column(kind=Kind.CATEGORY, required=False, exclude="what the label is made of")
    columns["left_at"] = Column(kind=Kind.DATE, required=False, exclude="is known only afterwards")
    return Contract(name=history.name, churn=LABEL, economics=history.economics, columns=columns)


def joined_sql(
    history: History, features: Sequence[HistoryFeature], *, labels: bool, ordered: bool = True
) -> str:
    """The built table: features, those of one's own from the tables ``_own_NAME``, and ``labels``.

    The table of medians must be there if any feature needs it (`holdfast.history.of_peers`).
    """
    own = [feature for feature in features if feature.query is not None]
    columns = ["f._customer AS customer", "f.as_of"]
    columns += [f"f.{quoted(feature.name)}" for feature in features if feature.query is None]
    columns += [f"{quoted(f'_own_{feature.name}')}.value AS {quoted(feature.name)}" for feature in own]
    query = f"FROM ({features_sql(history, features=features, peers_made=True)}) AS f"
    for feature in own:
        table = quoted(f"_own_{feature.name}")
        query += f" LEFT JOIN {table} ON {table}._customer = f._customer AND {table}.as_of = f.as_of"
    if labels:
        columns += ["CAST(l.churned AS TINYINT) AS churned", "l.outcome", "l.left_at"]
        query += " LEFT JOIN labels AS l ON l._customer = f._customer AND l.as_of = f.as_of"
    order = " ORDER BY f._customer, f.as_of" if ordered else ""
    return f"SELECT {', '.join(columns)} {query}{order}"


def _run_own(engine: Duck, history: History, feature: HistoryFeature, looks: pl.DataFrame) -> None:
    """Run a user's query over a piece; refuse one that gives a customer several values."""
    place = history.files.get(feature.name, f"[features], {feature.name}")
    table = quoted(f"_own_{feature.name}")
    try:
        engine.run(f"CREATE OR REPLACE TABLE {table} AS {own_sql(history, feature, looks.to_dicts())}")
    except EngineError as error:
        hint = error.hint or "Mend the query; TRY_CAST makes missing what cannot be read."
        raise EngineError(error.message, where=place, hint=hint) from error
    twice = engine.query(
        f"SELECT _customer FROM {table} GROUP BY _customer, as_of HAVING COUNT(*) > 1 LIMIT 1"
    )
    if twice.height:
        raise QueryError(
            f'The query gives several rows for one customer, such as "{twice["_customer"][0]}".',
            where=place,
            hint="Aggregate to one row a customer: GROUP BY the customer column.",
        )


def _insist_alone(
    engine: Duck, history: History, own: Sequence[HistoryFeature], looks: pl.DataFrame, bounds: _Bounds
) -> None:
    """Refuse a user's query that gives one of a few customers another value alone than among others."""
    among = {one.name: engine.query(tried_sql(quoted(f"_own_{one.name}"))) for one in own}
    found: dict[str, dict[str, Any]] = {one.name: {} for one in own}
    latest = engine.query("SELECT MAX(as_of) AS as_of FROM spine")["as_of"][0]
    look = looks.filter(pl.col("as_of") == latest).to_dicts()
    alone = {one.name: own_sql(history, one, look) for one in own} if look else {}
    for customer in sorted({who for tried in among.values() for who in tried["_customer"]}):
        engine.show([customer])
        for name, tried in among.items():
            if customer in tried["_customer"]:
                value = engine.query(f"SELECT value FROM ({alone[name]})")["value"]
                found[name][customer] = value[0] if value.len() else None
    engine.narrow(*bounds)
    for one in own:
        values = dict(among[one.name].select("_customer", "value").iter_rows())
        insist_same(values, found[one.name], history.files.get(one.name, f"[features], {one.name}"))


def _piece(memory_mib: int | None, features: int) -> int:
    """Rows of one piece that the memory holds: what is aggregated grows with them and with the features."""
    share = limit_mib(memory_mib) / _MIB * _FEATURES / max(_FEATURES, features)
    return int(PIECE * min(1.0, share))


def _bounds(engine: Duck, history: History, prepared: Prepared, moments_: int, piece: int) -> list[_Bounds]:
    """Ranges of customers of about one piece each; the first and the last are open."""
    kept = {name: prepared.counts[name].kept for name in history.tables}
    largest = max(kept, key=lambda name: kept[name])
    pieces = math.ceil(sum(kept.values()) * moments_ / piece)
    if pieces <= 1:
        return [(None, None)]
    edges = engine.query(
        "SELECT DISTINCT _customer FROM (SELECT _customer, ROW_NUMBER() OVER (ORDER BY _customer) AS row "
        f"FROM (SELECT DISTINCT _customer FROM {quoted(largest)})) "
        f"WHERE row % GREATEST(1, (SELECT COUNT(DISTINCT _customer) FROM {quoted(largest)}) // {pieces}) = 0 "
        "ORDER BY _customer"
    )["_customer"].to_list()
    return list(zip([None, *edges], [*edges, None], strict=True))


def nobody(chosen: Sequence[datetime]) -> HistoryError:
    """What to say where nobody is eligible."""
    return HistoryError(
        f"Nobody is eligible at {as_said(chosen)}.",
        hint="Look at [churn] in the contract: event, table, min_tenure_days, active_days.",
    )


def as_said(chosen: Sequence[datetime]) -> str:
    """Moments in a few words."""
    first, last = min(chosen), max(chosen)
    return (
        f"{first:%Y-%m-%d}"
        if first == last
        else f"{len(chosen)} moments from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    )
