"""Whether a table holds enough leavers and stayers to learn from: one bound for `check` and for `train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import DataError
from holdfast.pages import words

if TYPE_CHECKING:
    from holdfast.contract import Contract
    from holdfast.quality.conform import Conformed

LEAST_EACH = 20
"""With fewer leavers (or stayers) than this nothing can be learned that holds."""

FEW_EACH = 50
"""With fewer than this every figure is rough."""


class TooFewError(DataError):
    """Too few customers left, or stayed, to learn from."""

    code = "too-few"


def insist_on_enough(found: Conformed, contract: Contract) -> list[str]:
    """What few of either outcome mean for a model: one warning, or none.

    Args:
        found: a table with its label, which has both outcomes.
        contract: describes it.

    Raises:
        TooFewError: fewer than `LEAST_EACH` customers left, or stayed.
    """
    label = found.label
    assert label is not None  # noqa: S101 - a table that is to be learned from was read with its label
    left = int(label.sum())
    least, who = min((left, "left"), (label.len() - left, "stayed"))
    if least < LEAST_EACH:
        raise TooFewError(
            f"Only {least} of {label.len():,} customers {who}; {LEAST_EACH} are needed to learn anything.",
            where=f"column {contract.churn.label}",
            hint="Collect more history, or widen what counts as churn.",
        )
    warning = about_few(left, label.len() - left)
    return [] if warning is None else [warning]


def about_few(left: int, stayed: int) -> str | None:
    """The warning that goes with few leavers or stayers; none where there are enough.

    >>> about_few(1_000, 19)
    'Only 19 customers stayed. 20 are needed to learn anything; training refuses.'
    >>> about_few(50, 1_000) is None
    True
    """
    least, who = min((left, "left"), (stayed, "stayed"))
    if least >= FEW_EACH:
        return None
    only = f"Only {words.count(least, 'customer')} {who}."
    if least < LEAST_EACH:
        return f"{only} {LEAST_EACH} are needed to learn anything; training refuses."
    return (
        f"{only} The ranking may help; the probabilities and every figure are rough. "
        f"{FEW_EACH} or more are needed for figures to trust."
    )
