"""The object that every door calls: one verified artefact that conforms, scores and explains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from holdfast.contract.load import load_contract, parse_history
from holdfast.contract.table import as_table
from holdfast.decisions import decide
from holdfast.errors import UsageError
from holdfast.features import Encoder, FeatureProgram
from holdfast.model.artefact import ArtefactError, read_json, verify
from holdfast.model.calibration import Calibrator
from holdfast.model.ensemble import Ensemble
from holdfast.model.explain import Reasons
from holdfast.model.survival import FILE as SURVIVAL_FILE
from holdfast.model.survival import MONTHS, Survival
from holdfast.quality.conform import Conformed, conform

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from holdfast.contract import Contract
    from holdfast.contract.history import History
    from holdfast.quality.counts import Counts

UNREGISTERED = "unregistered"

HISTORY_FILE = "history.json"
"""In an artefact that learned from a history: its contract, own queries with it."""

RARELY = 0.05
"""Share of training customers without a value, below which a model hardly knows what its absence means."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers to a table: ``frame`` one row a usable row, ``rejects`` one line a cell that kept a row out."""

    frame: pl.DataFrame
    rejects: pl.DataFrame
    counts: Counts


@dataclass(frozen=True)
class Scorer:
    """What turns conformed rows into probabilities: all that was learned, and nothing about files.

    Attributes:
        program: the features.
        encoder: features to matrix.
        ensemble: matrix to log-odds.
        calibrator: log-odds to probability.
    """

    program: FeatureProgram
    encoder: Encoder
    ensemble: Ensemble
    calibrator: Calibrator

    def matrix(self, conformed: pl.DataFrame) -> NDArray[np.float32]:
        """The matrix of conformed rows, shape (n, d)."""
        return self.encoder.transform(self.program.frame(conformed))

    def probability(self, conformed: pl.DataFrame) -> NDArray[np.float64]:
        """Calibrated probability of each conformed row, shape (n,)."""
        return self.of_matrix(self.matrix(conformed))

    def of_matrix(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probability of each row of a matrix, shape (n,)."""
        return self.calibrator.probability(self.ensemble.logit(X))

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each column of the matrix adds to the calibrated log-odds, shape (n, d)."""
        return self.calibrator.slope * self.ensemble.contributions(X)


class Model:
    """A trained, verified model.

    Args:
        scorer: what scores.
        contract: the contract it was trained under.
        threshold: probability from which a customer is acted on.
        facts: ``manifest``, ``metrics``, ``importance``, ``card``, ``baseline`` as the artefact holds them.
        version: label of the registered version, such as ``v3``.
        path: the artefact's directory.
        history: the contract of the tables that its features are built from, if it learned from a history.
        survival: the time until churn, if it learned that.
    """

    def __init__(
        self,
        scorer: Scorer,
        contract: Contract,
        threshold: float,
        facts: dict[str, Any],
        *,
        version: str = UNREGISTERED,
        path: Path | None = None,
        history: History | None = None,
        survival: Survival | None = None,
    ) -> None:
        self.history = history
        self._survival = survival
        self.scorer = scorer
        self.contract = contract
        self.threshold = threshold
        self.version = version
        self.path = path
        self.manifest: dict[str, Any] = facts["manifest"]
        self.metrics: dict[str, Any] = facts["metrics"]
        self.importance: list[dict[str, Any]] = facts["importance"]
        self.card: str = facts["card"]
        seen = facts["baseline"]["columns"].items()
        self.rarely_missing = frozenset(name for name, spread in seen if spread["missing"] < RARELY)
        """Inputs that nearly every customer in training had: an answer without one rests on little."""
        self._reasons = Reasons(scorer.program, scorer.encoder.slots)

    @property
    def name(self) -> str:
        """Name of the contract the model was trained under."""
        return self.contract.name

    @classmethod
    def load(cls, path: Path | str, *, version: str = UNREGISTERED) -> Self:
        """Load an artefact; every file's checksum is verified before any is parsed.

        Args:
            path: the artefact's directory.
            version: what answers call this version.

        Raises:
            ArtefactError: the artefact is damaged, incomplete or not one of ours.
        """
        folder = Path(path)
        manifest = verify(folder)
        try:
            contract = load_contract(folder / "contract.toml")
            described = read_json(folder, "model.json")
            scorer = _restore(folder, contract, described)
            facts = {
                "manifest": manifest,
                "metrics": read_json(folder, "metrics.json"),
                "importance": read_json(folder, "importance.json"),
                "baseline": read_json(folder, "baseline.json"),
                "card": (folder / "model_card.md").read_text(encoding="utf-8"),
            }
            history = _history(folder, manifest, contract)
            survival = Survival.load(folder) if SURVIVAL_FILE in manifest["files"] else None
            model = cls(
                scorer, contract, float(described["threshold"]), facts, version=version, path=folder,
                history=history, survival=survival,
            )  # fmt: skip
            model._probe()
        except ArtefactError:
            raise
        except (Exception, pl.exceptions.PanicException) as error:  # each native loader has errors of its own
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ArtefactError(
                f"The artefact cannot be read: {reason}", where=str(folder), hint="Train again."
            ) from error
        return model

    def _probe(self) -> None:
        """Score and explain a customer of whom nothing is known: what cannot is refused when it is loaded."""
        nobody = self.conform(pl.DataFrame(schema=dict.fromkeys(self.contract.columns, pl.String))).frame
        matrix = self.scorer.matrix(nobody.clear(1))
        probability, parts = self.scorer.of_matrix(matrix), self.scorer.contributions(matrix)
        if probability.shape != (1,) or not 0 <= probability[0] <= 1 or not 0 <= self.threshold <= 1:
            raise ValueError("it gives no probability")
        if parts.shape != matrix.shape or not np.isfinite(parts).all():
            raise ValueError("it gives no reasons")
        if self._survival is not None:
            alive = self._survival.curve(matrix, probability)
            if alive.shape != (1, MONTHS) or not ((alive >= 0) & (alive <= 1)).all():
                raise ValueError("it gives no survival")

    def conform(self, frame: pl.DataFrame, *, first_row: int = 1, rows: pl.Series | None = None) -> Conformed:
        """Hold a table against the model's contract. See `holdfast.quality.conform.conform`."""
        return conform(frame, self.contract, first_row=first_row, rows=rows)

    def probability(self, conformed: pl.DataFrame) -> NDArray[np.float64]:
        """Calibrated probability of leaving for conformed rows, shape (n,)."""
        return self.scorer.probability(conformed)

    def answer(self, conformed: Conformed, *, reasons: int = 0) -> pl.DataFrame:
        """The answer to each kept row, in the table's order.

        Args:
            conformed: from `conform`.
            reasons: how many of each row's strongest reasons to add as ``reason_1`` and on.

        Returns:
            ``customer_id, churn_probability, will_churn, risk_level, recommendation, model_version`` and
            reasons.
        """
        features = self.scorer.program.frame(conformed.frame)
        matrix = self.scorer.encoder.transform(features)
        probability = self.scorer.of_matrix(matrix)
        answers = [
            conformed.ids.alias("customer_id"),
            pl.Series("churn_probability", probability, dtype=pl.Float64),
            *decide(probability, self.threshold),
            pl.repeat(self.version, len(probability), dtype=pl.String, eager=True).alias("model_version"),
        ]
        if reasons > 0:
            effects = self._reasons.effects(self.scorer.contributions(matrix))
            values = self._reasons.values(conformed.frame, features)
            answers += self._reasons.sentences(effects, values, reasons)
        return pl.DataFrame(answers)

    def score(self, frame: pl.DataFrame | pd.DataFrame, *, reasons: int = 0) -> Scored:
        """Score a table of customers, Polars or pandas, with or without other columns beside the contract's.

        Args:
            frame: the customers, columns in any order.
            reasons: how many of each customer's strongest reasons to add.

        Raises:
            ColumnsError: a required column is absent.
        """
        conformed = self.conform(as_table(frame))
        return Scored(self.answer(conformed, reasons=reasons), conformed.rejects, conformed.counts)

    @property
    def knows_survival(self) -> bool:
        """Whether it learned the time until churn."""
        return self._survival is not None

    def survival(self, frame: pl.DataFrame | pd.DataFrame) -> pl.DataFrame:
        """How likely each customer is still there in 1 to 12 months, and how many months are expected.

        A month is 30 days, counted from as_of and the contract's lead. For inactivity, a customer is gone
        once silent for the whole horizon.

        Args:
            frame: the customers, described as of one moment.

        Returns:
            One row a customer that conforms: ``customer_id, churn_probability, survival_1`` to
            ``survival_12`` and ``expected_months``. 1 - survival at the horizon is the churn probability.

        Raises:
            UsageError: the model learned from a single table, which tells no times.
        """
        conformed = self.conform(as_table(frame))
        curve, probability, expected = self.survival_of(conformed.frame)
        months = {f"survival_{month + 1}": curve[:, month] for month in range(MONTHS)}
        columns = {"churn_probability": probability, **months, "expected_months": expected}
        return pl.DataFrame([conformed.ids.alias("customer_id")]).with_columns(
            pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items()
        )

    def survival_of(
        self, conformed: pl.DataFrame
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Survival curve (n, 12), churn probability (n,) and expected months (n,) of conformed rows.

        Raises:
            UsageError: as `survival`.
        """
        if self._survival is None:
            raise UsageError(
                "This model knows no time until churn: it learned from a single table.",
                where=f"{self.name} {self.version}",
                hint="Train on a history: `holdfast init --tables FOLDER`.",
            )
        matrix = self.scorer.matrix(conformed)
        probability = self.scorer.of_matrix(matrix)
        curve = self._survival.curve(matrix, probability)
        return curve, probability, self._survival.expected_months(matrix, probability)

    def explain(self, frame: pl.DataFrame | pd.DataFrame) -> pl.DataFrame:
        """What moves each customer's probability away from the average customer's, strongest first.

        Args:
            frame: the customers.

        Returns:
            One row a customer and reason: ``row, customer_id, churn_probability, rank, feature, value, unit,
            effect`` (log-odds), ``points`` (change of the probability, in share points, were this reason
            alone taken away) and ``direction`` (up, down or none).
        """
        conformed = self.conform(as_table(frame))
        features = self.scorer.program.frame(conformed.frame)
        matrix = self.scorer.encoder.transform(features)
        logit = self.scorer.ensemble.logit(matrix)
        probability = self.scorer.calibrator.probability(logit)
        effects = self._reasons.effects(self.scorer.contributions(matrix))
        slope = self.scorer.calibrator.slope
        without = self.scorer.calibrator.probability(logit[:, None] - effects / slope)
        n, kinds = effects.shape
        names = self._reasons.names
        values, units = self._reasons.written(self._reasons.values(conformed.frame, features))
        long = pl.DataFrame(
            {
                "row": np.repeat(conformed.rows.to_numpy(), kinds),
                "customer_id": np.repeat(conformed.ids.to_numpy(), kinds),
                "churn_probability": np.repeat(probability, kinds),
                "feature": np.tile(np.array(names, dtype=object), n),
                "value": values.to_numpy().reshape(-1) if n else [],
                "unit": units.to_numpy().reshape(-1) if n else [],
                "effect": effects.reshape(-1),
                "points": (probability[:, None] - without).reshape(-1),
            },
            schema=_EXPLAINED,
        )
        way = pl.col("effect").sign().cast(pl.Int8)
        direction = way.replace_strict({1: "up", -1: "down", 0: "none"}, return_dtype=pl.String)
        size = pl.col("effect").abs()
        rank = size.rank("ordinal", descending=True).over("row").cast(pl.Int64)
        ordered = long.with_columns(direction.alias("direction"), rank.alias("rank")).sort("row", "rank")
        return ordered.select(
            *("row", "customer_id", "churn_probability", "rank", "feature", "value", "unit"),
            *("effect", "points", "direction"),
        )


def _restore(folder: Path, contract: Contract, described: dict[str, Any]) -> Scorer:
    """What the files of a verified artefact say how to score."""
    learned = read_json(folder, "features.json")
    program = FeatureProgram(contract, record=bool(learned["record"]))
    encoder = Encoder(program).restore(learned["encoder"])
    if described["columns"] != [slot.name for slot in encoder.slots]:
        raise ValueError("the model was trained on other columns than the features give")
    calibrator = Calibrator.restore(described["calibrator"])
    return Scorer(program, encoder, Ensemble.load(folder, described), calibrator)


def _history(folder: Path, manifest: dict[str, Any], contract: Contract) -> History | None:
    """The history that the features are built from; each column of the contract must be one of them."""
    if HISTORY_FILE not in manifest["files"]:
        return None
    from holdfast.history.build import record_contract  # noqa: PLC0415 - DuckDB is slow to import

    history = parse_history(read_json(folder, HISTORY_FILE), where=HISTORY_FILE)
    made = record_contract(history).columns
    strange = [name for name, column in contract.inputs.items() if made.get(name) != column]
    if strange:
        raise ValueError(f'the history gives no feature "{strange[0]}" such as the model needs')
    return history


_EXPLAINED = pl.Schema(
    {
        "row": pl.Int64,
        "customer_id": pl.String,
        "churn_probability": pl.Float64,
        "feature": pl.String,
        "value": pl.String,
        "unit": pl.String,
        "effect": pl.Float64,
        "points": pl.Float64,
    }
)
