"""Score everyone eligible at one moment: build the features from a history's tables, then answer."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from holdfast.disk import scratch
from holdfast.errors import UsageError
from holdfast.history.build import build, folder_of
from holdfast.history.live import customer_key
from holdfast.history.live_files import FileFeatures
from holdfast.history.moments import built_moments, moments
from holdfast.history.prepare import prepare
from holdfast.history.times import aware
from holdfast.progress import NullProgress
from holdfast.scoring.customer import Found, UnknownCustomerError
from holdfast.scoring.destination import destination
from holdfast.scoring.output import answer_schema, beside, writing
from holdfast.scoring.parts import Part
from holdfast.scoring.stay import CURVE, EXPECTED, stay_of
from holdfast.sources.tables import MALFORMED, RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from holdfast.contract.history import History
    from holdfast.history.build import Built
    from holdfast.model import Model
    from holdfast.progress import Progress
    from holdfast.scoring.destination import Destination
    from holdfast.settings import Settings
    from holdfast.spark import Spark

BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class HistorySummary:
    """The account of customers scored as of one moment."""

    as_of: datetime
    """Aware, by the clock of the history's zone."""
    out: Path
    version: str
    """The model's, such as ``v3``."""
    scored: int
    will_churn: int
    expected_churners: float
    """Sum of the probabilities."""
    risk_levels: Mapping[str, int]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain JSON types."""
        return {
            "as_of": self.as_of.isoformat(),
            "out": str(self.out),
            "model_version": self.version,
            "scored": self.scored,
            "will_churn": self.will_churn,
            "expected_churners": self.expected_churners,
            "risk_levels": dict(self.risk_levels),
            "seconds": round(self.seconds, 3),
        }


def same_history(model: Model, given: History) -> History:
    """The contract to build a model's features by: the one that is given, if it gives the same features.

    Sources and economics may have changed since training; nothing else.

    Raises:
        UsageError: the model learned from a single table, or from another history.
    """
    learned = model.history
    if learned is None:
        raise UsageError(
            "This model learned from a single table; a history's contract cannot be scored with it.",
            where=f"{model.name} {model.version}",
            hint="Give the table, or train on the history: holdfast train churn.toml.",
        )
    if _without_places(learned) != _without_places(given):
        raise UsageError(
            "This contract is not the one that the model learned by, or has changed since: it describes "
            "other tables, features or another churn.",
            where=f"{model.name} {model.version}",
            hint="Train again, or choose the model that learned by this contract with --model; "
            "holdfast models list shows them.",
        )
    return given


def _without_places(history: History) -> dict[str, Any]:
    document = history.canonical()
    document.pop("economics", None)
    clock = document.pop("clock", {})
    clock.pop("until", None)  # alone in a clock it would leave an empty one behind
    for table in document["tables"].values():
        table.pop("source")
    return document | {"clock": clock, "register": history.customers}


@contextmanager
def built_at(
    model: Model,
    given: History,
    root: Path,
    *,
    home: Path,
    as_of: Sequence[datetime] | None,
    labels: bool,
    settings: Settings | None = None,
    spark: Spark | None = None,
    progress: Progress | None = None,
) -> Iterator[Built]:
    """The table that a model scores: who was eligible at ``as_of``, described as was known then.

    It is there as long as the context lasts, and no other run's.

    Args:
        model: learned from the history.
        given: the history's contract as it is now.
        root: its folder.
        home: where prepared tables are kept.
        as_of: moments; the end of what the tables tell, unless given.
        labels: whether to say what became of each.
        settings: addresses and credentials of sources, memory.
        spark: a session, where the features are to be built there.
        progress: is told of each step.

    Raises:
        UsageError: the contract is not what the model learned by.
        HistoryError: a table is missing, nobody is eligible, or a moment lies beyond the tables.
    """
    history = same_history(model, given)
    told = progress or NullProgress()
    folder = folder_of(home, history)
    prepared = prepare(history, root, folder, settings=settings, progress=told)
    moments = as_of or [prepared.until.replace(tzinfo=UTC)]
    memory = None if settings is None else settings.memory_mib
    with scratch(folder, ".scored-") as work:
        out = work / "built.parquet"
        if spark is None:
            yield build(
                history, prepared, out, as_of=moments, labels=labels, memory_mib=memory, progress=told
            )
            return
        from holdfast.history.build_in_spark import build_in_spark  # noqa: PLC0415 - needs an extra

        yield build_in_spark(
            history,
            prepared,
            out,
            spark=spark,
            as_of=moments,
            labels=labels,
            memory_mib=memory,
            progress=told,
        )


def find_described(
    model: Model,
    given: History,
    contract: Path,
    customer: str,
    *,
    home: Path,
    as_of: datetime | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Found:
    """One customer as described at a moment, by what was known then.

    Args:
        model: learned from the history.
        given: the history's contract as it is now.
        contract: its file; sources are seen from its folder.
        customer: the id.
        home: where prepared tables are kept.
        as_of: the moment, as of `score_history`.
        settings: addresses and credentials of sources, memory.
        progress: is told of each step.

    Raises:
        UnknownCustomerError: the tables have no such customer, or none who was one at that moment.
        UsageError: the contract is not what the model learned by.
        HistoryError: a table is missing, or the moment lies beyond the tables.
    """
    history = same_history(model, given)
    prepared = prepare(
        history, contract.parent, folder_of(home, history), settings=settings, progress=progress
    )
    moment = as_of or prepared.until.replace(tzinfo=UTC)
    built_moments(history, prepared.since, prepared.until, [moment])
    features = FileFeatures(history, home, model.contract.inputs)
    key = customer_key(customer)
    records = features.records([key], moment)
    if not records:
        at = f"{contract}, as of {aware(moments(history, [moment])['as_of'].item(), history.clock.time_zone)}"
        if features.known([key], moment):
            raise UnknownCustomerError(
                f'"{key}" was no customer then by the contract: gone, not one yet, or not active.',
                where=at,
                hint="Ask about another moment with --as-of; [churn] says who is a customer.",
            )
        raise UnknownCustomerError(
            f'The tables have no customer "{key}".', where=at, hint="Check the id; case counts."
        )
    frame = pl.DataFrame(records, schema_overrides={"as_of": pl.Datetime("us")})
    return Found(frame, None, as_of=aware(frame["as_of"].item(), history.clock.time_zone))


def score_history(
    model: Model,
    given: History,
    contract: Path,
    out: Path | None = None,
    *,
    home: Path,
    as_of: datetime | None = None,
    reasons: int = 0,
    overwrite: bool = False,
    settings: Settings | None = None,
    spark: Spark | None = None,
    progress: Progress | None = None,
) -> HistorySummary:
    """Give everyone eligible at ``as_of`` a churn probability.

    The answers have the columns of `holdfast.scoring.score_file`, and where the model learned the time until
    churn those of `CURVE` and ``expected_months``. They appear when all is done, or not at all.

    Args:
        model: learned from the history.
        given: the history's contract as it is now.
        contract: its file; sources are seen from its folder.
        out: where the answers go; ``NAME.scored.csv`` beside the contract, unless given.
        home: where prepared tables are kept.
        as_of: the moment, aware or a wall-clock one of the history's zone; the end of what the tables tell,
            unless given.
        reasons: how many reasons to give with each answer.
        overwrite: whether ``out`` may be there already.
        settings: addresses and credentials of sources, memory.
        spark: a session, where features are to be built and customers scored there.
        progress: is told of each step.

    Raises:
        UsageError: the contract is not what the model learned by, or ``out`` cannot be written.
        HistoryError: a table is missing, nobody is eligible, or ``as_of`` lies beyond the tables.
        OutputError: the disk is full or fails.
    """
    began = time.perf_counter()
    told = progress or NullProgress()
    place = destination(contract, out or contract.with_name(f"{given.name}.scored.csv"), overwrite=overwrite)
    moment = None if as_of is None else [as_of]
    risks: Counter[str] = Counter()
    acted, expected = 0, 0.0
    with (
        built_at(
            model, given, contract.parent, home=home, as_of=moment, labels=False, settings=settings,
            spark=spark, progress=told,
        ) as built,
        writing(place, reasons=reasons, schema=described_schema(model, reasons)) as output,
        _scored(model, built, place, reasons, spark=spark, progress=told) as parts,
    ):  # fmt: skip
        told.start("Scoring", built.rows)
        for part in parts:
            answers = part.answers
            output.write(answers, part.rejects)
            acted += int(answers["will_churn"].sum())
            expected += float(answers["churn_probability"].sum())
            risks.update(dict(answers["risk_level"].value_counts().iter_rows()))
            told.advance(answers.height)
        at = pl.scan_parquet(built.path, glob=False).select(pl.col("as_of").first()).collect().item()
    seconds = time.perf_counter() - began
    return HistorySummary(
        aware(at, given.clock.time_zone),
        place.out,
        model.version,
        built.rows,
        acted,
        expected,
        dict(sorted(risks.items())),
        seconds,
    )


def described_schema(model: Model, reasons: int) -> pl.Schema:
    """The columns of the answers about a history's customers."""
    more = dict.fromkeys((*CURVE, EXPECTED), pl.Float64()) if model.knows_survival else {}
    return pl.Schema({**answer_schema(reasons), **more})


