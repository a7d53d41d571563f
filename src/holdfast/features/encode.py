"""What is learned of the features on training rows, and the float32 matrix it makes of any row.

Numbers pass as they are (missing stays missing: NaN). A category with few levels becomes one flag a level;
one with many, or a ``risk`` feature, becomes the smoothed churn rate of its level. The rate of a training row
is computed from other rows only (cross-fitting), else it would give its own label away. The state is plain
JSON.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from holdfast.features.codecs import CODECS, KINDS, Codec, Codes, Flags, Number, Rates, Slot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.features.codecs import Reading
    from holdfast.features.program import FeatureProgram

MAX_FLAGS = 16
"""A category with more levels than this in training is encoded by rate, not by flags."""

RARE = 10
"""A level seen on fewer training rows than this has no flag of its own."""

_RISK_FOLDS = 5

_COPY_ROWS = 20_000
"""About so many rows, evenly spread, are looked at to find columns that copy another."""


class Encoder:
    """Features to a float32 matrix, as learned on training rows.

    Args:
        program: whose features.

    Attributes:
        slots: the matrix's columns, in order.
    """

    def __init__(self, program: FeatureProgram) -> None:
        self._program = program
        self._codecs: list[Codec] = []
        self._kept: list[int] = []
        self._places: list[list[int | None]] = []
        self._readings: list[Reading] | None = None
        self.slots: list[Slot] = []

    def fit(self, features: pl.DataFrame, y: NDArray[np.int8]) -> Encoder:
        """Learn levels, rates and thirds.

        Args:
            features: training rows, as `FeatureProgram.frame` gives them.
            y: their labels, 1 left and 0 stayed, shape (n,).
        """
        codecs = [self._learn(features[name], y) for name in self._program.names]
        self._set([codec for codec in codecs if codec is not None])
        step = max(1, features.height // _COPY_ROWS)
        self._set(self._codecs, _originals(self.transform(features.gather_every(step))))
        return self

    def transform(self, features: pl.DataFrame) -> NDArray[np.float32]:
        """The matrix of any rows, each by itself: shape (n, len(slots)), Fortran order, missing as NaN."""
        if self._readings is None:
            schema = features.schema
            self._readings = [codec.reading(schema[codec.feature]) for codec in self._codecs]
        columns = features.select([expression for expression, _ in self._readings]).get_columns()
        matrix = np.empty((features.height, len(self.slots)), np.float32, order="F")
        for column, (_, write), places in zip(columns, self._readings, self._places, strict=True):
            write(column.to_numpy(), [None if place is None else matrix[:, place] for place in places])
        return matrix

    def fit_transform(
        self,
        features: pl.DataFrame,
        y: NDArray[np.int8],
        *,
        seed: int,
        groups: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """`fit`, then the matrix of the training rows with each rate computed from other rows only.

        Args:
            features: training rows.
            y: their labels.
            seed: decides which rows are left out together.
            groups: rows that may be one customer, by number; they are left out together.
        """
        self.fit(features, y)
        matrix = self.transform(features)
        draw = np.random.default_rng(seed)
        part = draw.permutation(len(y)) if groups is None else draw.permutation(groups.max() + 1)[groups]
        part %= _RISK_FOLDS
        codecs = {codec.feature: codec for codec in self._codecs if isinstance(codec, Rates)}
        for at, slot in enumerate(self.slots):
            if slot.role == "rate":
                levels = codecs[slot.feature].levels
                codes = Codes(levels, features.schema[slot.feature]).read(features[slot.feature])
                for fold in range(_RISK_FOLDS):
                    out = part == fold
                    rates, _ = _smoothed_rates(codes[~out], y[~out], len(levels) + 2)
                    matrix[out, at] = rates[codes[out]]
        return matrix

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON types."""
        codecs = [{"codec": KINDS[type(codec)], **asdict(codec)} for codec in self._codecs]
        return {"codecs": codecs, "kept": self._kept}

    def restore(self, state: dict[str, Any]) -> Encoder:
        """Take back what `state` gave.

        Raises:
            KeyError, TypeError, ValueError, IndexError: it is not of this program's making.
        """
        codecs: list[Codec] = []
        for entry in state["codecs"]:
            codec: Any = CODECS[entry["codec"]]
            fields = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "codec"}
            codecs.append(codec(**fields))
        kept = [int(position) for position in state["kept"]]
        if min(kept, default=0) < 0 or not {codec.feature for codec in codecs} <= set(self._program.names):
            raise ValueError("the encoder is of other features")
        self._set(codecs, kept)
        return self

    def _set(self, codecs: list[Codec], kept: list[int] | None = None) -> None:
        slots = [slot for codec in codecs for slot in codec.slots]
        self._codecs = codecs
        self._kept = list(range(len(slots))) if kept is None else kept
        self.slots = [slots[position] for position in self._kept]
        place = {position: number for number, position in enumerate(self._kept)}
        every = iter(range(len(slots)))
        self._places = [
            [place.get(position) for position in islice(every, len(codec.slots))] for codec in codecs
        ]
        self._readings = None

    def _learn(self, column: pl.Series, y: NDArray[np.int8]) -> Codec | None:
        """How one feature is encoded; None where it says the same of every training row."""
        name = column.name
        if name in self._program.thirds:
            cuts = [column.quantile(share, "lower") for share in (1 / 3, 2 / 3)]
            known = tuple(float(cut) for cut in cuts if cut is not None)
            return Number(name, "number", known) if known else None
        if column.dtype == pl.Boolean:
            return Number(name, "flag") if column.n_unique() > 1 else None
        if column.dtype.is_numeric():
            return Number(name, "number") if column.n_unique() > 1 else None
        counts = common_levels(column)
        if name in self._program.risks or counts.height > MAX_FLAGS:
            return _learn_rates(column, y, counts, counted=name not in self._program.risks)
        return _learn_flags(column, counts)


