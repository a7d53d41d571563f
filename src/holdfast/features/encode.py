"""What is learned of the features on training rows, and the float32 matrix it makes of any row.

Numbers pass as they are (missing stays missing: NaN). A category with few levels becomes one flag a level;
one with many, or a ``risk`` feature, becomes the smoothed churn rate of its level. The rate of a training row
is computed from other rows only (cross-fitting), else it would give its own label away. The state is plain
JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.features.program import FeatureProgram

MAX_FLAGS = 16
"""A category with more levels than this in training is encoded by rate, not by flags."""

RARE = 10
"""A level seen on fewer training rows than this has no flag of its own."""

_RISK_FOLDS = 5

_COPY_ROWS = 20_000
"""About so many rows, evenly spread, are looked at to find columns that copy another."""

Role = Literal["number", "flag", "rate", "count"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of the matrix: the feature it comes from, what it holds and, for a flag, of which level."""

    feature: str
    role: Role
    level: str | None = None

    @property
    def name(self) -> str:
        """``feature``, ``feature=level`` or ``feature (rate)``."""
        if self.level is not None:
            return f"{self.feature}={self.level}"
        return self.feature if self.role in {"number", "flag"} else f"{self.feature} ({self.role})"


@dataclass(frozen=True)
class _Number:
    """A number, a yes/no or a third, passed on as float32."""

    feature: str
    role: Literal["number", "flag"]
    cuts: tuple[float, ...] | None = None

    @property
    def slots(self) -> list[Slot]:
        return [Slot(self.feature, self.role)]

    def expressions(self, dtype: pl.DataType) -> list[pl.Expr]:  # noqa: ARG002 - one call for all codecs
        value = pl.col(self.feature)
        if self.cuts is not None:
            above = [(value > cut).cast(pl.Float32) for cut in self.cuts]
            value = pl.sum_horizontal(above, ignore_nulls=False)
        return [_float32(value).alias(self.feature)]


@dataclass(frozen=True)
class _Flags:
    """A flag for each level seen often enough in training; one for missing where that was common."""

    feature: str
    levels: tuple[str, ...]
    missing: bool

    @property
    def slots(self) -> list[Slot]:
        absent = [Slot(self.feature, "flag", "(missing)")] if self.missing else []
        return [Slot(self.feature, "flag", level) for level in self.levels] + absent

    def expressions(self, dtype: pl.DataType) -> list[pl.Expr]:
        code = _code(self.feature, dtype, self.levels)
        positions = _positions(dtype, self.levels)
        flags = [
            (code == position).fill_null(value=False).cast(pl.Float32).alias(slot.name)
            for position, slot in zip(positions, self.slots, strict=False)
        ]
        if self.missing:
            flags.append(pl.col(self.feature).is_null().cast(pl.Float32).alias(self.slots[-1].name))
        return flags


@dataclass(frozen=True)
class _Rates:
    """The smoothed churn rate of each level, and with ``counted`` how common the level was (log)."""

    feature: str
    levels: tuple[str, ...]
    rates: tuple[float, ...]
    counts: tuple[int, ...]
    other: float
    """Rate of a level not seen in training."""
    missing: float
    """Rate of rows without a value."""
    counted: bool

    @property
    def slots(self) -> list[Slot]:
        rate = [Slot(self.feature, "rate")]
        return [*rate, Slot(self.feature, "count")] if self.counted else rate

    def expressions(self, dtype: pl.DataType) -> list[pl.Expr]:
        code = _code(self.feature, dtype, self.levels)
        rate = self._lookup(code, dtype, self.rates, self.other)
        rate = pl.when(pl.col(self.feature).is_null()).then(pl.lit(self.missing)).otherwise(rate)
        columns = [rate.cast(pl.Float32).alias(self.slots[0].name)]
        if self.counted:
            commonness = self._lookup(code, dtype, np.log1p(self.counts), 0.0)
            columns.append(commonness.cast(pl.Float32).alias(self.slots[1].name))
        return columns

    def _lookup(self, code: pl.Expr, dtype: pl.DataType, values: Any, default: float) -> pl.Expr:
        """``values`` of each row's level, ``default`` for unknown ones; gathered, not joined."""
        positions = _positions(dtype, self.levels)
        listed = len(dtype.categories) if isinstance(dtype, pl.Enum) else len(self.levels)
        table = np.full(max(listed, 1), default)
        table[positions] = np.asarray(values)
        return pl.lit(pl.Series(table)).gather(code).fill_null(default)


_Codec = _Number | _Flags | _Rates
_CODECS: dict[str, type[_Number | _Flags | _Rates]] = {"number": _Number, "flags": _Flags, "rates": _Rates}
_KINDS = {codec: kind for kind, codec in _CODECS.items()}


