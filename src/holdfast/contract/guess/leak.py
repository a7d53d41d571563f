"""Which columns give the label away, and why each is thought to.

A leak is known only because the customer left, so a model that uses it shines in the laboratory and fails in
service. An honest strong column must stay: single columns with an AUC of .85 to .95 are met in real tables
(transaction counts, days since the last order), so the number alone condemns from .98 on; below that it takes
the name, or values that nobody has who stayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.guess.names import has_phrase
from holdfast.contract.types import Kind

if TYPE_CHECKING:
    from holdfast.contract.guess.signal import Signal

SURE = 0.98
"""Single-column AUC from which a column is a leak whatever its name. Six honest columns in real churn tables
that are called very strong lie between .80 and .93; recoded labels and scores made from it lie above."""

SUSPICIOUS = 0.90
"""From here on the contract says so; with most who left in pure values, or a telling name, it leaks."""

TELLING = 0.70
"""Enough for a column whose very name says that it is about having left."""

_OUTCOME = frozenset({"churn", "churned", "churner", "attrition", "attrited", "exited", "defection"})
_ABOUT = frozenset({
    "reason", "category", "score", "date", "label", "value", "flag", "type", "probability", "prob",
    "prediction",
    "predicted", "risk", "status", "rank", "month", "day", "time", "comment", "cause", "why", "segment",
    "class",
    "propensity", "likelihood", "target", "indicator", "group", "year", "quarter", "week", "datetime",
    "timestamp",
})  # fmt: skip
_ENDINGS = (
    "cancel date", "cancellation date", "cancelled date", "canceled date", "cancelled at", "canceled at",
    "cancellation reason", "cancel reason", "termination date", "terminated date", "termination reason",
    "exit date", "exit reason", "leave date", "leaving date", "leaving reason", "reason for leaving",
    "disconnect date", "disconnection date", "disconnect reason", "deactivation date", "deactivated at",
    "closing date", "closed date", "close date", "account closed", "closure date", "closure reason",
    "unsubscribe date", "unsubscribed at", "lost date", "lapse date", "last day of service", "date of exit",
    "termination type", "cancellation type", "ended at", "end reason",
)  # fmt: skip
_DOUBTFUL = (
    "customer status", "account status", "subscription status", "member status", "membership status",
    "contract status", "policy status",
    "end date",
    "retention offer", "retention call", "final bill", "last bill", "refund", "winback", "win back",
    "exit survey", "cancel", "cancellation", "terminate", "termination",
)  # fmt: skip

_COMPUTED = (
    "cltv",
    "clv",
    "ltv",
    "lifetime value",
    "score",
    "propensity",
    "probability",
    "prediction",
    "predicted",
)


def leak_reason(name_words: tuple[str, ...], signal: Signal, *, kind: Kind, label: str) -> str | None:
    """Why the column is a leak, to stand after ``leak: ``; none if it is not.

    Args:
        name_words: the column name's words.
        signal: from `holdfast.contract.guess.signal.measure`.
        kind: the column's kind.
        label: the label's name.
    """
    outcome = bool(_OUTCOME.intersection(name_words))
    if signal.auc >= SURE:
        return _sure(signal, kind, label)
    if outcome and (_ABOUT.intersection(name_words) or signal.auc >= TELLING):
        return f'its name says it comes from "{label}" (AUC {signal.auc:.2f})'
    if any(has_phrase(name_words, ending) for ending in _ENDINGS):
        return f"its name says it is about the customer's leaving (AUC {signal.auc:.2f})"
    if signal.auc >= SUSPICIOUS and signal.pure_left >= 0.5:  # noqa: PLR2004 - most of them
        return (
            f"{signal.pure_left:.0%} of those who left have values that nobody has who stayed, which honest "
            f"columns do not do (AUC {signal.auc:.2f})"
        )
    if _doubtful(name_words) and signal.auc >= SUSPICIOUS:
        return (
            f"its name and how well it tells who left alone (AUC {signal.auc:.2f}) say it is known afterwards"
        )
    return None


def _doubtful(name_words: tuple[str, ...]) -> bool:
    return name_words == ("status",) or any(has_phrase(name_words, phrase) for phrase in _DOUBTFUL)


def _sure(signal: Signal, kind: Kind, label: str) -> str:
    if signal.missing_auc >= SURE:
        return f"it is filled for one outcome only (AUC {signal.auc:.3f} from its being empty)"
    if kind is Kind.BOOLEAN:
        return f'"{label}" under another name (AUC {signal.auc:.3f})'
    return f"alone it tells who left almost perfectly (AUC {signal.auc:.3f})"


def leak_warning(name_words: tuple[str, ...], signal: Signal) -> str | None:
    """A remark on a column that is kept, but that a person should look at."""
    before = "make sure it is known before a customer leaves"
    if signal.auc >= SUSPICIOUS:
        return (
            f"kept, but alone it tells very well who left (AUC {signal.auc:.2f}); {before}, else exclude it"
        )
    if _doubtful(name_words) or _OUTCOME.intersection(name_words):
        return f"kept (AUC {signal.auc:.2f}), though its name may be about leaving; {before}"
    if any(has_phrase(name_words, phrase) for phrase in _COMPUTED):
        return f"kept (AUC {signal.auc:.2f}), but somebody computed it: {before}, else exclude it"
    return None
