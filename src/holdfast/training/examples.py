"""The labelled rows of a history as training reads them: a bounded, deterministic sample of a table."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from holdfast.history.periods import periods
from holdfast.history.times import INSTANT
from holdfast.quality.conform import conform
from holdfast.quality.report import explore
from holdfast.quality.table import TableError
from holdfast.sources import RawTable
from holdfast.training.periods import insist_known, schedule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.quality.findings import QualityReport
    from holdfast.training.periods import Schedule

BUILD_ROWS = 300_000
"""The chosen recipe is built on so many rows at the most."""

JUDGED_ROWS = 20_000
"""Of a period of the backtest at the most; every candidate is judged on the same."""

TEST_ROWS = 100_000
"""Of the last period at the most."""

DESCRIBED_ROWS = 100_000
"""The report describes the data by so many rows at the most."""

KEYS = ("customer", "as_of")

NO_LABEL = -1
"""In place of the label of a row that has none."""

_TOLD: dict[str, pl.DataType | type[pl.DataType]] = {
    "customer": pl.String, "as_of": INSTANT, "at": pl.Int64, "y": pl.Int8, "left_at": INSTANT,
}  # fmt: skip
_KEPT = (
    "number",
    "as_of",
    "period",
    "y",
    "left_at",
    "label_known",
    (pl.col("left_at") < pl.col("label_end")).alias("in_window"),
)


class AsKnown(Protocol):
    """Gives labels that said something else at earlier moments than they say now."""

    def __call__(self, at: Sequence[datetime]) -> pl.DataFrame:
        """See `holdfast.history.as_known.labels_as_known`."""


@dataclass(frozen=True)
class Examples:
    """Labelled rows of (customer, as_of), in order of time and customer.

    Attributes:
        frame: the contract's inputs, typed; one row an example.
        customer: number of the customer of each row, shape (n,); equal for one customer's rows.
        ids: the customers' own names, one a row.
        as_of: of each row.
        y: 1 left, 0 stayed, `NO_LABEL` for a row that had a label only at an earlier moment.
        period: number of each row's period.
        draw: uniform in [0, 1), one a row: who has the smallest are sampled first.
        schedule: which period learns from which.
        counts: labelled rows and customers in the whole table, and how many are loaded.
    """

    frame: pl.DataFrame
    customer: NDArray[np.int64]
    ids: pl.Series
    as_of: pl.Series
    y: NDArray[np.int8]
    period: NDArray[np.int64]
    draw: NDArray[np.float64]
    schedule: Schedule
    counts: dict[str, int]
    totals: NDArray[np.int64]
    """Labelled rows and leavers of each period in the whole table, shape (periods, 2)."""
    left_at: pl.Series
    """When the customer of each row left; null where that is not known, or is no single moment."""
    keys: pl.DataFrame
    """Of every labelled row: ``number, as_of, period, y, left_at, label_known, in_window`` (left within the
    label's window)."""
    otherwise: pl.DataFrame
    """Labels that were otherwise known when a period began: ``at`` (number of that period), ``row`` (null
    for one that is not loaded), then as of ``keys``; ``y`` is null where there was no label."""

    def as_known(self, number: int) -> Examples:
        """The same rows, with what labels said when a period began; those of periods before it were known."""
        then = self.otherwise.filter(pl.col("at") == number)
        if not then.height:
            return self
        begin = self.schedule.periods[number].begin
        over = self.keys.filter(pl.col("label_known") <= begin)
        same = over.join(then, on=["number", "as_of"], how="anti")
        keys = pl.concat([same, then.filter(pl.col("y").is_not_null()).select(same.columns)])
        loaded = then.filter(pl.col("row").is_not_null())
        rows, y = loaded["row"].to_numpy(), self.y.copy()
        y[rows] = loaded["y"].fill_null(NO_LABEL).to_numpy()
        left_at = self.left_at.clone().scatter(rows, loaded["left_at"])
        totals = _totals(keys, len(self.totals))
        return replace(self, y=y, left_at=left_at, keys=keys, totals=totals)

    def known_before(self, number: int) -> tuple[int, float]:
        """How many labels were known when a period began, and the share who left; see `as_known`."""
        rows, left = self.totals[self.schedule.before(number)].sum(axis=0)
        return int(rows), float(left / rows)

    def sample(self, among: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        """Numbers of at most ``most`` labelled rows of periods, in order; the same every time."""
        return self._drawn(np.isin(self.period, among) & (self.y != NO_LABEL), most)

    def judged(self, number: int) -> NDArray[np.int64]:
        """Numbers of the rows of a period that judge or decide: labelled now, or at an earlier moment."""
        return self._drawn(self.period == number, JUDGED_ROWS)

    def _drawn(self, these: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
        rows = np.flatnonzero(these)
        if len(rows) > most:
            rows = np.sort(rows[np.argsort(self.draw[rows], kind="stable")[:most]])
        return rows


def load_examples(
    table: Path | pl.DataFrame,
    contract: Contract,
    moments: pl.DataFrame,
    *,
    seed: int,
    zone: str = "UTC",
    as_known: AsKnown | None = None,
) -> Examples:
    """Read what training needs of a built table; the rest stays on disk.

    Args:
        table: columns ``customer, as_of, churned`` (null where it is neither) and the contract's inputs;
            a frame, or a Parquet file or folder of them.
        contract: describes it.
        moments: ``as_of, label_end, label_known`` of each snapshot.
        seed: of the sample.
        zone: of the history, in which its months are.
        as_known: gives labels that said something else at earlier moments; unless given, none did.

    Raises:
        TableError: no row has a label, or all the same.
        PeriodsError: the history is too short, or who left was told too late.
    """
    scanned = table.lazy() if isinstance(table, pl.DataFrame) else pl.scan_parquet(table)
    label = contract.churn.label
    left_at = pl.col("left_at") if "left_at" in scanned.collect_schema() else pl.lit(None).alias("left_at")
    left_at = left_at.cast(INSTANT)
    customer, y = pl.col("customer").cast(pl.String), pl.col(label).cast(pl.Int8).alias("y")
    keyed: Any = scanned.select(customer, "as_of", y, left_at).with_row_index("place")
    keys = keyed.filter(pl.col("y").is_not_null()).collect().sort("as_of", "customer")
    if keys["y"].n_unique() <= 1:
        raise TableError(
            "No snapshot has both customers who left and customers who stayed.",
            hint="`holdfast check` shows the churn rate by snapshot and for other horizons.",
        )
    seen = moments.filter(pl.col("as_of").is_in(keys["as_of"].unique().implode()))
    found, numbered = periods(seen, zone)
    keys = keys.join(numbered, on="as_of", how="left", maintain_order="left")
    plan = schedule(found, keys["period"].to_numpy(), keys["y"].to_numpy())
    counts = {"rows": keys.height, "customers": keys["customer"].n_unique(), "left": int(keys["y"].sum())}
    told = _told(as_known, plan)
    lost = _lost(keyed, told, numbered)
    draw = np.random.default_rng(seed)
    keys = pl.concat(
        part.with_columns(pl.Series("draw", draw.random(part.height), pl.Float64)) for part in (keys, lost)
    ).sort("as_of", "customer")
    ends = moments.select("as_of", "label_end", "label_known")
    keys = keys.join(ends, on="as_of", how="left", maintain_order="left")
    keys = keys.with_columns(number=pl.col("customer").rank("dense").cast(pl.Int64) - 1)
    wanted = keys[_wanted(keys, plan)]
    counts["loaded"] = wanted.height
    inputs = list(contract.inputs)
    rows = scanned.select(inputs).with_row_index("place")
    features = rows.filter(pl.col("place").is_in(wanted["place"].implode())).collect()
    features = wanted.select("place").join(features, on="place", how="left", maintain_order="left")
    unkeyed = contract.model_copy(update={"columns": {name: contract.columns[name] for name in inputs}})
    conformed = conform(features, unkeyed)
    if conformed.rejects.height:
        first = conformed.rejects.row(0, named=True)
        raise TableError(
            f"A built feature breaks its own contract: {first['reason']}.",
            where=f"column {first['column']}, value {first['value']}",
            hint="Build the features again.",
        )
    labelled = keys.filter(pl.col("y").is_not_null()).select(_KEPT)
    examples = Examples(
        frame=conformed.frame,
        customer=wanted["number"].to_numpy(),
        ids=wanted["customer"],
        as_of=wanted["as_of"],
        y=wanted["y"].fill_null(NO_LABEL).to_numpy(),
        period=wanted["period"].to_numpy(),
        draw=wanted["draw"].to_numpy(),
        schedule=plan,
        counts=counts,
        totals=_totals(labelled, len(found)),
        left_at=wanted["left_at"],
        keys=labelled,
        otherwise=_otherwise(told, keys, wanted),
    )
    judged = (*plan.judged, plan.last)
    known = {number: examples.as_known(number).totals[plan.before(number)].sum(axis=0) for number in judged}
    return replace(examples, schedule=insist_known(plan, known))


def _lost(keyed: pl.LazyFrame, told: pl.DataFrame, numbered: pl.DataFrame) -> pl.DataFrame:
    """Rows that had a label at an earlier moment alone: they are examples of that moment."""
    then = told.filter(pl.col("y").is_not_null()).lazy()
    lost = keyed.filter(pl.col("y").is_null()).join(then, on=KEYS, how="semi").collect()
    return lost.sort("as_of", "customer").join(numbered, on="as_of", how="inner", maintain_order="left")


def _told(as_known: AsKnown | None, plan: Schedule) -> pl.DataFrame:
    """Labels that were otherwise known when a period began, ``at`` its number; columns as in `_TOLD`."""
    begins = {plan.periods[number].begin: number for number in (*plan.judged, plan.last)}
    if as_known is None:
        return pl.DataFrame(schema=_TOLD)
    told = as_known(list(begins)).rename({"churned": "y"})
    return told.with_columns(pl.col("at").replace_strict(begins, return_dtype=pl.Int64)).select(*_TOLD)


def _otherwise(told: pl.DataFrame, keys: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """`Examples.otherwise`."""
    known = keys.select(*KEYS, "number", "period", "label_end", "label_known", "place")
    rows = wanted.select("place").with_row_index("row")
    found = told.join(known, on=KEYS, how="inner").join(rows, on="place", how="left")
    return found.select("at", "row", *_KEPT)


def _totals(keys: pl.DataFrame, periods_: int) -> NDArray[np.int64]:
    period, y = keys["period"].to_numpy(), keys["y"].to_numpy()
    rows = np.bincount(period, minlength=periods_)
    left = np.bincount(period[y == 1], minlength=periods_)
    return np.column_stack([rows, left]).astype(np.int64)


def _wanted(keys: pl.DataFrame, plan: Schedule) -> NDArray[np.int64]:
    """Rows that anything will look at: a sample to build on, one of each judged period, the last period."""
    draw, period = keys["draw"].to_numpy(), keys["period"].to_numpy()
    every = np.argsort(draw, kind="stable")
    before = np.isin(period[every], plan.before(plan.last))
    order = every[keys["y"].is_not_null().to_numpy()[every]]
    chosen = [order[:BUILD_ROWS], every[before][:BUILD_ROWS]]
    chosen += [every[period[every] == number][:JUDGED_ROWS] for number in plan.judged]
    chosen.append(order[period[order] == plan.last][:TEST_ROWS])
    return np.unique(np.concatenate(chosen))


def described(examples: Examples, contract: Contract, *, seed: int) -> QualityReport:
    """What the examples look like, of a sample; a customer has several rows, so rows have no id here."""
    labelled = np.flatnonzero(examples.y != NO_LABEL)
    rows = np.sort(np.random.default_rng(seed).permutation(labelled)[:DESCRIBED_ROWS])
    label = contract.churn.label
    frame = examples.frame[rows].with_columns(pl.Series(label, examples.y[rows]).cast(pl.String))
    inputs = {name: contract.columns[name] for name in examples.frame.columns}
    return explore(RawTable(frame), contract.model_copy(update={"columns": inputs}))


def digest_of(examples: Examples) -> str:
    """SHA-256 (hex) of the loaded examples."""
    stream = io.BytesIO()
    keyed = examples.frame.with_columns(
        examples.ids.alias("\0id"), examples.as_of.alias("\0as_of"), pl.Series("\0label", examples.y)
    )
    for frame in (keyed, examples.otherwise):
        frame.write_ipc(stream, compression="uncompressed")
    return hashlib.sha256(stream.getbuffer()).hexdigest()