class Encoder:
    """Features to a float32 matrix, as learned on training rows.

    Args:
        program: whose features.

    Attributes:
        slots: the matrix's columns, in order.
    """

    def __init__(self, program: FeatureProgram) -> None:
        self._program = program
        self._codecs: list[_Codec] = []
        self._kept: list[int] = []
        self._expressions: list[pl.Expr] | None = None
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
        if self._expressions is None:
            schema = features.schema
            every = [e for codec in self._codecs for e in codec.expressions(schema[codec.feature])]
            self._expressions = [every[position] for position in self._kept]
        matrix = features.select(self._expressions).to_numpy(order="fortran")
        return np.asfortranarray(matrix, dtype=np.float32)

    def fit_transform(self, features: pl.DataFrame, y: NDArray[np.int8], *, seed: int) -> NDArray[np.float32]:
        """`fit`, then the matrix of the training rows with each rate computed from other rows only.

        Args:
            features: training rows.
            y: their labels.
            seed: decides which rows are left out together.
        """
        self.fit(features, y)
        matrix = self.transform(features)
        part = np.random.default_rng(seed).permutation(len(y)) % _RISK_FOLDS
        codecs = {codec.feature: codec for codec in self._codecs if isinstance(codec, _Rates)}
        for at, slot in enumerate(self.slots):
            if slot.role == "rate":
                levels = codecs[slot.feature].levels
                codes = _all_codes(features[slot.feature], levels)
                for fold in range(_RISK_FOLDS):
                    out = part == fold
                    rates, _ = _smoothed_rates(codes[~out], y[~out], len(levels) + 2)
                    matrix[out, at] = rates[codes[out]]
        return matrix

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON types."""
        codecs = [{"codec": _KINDS[type(codec)], **asdict(codec)} for codec in self._codecs]
        return {"codecs": codecs, "kept": self._kept}

    def restore(self, state: dict[str, Any]) -> Encoder:
        """Take back what `state` gave.

        Raises:
            KeyError, TypeError, ValueError, IndexError: it is not of this program's making.
        """
        codecs: list[_Codec] = []
        for entry in state["codecs"]:
            codec: Any = _CODECS[entry["codec"]]
            fields = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "codec"}
            codecs.append(codec(**fields))
        kept = [int(position) for position in state["kept"]]
        if min(kept, default=0) < 0 or not {codec.feature for codec in codecs} <= set(self._program.names):
            raise ValueError("the encoder is of other features")
        self._set(codecs, kept)
        return self

    def _set(self, codecs: list[_Codec], kept: list[int] | None = None) -> None:
        slots = [slot for codec in codecs for slot in codec.slots]
        self._codecs = codecs
        self._kept = list(range(len(slots))) if kept is None else kept
        self._expressions = None
        self.slots = [slots[position] for position in self._kept]

    def _learn(self, column: pl.Series, y: NDArray[np.int8]) -> _Codec | None:
        """How one feature is encoded; None where it says the same of every training row."""
        name = column.name
        if name in self._program.thirds:
            cuts = [column.quantile(share, "lower") for share in (1 / 3, 2 / 3)]
            known = tuple(float(cut) for cut in cuts if cut is not None)
            return _Number(name, "number", known) if known else None
        if column.dtype == pl.Boolean:
            return _Number(name, "flag") if column.n_unique() > 1 else None
        if column.dtype.is_numeric():
            return _Number(name, "number") if column.n_unique() > 1 else None
        counts = column.drop_nulls().cast(pl.String).value_counts(sort=True)
        counts = counts.sort(["count", name], descending=[True, False])
        if name in self._program.risks or counts.height > MAX_FLAGS:
            return _learn_rates(column, y, counts, counted=name not in self._program.risks)
        return _learn_flags(column, counts)


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


def _learn_flags(column: pl.Series, counts: pl.DataFrame) -> _Flags | None:
    """One flag a common level; of two levels that cover all rows only the rarer, which says it all."""
    missing = column.null_count()
    common = counts.filter(pl.col("count") >= RARE)
    levels = [str(level) for level in common[column.name]]
    has_missing = missing >= RARE
    if len(levels) + has_missing < 2 and common.height == counts.height and not missing:  # noqa: PLR2004 - one level says nothing
        return None
    if len(levels) == 2 and not missing and common.height == counts.height:  # noqa: PLR2004 - a yes/no
        levels = levels[1:]
    return _Flags(column.name, tuple(levels), has_missing) if levels or has_missing else None


def _learn_rates(
    column: pl.Series, y: NDArray[np.int8], counts: pl.DataFrame, *, counted: bool
) -> _Rates | None:
    """The smoothed rate of every level seen more than once; the rest share one rate."""
    kept = counts.filter(pl.col("count") > 1)
    levels = tuple(str(level) for level in kept[column.name])
    codes = _all_codes(column, levels)
    rates, sizes = _smoothed_rates(codes, y, len(levels) + 2)
    known = len(levels)
    return _Rates(
        feature=column.name,
        levels=levels,
        rates=tuple(rates[:known].tolist()),
        counts=tuple(sizes[:known].astype(int).tolist()),
        other=float(rates[known]),
        missing=float(rates[known + 1]),
        counted=counted,
    )


def _smoothed_rates(
    codes: NDArray[np.int64], y: NDArray[np.int8], size: int
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


def _all_codes(column: pl.Series, levels: tuple[str, ...]) -> NDArray[np.int64]:
    """Position of each row's level in ``levels``; ``len(levels)`` for another level, one more for missing."""
    known = column.cast(pl.String).cast(pl.Enum(levels), strict=False).to_physical().cast(pl.Int64)
    codes = known.fill_null(len(levels)).to_numpy().copy()
    codes[column.is_null().to_numpy()] = len(levels) + 1
    return codes


def _code(feature: str, dtype: pl.DataType, levels: tuple[str, ...]) -> pl.Expr:
    """Each row's level as a number: of the type's own levels where it lists them, else of ``levels``."""
    column = pl.col(feature)
    if isinstance(dtype, pl.Enum):
        return column.to_physical().cast(pl.UInt32)
    return column.cast(pl.Enum(levels), strict=False).to_physical().cast(pl.UInt32)


def _positions(dtype: pl.DataType, levels: tuple[str, ...]) -> list[int]:
    """Where `_code` puts each of ``levels``."""
    if isinstance(dtype, pl.Enum):
        known = {level: position for position, level in enumerate(dtype.categories)}
        return [known[level] for level in levels]
    return list(range(len(levels)))


def _float32(value: pl.Expr) -> pl.Expr:
    """``value`` as float32, missing where that overflows."""
    narrow = value.cast(pl.Float32)
    return pl.when(narrow.is_finite()).then(narrow)