def common_levels(column: pl.Series) -> pl.DataFrame:
    """Each ``level`` (text) of a column and its ``count``, most common first, equally common ones by name."""
    counts = column.alias("level").drop_nulls().cast(pl.String).value_counts()
    return counts.sort(["count", "level"], descending=[True, False])


def _originals(matrix: NDArray[np.float32]) -> list[int]:
    """Positions of the columns that are no straight-line copy of an earlier one (tenure in months, in years).

    A copy adds nothing to any learner, and splits what the original says between the two.
    """
    X = matrix.astype(np.float64)
    absent = np.isnan(X)
    X = np.where(absent, 0.0, X)
    X -= np.where(absent, 0.0, X.sum(axis=0) / np.maximum((~absent).sum(axis=0), 1))
    size = np.sqrt((X * X).sum(axis=0))
    X /= np.where(size > 0, size, 1.0)
    alike = np.triu(np.abs(X.T @ X) > 1 - 1e-10, k=1)
    first, second = np.nonzero(alike)
    same_gaps = (absent[:, first] == absent[:, second]).all(axis=0)
    copies = set(second[same_gaps].tolist())
    return [position for position in range(X.shape[1]) if position not in copies]


def _learn_flags(column: pl.Series, counts: pl.DataFrame) -> Flags | None:
    """One flag a common level; of two levels that cover all rows only the rarer, which says it all."""
    missing = column.null_count()
    common = counts.filter(pl.col("count") >= RARE)
    levels = [str(level) for level in common["level"]]
    has_missing = missing >= RARE
    if len(levels) + has_missing < 2 and common.height == counts.height and not missing:  # noqa: PLR2004 - one level says nothing
        return None
    if len(levels) == 2 and not missing and common.height == counts.height:  # noqa: PLR2004 - a yes/no
        levels = levels[1:]
    return Flags(column.name, tuple(levels), has_missing) if levels or has_missing else None


def _learn_rates(
    column: pl.Series, y: NDArray[np.int8], counts: pl.DataFrame, *, counted: bool
) -> Rates | None:
    """The smoothed rate of every level seen more than once; the rest share one rate."""
    kept = counts.filter(pl.col("count") > 1)
    levels = tuple(str(level) for level in kept["level"])
    codes = Codes(levels, column.dtype).read(column)
    rates, sizes = _smoothed_rates(codes, y, len(levels) + 2)
    known = len(levels)
    return Rates(
        feature=column.name,
        levels=levels,
        rates=tuple(rates[:known].tolist()),
        counts=tuple(sizes[:known].astype(int).tolist()),
        other=float(rates[known]),
        missing=float(rates[known + 1]),
        counted=counted,
    )


def _smoothed_rates(
    codes: NDArray[np.uint32], y: NDArray[np.int8], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rate and count of each code, the rate drawn to the overall one by an empirical-Bayes weight.

    The weight (in rows) is the beta-binomial's by the method of moments: p(1-p) / variance between levels,
    less one (Micci-Barreca 2001, eq. 3 to 5, with its free parameter estimated).
    """
    counts = np.bincount(codes, minlength=size).astype(np.float64)
    left = np.bincount(codes, weights=y, minlength=size)
    prior = float(y.mean())
    spread = prior * (1 - prior)
    seen = counts > 1
    rates = left[seen] / counts[seen]
    weights = counts[seen]
    between = float(np.average((rates - prior) ** 2, weights=weights)) if weights.size else 0.0
    between -= spread * weights.size / max(weights.sum(), 1.0)
    rows = float(np.clip(spread / between - 1 if between > 0 else np.inf, 1.0, 300.0))
    return (left + rows * prior) / (counts + rows), counts
