"""Builds the table of (customer, as_of) in PostgreSQL, where a history's tables live; see `build`."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa
from pyarrow import parquet

from holdfast.disk import scratch
from holdfast.history.build import Built, as_said, joined_sql, nobody, record_contract
from holdfast.history.catalogue import catalogue
from holdfast.history.engines.medians import medians, medians_sql
from holdfast.history.engines.postgres import Postgres, Reading, moments_sql, queries, with_queries
from holdfast.history.moments import built_moments
from holdfast.history.of_peers import PEERS, with_peers
from holdfast.history.own import own_sql
from holdfast.history.own_alone import insist_same, tried_sql
from holdfast.history.own_checks import QueryError
from holdfast.history.prepare import insist_usable
from holdfast.history.prepared import TableCounts
from holdfast.history.settle import literal, quoted
from holdfast.history.spans import since_of, until_of
from holdfast.history.times import INSTANT
from holdfast.history.translate import translated
from holdfast.history.values import TYPES
from holdfast.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from holdfast.contract.history import History
    from holdfast.history.feature import HistoryFeature
    from holdfast.progress import Progress
    from holdfast.settings import Settings

PIECE = 3_000_000
"""Rows of the tables, times the moments, that one statement looks at, about."""

BATCH_ROWS = 10_000


def build_in_postgres(
    history: History,
    out: Path,
    *,
    settings: Settings,
    as_of: Sequence[datetime] | None = None,
    labels: bool = True,
    progress: Progress | None = None,
) -> tuple[Built, dict[str, TableCounts]]:
    """What `holdfast.history.build.build` gives, and what became of each table's rows.

    Args:
        history: the contract; its tables are the database's.
        out: the Parquet file to write; replaced if it is there.
        settings: with the address of the database.
        as_of: moments; all snapshots of the contract, unless given.
        labels: whether to say what became of each.
        progress: told of each piece.

    Raises:
        HistoryError: as ``build``; or a column is of a type that the database cannot make sense of.
        UsageError: the tables are not in PostgreSQL.
        SourceError: the database failed; what was at ``out`` is still there.
        OSError: ``out`` cannot be written.
    """
    shown = progress or NullProgress()
    out.parent.mkdir(parents=True, exist_ok=True)
    with Postgres(history, settings) as postgres, scratch(out.parent, ".building-") as work:

        def whole() -> Iterator[tuple[Built, dict[str, TableCounts]]]:
            with postgres.reading() as reading:
                yield _InPlace(history, reading, labels=labels, progress=shown).run(
                    work / "built.parquet", as_of
                )

        [(built, counts)] = postgres.database.persistently(whole, f"the tables of {postgres.database.place}")
        built.path.replace(out)
    return Built(out, built.rows, built.as_of, built.features, built.contract), counts


class _InPlace:
    """One build, of one moment of the database."""

    def __init__(self, history: History, reading: Reading, *, labels: bool, progress: Progress) -> None:
        self._history = history
        self._reading = reading
        self._labels = labels
        self._progress = progress
        self._features = tuple(catalogue(history))

    def run(self, made: Path, as_of: Sequence[datetime] | None) -> tuple[Built, dict[str, TableCounts]]:
        """Build into the file ``made``."""
        history, reading = self._history, self._reading
        self._progress.start("Counting rows in the database", None)
        counts = {name: _counts(found) for name, found in reading.counts().items()}
        for name, found in counts.items():
            insist_usable(history, name, found, reading.held[name].place)
        spans = reading.spans()
        until = min(until_of(history, spans, reading.bound), reading.now)
        since = since_of(history, spans, reading.first_left())
        chosen, looks = built_moments(history, since, until, as_of)
        pieces = max(1, math.ceil(sum(found.kept for found in counts.values()) * len(chosen) / PIECE))
        edges = reading.edges(pieces) if pieces > 1 else []
        bounds = list(zip([None, *edges], [*edges, None], strict=True))
        schema = schema_of(self._features, labels=self._labels)
        self._progress.start(f"Building {len(self._features):,} features at {as_said(chosen)}", len(bounds))
        beside = with_peers(self._features)
        others = [(PEERS, medians_sql(medians(history, reading, beside, looks)))] if beside else []
        rows = 0
        arrow = pl.DataFrame(schema=schema).to_arrow().schema
        with parquet.ParquetWriter(made, arrow, compression="zstd") as writer:
            for first, before in bounds:
                named = queries(
                    history,
                    reading.canonical(reading.scope(first, before)),
                    moments_sql(looks),
                    until=until if self._labels else None,
                )
                named += [*others, *self._own(named, looks, tried=first is None)]
                query = translated(joined_sql(history, self._features, labels=self._labels), "postgres")
                for frame in reading.batches(with_queries(named, query), schema, BATCH_ROWS):
                    writer.write_table(frame.to_arrow().cast(arrow))
                    rows += frame.height
                self._progress.advance()
        if not rows:
            raise nobody(chosen)
        contract = record_contract(history)
        return Built(made, rows, chosen, self._features, contract), counts

    def _own(
        self, named: list[tuple[str, str]], looks: pl.DataFrame, *, tried: bool
    ) -> list[tuple[str, str]]:
        """A user's own queries; refuses one that fails or gives a customer several rows.

        If ``tried``, refuses one too that gives a customer another value alone than among others.
        """
        found = []
        for feature in self._features:
            if feature.query is None:
                continue
            name = quoted(f"_own_{feature.name}")
            place = self._history.files.get(feature.name, f"[features], {feature.name}")
            own = (name, own_sql(self._history, feature, looks.to_dicts(), dialect="postgres"))
            with _told(place):
                twice = self._reading.rows(
                    with_queries(
                        [*named, own],
                        f"SELECT _customer FROM {name} GROUP BY _customer, as_of "
                        "HAVING COUNT(*) > 1 OR COUNT(value) > 1 LIMIT 1",  # each value is worked out
                    )
                )
                if twice:
                    raise QueryError(
                        f'The query gives several rows for one customer, such as "{twice[0][0]}".',
                        where=place,
                        hint="Aggregate to one row a customer: GROUP BY the customer column.",
                    )
                if tried:
                    rows = self._reading.rows(with_queries([*named, own], tried_sql(name)))
                    insist_same(
                        {who: value for who, _, value in rows}, self._alone(feature, looks, rows), place
                    )
            found.append(own)
        return found

    def _alone(
        self, feature: HistoryFeature, looks: pl.DataFrame, tried: Sequence[tuple[Any, ...]]
    ) -> dict[str, Any]:
        """The values of a few customers at one moment, each from that customer's rows alone."""
        if not tried:
            return {}
        listed = ", ".join(literal(who) for who, _, _ in tried)
        scope = replace(self._reading.scope(), within=lambda customer: f"{customer} IN ({listed})")
        look = looks.filter(pl.col("as_of") == tried[0][1])
        named = queries(self._history, self._reading.canonical(scope), moments_sql(look))
        own = own_sql(self._history, feature, look.to_dicts(), dialect="postgres", spine="_alone")
        each = [
            with_queries([("_alone", f"SELECT * FROM spine WHERE _customer = {literal(who)}")], own)
            for who, _, _ in tried
        ]
        parts = [f"SELECT _customer, value FROM ({query}) AS a" for query in each]
        return dict(self._reading.rows(with_queries(named, " UNION ALL ".join(parts))))


_THE_QUERYS_FAULT = ("22", "42", "0A")
"""Classes of SQLSTATE: values that do not go, what is not SQL there, what PostgreSQL has not."""


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Says whose fault it is that the database could not run a user's query."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not str(getattr(error.orig, "sqlstate", None)).startswith(_THE_QUERYS_FAULT):
            raise
        said = str(error.orig).partition("\n")[0].rstrip(".")
        raise QueryError(
            f"PostgreSQL cannot run the query: {said}.",
            where=place,
            hint="Mend the query, or take --engine duckdb.",
        ) from error


def schema_of(features: Sequence[HistoryFeature], *, labels: bool) -> dict[str, pl.DataType]:
    """The columns of the built table."""
    schema: dict[str, pl.DataType] = {"customer": pl.String(), "as_of": INSTANT}
    schema |= {feature.name: TYPES.get(feature.kind, pl.String()) for feature in features}
    if labels:
        schema |= {"churned": pl.Int8(), "outcome": pl.String(), "left_at": INSTANT}
    return schema


def _counts(found: dict[str | None, int]) -> TableCounts:
    rejected = {why: rows for why, rows in sorted(found.items(), key=str) if why is not None}
    return TableCounts(sum(found.values()), found.get(None, 0), rejected)
