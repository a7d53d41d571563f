"""What a definition of churn leads to, and what its neighbours would: before anybody trains on it.

Every variant changes one number of the contract and counts, over all snapshots whose labels have matured, who
is eligible and who then left. Large histories are counted on a sample of customers, the same in every run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.history import ChurnEvent, History, TableKind
from holdfast.history import advice
from holdfast.history.clocks import among, chosen, instant, latest
from holdfast.history.judged import about_judging
from holdfast.history.labels import labels_sql
from holdfast.history.leaks_of_clocks import filled_in_later
from holdfast.history.moments import moments, snapshots
from holdfast.history.prepared import opened
from holdfast.history.problems import HistoryError
from holdfast.history.settle import literal, quoted
from holdfast.history.spine import spine_sql
from holdfast.history.times import aware
from holdfast.progress import NullProgress
from holdfast.quality.enough import LEAST_EACH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.history.engines.duck import Duck
    from holdfast.history.prepared import Prepared
    from holdfast.progress import Progress

SAMPLE_ROWS = 5_000_000
"""More rows than these are not counted: customers are sampled."""

HORIZONS = (7, 14, 30, 60, 90, 180, 365)
LEADS = (0, 3, 7, 14, 30, 60)
GRACES = (0, 7, 14, 30, 60, 90)

REGULAR = 0.5
"""Where the middle half of gaps spans less than this share of their median, events come in a cycle."""


@dataclass(frozen=True)
class Variant:
    """One definition of churn, and what it leads to."""

    changed: str | None
    """``horizon_days``, ``lead_days`` or ``grace_days``; none for the contract's own."""
    horizon_days: int
    lead_days: int
    grace_days: int
    snapshots: int
    """Whose labels have matured."""
    eligible: int
    """Customers, summed over those snapshots."""
    churned: int
    stayed: int
    too_late: int
    gone: int

    @property
    def rate(self) -> float | None:
        """Share of those who churned or stayed that churned; none if nobody did either."""
        told = self.churned + self.stayed
        return self.churned / told if told else None


@dataclass(frozen=True)
class Snapshot:
    """One moment, by the contract's own definition."""

    as_of: datetime
    """Naive UTC."""
    mature: bool
    eligible: int
    churned: int
    stayed: int
    between: int
    """Of those who stayed: who left after the window's end, before the next snapshot's window begins."""


@dataclass(frozen=True)
class Sensitivity:
    """What the contract's definition and its neighbours lead to."""

    variants: tuple[Variant, ...]
    """The contract's own first."""
    snapshots: tuple[Snapshot, ...]
    share: float
    """Of customers that were counted, by a fixed choice."""
    warnings: tuple[str, ...]

    def insist_on_examples(self) -> None:
        """Refuse what nothing can be learned from.

        Raises:
            HistoryError: no label has matured, or too few customers churned, or stayed.
        """
        own = self.variants[0]
        if not own.snapshots:
            raise HistoryError(
                f"No label has matured: {own.horizon_days + own.lead_days + own.grace_days} days of lead, "
                "horizon and grace reach beyond the end of the tables at every snapshot.",
                where="churn.horizon_days",
                hint="Shorten the horizon, or set clock.first to an earlier day.",
            )
        if min(own.churned, own.stayed) < LEAST_EACH * self.share:
            raise HistoryError(
                f"Of {own.eligible:,} examples {own.churned:,} churned and {own.stayed:,} stayed; "
                f"{LEAST_EACH} of each are needed to learn anything.",
                where="churn",
                hint="Look at the neighbouring definitions, at event, table and where, and at the rejects.",
            )


