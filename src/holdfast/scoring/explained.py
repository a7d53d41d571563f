"""One customer's answer with its reasons, for a terminal, a machine or a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from holdfast.disk import scratch
from holdfast.errors import DataError, UsageError
from holdfast.features.units import phrase
from holdfast.scoring.stay import stay_of

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from holdfast.model import Model
    from holdfast.scoring.customer import Found

_TOLD = ("feature", "value", "unit", "effect", "points", "direction")
_LEAST = 0.0005
"""Share of probability below which points round to none."""
_BAR, _FRAME = 28, 82
"""Pixels: height of one bar, and of what is around all of them."""
_LETTER, _WIDEST = 7.2, 330
"""Pixels: width of a label's letter, and of the widest label."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Why one customer has the probability it has."""

    customer_id: str
    row: int | None
    """Of a table, from 1."""
    as_of: datetime | None
    """Of a history: the moment, aware."""
    probability: float
    will_churn: bool
    risk_level: str
    recommendation: str
    threshold: float
    model: str
    version: str
    reasons: list[dict[str, Any]]
    """``feature, value, unit, effect, points, direction`` of each, the strongest effect first."""
    stay: dict[str, float]
    """As of `holdfast.scoring.stay.stay_of`."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        plain = asdict(self)
        plain |= {"as_of": self.as_of.isoformat() if self.as_of else None, **plain.pop("stay")}
        plain["churn_probability"] = plain.pop("probability")
        plain["model"] = {"name": plain["model"], "version": plain.pop("version")}
        return plain


def explain_found(model: Model, found: Found, path: str | Path) -> Explained:
    """Explain the answer to one row of a table, or to one customer of a history.

    Args:
        model: what explains.
        found: the row.
        path: the table, or the history's contract, to speak of it.

    Raises:
        DataError: a cell keeps the row from being scored; names each such cell.
        ColumnsError: the table lacks columns that the contract requires.
    """
    conformed = model.conform(found.frame, first_row=found.row or 1)
    if conformed.rejects.height:
        cells = conformed.rejects.iter_rows(named=True)
        wrong = "; ".join(f'{cell["column"]} "{cell["value"]}": {cell["reason"]}' for cell in cells)
        raise DataError(
            f"This row cannot be scored: {wrong}.",
            where=f"{path}, row {found.row:,}" if found.row else str(path),
            hint="Correct the row, or the contract if it is too narrow.",
        )
    answer = model.answer(conformed).row(0, named=True)
    return Explained(
        customer_id=answer["customer_id"],
        row=found.row,
        as_of=found.as_of,
        probability=answer["churn_probability"],
        will_churn=answer["will_churn"],
        risk_level=answer["risk_level"],
        recommendation=answer["recommendation"],
        threshold=model.threshold,
        model=model.name,
        version=model.version,
        reasons=model.explain(found.frame).sort("rank").select(_TOLD).to_dicts(),
        stay={name: float(values[0]) for name, values in stay_of(model, conformed.frame).items()},
    )


def in_points(share: float) -> str:
    """A move of the probability in points; what is there but rounds away says so.

    >>> in_points(0.0845), in_points(0.0001)
    ('+8.5', '< 0.1')
    """
    if 0 < abs(share) < _LEAST:
        return "< 0.1"
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def draw(why: Explained, path: Path, *, most: int = 10) -> None:
    """Write the strongest reasons as a bar figure, raising and lowering, in the reports' own style.

    Args:
        why: what to draw.
        path: a file ending in ``.svg`` or ``.png``; replaced if it is there.
        most: reasons to show each way.

    Raises:
        UsageError: the file cannot be written.
    """
    from holdfast.pages import COLOURS, drawing, heading, new_figure, short  # noqa: PLC0415 - draws seldom

    ways = [[r for r in why.reasons if r["direction"] == way][:most] for way in ("up", "down")]
    shown = sorted((r for way in ways for r in way), key=lambda reason: reason["points"])
    labels = [short(f"{r['feature']}: {phrase(r['value'], r['unit'])}", 44) for r in shown]
    points = [100 * r["points"] for r in shown]
    with drawing():
        left = min(_WIDEST, 16 + _LETTER * max(map(len, labels), default=0))
        figure, axes = new_figure(760, _FRAME + _BAR * max(1, len(shown)), margins=(left, 10, 34, 48))
        figure.set_facecolor(COLOURS["paper"])
        colours = [COLOURS["left"] if value > 0 else COLOURS["stayed"] for value in points]
        bars = axes.barh(range(len(shown)), points, color=colours, height=0.62)
        axes.bar_label(bars, [in_points(r["points"]) for r in shown], padding=4)
        axes.set_yticks(range(len(shown)), labels)
        axes.grid(visible=False, axis="y")
        axes.axvline(0, color=COLOURS["muted"], linewidth=0.8)
        axes.margins(x=0.12)
        axes.set_ylim(-0.7, max(1, len(shown)) - 0.3)
        axes.set_xlabel("points of probability: left lowers it, right raises it")
        heading(
            figure,
            f"Customer {short(why.customer_id)}: {why.probability:.1%} likely to leave",
            f"{why.model} {why.version}",
        )
        try:
            with scratch(path.parent, ".drawing-") as work:
                fresh = work / path.name
                dpi = 144 if path.suffix.lower() == ".png" else 72
                figure.savefig(fresh, dpi=dpi, bbox_inches="tight", pad_inches=0.2)
                fresh.replace(path)
        except OSError as error:
            raise UsageError(
                f"Cannot write the figure: {error.strerror or error}.",
                where=str(path),
                hint="Choose another file with --plot.",
            ) from error