def score_described(model: Model, batch: RawBatch, reasons: int) -> Part:
    """The answers about some customers as described at a moment, with how long they are expected to stay."""
    conformed = model.conform(batch.frame, first_row=batch.first_row, rows=batch.numbered)
    answers = model.answer(conformed, reasons=reasons)
    stay = stay_of(model, conformed.frame)
    answers = answers.with_columns(pl.Series(name, values) for name, values in stay.items())
    ids = conformed.ids.hash().to_numpy()
    answers = answers.match_to_schema(described_schema(model, reasons))
    return Part(answers, conformed.rejects.match_to_schema(MALFORMED), conformed.counts, 0, 0, ids, 0.0)


@contextmanager
def _scored(
    model: Model, built: Built, place: Destination, reasons: int, *, spark: Spark | None, progress: Progress
) -> Iterator[Iterator[Part]]:
    """The parts of a built table, scored here or in Spark."""
    if spark is None:
        frame = pl.scan_parquet(built.path, glob=False)
        yield (
            score_described(model, RawBatch(frame.slice(begin, BATCH_ROWS).collect(), begin + 1), reasons)
            for begin in range(0, built.rows, BATCH_ROWS)
        )
        return
    from holdfast.scoring.in_spark import score_frame, table_in_spark  # noqa: PLC0415 - needs an extra

    with beside(place) as work:
        table = table_in_spark(spark, built.path, set(model.contract.columns))
        yield score_frame(model, table, work, spark=spark, reasons=reasons, history=True, progress=progress)