def sensitivity(
    history: History,
    prepared: Prepared,
    *,
    memory_mib: int | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Count who is eligible and who churned for the contract's definition and for neighbouring ones.

    Args:
        history: the contract.
        prepared: its tables.
        memory_mib: what DuckDB may use; see `holdfast.history.engines.duck`.
        progress: told of each variant.

    Raises:
        HistoryError: there is no snapshot.
        EngineError: there is not enough memory or disk.
    """
    shown = progress or NullProgress()
    as_of = snapshots(history.clock, prepared.since, prepared.until)
    every = math.ceil(sum(counts.kept for counts in prepared.counts.values()) / SAMPLE_ROWS)
    changes = _neighbours(history)
    shown.start("Trying neighbouring definitions", len(changes) + 2)
    with opened(prepared, memory_mib=memory_mib) as engine:
        if every > 1:
            sample(engine, history, every)
        own = _counts(engine, history, prepared, as_of)
        silent = _silent(engine, history, own)
        shown.advance()
        variants = [_variant(history, None, own)]
        for changed, days in changes:
            other = history.model_copy(update={"churn": history.churn.model_copy(update={changed: days})})
            variants.append(_variant(other, changed, _counts(engine, other, prepared, as_of)))
            shown.advance(note=f"{changed} {days}")
        gaps = _gaps(engine, history)
        later = filled_in_later(engine, history)
        shown.advance()
    seen = tuple(
        Snapshot(**row)
        for row in own.select("as_of", "mature", "eligible", "churned", "stayed", "between").to_dicts()
    )
    last = own["last"].max()
    told = advice.Told(
        variants[0],
        seen,
        gaps,
        at_once=int(own.filter("mature")["at_once"].sum()),
        leaving=int(own.filter("mature")["leaving"].sum()),
        last_left=aware(last, history.clock.time_zone).date() if isinstance(last, datetime) else None,
        complete=aware(prepared.until, history.clock.time_zone).date(),
        silent=silent,
        share=1 / every,
    )
    warnings = (
        *advice.of_lead(history, told),
        *advice.of_windows(history, told),
        *advice.of_definition(history, told),
        *advice.of_outcomes(told),
        *about_judging(history, prepared, own, 1 / every),
        *advice.of_tables(prepared),
        *later,
    )
    return Sensitivity(tuple(variants), seen, 1 / every, warnings)


def _neighbours(history: History) -> list[tuple[str, int]]:
    """The next shorter and longer of each number that has a meaning here; of the shortest, the next two."""
    churn = history.churn
    found = [("horizon_days", days) for days in _beside(churn.horizon_days, HORIZONS)]
    found += [("lead_days", days) for days in _beside(churn.lead_days, LEADS)]
    if churn.event is ChurnEvent.END or churn.returns is not None:
        found += [("grace_days", days) for days in _beside(churn.grace_days, GRACES)]
    return found


def _beside(days: int, usual: Sequence[int]) -> list[int]:
    below = [one for one in usual if one < days][-1:]
    above = [one for one in usual if one > days]
    return below + above[: 2 - len(below)]


def sample(engine: Duck, history: History, every: int) -> None:
    """Show one customer in so many."""
    for name in history.tables:
        rows = f"read_parquet({literal(str(engine.file(name)))})"
        some = f"SELECT * FROM {rows} WHERE hash(_customer) % {every} = 0"
        engine.run(f"CREATE OR REPLACE VIEW {quoted(name)} AS {some}")


def _counts(engine: Duck, history: History, prepared: Prepared, as_of: Sequence[datetime]) -> pl.DataFrame:
    """One row a snapshot: whether it is mature, and how many there are of each outcome.

    Besides: ``leaving``, who left from the begin of the window to that of the next, and ``between``, who of
    them left after its end. Snapshots more than a month apart leave time between them on purpose: none there.
    """
    churn = history.churn
    looks = moments(history, as_of)
    near = pl.col("as_of").shift(-1) - pl.col("as_of") < pl.duration(days=32)  # an hour more in autumn
    looks = looks.with_columns(next_begin=pl.when(near).then(pl.col("label_begin").shift(-1)))
    engine.store("moments", looks)
    engine.run(f"CREATE OR REPLACE TABLE spine AS {spine_sql(history)}")
    leaving = "outcome IN ('churned', 'stayed') AND left_at >= m.label_begin AND left_at < m.next_begin"
    if churn.cause is not None and churn.causes is not None:
        leaving += f" AND {among('cause', history.tables[churn.table], churn.cause, churn, churn.causes)}"
    counted = engine.query(
        "SELECT as_of, count(*) AS eligible, "
        "count(*) FILTER (WHERE outcome = 'churned') AS churned, "
        "count(*) FILTER (WHERE outcome = 'stayed') AS stayed, "
        "count(*) FILTER (WHERE outcome = 'too late') AS too_late, "
        "count(*) FILTER (WHERE outcome = 'gone') AS gone, "
        "count(*) FILTER (WHERE outcome = 'churned' AND left_at < m.label_begin + INTERVAL 1 DAY) "
        "AS at_once, "
        f"count(*) FILTER (WHERE {leaving}) AS leaving, "
        f"count(*) FILTER (WHERE {leaving} AND left_at >= m.label_end) AS between, "
        "max(left_at) AS last "
        f"FROM ({labels_sql(history, prepared.until)}) AS l JOIN moments AS m USING (as_of) GROUP BY as_of"
    )
    mature = looks.select("as_of", "label_known", (pl.col("label_known") <= prepared.until).alias("mature"))
    joined = mature.join(counted, on="as_of", how="left")
    return joined.with_columns(pl.selectors.integer().fill_null(0)).sort("as_of")


def _silent(engine: Duck, history: History, own: pl.DataFrame) -> float:
    """Share of those judged last who had no event for longer than the horizon, where none need be recent."""
    churn, mature = history.churn, own.filter("mature")
    if churn.event is not ChurnEvent.INACTIVITY or churn.active_days is not None or not mature.height:
        return 0.0
    table, last = history.tables[churn.table], mature["as_of"][-1]
    recent = (
        f"SELECT DISTINCT e._customer FROM {quoted(churn.table)} AS e WHERE e._time < {instant(last)} "
        f"AND e._time >= {instant(last - timedelta(days=churn.horizon_days))} "
        f"AND {latest(table, 'e')} AND {chosen(table, churn, 'e')}"
    )
    share = engine.query(
        "SELECT avg(CASE WHEN r._customer IS NULL THEN 1.0 ELSE 0.0 END) AS silent FROM spine AS s "
        f"LEFT JOIN ({recent}) AS r ON r._customer = s._customer WHERE s.as_of = {instant(last)}"
    )["silent"][0]
    return float(share or 0)


def _variant(history: History, changed: str | None, counts: pl.DataFrame) -> Variant:
    churn = history.churn
    mature = counts.filter("mature")
    sums = {name: int(mature[name].sum()) for name in ("eligible", "churned", "stayed", "too_late", "gone")}
    return Variant(changed, churn.horizon_days, churn.lead_days, churn.grace_days, mature.height, **sums)


@dataclass(frozen=True)
class Gaps:
    """Days between a customer's events."""

    table: str
    low: float
    median: float
    high: float
    longer: float
    """Share that is longer than the horizon."""

    @property
    def regular(self) -> bool:
        """Whether events come in a cycle."""
        return self.high - self.low < REGULAR * self.median


def _gaps(engine: Duck, history: History) -> list[Gaps]:
    """Gaps between days with events, for each events table that has any."""
    found = []
    for name, table in history.tables.items():
        if table.kind is not TableKind.EVENTS:
            continue
        days = (
            "SELECT DISTINCT _customer, CAST(_time AS DATE) AS day "
            f"FROM {quoted(name)} AS t WHERE {latest(table, 't')}"
        )
        row = engine.query(
            "SELECT quantile_cont(gap, 0.25) AS low, quantile_cont(gap, 0.5) AS median, "
            "quantile_cont(gap, 0.75) AS high, "
            f"avg(CASE WHEN gap > {history.churn.horizon_days} THEN 1.0 ELSE 0.0 END) AS longer FROM ("
            "SELECT day - lag(day) OVER (PARTITION BY _customer ORDER BY day) AS gap "
            f"FROM ({days}) AS d) AS g WHERE gap IS NOT NULL"
        ).row(0, named=True)
        if row["median"] is not None:
            found.append(Gaps(name, **row))
    return found
