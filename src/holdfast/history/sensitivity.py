"""What a definition of churn leads to, and what its neighbours would: before anybody trains on it.

Every variant changes one number of the contract and counts, over all snapshots whose labels have matured, who
is eligible and who then left. Large histories are counted on a sample of customers, the same in every run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from holdfast.contract.history import ChurnEvent, History, TableKind
from holdfast.history.clocks import latest
from holdfast.history.labels import labels_sql
from holdfast.history.leaks_of_clocks import filled_in_later
from holdfast.history.moments import moments, snapshots
from holdfast.history.prepared import opened
from holdfast.history.problems import HistoryError
from holdfast.history.settle import literal, quoted
from holdfast.history.spine import spine_sql
from holdfast.progress import NullProgress
from holdfast.quality.enough import LEAST_EACH, about_few

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.history.engines.duck import Duck
    from holdfast.history.prepared import Prepared
    from holdfast.progress import Progress

SAMPLE_ROWS = 5_000_000
"""More rows than these are not counted: customers are sampled."""

HORIZONS = (7, 14, 30, 60, 90, 180, 365)
LEADS = (0, 3, 7, 14, 30, 60)
GRACES = (0, 7, 14, 30, 60, 90)
RARE, USUAL = 0.005, 0.95
"""Churn rates beyond which hardly anything can be learned."""

REGULAR = 0.5
"""Where the middle half of gaps spans less than this share of their median, events come in a cycle."""

MUCH = 0.05
"""Share of rows or customers of which to speak."""


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
        Snapshot(**row) for row in own.select("as_of", "mature", "eligible", "churned", "stayed").to_dicts()
    )
    warnings = (
        *_of_lead(history, variants[0], int(own.filter("mature")["at_once"].sum())),
        *_of_definition(history, variants[0], gaps),
        *_of_outcomes(variants[0], seen, 1 / every),
        *_of_tables(prepared),
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
    """One row a snapshot: whether it is mature, and how many there are of each outcome."""
    looks = moments(history, as_of)
    engine.store("moments", looks)
    engine.run(f"CREATE OR REPLACE TABLE spine AS {spine_sql(history)}")
    counted = engine.query(
        "SELECT as_of, count(*) AS eligible, "
        "count(*) FILTER (WHERE outcome = 'churned') AS churned, "
        "count(*) FILTER (WHERE outcome = 'stayed') AS stayed, "
        "count(*) FILTER (WHERE outcome = 'too late') AS too_late, "
        "count(*) FILTER (WHERE outcome = 'gone') AS gone, "
        "count(*) FILTER (WHERE outcome = 'churned' AND left_at < m.label_begin + INTERVAL 1 DAY) AS at_once "
        f"FROM ({labels_sql(history, prepared.until)}) AS l JOIN moments AS m USING (as_of) GROUP BY as_of"
    )
    mature = looks.select("as_of", (pl.col("label_known") <= prepared.until).alias("mature"))
    return mature.join(counted, on="as_of", how="left").fill_null(0).sort("as_of")


def _variant(history: History, changed: str | None, counts: pl.DataFrame) -> Variant:
    churn = history.churn
    mature = counts.filter("mature")
    sums = {name: int(mature[name].sum()) for name in ("eligible", "churned", "stayed", "too_late", "gone")}
    return Variant(changed, churn.horizon_days, churn.lead_days, churn.grace_days, mature.height, **sums)


@dataclass(frozen=True)
class _Gaps:
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


def _gaps(engine: Duck, history: History) -> list[_Gaps]:
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
            found.append(_Gaps(name, **row))
    return found


def _of_lead(history: History, own: Variant, at_once: int) -> list[str]:
    """Whether anybody could act; ``at_once`` of those who churn leave on the first day of the horizon."""
    churn, found = history.churn, []
    if churn.event is not ChurnEvent.INACTIVITY and at_once > own.churned / 2:
        found.append(
            f"{at_once:,} of the {own.churned:,} who churn leave on the first day that counts: ends lie on "
            "days such as the snapshots' own, and nobody can act. For firsts of months, lead_days = 1 and "
            "horizon_days = 31 look at the next one instead; set clock.until to what is recorded."
        )
    elif churn.lead_days == 0:
        found.append(
            "lead_days is 0: customers count who leave the very day on which they are found, before anybody "
            "can act. Set it to the days that you need."
        )
    return found


def _of_definition(history: History, own: Variant, gaps: list[_Gaps]) -> list[str]:
    churn, found = history.churn, []
    cycles = sorted((gap for gap in gaps if gap.regular and gap.median > 1), key=lambda gap: gap.median)
    if cycles and churn.horizon_days < cycles[-1].median:
        cycle = cycles[-1]
        found.append(
            f"The horizon of {churn.horizon_days} days is shorter than the cycle of {cycle.table}, "
            f"{cycle.median:.0f} days: some customers have no occasion to leave within it."
        )
    for gap in gaps:
        quiet = churn.event is ChurnEvent.INACTIVITY and gap.table == churn.table
        if quiet and gap.longer > MUCH:
            found.append(
                f"{gap.longer:.0%} of the gaps between a customer's {gap.table} are longer than "
                f"{churn.horizon_days} days: many who are said to have churned will be back."
            )
    if own.too_late > own.churned:
        found.append(
            f"More leave within the lead ({own.too_late:,}) than in the horizon after it ({own.churned:,}): "
            "a shorter lead would reach them."
        )
    return found


def _of_outcomes(own: Variant, seen: Sequence[Snapshot], share: float) -> list[str]:
    found = []
    immature = sum(not snapshot.mature for snapshot in seen)
    if immature:
        found.append(
            f"The labels of {immature} of {len(seen)} snapshots have not matured; they can be scored, "
            "not learned from."
        )
    if 0 < own.snapshots < 3:  # noqa: PLR2004 - one to learn from, one to choose by, one to judge by
        found.append(
            f"Only {own.snapshots} snapshots have matured: too few to learn from one and judge by another."
        )
    few = about_few(own.churned, own.stayed) if share == 1 else None
    found += [few] if few else []
    if own.rate is not None and own.rate < RARE:
        found.append(f"Hardly anybody churns ({own.rate:.2%}): a longer horizon has more to learn from.")
    if own.rate is not None and own.rate > USUAL:
        found.append(f"Almost everybody churns ({own.rate:.1%}): eligible may be who had left long ago.")
    if own.gone > MUCH * own.eligible:
        found.append(
            f"{own.gone / own.eligible:.0%} of the eligible had left before their snapshot, which became "
            "known later: ends reach the tables late."
        )
    rates = [s.churned / (s.churned + s.stayed) for s in seen if s.mature and s.churned + s.stayed]
    if any(max(pair) > 3 * min(pair) and max(pair) > MUCH for pair in pairwise(rates)):
        found.append(
            "The churn rate changes threefold from one snapshot to the next: see whether the tables are "
            "complete there."
        )
    return found


def _of_tables(prepared: Prepared) -> list[str]:
    found = []
    for name, counts in prepared.counts.items():
        rejected = sum(counts.rejected.values())
        if not counts.read:
            found.append(f"{name} has no rows, so nothing can be learned from it: is it the whole export?")
        if counts.read and rejected > MUCH * counts.read:
            reason, rows = max(counts.rejected.items(), key=lambda item: item[1])
            found.append(
                f"{rejected / counts.read:.0%} of the rows of {name} are rejected, most of them ({rows:,}) "
                f"for: {reason}."
            )
    return found
